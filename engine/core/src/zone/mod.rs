//! A version of a zone: immutable once shared, cheap to derive the next one from.

pub mod builder;
pub mod diff;
mod edit;
mod index;
pub mod node;
mod order;
mod patch;
mod summary;

use crate::name::{Name, NameRef};
use crate::rdata::rtype;
use index::Index;
pub use node::{Node, NodeBuf, RrsetBuf, RrsetRef};
use order::Order;

pub use builder::Builder;
pub use diff::{Diff, Record};

/// Nodes by hash and in canonical order; NSEC3 records apart, since their owners are no names
/// that a query finds (RFC 5155 section 7.2.8). Cloning copies lists of pages, not nodes.
#[derive(Clone)]
pub struct Zone {
    origin: Name,
    index: Index,
    order: Order,
    nsec3: Order,
    counts: Counts,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Owners with records, NSEC3 owners included.
    pub names: usize,
    pub rrsets: usize,
    /// Signatures included.
    pub records: usize,
    pub signatures: usize,
}

/// Where a name leads in a zone.
pub enum Lookup<'a> {
    Exact(&'a Node),
    /// The name does not exist; this is the closest encloser (RFC 4592 section 3.3.1).
    Encloser(&'a Node),
}

impl Counts {
    fn of(node: &Node) -> Self {
        let mut counts = Self { names: usize::from(!node.is_empty()), ..Self::default() };
        for rrset in node.rrsets() {
            counts.rrsets += usize::from(!rrset.is_empty());
            counts.signatures += rrset.signature_count();
            counts.records += rrset.len() + rrset.signature_count();
        }
        counts
    }

    fn add(&mut self, other: Self) {
        self.names += other.names;
        self.rrsets += other.rrsets;
        self.records += other.records;
        self.signatures += other.signatures;
    }

    fn subtract(&mut self, other: Self) {
        self.names -= other.names;
        self.rrsets -= other.rrsets;
        self.records -= other.records;
        self.signatures -= other.signatures;
    }
}

impl Zone {
    /// A zone of nothing but its apex name, to be filled by `set`.
    pub fn empty(origin: &NameRef) -> Self {
        let origin = origin.to_lower();
        let apex = NodeBuf::new(&origin).build();
        Self::assemble(&origin, vec![apex], vec![])
    }

    /// From nodes in canonical order, empty non-terminals among them and flags set; `nsec3`
    /// in the order of their hashes. Nothing is checked: for those who made the nodes from
    /// another version's.
    pub fn assemble(origin: &NameRef, nodes: Vec<Node>, nsec3: Vec<Node>) -> Self {
        let mut index = Index::with_capacity(nodes.len());
        let mut counts = Counts::default();
        for node in nodes.iter().chain(&nsec3) {
            counts.add(Counts::of(node));
        }
        for node in &nodes {
            index.insert(node.clone());
        }
        Self {
            origin: origin.to_owned(),
            index,
            order: Order::from_sorted(origin, nodes),
            nsec3: Order::from_sorted(origin, nsec3),
            counts,
        }
    }

    /// Lower-cased.
    pub fn origin(&self) -> &NameRef {
        &self.origin
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    pub fn apex(&self) -> &Node {
        self.index.get(&self.origin).expect("a zone has an apex")
    }

    pub fn soa(&self) -> Option<RrsetRef<'_>> {
        self.apex().rrset(rtype::SOA).filter(|soa| !soa.is_empty())
    }

    /// 0 while there is no SOA.
    pub fn serial(&self) -> u32 {
        self.soa_number(0)
    }

    pub fn soa_refresh(&self) -> u32 {
        self.soa_number(1)
    }

    pub fn soa_retry(&self) -> u32 {
        self.soa_number(2)
    }

    pub fn soa_expire(&self) -> u32 {
        self.soa_number(3)
    }

    pub fn soa_minimum(&self) -> u32 {
        self.soa_number(4)
    }

    /// RFC 2308 section 5 and RFC 9077: the lesser of the SOA's minimum and its TTL.
    pub fn negative_ttl(&self) -> u32 {
        self.soa().map_or(0, |soa| soa.ttl.min(self.soa_minimum()))
    }

    fn soa_number(&self, index: usize) -> u32 {
        self.soa()
            .and_then(|soa| soa.rdatas().next())
            .and_then(|rdata| rdata.last_chunk::<20>())
            .map_or(0, |tail| {
                let at = index * 4;
                u32::from_be_bytes([tail[at], tail[at + 1], tail[at + 2], tail[at + 3]])
            })
    }

    /// `name` lower-cased; NSEC3 owners are not found here.
    pub fn get(&self, name: &NameRef) -> Option<&Node> {
        self.index.get(name)
    }

    /// `name` lower-cased and at or below the origin.
    pub fn find(&self, name: &NameRef) -> Lookup<'_> {
        if let Some(node) = self.index.get(name) {
            return Lookup::Exact(node);
        }
        let encloser = name.ancestors().skip(1).find_map(|ancestor| self.index.get(ancestor));
        Lookup::Encloser(encloser.unwrap_or_else(|| self.apex()))
    }

    /// The highest cut or DNAME above an occluded `name` (lower-cased), or at it.
    pub fn cut_above(&self, name: &NameRef) -> Option<&Node> {
        let depth = self.origin.label_count();
        let mut found = None;
        for ancestor in name.ancestors() {
            if ancestor.label_count() <= depth {
                break;
            }
            if let Some(node) = self.index.get(ancestor)
                && (node.is_cut() || node.has_dname())
            {
                found = Some(node);
            }
        }
        found
    }

    /// All nodes in canonical order: occluded ones and empty non-terminals too, NSEC3 not.
    pub fn nodes(&self) -> impl DoubleEndedIterator<Item = &Node> {
        self.order.iter()
    }

    pub fn node_count(&self) -> usize {
        self.order.len()
    }

    /// Nodes from the greatest that is `name` or before it, downwards.
    pub fn backwards_from(&self, name: &NameRef) -> impl Iterator<Item = &Node> {
        self.order.backwards_from(name)
    }

    /// Nodes behind `name`, upwards.
    pub fn forwards_after(&self, name: &NameRef) -> impl Iterator<Item = &Node> {
        self.order.forwards_after(name)
    }

    pub fn last_node(&self) -> &Node {
        self.order.last().expect("a zone has an apex")
    }

    /// Owners of NSEC3 records in the order of their hashes.
    pub fn nsec3_nodes(&self) -> impl DoubleEndedIterator<Item = &Node> {
        self.nsec3.iter()
    }

    /// Owners of NSEC3 records behind `owner`, upwards.
    pub fn nsec3_forwards_after(&self, owner: &NameRef) -> impl Iterator<Item = &Node> {
        self.nsec3.forwards_after(owner)
    }

    pub fn nsec3_count(&self) -> usize {
        self.nsec3.len()
    }

    /// The NSEC3 node with this owner (lower-cased).
    pub fn nsec3_match(&self, owner: &NameRef) -> Option<&Node> {
        self.nsec3.get(owner)
    }

    /// The NSEC3 node before this owner in the circle of hashes, or at it.
    pub fn nsec3_covering(&self, owner: &NameRef) -> Option<&Node> {
        self.nsec3.backwards_from(owner).next().or_else(|| self.nsec3.last())
    }

    /// As `nsec3_covering`, but never the node of this owner unless it is the only one.
    pub fn nsec3_before(&self, owner: &NameRef) -> Option<&Node> {
        let before = self.nsec3.backwards_from(owner).find(|node| node.name() != owner);
        before.or_else(|| self.nsec3.last())
    }

    /// The NSEC3 node behind this owner in the circle of hashes.
    pub fn nsec3_after(&self, owner: &NameRef) -> Option<&Node> {
        self.nsec3.forwards_after(owner).next().or_else(|| self.nsec3.first())
    }

    /// Whether `name` (lower-cased) has names below it, empty non-terminals included.
    pub fn has_descendants(&self, name: &NameRef) -> bool {
        self.order.forwards_after(name).next().is_some_and(|next| next.name().is_under(name))
    }

    /// All nodes, NSEC3 owners last.
    pub fn all_nodes(&self) -> impl Iterator<Item = &Node> {
        self.order.iter().chain(self.nsec3.iter())
    }

    /// All nodes behind `name` (or from the first) in canonical order, NSEC3 owners in their
    /// place among the others; where one name is both, NSEC3 comes last.
    pub fn canonical_after(&self, name: Option<&NameRef>) -> impl Iterator<Item = &Node> {
        let (mut plain, mut hashed) = (self.order.after(name), self.nsec3.after(name));
        let (mut a, mut b) = (plain.next(), hashed.next());
        std::iter::from_fn(move || {
            let plain_first = match (a, b) {
                (Some(a), Some(b)) => a.name().canonical_cmp(b.name()).is_le(),
                (only, _) => only.is_some(),
            };
            if plain_first {
                std::mem::replace(&mut a, plain.next())
            } else {
                std::mem::replace(&mut b, hashed.next())
            }
        })
    }

    /// Nodes that differ between two versions: (ours, theirs), NSEC3 owners last. Costs in
    /// proportion to what the versions don't share.
    pub fn differing<'a>(&'a self, other: &'a Self) -> Vec<(Option<&'a Node>, Option<&'a Node>)> {
        let mut pairs = self.order.differing(&other.order);
        pairs.extend(self.nsec3.differing(&other.nsec3));
        pairs
    }

    pub fn heap_bytes(&self) -> usize {
        self.all_nodes().map(Node::heap_bytes).sum::<usize>()
            + self.index.heap_bytes()
            + self.order.heap_bytes()
            + self.nsec3.heap_bytes()
    }
}

/// Types that stand apart, under owners that are hashes.
fn is_nsec3(rtype: u16) -> bool {
    rtype == rtype::NSEC3
}

#[cfg(test)]
mod tests;
