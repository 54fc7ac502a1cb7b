//! A reply written anew: names in it are compressed, so that a record can't be changed where
//! it stands.

use crate::answer::writer::{Owner, Section, Writer};
use crate::name::{MAX_NAME, Name};
use crate::query::Query;
use crate::rdata;
use crate::server::opt;
use crate::server::reply::{Record, Reply};

/// A record on its own: no name in it is compressed.
pub struct Whole {
    /// 0 answer, 1 authority, 2 additional.
    pub section: u8,
    pub owner: Name,
    pub rtype: u16,
    pub class: u16,
    pub ttl: u32,
    pub rdata: Vec<u8>,
}

impl Reply<'_> {
    /// None for a record that can't be read.
    pub fn whole(&self, record: &Record) -> Option<Whole> {
        let wire = self.wire();
        let mut owner = Vec::with_capacity(64);
        rdata::expand_name(wire, record.start(), &mut owner).ok()?;
        let place = record.rdata();
        Some(Whole {
            section: record.section,
            owner: Name::parse(&owner).ok()?,
            rtype: record.rtype,
            class: record.class(wire),
            ttl: record.ttl,
            rdata: rdata::decompress(record.rtype, wire, place.start, place.len()).ok()?,
        })
    }
}

/// The reply with these records, the sections' in their order, and with the question of
/// `query`. None if there is a record that can't be read.
pub fn rebuilt(
    query: &Query<'_>,
    reply: &Reply<'_>,
    records: impl Iterator<Item = Option<Whole>>,
) -> Option<Vec<u8>> {
    let wire = reply.wire();
    let opt = reply.opt.as_ref().map(|opt| &wire[opt.options.start - opt::FIXED..opt.options.end]);
    let opt = opt.unwrap_or_default();
    // As if no name were compressed, and each were a long one.
    let most = 2 * wire.len() + MAX_NAME * (reply.records.len() + 2);
    let mut out = vec![0; most.clamp(1024, usize::from(u16::MAX))];
    let mut writer = Writer::new(query, out.len(), None, &mut out);
    writer.replay(reply.flags(), opt.len());
    for record in records {
        let record = record?;
        writer.section(match record.section {
            0 => Section::Answer,
            1 => Section::Authority,
            _ => Section::Additional,
        });
        writer.set_class(record.class);
        if !writer.record(Owner::Name(&record.owner), record.rtype, record.ttl, &record.rdata) {
            return None;
        }
    }
    let end = writer.finish(reply.flags() & 15);
    out.truncate(end);
    if !opt.is_empty() {
        out.extend_from_slice(opt);
        let count = u16::from_be_bytes([out[10], out[11]]) + 1;
        out[10..12].copy_from_slice(&count.to_be_bytes());
    }
    Some(out)
}
