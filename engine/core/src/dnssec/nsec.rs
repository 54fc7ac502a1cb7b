//! NSEC: which names have one, what it says, and how a change moves the chain
//! (RFC 4034 section 4, RFC 4035 section 2.3).

use std::collections::BTreeSet;

use super::chain::{has_data, types_at};
use crate::name::{Name, NameRef};
use crate::rdata::rtype;
use crate::zone::{Node, RrsetBuf, Zone};

/// RFC 4035 section 2.3: owners of authoritative data and delegations; neither empty
/// non-terminals nor what is occluded.
pub fn is_member(node: &Node) -> bool {
    !node.is_occluded() && has_data(node)
}

/// The NSEC RRset of a member.
pub fn rrset(node: &Node, next: &NameRef, ttl: u32) -> RrsetBuf {
    let mut types = types_at(node);
    types.extend([rtype::RRSIG, rtype::NSEC]);
    let mut rrset = RrsetBuf::new(rtype::NSEC, ttl, true);
    rrset.push_rdata(&[next.wire(), &bitmap(types)].concat());
    rrset
}

/// RFC 4034 section 4.1.2.
pub fn bitmap(mut types: Vec<u16>) -> Vec<u8> {
    types.sort_unstable();
    types.dedup();
    let mut out = vec![];
    for window in types.chunk_by(|a, b| a >> 8 == b >> 8) {
        let mut bits = [0u8; 32];
        let mut length = 0;
        for rtype in window {
            let octet = usize::from(rtype & 0xff) / 8;
            bits[octet] |= 0x80 >> (rtype & 7);
            length = octet + 1;
        }
        out.extend_from_slice(&[(window[0] >> 8) as u8, length as u8]);
        out.extend_from_slice(&bits[..length]);
    }
    out
}

/// For each node, the index of the member behind it in the circle; None for those that
/// have no NSEC.
pub fn links(nodes: &[Node]) -> Vec<Option<usize>> {
    let mut links = vec![None; nodes.len()];
    // The apex closes the circle.
    let mut behind = 0;
    for (index, node) in nodes.iter().enumerate().rev() {
        if is_member(node) {
            links[index] = Some(behind);
            behind = index;
        }
    }
    links
}

/// Bring the chain of `next` up to date where `touched` names differ from `base`.
pub fn update(base: &Zone, next: &mut Zone, touched: &[Name]) {
    let member = |zone: &Zone, name: &NameRef| zone.get(name).is_some_and(is_member);
    let mut stale: BTreeSet<Name> = BTreeSet::new();
    for name in touched {
        let now = member(next, name);
        if now {
            stale.insert(name.clone());
        }
        if now != member(base, name)
            && let Some(before) =
                next.backwards_from(name).find(|node| is_member(node) && node.name() != &**name)
        {
            stale.insert(before.name().to_owned());
        }
    }
    let ttl = next.negative_ttl();
    for name in stale {
        let Some(node) = next.get(&name) else { continue };
        let behind = next.forwards_after(&name).find(|node| is_member(node));
        let behind = behind.map_or(next.origin(), Node::name);
        let wanted = rrset(node, behind, ttl);
        let held = node.rrset(rtype::NSEC);
        if held.is_none_or(|held| held.ttl != ttl || !held.rdatas().eq(wanted.rdatas())) {
            next.set(&name, wanted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bitmap_is_that_of_rfc_4034_section_4_3() {
        let types = vec![1234, rtype::A, rtype::NSEC, rtype::MX, rtype::RRSIG];
        let mut expected = vec![0, 6, 0x40, 1, 0, 0, 0, 3, 4, 27];
        expected.resize(10 + 26, 0);
        expected.push(0x20);
        assert_eq!(bitmap(types), expected);
        assert!(bitmap(vec![]).is_empty());
    }
}
