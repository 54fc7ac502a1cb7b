//! What a node is to DNSSEC, and the types that a denial has to tell of.

use std::collections::BTreeSet;

use crate::rdata::rtype;
use crate::zone::Node;

/// Whether an RRset is the zone's own word, and so has to be signed (RFC 4035 section 2.2).
pub fn is_authoritative(node: &Node, rtype: u16) -> bool {
    !node.is_occluded()
        && (!node.is_cut() || matches!(rtype, rtype::DS | rtype::NSEC | rtype::NSEC3))
}

fn has(node: &Node, wanted: u16) -> bool {
    node.rrset(wanted).is_some_and(|rrset| !rrset.is_empty())
}

/// Whether a name has records of its own, beside those that deny.
pub fn has_data(node: &Node) -> bool {
    node.rrsets().any(|rrset| !rrset.is_empty() && rrset.rtype != rtype::NSEC)
}

pub fn is_insecure_delegation(node: &Node) -> bool {
    node.is_cut() && !has(node, rtype::DS)
}

/// The types that exist at a name, without RRSIG and those that deny (RFC 4034 section 4.1.2,
/// RFC 4035 section 2.3: at a cut NS and DS alone).
pub fn types_at(node: &Node) -> BTreeSet<u16> {
    let all = node.rrsets().filter(|rrset| !rrset.is_empty()).map(|rrset| rrset.rtype);
    all.filter(|rtype| !matches!(*rtype, rtype::NSEC | rtype::NSEC3 | rtype::RRSIG))
        .filter(|rtype| !node.is_cut() || matches!(*rtype, rtype::NS | rtype::DS))
        .collect()
}

/// The types in a bitmap; None when it is malformed.
pub fn read_bitmap(mut octets: &[u8]) -> Option<BTreeSet<u16>> {
    let mut types = BTreeSet::new();
    let mut last: Option<u8> = None;
    while !octets.is_empty() {
        let (&[window, length], rest) = octets.split_first_chunk::<2>()?;
        let (bits, rest) = rest.split_at_checked(usize::from(length))?;
        if !(1..=32).contains(&length)
            || last.is_some_and(|last| window <= last)
            || bits.last() == Some(&0)
        {
            return None;
        }
        for (at, octet) in bits.iter().enumerate() {
            for bit in (0..8u8).filter(|bit| octet & 0x80 >> bit != 0) {
                types.insert(u16::from_be_bytes([window, at as u8 * 8 + bit]));
            }
        }
        (last, octets) = (Some(window), rest);
    }
    Some(types)
}

/// What a bitmap says too much and too little, for people.
pub fn compare(said: &BTreeSet<u16>, real: &BTreeSet<u16>) -> Option<String> {
    let names = |types: Vec<&u16>| {
        types.into_iter().map(|rtype| crate::rdata::type_name(*rtype)).collect::<Vec<_>>().join(" ")
    };
    let more: Vec<_> = said.difference(real).collect();
    let less: Vec<_> = real.difference(said).collect();
    match (more.is_empty(), less.is_empty()) {
        (true, true) => None,
        (false, true) => Some(format!("its bitmap tells of {}, which is not there", names(more))),
        (true, false) => Some(format!("its bitmap leaves out {}", names(less))),
        (false, false) => {
            Some(format!("its bitmap tells of {} and leaves out {}", names(more), names(less)))
        }
    }
}
