//! The NSEC chain (RFC 4034 section 4, RFC 4035 section 2.3): each name that has records
//! points to the next, the last to the apex, and tells its types.

use crate::name::{Name, NameRef};
use crate::rdata::rtype;
use crate::verify::failure::{Code, Failure};
use crate::verify::types::{compare, has_data, read_bitmap, types_at};
use crate::zone::{Node, Zone};

/// Names that the chain is made of: no glue, nothing occluded, no empty non-terminals.
fn is_member(node: &Node) -> bool {
    !node.is_occluded() && has_data(node)
}

/// Check the whole chain, or the links at and before `names`.
pub fn check(zone: &Zone, names: Option<&[Name]>, failures: &mut Vec<Failure>) {
    let Some(names) = names else {
        let members: Vec<&Node> = zone.nodes().filter(|node| is_member(node)).collect();
        for (at, node) in members.iter().enumerate() {
            let next = members.get(at + 1).map_or(zone.origin(), |next| next.name());
            check_link(zone, node, next, failures);
        }
        zone.nodes().for_each(|node| check_stray(node, failures));
        return;
    };
    // Denial that is there for one name only is checked with that of the apex.
    for name in names.iter().map(|name| &**name).chain([zone.origin()]) {
        if let Some(node) = zone.get(name) {
            check_stray(node, failures);
            if is_member(node) {
                check_link(zone, node, successor(zone, name), failures);
            }
        }
        let before = zone.backwards_from(name).find(|node| node.name() != name && is_member(node));
        let before = before.or_else(|| zone.nodes().rev().find(|node| is_member(node)));
        if let Some(before) = before {
            check_link(zone, before, successor(zone, before.name()), failures);
        }
    }
}

fn successor<'a>(zone: &'a Zone, name: &NameRef) -> &'a NameRef {
    let next = zone.forwards_after(name).find(|node| is_member(node));
    next.map_or(zone.origin(), Node::name)
}

fn check_stray(node: &Node, failures: &mut Vec<Failure>) {
    if node.rrset(rtype::NSEC).is_some_and(|rrset| !rrset.is_empty()) && !is_member(node) {
        let why = if node.is_occluded() {
            "an NSEC record at a name that is not authoritative"
        } else {
            "an NSEC record at a name without records (RFC 4035 section 2.3)"
        };
        failures.push(Failure::new(node.name(), rtype::NSEC, Code::DenialExtra, why));
    }
}

fn check_link(zone: &Zone, node: &Node, next: &NameRef, failures: &mut Vec<Failure>) {
    let mut tell = |code, why: String| {
        failures.push(Failure::new(node.name(), rtype::NSEC, code, why));
    };
    let Some(rrset) = node.rrset(rtype::NSEC).filter(|rrset| !rrset.is_empty()) else {
        return tell(Code::DenialMissing, "no NSEC record".into());
    };
    if rrset.len() > 1 {
        tell(Code::DenialWrong, format!("{} NSEC records where there is to be one", rrset.len()));
    }
    if rrset.ttl > zone.negative_ttl() {
        let (ttl, most) = (rrset.ttl, zone.negative_ttl());
        tell(Code::Ttl, format!("TTL {ttl} of a denial; the SOA allows {most} (RFC 9077)"));
    }
    for rdata in rrset.rdatas() {
        let Some(said) = NameRef::prefix(rdata) else {
            tell(Code::DenialWrong, "an NSEC record that can't be read".into());
            continue;
        };
        if !said.same(next) {
            tell(Code::DenialWrong, format!("points to {said}; the next name is {next}"));
        }
        let mut real = types_at(node);
        real.extend([rtype::NSEC, rtype::RRSIG]);
        match read_bitmap(&rdata[said.wire().len()..]) {
            None => tell(Code::DenialBitmap, "a bitmap that can't be read".into()),
            Some(said) => {
                if let Some(why) = compare(&said, &real) {
                    tell(Code::DenialBitmap, why);
                }
            }
        }
    }
}
