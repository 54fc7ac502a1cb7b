//! Denial of existence: which kind a zone has, and what both kinds say about a node.

use crate::error::Result;
use crate::name::Name;
use crate::rdata::rtype;
use crate::zone::{Node, Zone};

use super::nsec;

/// How a zone proves that something does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// Not at all: an unsigned zone.
    None,
    Nsec,
    Nsec3(Nsec3),
}

/// The parameters of an NSEC3 chain (RFC 5155 section 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nsec3 {
    pub iterations: u16,
    /// At most 255 octets.
    pub salt: Box<[u8]>,
    /// RFC 5155 section 6: insecure delegations are left out.
    pub opt_out: bool,
}

impl Denial {
    /// What a zone has now; a zone that has both kinds, or several NSEC3 chains, has none
    /// that could be continued.
    pub fn of(zone: &Zone) -> Self {
        let apex = zone.apex();
        let nsec = apex.rrset(rtype::NSEC).is_some_and(|rrset| !rrset.is_empty());
        let parameters: Vec<&[u8]> =
            apex.rrset(rtype::NSEC3PARAM).into_iter().flat_map(|rrset| rrset.rdatas()).collect();
        let [parameters] = parameters[..] else {
            return if nsec && parameters.is_empty() { Self::Nsec } else { Self::None };
        };
        let first = zone.nsec3_nodes().next().and_then(|node| node.rrset(rtype::NSEC3));
        let flags = first.and_then(|first| first.rdatas().next()?.get(1).copied());
        match (parameters, flags) {
            (&[_, _, high, low, _, ref salt @ ..], Some(flags)) if !nsec => Self::Nsec3(Nsec3 {
                iterations: u16::from_be_bytes([high, low]),
                salt: salt.into(),
                opt_out: flags & 1 != 0,
            }),
            _ => Self::None,
        }
    }

    /// Bring the chain of `next` up to date where `touched` names differ from `base`, which
    /// has this kind of denial. Raises "nsec3" (hashes that collide or do not fit).
    pub fn update(&self, base: &Zone, next: &mut Zone, touched: &[Name]) -> Result<()> {
        match self {
            Self::None => Ok(()),
            Self::Nsec => {
                nsec::update(base, next, touched);
                Ok(())
            }
            Self::Nsec3(nsec3) => nsec3.update(base, next, touched),
        }
    }
}

/// Whether a node holds more than the denial of existence itself.
pub fn has_data(node: &Node) -> bool {
    node.rrsets().any(|rrset| rrset.rtype != rtype::NSEC && !rrset.is_empty())
}

/// RFC 4035 section 2.3, RFC 5155 section 7.1: the types that a denial record tells of,
/// without RRSIG and NSEC. At a cut those are the parent's: NS and DS.
pub fn types_at(node: &Node) -> Vec<u16> {
    let told = |rtype| match node.is_cut() {
        true => matches!(rtype, rtype::NS | rtype::DS),
        false => rtype != rtype::NSEC,
    };
    node.rrsets().filter(|r| !r.is_empty() && told(r.rtype)).map(|r| r.rtype).collect()
}

/// A zone cut without DS.
pub fn is_insecure_delegation(node: &Node) -> bool {
    node.is_cut() && node.rrset(rtype::DS).is_none_or(|ds| ds.is_empty())
}
