//! The keys that a zone publishes.

use std::collections::BTreeSet;

use crate::dnssec::key::{PublicKey, SECURE_ENTRY_POINT, key_tag};
use crate::rdata::rtype;
use crate::verify::failure::{Code, Failure};
use crate::zone::Zone;

/// A DNSKEY record that may sign a zone's data.
pub struct ZoneKey {
    pub tag: u16,
    pub algorithm: u8,
    pub revoked: bool,
    pub entry_point: bool,
    pub dnskey: Box<[u8]>,
    /// None where the algorithm is not known here, or the key is none of it.
    pub public: Option<PublicKey>,
}

pub struct KeySet {
    pub keys: Vec<ZoneKey>,
    /// RFC 6840 section 5.11: each signs every RRset. Algorithms of revoked keys alone do
    /// not count, since no validator takes their signatures (RFC 5011 section 2.1), nor those
    /// that can't be verified here, which were told of.
    pub algorithms: BTreeSet<u8>,
}

impl KeySet {
    /// None, with its failure told, when there is no key to verify anything by.
    pub fn of(zone: &Zone, failures: &mut Vec<Failure>) -> Option<Self> {
        let apex = zone.apex();
        let rdatas = apex.rrset(rtype::DNSKEY).into_iter().flat_map(|rrset| rrset.rdatas());
        let keys: Vec<ZoneKey> = rdatas.filter_map(read).collect();
        let usable: Vec<&ZoneKey> = keys.iter().filter(|key| !key.revoked).collect();
        let mut tell = |code, why: String| {
            failures.push(Failure::new(zone.origin(), rtype::DNSKEY, code, why));
        };
        if usable.iter().all(|key| key.public.is_none()) {
            tell(Code::NoKeys, "no DNSKEY record whose signatures can be verified".into());
            return None;
        }
        for key in usable.iter().filter(|key| key.public.is_none()) {
            let (tag, algorithm) = (key.tag, key.algorithm);
            let why = format!("key {tag} of algorithm {algorithm} is broken or not supported");
            tell(Code::Structure, why);
        }
        let known = usable.iter().filter(|key| key.public.is_some());
        let algorithms = known.map(|key| key.algorithm).collect();
        Some(Self { keys, algorithms })
    }

    /// Keys that may have made a signature; tags are not unique (RFC 4034 appendix B).
    pub fn candidates(&self, tag: u16, algorithm: u8) -> impl Iterator<Item = &ZoneKey> {
        self.keys.iter().filter(move |key| key.tag == tag && key.algorithm == algorithm)
    }
}

fn read(dnskey: &[u8]) -> Option<ZoneKey> {
    let &[high, low, protocol, algorithm] = dnskey.first_chunk::<4>()?;
    let flags = u16::from_be_bytes([high, low]);
    // RFC 4034 section 2.1.1 and 2.1.2: others are not for DNSSEC.
    let is_zone_key = flags & crate::dnssec::key::ZONE_KEY != 0 && protocol == 3;
    is_zone_key.then(|| ZoneKey {
        tag: key_tag(dnskey),
        algorithm,
        revoked: flags & crate::dnssec::key::REVOKED != 0,
        entry_point: flags & SECURE_ENTRY_POINT != 0,
        dnskey: dnskey.into(),
        public: PublicKey::from_dnskey(dnskey).ok(),
    })
}
