//! Changing a version before it is shared: one RRset or one node at a time, empty
//! non-terminals and the marks of occlusion kept true.

use crate::name::{Name, NameRef};
use crate::rdata::rtype;
use crate::zone::node::{Node, NodeBuf, RrsetBuf, flags};
use crate::zone::{Counts, Zone, is_nsec3};

impl Zone {
    /// Put an RRset (`owner` lower-cased, at or below the origin), in lieu of what is there.
    pub fn set(&mut self, owner: &NameRef, rrset: RrsetBuf) {
        let mut node = self.buf(owner, rrset.rtype);
        node.set(rrset);
        self.put(node);
    }

    /// Take an RRset away; the owner goes with its last one.
    pub fn unset(&mut self, owner: &NameRef, rtype: u16) {
        let mut node = self.buf(owner, rtype);
        if node.remove(rtype).is_some() {
            self.put(node);
        }
    }

    fn buf(&self, owner: &NameRef, rtype: u16) -> NodeBuf {
        let node = if is_nsec3(rtype) { self.nsec3.get(owner) } else { self.index.get(owner) };
        node.map_or_else(|| NodeBuf::new(owner), Node::to_buf)
    }

    /// Put a node in lieu of the one of its name; one without RRsets is taken away. A node
    /// that holds NSEC3 goes to the NSEC3 owners, any other to the names. Flags are set here.
    pub fn put(&mut self, mut buf: NodeBuf) {
        let of_nsec3 = match buf.rrsets().first() {
            Some(rrset) => buf.rrsets().len() == 1 && is_nsec3(rrset.rtype),
            None => self.nsec3.get(&buf.name).is_some() && self.index.get(&buf.name).is_none(),
        };
        if of_nsec3 {
            return self.put_nsec3(&buf);
        }
        let name = buf.name.clone();
        if buf.rrsets().is_empty() && name != self.origin && !self.has_descendants(&name) {
            return self.remove_leaf(&name);
        }
        self.make_ancestors(&name);
        let before = self.index.get(&name).map_or(0, Node::flags);
        buf.flags = self.inherited_flags(&name) | own_flags(&buf, name == self.origin);
        let hides = flags::CUT | flags::DNAME;
        let reflag = (before ^ buf.flags) & hides != 0;
        self.replace(buf.build());
        if reflag {
            self.reflag_below(&name);
        }
    }

    fn put_nsec3(&mut self, buf: &NodeBuf) {
        if let Some(old) = self.nsec3.get(&buf.name) {
            self.counts.subtract(Counts::of(old));
        }
        if buf.rrsets().is_empty() {
            self.nsec3.remove(&buf.name);
        } else {
            let node = buf.build();
            self.counts.add(Counts::of(&node));
            self.nsec3.insert(node);
        }
    }

    fn replace(&mut self, node: Node) {
        if let Some(old) = self.index.get(node.name()) {
            self.counts.subtract(Counts::of(old));
        }
        self.counts.add(Counts::of(&node));
        self.index.insert(node.clone());
        self.order.insert(node);
    }

    /// Remove a name without descendants, and the empty non-terminals that only led to it.
    fn remove_leaf(&mut self, name: &NameRef) {
        let mut name = name.to_owned();
        loop {
            let Some(old) = self.index.get(&name) else { return };
            self.counts.subtract(Counts::of(old));
            self.index.remove(&name);
            self.order.remove(&name);
            let Some(parent) = name.parent().map(ToOwned::to_owned) else { return };
            let prune = parent != self.origin
                && self.index.get(&parent).is_some_and(Node::is_empty)
                && !self.has_descendants(&parent);
            if !prune {
                return;
            }
            name = parent;
        }
    }

    fn make_ancestors(&mut self, name: &NameRef) {
        let missing: Vec<Name> = name
            .ancestors()
            .skip(1)
            .take_while(|ancestor| {
                ancestor.wire().len() > self.origin.wire().len()
                    && self.index.get(ancestor).is_none()
            })
            .map(ToOwned::to_owned)
            .collect();
        for ancestor in missing.into_iter().rev() {
            let mut buf = NodeBuf::new(&ancestor);
            buf.flags = self.inherited_flags(&ancestor);
            self.replace(buf.build());
        }
    }

    fn inherited_flags(&self, name: &NameRef) -> u8 {
        if *name == *self.origin {
            return 0;
        }
        let parent = name.parent().and_then(|parent| self.index.get(parent));
        parent.map_or(0, |parent| below(parent.flags()))
    }

    fn reflag_below(&mut self, name: &NameRef) {
        let names: Vec<Name> = self
            .order
            .forwards_after(name)
            .take_while(|node| node.name().is_under(name))
            .map(|node| node.name().to_owned())
            .collect();
        for name in names {
            let Some(node) = self.index.get(&name) else { continue };
            let wanted = self.inherited_flags(&name) | node.flags() & (flags::CUT | flags::DNAME);
            if node.flags() != wanted {
                let mut buf = node.to_buf();
                buf.flags = wanted;
                self.replace(buf.build());
            }
        }
    }
}

/// Flags that a node's own records give it.
pub fn own_flags(buf: &NodeBuf, is_apex: bool) -> u8 {
    let has = |rtype| buf.rrset(rtype).is_some_and(|rrset| !rrset.is_empty());
    let cut = if !is_apex && has(rtype::NS) { flags::CUT } else { 0 };
    cut | if has(rtype::DNAME) { flags::DNAME } else { 0 }
}

/// Flags that children get from a parent with `parent` flags.
pub fn below(parent: u8) -> u8 {
    let mut inherited = parent & (flags::BELOW_CUT | flags::BELOW_DNAME);
    if parent & flags::CUT != 0 {
        inherited |= flags::BELOW_CUT;
    }
    if parent & flags::DNAME != 0 {
        inherited |= flags::BELOW_DNAME;
    }
    inherited
}
