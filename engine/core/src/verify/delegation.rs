//! The way in: from DS RRsets of the parent to the keys that sign the key set.

use std::collections::BTreeSet;

use crate::dnssec::canonical::{Rrsig, ds_digest};
use crate::rdata::rtype;
use crate::verify::Findings;
use crate::verify::failure::{Code, Failure};
use crate::verify::keys::ZoneKey;
use crate::verify::rrsets::Checker;

const SHA1: u8 = 1;

/// Check that every DS RRset leads, by each algorithm in it, to a key that signs DNSKEY (RFC
/// 4035 section 5.2), and that CDS and CDNSKEY are signed by such a key (RFC 7344 section
/// 4.1). Without a DS RRset, keys with the SEP flag are what a DS would lead to.
pub fn check(checker: &Checker<'_>, ds: &[Vec<Vec<u8>>], findings: &mut Findings) {
    let origin = checker.zone.origin();
    let signers = signers(checker, rtype::DNSKEY);
    // Where the signatures themselves are wrong, that was said, and is the reason.
    let told: BTreeSet<u16> = findings
        .failures
        .iter()
        .filter(|failure| *failure.owner == *origin)
        .map(|failure| failure.rtype)
        .collect();
    let mut tell = |rtype: u16, why: String| {
        findings.failures.push(Failure::new(origin, rtype, Code::NoDsPath, why));
    };
    let mut trusted: Vec<&ZoneKey> = vec![];
    for rrset in ds {
        // RFC 6840 section 5.11: the algorithms of a DS RRset are what the zone is to have.
        let algorithms: BTreeSet<Option<u8>> = rrset.iter().map(|rdata| algorithm(rdata)).collect();
        for wanted in algorithms {
            let Some(wanted) = wanted else {
                tell(rtype::DS, "a DS record that can't be read".into());
                continue;
            };
            let led: Vec<_> = usable(rrset, wanted)
                .flat_map(|rdata| {
                    let leads = |key: &&&ZoneKey| matches(key, rdata, checker);
                    signers.iter().filter(leads).copied().collect::<Vec<_>>()
                })
                .collect();
            if led.is_empty() {
                let tags: Vec<String> = rrset
                    .iter()
                    .filter(|rdata| algorithm(rdata) == Some(wanted))
                    .map(|rdata| u16::from_be_bytes([rdata[0], rdata[1]]).to_string())
                    .collect();
                let tags = tags.join(", ");
                tell(
                    rtype::DNSKEY,
                    format!(
                        "no DS record of algorithm {wanted} (key {tags}) leads to a published key \
                         that signs DNSKEY"
                    ),
                );
            }
            trusted.extend(led);
        }
    }
    let entry = |key: &ZoneKey| match ds.iter().any(|rrset| !rrset.is_empty()) {
        true => trusted.iter().any(|other| std::ptr::eq(*other, key)),
        false => key.entry_point || !checker.keys.keys.iter().any(|k| k.entry_point && !k.revoked),
    };
    for rtype in [rtype::DNSKEY, rtype::CDS, rtype::CDNSKEY] {
        let apex = checker.zone.apex();
        let Some(rrset) = apex.rrset(rtype).filter(|rrset| rrset.signature_count() > 0) else {
            continue;
        };
        let by_entry = self::signers(checker, rtype)
            .into_iter()
            .any(|key| entry(key) && signers.iter().any(|other| std::ptr::eq(*other, key)));
        // For DNSKEY each DS RRset has spoken for itself.
        let done = rtype == rtype::DNSKEY && !ds.is_empty();
        if !by_entry && !done && !rrset.is_empty() && !told.contains(&rtype) {
            tell(rtype, "not signed by a key that a DS record may lead to".into());
        }
    }
}

fn algorithm(ds: &[u8]) -> Option<u8> {
    (ds.len() > 4).then(|| ds[2])
}

/// RFC 4509 section 3: a digest by SHA-1 is not looked at where there is a better one.
fn usable(rrset: &[Vec<u8>], wanted: u8) -> impl Iterator<Item = &Vec<u8>> {
    let of_algorithm = move |rdata: &&Vec<u8>| algorithm(rdata) == Some(wanted);
    let better = rrset.iter().filter(of_algorithm).any(|rdata| matches!(rdata[3], 2 | 4));
    rrset.iter().filter(of_algorithm).filter(move |rdata| !better || rdata[3] != SHA1)
}

fn matches(key: &ZoneKey, ds: &[u8], checker: &Checker<'_>) -> bool {
    !key.revoked
        && ds_digest(checker.zone.origin(), &key.dnskey, ds[3]).is_ok_and(|made| made == ds)
}

/// Keys, not revoked, whose signatures over an RRset of the apex are right.
fn signers<'a>(checker: &'a Checker<'_>, rtype: u16) -> Vec<&'a ZoneKey> {
    let apex = checker.zone.apex();
    let Some(rrset) = apex.rrset(rtype) else { return vec![] };
    // Failures and counts are those of the apex, which was looked at already.
    let mut aside = Findings::default();
    rrset
        .signatures()
        .filter_map(Rrsig::parse)
        .filter_map(|rrsig| checker.check_one(apex, rrset, &rrsig, &mut aside).ok().flatten())
        .filter(|key| !key.revoked)
        .collect()
}
