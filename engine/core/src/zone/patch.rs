//! Putting a difference's records in and taking them away: one pass over the RRsets that it
//! names, whatever their sizes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::rdata::{self, rtype};
use crate::zone::builder::check_node;
use crate::zone::diff::{Diff, Record};
use crate::zone::node::{MAX_RECORDS, Node, NodeBuf, RrsetBuf};
use crate::zone::{Zone, is_nsec3};

const TOO_MANY: &str = "more than 65535 records at one owner";

/// A record of the difference, and whether it is put in.
type Change<'a> = (&'a Record, bool);

impl Zone {
    /// The records of a difference put in and taken away, serials aside. Unless `strict`,
    /// removing what is gone and adding what is there are no errors: a source's change may
    /// have been taken in before a crash.
    pub fn patched(&self, diff: &Diff, strict: bool) -> Result<Self> {
        let mut next = self.clone();
        let removed = diff.removed.iter().map(|record| (record, false));
        let mut changes: Vec<Change<'_>> =
            removed.chain(diff.added.iter().map(|record| (record, true))).collect();
        // Stable: removals stay before additions within one RRset.
        changes
            .sort_by(|(a, _), (b, _)| a.owner.cmp(&b.owner).then_with(|| place(a).cmp(&place(b))));
        let same_node = |(a, _): &Change<'_>, (b, _): &Change<'_>| {
            a.owner == b.owner && is_nsec3(covered(a)) == is_nsec3(covered(b))
        };
        for here in changes.chunk_by(same_node) {
            next.patch_node(here, strict)?;
        }
        Ok(next)
    }

    fn patch_node(&mut self, changes: &[Change<'_>], strict: bool) -> Result<()> {
        let first = changes[0].0;
        let owner = &first.owner;
        let conflict = |why: String| Error::at("conflict", owner, why);
        if !owner.is_under(&self.origin) {
            return Err(conflict("a record outside the zone".to_owned()));
        }
        let hashed = is_nsec3(covered(first));
        let node = if hashed { self.nsec3.get(owner) } else { self.index.get(owner) };
        let mut buf = node.map_or_else(|| NodeBuf::new(owner), Node::to_buf);
        for of_rrset in changes.chunk_by(|(a, _), (b, _)| covered(a) == covered(b)) {
            patch_rrset(&mut buf, of_rrset, strict).map_err(conflict)?;
        }
        if buf.record_count() > MAX_RECORDS {
            return Err(conflict(TOO_MANY.to_owned()));
        }
        if hashed && buf.rrsets().is_empty() {
            self.unset(owner, rtype::NSEC3);
            return Ok(());
        }
        if !hashed {
            check_node(&buf, &self.origin).map_err(|error| Error { code: "conflict", ..error })?;
        }
        self.put(buf);
        Ok(())
    }
}

/// NSEC3 last, as it stands in another place than what its owner may hold besides.
fn place(record: &Record) -> (bool, u16) {
    let rtype = covered(record);
    (is_nsec3(rtype), rtype)
}

/// The type of the RRset that a record belongs to: an RRSIG is kept with what it covers.
fn covered(record: &Record) -> u16 {
    match (record.rtype, record.rdata.first_chunk::<2>()) {
        (rtype::RRSIG, Some(covered)) => u16::from_be_bytes(*covered),
        _ => record.rtype,
    }
}

/// Rdata by its canonical form (RFC 4343: a peer may have changed the case of names).
type Held<'a> = BTreeMap<Cow<'a, [u8]>, &'a [u8]>;

fn patch_rrset(
    buf: &mut NodeBuf,
    changes: &[Change<'_>],
    strict: bool,
) -> std::result::Result<(), String> {
    let rtype = covered(changes[0].0);
    let before = buf.remove(rtype);
    let (mut ttl, mut ours) = before.as_ref().map_or((None, false), |b| (Some(b.ttl), b.ours));
    let mut records: Held<'_> = BTreeMap::new();
    let mut signatures: Held<'_> = BTreeMap::new();
    if let Some(before) = &before {
        records.extend(before.rdatas().map(|rdata| (rdata::canonical(rtype, rdata), rdata)));
        signatures.extend(before.signatures().map(|rdata| (Cow::Borrowed(rdata), rdata)));
    }
    for (record, added) in changes {
        let is_signature = record.rtype == rtype::RRSIG;
        let (held, key) = if is_signature {
            (&mut signatures, Cow::Borrowed(&*record.rdata))
        } else {
            (&mut records, rdata::canonical(rtype, &record.rdata))
        };
        let done = match added {
            true => held.insert(key, &record.rdata).is_none(),
            false => held.remove(&key).is_some(),
        };
        let moves_ttl = *added && !is_signature && ttl != Some(record.ttl);
        if strict && !done && !moves_ttl {
            let what = rdata::type_name(record.rtype);
            let why = if *added { "is there already" } else { "is not there" };
            return Err(format!("a {what} record of the difference {why}"));
        }
        if *added && (!is_signature || ttl.is_none()) {
            ttl = Some(record.ttl);
            ours = record.ours;
        }
    }
    if records.is_empty() && signatures.is_empty() {
        return Ok(());
    }
    if records.len() + signatures.len() > MAX_RECORDS {
        return Err(TOO_MANY.to_owned());
    }
    let mut after = RrsetBuf::new(rtype, ttl.unwrap_or_default(), ours);
    records.values().for_each(|rdata| after.push_rdata(rdata));
    signatures.values().for_each(|rdata| after.push_signature(rdata));
    buf.set(after);
    Ok(())
}
