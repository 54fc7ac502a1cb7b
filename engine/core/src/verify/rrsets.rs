//! Each RRset and the signatures over it.

use std::collections::BTreeSet;

use crate::dnssec::canonical::{Rrsig, signed_data};
use crate::rdata::rtype;
use crate::verify::Findings;
use crate::verify::failure::{Code, Failure, date};
use crate::verify::keys::{KeySet, ZoneKey};
use crate::verify::memory::{Digest, Memory};
use crate::verify::types::is_authoritative;
use crate::zone::{Node, RrsetRef, Zone};

pub struct Checker<'a> {
    pub zone: &'a Zone,
    pub keys: &'a KeySet,
    pub at: u32,
    pub memory: &'a Memory,
}

/// RFC 4034 section 3.1.5: times compare as serial numbers (RFC 1982).
fn is_after(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) > 0
}

type Wrong = (Code, String);

impl Checker<'_> {
    pub fn check(&self, node: &Node, findings: &mut Findings) {
        for rrset in node.rrsets() {
            let mut wrong = |code, why: String| {
                findings.failures.push(Failure::new(node.name(), rrset.rtype, code, why));
            };
            let signed = rrset.signature_count() > 0;
            if rrset.is_empty() {
                wrong(Code::OrphanSignature, "a signature over records that are not there".into());
            } else if is_authoritative(node, rrset.rtype) {
                self.check_signatures(node, rrset, findings);
            } else if signed && node.is_cut() && rrset.rtype == rtype::NS {
                let why = "signed NS records of a delegation, which the child speaks for";
                wrong(Code::SignedCut, why.into());
            } else if signed {
                wrong(Code::SignedGlue, "signed records that are not authoritative".into());
            }
        }
    }

    fn check_signatures(&self, node: &Node, rrset: RrsetRef<'_>, findings: &mut Findings) {
        let tell = |(code, why): Wrong, findings: &mut Findings| {
            findings.failures.push(Failure::new(node.name(), rrset.rtype, code, why));
        };
        if rrset.signature_count() == 0 {
            return tell((Code::NoSignature, "not signed".into()), findings);
        }
        // Algorithms about which something was said: right, or wrong with its reason.
        let mut told = BTreeSet::new();
        for rdata in rrset.signatures() {
            let Some(rrsig) = Rrsig::parse(rdata) else {
                tell((Code::BadSignature, "an RRSIG that can't be read".into()), findings);
                continue;
            };
            match self.check_one(node, rrset, &rrsig, findings) {
                Ok(Some(_)) => drop(told.insert(rrsig.algorithm)),
                Ok(None) => {}
                Err(wrong) => {
                    told.insert(rrsig.algorithm);
                    tell(wrong, findings);
                }
            }
        }
        for algorithm in self.keys.algorithms.difference(&told) {
            let why = format!("no signature of algorithm {algorithm}, which DNSKEY publishes");
            tell((Code::MissingAlgorithm, why), findings);
        }
    }

    /// The key that made a signature which is right at `at`; None for one of an algorithm that
    /// is entering or leaving, whose keys are not published (RFC 6781 section 4.1.4).
    pub fn check_one(
        &self,
        node: &Node,
        rrset: RrsetRef<'_>,
        rrsig: &Rrsig<'_>,
        findings: &mut Findings,
    ) -> Result<Option<&ZoneKey>, Wrong> {
        let tag = rrsig.tag;
        if !rrsig.signer.same(self.zone.origin()) {
            let signer = rrsig.signer;
            return Err((Code::UnknownKey, format!("signed for {signer}, by key {tag}")));
        }
        if !self.keys.keys.iter().any(|key| key.algorithm == rrsig.algorithm) {
            return Ok(None);
        }
        let candidates: Vec<_> = self.keys.candidates(tag, rrsig.algorithm).collect();
        if candidates.is_empty() {
            let why = format!("signed by key {tag}, which is not published");
            return Err((Code::UnknownKey, why));
        }
        // A revoked key signs nothing but the key set that says so (RFC 5011 section 2.1).
        if rrset.rtype != rtype::DNSKEY && candidates.iter().all(|key| key.revoked) {
            return Err((Code::UnknownKey, format!("signed by key {tag}, which is revoked")));
        }
        if rrsig.labels != node.name().rrsig_labels() {
            let (said, real) = (rrsig.labels, node.name().rrsig_labels());
            let why = format!("the RRSIG of key {tag} says {said} labels; the owner has {real}");
            return Err((Code::BadSignature, why));
        }
        self.check_times(rrset, rrsig)?;
        let Some(message) = signed_data(rrsig, node.name(), rrset.rdatas()) else {
            return Err((Code::BadSignature, format!("the RRSIG of key {tag} can't be applied")));
        };
        let mut unverifiable = false;
        for key in candidates {
            let digest = Digest::of(&key.dnskey, rrsig.signature, &message);
            if self.memory.knows(&digest) {
                findings.remembered += 1;
                findings.seen.push(digest);
                return Ok(Some(key));
            }
            let Some(public) = &key.public else {
                unverifiable = true;
                continue;
            };
            findings.verified += 1;
            if public.verify(&message, rrsig.signature) {
                findings.seen.push(digest);
                return Ok(Some(key));
            }
        }
        // What can't be computed here was told of at the key.
        if unverifiable {
            return Ok(None);
        }
        Err((Code::BadSignature, format!("the signature of key {tag} is wrong")))
    }

    fn check_times(&self, rrset: RrsetRef<'_>, rrsig: &Rrsig<'_>) -> Result<(), Wrong> {
        let (tag, inception, expiration) = (rrsig.tag, rrsig.inception, rrsig.expiration);
        if rrsig.original_ttl != rrset.ttl {
            let (said, real) = (rrsig.original_ttl, rrset.ttl);
            let why = format!("TTL {real}, where the RRSIG of key {tag} says {said}");
            return Err((Code::Ttl, why));
        }
        // RFC 4035 section 5.3.1: valid from the one second to the other, both included.
        if is_after(self.at, expiration) {
            return Err((Code::Expired, format!("expired {} by key {tag}", date(expiration))));
        }
        if is_after(inception, self.at) {
            return Err((
                Code::NotYetValid,
                format!("valid from {} by key {tag}", date(inception)),
            ));
        }
        // A cache that does not validate keeps the records, and the RRSIG, for the whole TTL.
        let left = expiration.wrapping_sub(self.at);
        if rrset.ttl > left {
            let why = format!(
                "TTL {} outlives the signature of key {tag}, which expires {}",
                rrset.ttl,
                date(expiration)
            );
            return Err((Code::Ttl, why));
        }
        Ok(())
    }
}
