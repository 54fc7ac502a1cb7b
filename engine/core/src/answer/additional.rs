//! Addresses of the names that an answer or a referral leads to.

use crate::answer::denial::NameBuf;
use crate::answer::present;
use crate::answer::writer::{Owner, Writer};
use crate::name::NameRef;
use crate::rdata::rtype;
use crate::zone::{Node, RrsetRef, Zone};

/// Names looked up for one answer.
const MOST: usize = 32;

/// What clients of MX, NS and SRV records ask for next; dropped where it does not fit.
pub fn of_answer(zone: &Zone, rrset: RrsetRef<'_>, signed: bool, writer: &mut Writer<'_>) {
    let skip = match rrset.rtype {
        rtype::NS => 0,
        rtype::MX => 2,
        rtype::SRV => 6,
        _ => return,
    };
    let targets = rrset.rdatas().filter_map(|rdata| NameRef::prefix(rdata.get(skip..)?));
    for target in targets.take(MOST) {
        if let Some(node) = inside(zone, target)
            && (!node.is_occluded() || rrset.rtype == rtype::NS)
            && !addresses(node, signed, writer)
        {
            return;
        }
    }
}

/// RFC 9471: addresses of name servers at or below the cut have to be there, or the answer is
/// truncated; those elsewhere in the zone go in where there is room.
pub fn glue(
    zone: &Zone,
    cut: &Node,
    ns: RrsetRef<'_>,
    signed: bool,
    writer: &mut Writer<'_>,
) -> bool {
    let targets = || ns.rdatas().filter_map(NameRef::prefix).filter_map(|name| inside(zone, name));
    let in_domain = |node: &&Node| node.name().is_under(cut.name());
    if !targets().filter(in_domain).all(|node| addresses(node, signed, writer)) {
        return false;
    }
    let _room = targets()
        .filter(|node| !in_domain(node))
        .take(MOST)
        .all(|node| addresses(node, signed, writer));
    true
}

fn inside<'z>(zone: &'z Zone, name: &NameRef) -> Option<&'z Node> {
    if name.wire().iter().any(u8::is_ascii_uppercase) {
        let mut lower = NameBuf::new();
        lower.join(&[], name);
        lower.lower();
        return zone.get(lower.name());
    }
    zone.get(name)
}

fn addresses(node: &Node, signed: bool, writer: &mut Writer<'_>) -> bool {
    [rtype::A, rtype::AAAA].into_iter().all(|rtype| {
        let Some(rrset) = present(node, rtype) else { return true };
        // Glue is not authoritative and has no signatures.
        let signed = signed && !node.is_occluded();
        writer.rrset(Owner::Name(node.name()), rrset, rrset.ttl, signed)
    })
}
