//! Differences between versions: made, applied, without walking what both share.

use std::collections::HashSet;

use crate::error::{Error, Result};
use crate::name::Name;
use crate::rdata::rtype;
use crate::zone::Zone;
use crate::zone::node::{Node, RrsetBuf, RrsetRef};

/// One record of a difference; RRSIG records as themselves.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// Lower-cased.
    pub owner: Name,
    pub rtype: u16,
    pub ttl: u32,
    pub rdata: Box<[u8]>,
    pub ours: bool,
}

/// Records to take away and to put, between two serials; between two versions the old SOA
/// is the first removed record and the new one the first added (RFC 1995 section 4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    pub from_serial: u32,
    pub to_serial: u32,
    pub removed: Vec<Record>,
    pub added: Vec<Record>,
}

impl Diff {
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }

    /// Owners that the difference names, each once, in canonical order.
    pub fn owners(&self) -> Vec<&Name> {
        let mut owners: Vec<_> =
            self.removed.iter().chain(&self.added).map(|record| &record.owner).collect();
        owners.sort();
        owners.dedup();
        owners
    }
}

/// The RRsets of an apex that speak of keys. Below it CDS and CDNSKEY speak of other zones' (RFC
/// 9615 section 4.1) and are data; a DNSKEY has no place there (RFC 4035 section 2.1).
pub fn is_key_set(rtype: u16, apex: bool) -> bool {
    rtype == rtype::DNSKEY || apex && matches!(rtype, rtype::CDS | rtype::CDNSKEY)
}

/// What a source says; a signer makes the rest.
pub fn is_signers_type(rtype: u16) -> bool {
    matches!(rtype, rtype::RRSIG | rtype::NSEC | rtype::NSEC3 | rtype::NSEC3PARAM)
}

impl Node {
    /// All records of this owner, each RRset's signatures behind it.
    pub fn records(&self) -> Vec<Record> {
        let mut records = vec![];
        let owner = self.name().to_owned();
        for rrset in self.rrsets() {
            let record = |rtype, rdata: &[u8]| Record {
                owner: owner.clone(),
                rtype,
                ttl: rrset.ttl,
                rdata: rdata.into(),
                ours: rrset.ours,
            };
            records.extend(rrset.rdatas().map(|rdata| record(rrset.rtype, rdata)));
            records.extend(rrset.signatures().map(|rdata| record(rtype::RRSIG, rdata)));
        }
        records
    }
}

fn minus(all: &[Record], others: &[Record]) -> Vec<Record> {
    let others: HashSet<&Record> = others.iter().collect();
    all.iter().filter(|record| !others.contains(record)).cloned().collect()
}

impl Zone {
    /// What takes this version to `other`.
    pub fn difference(&self, other: &Self) -> Diff {
        let mut diff =
            Diff { from_serial: self.serial(), to_serial: other.serial(), ..Diff::default() };
        for (before, after) in self.differing(other) {
            let before = before.map_or_else(Vec::new, Node::records);
            let after = after.map_or_else(Vec::new, Node::records);
            diff.removed.extend(minus(&before, &after));
            diff.added.extend(minus(&after, &before));
        }
        soa_first(&mut diff.removed);
        soa_first(&mut diff.added);
        diff
    }

    /// The next version. Raises "conflict": a record to remove that is not there, another
    /// serial than the difference starts at, a node that can't be.
    pub fn apply(&self, diff: &Diff) -> Result<Self> {
        if diff.from_serial != self.serial() {
            let why = format!(
                "a difference from serial {} for a zone at serial {}",
                diff.from_serial,
                self.serial()
            );
            return Err(Error::at("conflict", &self.origin, why));
        }
        let next = self.patched(diff, true)?;
        if next.soa().is_none_or(|soa| soa.len() != 1) || next.serial() != diff.to_serial {
            let why = format!("a difference that does not lead to serial {}", diff.to_serial);
            return Err(Error::at("conflict", &self.origin, why));
        }
        Ok(next)
    }

    /// The zone as its source gave it: without what a signer makes.
    pub fn source(&self, keep_dnskey: bool) -> Self {
        let keep = |rrset: &RrsetBuf, apex: bool| {
            !rrset.ours
                && !rrset.is_empty()
                && !is_signers_type(rrset.rtype)
                && (keep_dnskey || !is_key_set(rrset.rtype, apex))
        };
        let mut bare = Self::empty(&self.origin);
        for node in self.nodes() {
            let mut buf = node.to_buf();
            let apex = node.name().same(&self.origin);
            buf.retain(|rrset| keep(rrset, apex));
            let unsigned: Vec<_> = buf.rrsets().iter().map(|r| r.rtype).collect();
            for rtype in unsigned {
                if let Some(rrset) = buf.rrset_mut(rtype) {
                    rrset.clear_signatures();
                }
            }
            if !buf.rrsets().is_empty() {
                bare.put(buf);
            }
        }
        bare
    }
}

/// The difference between two readings of a source; a serial that moved alone is none.
pub fn source_changes(last: Option<&Zone>, new: &Zone) -> Diff {
    let nothing = Zone::empty(new.origin());
    let mut diff = last.unwrap_or(&nothing).difference(new);
    let of_soa = |records: &[Record]| records.iter().position(|r| r.rtype == rtype::SOA);
    if let (Some(old), Some(added)) = (of_soa(&diff.removed), of_soa(&diff.added)) {
        let (a, b) = (&diff.removed[old], &diff.added[added]);
        if a.ttl == b.ttl && without_serial(&a.rdata) == without_serial(&b.rdata) {
            diff.removed.remove(old);
            diff.added.remove(added);
        }
    }
    diff
}

fn without_serial(soa: &[u8]) -> (&[u8], &[u8]) {
    let names = soa.len().saturating_sub(20);
    (&soa[..names], soa.get(names + 4..).unwrap_or_default())
}

/// RFC 1995 section 4: a difference's lists begin with the SOA.
fn soa_first(records: &mut [Record]) {
    if let Some(at) = records.iter().position(|record| record.rtype == rtype::SOA) {
        records[..=at].rotate_right(1);
    }
}

/// For those who look at one RRset of two versions.
pub fn alike(a: RrsetRef<'_>, b: RrsetRef<'_>) -> bool {
    a.rtype == b.rtype && a.ttl == b.ttl && a.packed_rdatas() == b.packed_rdatas()
}
