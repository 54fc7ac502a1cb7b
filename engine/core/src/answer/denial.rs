//! Proofs that something is not there: NSEC (RFC 4035 section 3.1.3), NSEC3 (RFC 5155
//! section 7.2). What a zone lacks is left out; nothing here fails.

use crate::answer::nsec3::Parameters;
use crate::name::NameRef;
use crate::rdata::rtype;
use crate::zone::{Node, Zone};

const MOST: usize = 32;

/// How a zone denies.
#[derive(Clone, Copy)]
pub enum Denial<'z> {
    Unsigned,
    Nsec,
    Nsec3(Parameters<'z>),
}

impl<'z> Denial<'z> {
    pub fn of(zone: &'z Zone) -> Self {
        let apex = zone.apex();
        if apex.rrset(rtype::NSEC).is_some_and(|rrset| !rrset.is_empty()) {
            return Self::Nsec;
        }
        Parameters::of(zone).map_or(Self::Unsigned, Self::Nsec3)
    }
}

/// The NSEC or NSEC3 nodes that an answer has to show, each once.
pub struct Proofs<'z> {
    zone: &'z Zone,
    denial: Denial<'z>,
    nodes: [Option<&'z Node>; MOST],
    count: usize,
}

impl<'z> Proofs<'z> {
    pub fn new(zone: &'z Zone, denial: Denial<'z>) -> Self {
        Self { zone, denial, nodes: [None; MOST], count: 0 }
    }

    pub fn rtype(&self) -> u16 {
        match self.denial {
            Denial::Nsec3(_) => rtype::NSEC3,
            _ => rtype::NSEC,
        }
    }

    pub fn nodes(&self) -> impl Iterator<Item = &'z Node> {
        self.nodes[..self.count].iter().copied().flatten()
    }

    fn add(&mut self, node: Option<&'z Node>) {
        let Some(node) = node else { return };
        if self.count < MOST && !self.nodes().any(|other| std::ptr::eq(other, node)) {
            self.nodes[self.count] = Some(node);
            self.count += 1;
        }
    }

    /// The name does not exist, and no wildcard at its closest encloser.
    pub fn no_name(&mut self, name: &NameRef, encloser: &NameRef) {
        match self.denial {
            Denial::Unsigned => {}
            Denial::Nsec => {
                self.add(nsec_before(self.zone, name));
                let mut wildcard = NameBuf::new();
                if wildcard.wildcard_of(encloser) {
                    self.add(nsec_before(self.zone, wildcard.name()));
                }
            }
            Denial::Nsec3(parameters) => {
                let provable = self.closest_encloser(&parameters, name, encloser);
                let mut wildcard = NameBuf::new();
                if wildcard.wildcard_of(provable) {
                    self.add(parameters.covering(self.zone, wildcard.name()));
                }
            }
        }
    }

    /// The name exists, the type does not.
    pub fn no_data(&mut self, name: &NameRef) {
        match self.denial {
            Denial::Unsigned => {}
            Denial::Nsec => self.add(nsec_before(self.zone, name)),
            Denial::Nsec3(parameters) => match parameters.matching(self.zone, name) {
                Some(node) => self.add(Some(node)),
                // RFC 5155 sections 7.2.4 and 7.2.7: an insecure delegation that was opted
                // out, or an empty non-terminal that only leads to such.
                None => {
                    if let Some(parent) = name.parent() {
                        self.closest_encloser(&parameters, name, parent);
                    }
                }
            },
        }
    }

    /// The answer was made from a wildcard: the name itself does not exist.
    pub fn expanded(&mut self, name: &NameRef, encloser: &NameRef) {
        match self.denial {
            Denial::Unsigned => {}
            Denial::Nsec => self.add(nsec_before(self.zone, name)),
            Denial::Nsec3(parameters) => {
                self.add(parameters.covering(self.zone, below(name, encloser)));
            }
        }
    }

    /// A wildcard matches, but has not the type.
    pub fn expanded_no_data(&mut self, name: &NameRef, encloser: &NameRef, wildcard: &NameRef) {
        match self.denial {
            Denial::Unsigned => {}
            Denial::Nsec => {
                self.add(nsec_before(self.zone, name));
                self.add(nsec_before(self.zone, wildcard));
            }
            Denial::Nsec3(parameters) => {
                self.closest_encloser(&parameters, name, encloser);
                self.add(parameters.matching(self.zone, wildcard));
            }
        }
    }

    /// RFC 5155 section 7.2.1, from `start`, the lowest that may have an NSEC3 record: the
    /// closest encloser that can be proven.
    fn closest_encloser<'n>(
        &mut self,
        parameters: &Parameters<'z>,
        name: &NameRef,
        start: &'n NameRef,
    ) -> &'n NameRef {
        for ancestor in start.ancestors() {
            if !ancestor.is_under(self.zone.origin()) {
                break;
            }
            if let Some(node) = parameters.matching(self.zone, ancestor) {
                self.add(Some(node));
                self.add(parameters.covering(self.zone, below(name, ancestor)));
                return ancestor;
            }
        }
        start
    }
}

/// The ancestor of `name` (or itself) that is one label longer than `ancestor`.
fn below<'n>(name: &'n NameRef, ancestor: &NameRef) -> &'n NameRef {
    let length = ancestor.wire().len();
    name.ancestors()
        .find(|candidate| candidate.parent().is_some_and(|up| up.wire().len() == length))
        .unwrap_or(name)
}

/// The NSEC that is at `name` or covers it: of the first node at or before it that has one.
fn nsec_before<'z>(zone: &'z Zone, name: &NameRef) -> Option<&'z Node> {
    let mut from = name;
    loop {
        let mut jump = None;
        for node in zone.backwards_from(from) {
            if node.rrset(rtype::NSEC).is_some_and(|rrset| !rrset.is_empty()) {
                return Some(node);
            }
            // Whatever number of names a cut hides, the way over them is one step.
            if node.is_occluded() {
                jump = zone.cut_above(node.name());
                break;
            }
        }
        match jump {
            Some(cut) if cut.rrset(rtype::NSEC).is_some_and(|rrset| !rrset.is_empty()) => {
                return Some(cut);
            }
            Some(cut) if cut.name().wire() != from.wire() => from = cut.name(),
            _ => return None,
        }
    }
}

/// A name on the stack.
pub struct NameBuf {
    octets: [u8; 255],
    length: usize,
}

impl NameBuf {
    pub fn new() -> Self {
        Self { octets: [0; 255], length: 1 }
    }

    pub fn name(&self) -> &NameRef {
        NameRef::from_valid(&self.octets[..self.length])
    }

    /// `head` (labels without an end) before `tail`; false if that is longer than a name.
    pub fn join(&mut self, head: &[u8], tail: &NameRef) -> bool {
        let length = head.len() + tail.wire().len();
        if length > self.octets.len() {
            return false;
        }
        self.octets[..head.len()].copy_from_slice(head);
        self.octets[head.len()..length].copy_from_slice(tail.wire());
        self.length = length;
        true
    }

    pub fn wildcard_of(&mut self, encloser: &NameRef) -> bool {
        self.join(b"\x01*", encloser)
    }

    pub fn lower(&mut self) {
        self.octets[..self.length].make_ascii_lowercase();
    }
}
