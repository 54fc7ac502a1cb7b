//! A reply as it is kept, and as it is given out again: TTLs counted down, the client's ID,
//! spelling and EDNS put in. Pure.

use crate::answer;
use crate::query::{HEADER, Query, bits, rcode};
use crate::rdata::rtype;
use crate::server::opt;
use crate::server::reply::{Record, Reply};

/// Longer options of an extended error are not kept.
const LONGEST_ERROR: usize = 256;

/// What a reply is kept under: name, type and class as in `Entry`, and those bits of the query
/// that change what an answer is.
pub struct Key<'a> {
    name: &'a [u8],
    tail: [u8; 4],
    bits: u8,
}

impl<'a> Key<'a> {
    pub fn of<'b: 'a>(query: &'a Query<'b>) -> Self {
        let flags = query.flags();
        let mut tail = [0; 4];
        tail[..2].copy_from_slice(&query.qtype.to_be_bytes());
        tail[2..].copy_from_slice(&query.qclass.to_be_bytes());
        // RFC 6840 section 5.7: AD asks for AD; so does DO.
        let wants = if query.dnssec_ok() { 2 } else { u8::from(flags & bits::AD != 0) };
        let recursion = u8::from(flags & bits::RD != 0) << 2;
        let checking = u8::from(flags & bits::CD != 0) << 3;
        Self { name: query.name().wire(), tail, bits: wants | recursion | checking }
    }

    /// As octets to hash.
    pub fn parts(&self) -> (&[u8], [u8; 4], u8) {
        (self.name, self.tail, self.bits)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Success,
    /// NXDOMAIN and NODATA, with the SOA that says for how long (RFC 2308 section 5).
    Denial,
    /// SERVFAIL and NOTIMP.
    Failure,
}

/// Seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub least: u32,
    pub most: u32,
}

impl Bounds {
    fn within(self, ttl: u32) -> u32 {
        ttl.max(self.least).min(self.most)
    }
}

pub struct Entry {
    /// Header, question in lower case, records; without OPT.
    wire: Box<[u8]>,
    ttls: Box<[u16]>,
    question_end: usize,
    bits: u8,
    /// Milliseconds of the cache's clock.
    pub stored: u64,
    /// Seconds.
    pub lifetime: u32,
    error: Option<Box<[u8]>>,
}

/// What kind of reply this is; None for one that is not to be kept.
pub fn kind(reply: &Reply<'_>, qtype: u16) -> Option<Kind> {
    if reply.is_truncated() {
        return None;
    }
    let has_soa = reply.has(1, rtype::SOA);
    match reply.rcode() {
        rcode::NOERROR if reply.has(0, qtype) => Some(Kind::Success),
        rcode::NOERROR | rcode::NXDOMAIN if has_soa && !is_any(reply, qtype) => Some(Kind::Denial),
        rcode::NOERROR if reply.counts()[0] > 0 || reply.has(1, rtype::NS) => Some(Kind::Success),
        rcode::SERVFAIL | rcode::NOTIMP => Some(Kind::Failure),
        _ => None,
    }
}

/// An answer to ANY has whatever types.
fn is_any(reply: &Reply<'_>, qtype: u16) -> bool {
    qtype == rtype::ANY && reply.counts()[0] > 0
}

/// RFC 2308 section 5: the lesser of the SOA's TTL and its last field.
fn negative_ttl(reply: &Reply<'_>) -> Option<u32> {
    let soa = reply.records.iter().find(|one| one.section == 1 && one.rtype == rtype::SOA)?;
    let rdata = reply.wire().get(soa.rdata())?;
    let minimum = rdata.last_chunk::<4>().map(|octets| u32::from_be_bytes(*octets))?;
    // Two names of one octet and five numbers at least.
    (rdata.len() >= 22).then_some(soa.ttl.min(minimum))
}

/// How long a reply is good, in seconds.
pub fn lifetime(reply: &Reply<'_>, kind: Kind, bounds: Bounds) -> Option<u32> {
    let shortest = |records: &mut dyn Iterator<Item = &Record>| records.map(|one| one.ttl).min();
    let ttl = match kind {
        Kind::Success => shortest(&mut reply.records.iter())?,
        Kind::Denial => {
            let answer = shortest(&mut reply.records.iter().filter(|one| one.section == 0));
            negative_ttl(reply)?.min(answer.unwrap_or(u32::MAX))
        }
        Kind::Failure => bounds.most,
    };
    Some(bounds.within(ttl))
}

/// What a record's TTL becomes.
fn kept_ttl(record: &Record, kind: Kind, bounds: Bounds, lifetime: u32) -> u32 {
    match kind {
        Kind::Success => bounds.within(record.ttl).max(lifetime),
        Kind::Denial => bounds.within(record.ttl).min(lifetime),
        Kind::Failure => record.ttl.min(lifetime),
    }
}

/// Put the TTLs within their bounds in a message with the same records at the same places.
pub fn bound_ttls(
    wire: &mut [u8],
    reply_records: &[Record],
    kind: Kind,
    bounds: Bounds,
    lifetime: u32,
) {
    for record in reply_records {
        let ttl = kept_ttl(record, kind, bounds, lifetime);
        wire[record.ttl_at()..record.ttl_at() + 4].copy_from_slice(&ttl.to_be_bytes());
    }
}

impl Entry {
    /// Of a reply that answers the key's question. `now` in milliseconds of the cache's clock.
    pub fn new(
        key: &Key<'_>,
        reply: &Reply<'_>,
        kind: Kind,
        bounds: Bounds,
        lifetime: u32,
        now: u64,
    ) -> Self {
        let mut wire = reply.wire()[..reply.end].to_vec();
        bound_ttls(&mut wire, &reply.records, kind, bounds, lifetime);
        let question_end = HEADER + reply.question().len();
        wire[HEADER..question_end - 4].make_ascii_lowercase();
        for (index, count) in reply.counts().into_iter().enumerate() {
            wire[6 + 2 * index..8 + 2 * index].copy_from_slice(&count.to_be_bytes());
        }
        // What comes from a cache is nobody's authority (RFC 1034 section 6.2.1).
        wire[2] &= !((bits::AA >> 8) as u8);
        let ttls = reply.records.iter().map(|record| record.ttl_at() as u16).collect();
        let error = reply.extended_error().filter(|error| error.len() <= LONGEST_ERROR);
        Self {
            wire: wire.into(),
            ttls,
            question_end,
            bits: key.bits,
            stored: now,
            lifetime,
            error: error.map(Into::into),
        }
    }

    pub fn is(&self, key: &Key<'_>) -> bool {
        let question = &self.wire[HEADER..self.question_end];
        let (name, tail) = question.split_at(question.len() - 4);
        self.bits == key.bits && tail == key.tail && name == key.name
    }

    /// In memory.
    pub fn octets(&self) -> usize {
        size_of::<Self>()
            + self.wire.len()
            + 2 * self.ttls.len()
            + self.error.as_ref().map_or(0, |error| error.len())
    }

    /// Whole seconds since it was stored.
    pub fn age(&self, now: u64) -> u32 {
        (now.saturating_sub(self.stored) / 1000).min(u64::from(u32::MAX)) as u32
    }

    /// Seconds that it is good for; negative: seconds that it is too old.
    pub fn remaining(&self, now: u64) -> i64 {
        let left = i64::from(self.lifetime) * 1000 - now.saturating_sub(self.stored) as i64;
        if left > 0 { (left + 999) / 1000 } else { left / 1000 - 1 }
    }

    pub fn is_failure(&self) -> bool {
        matches!(self.rcode(), rcode::SERVFAIL | rcode::NOTIMP)
    }

    fn rcode(&self) -> u16 {
        u16::from(self.wire[3]) & bits::RCODE
    }

    /// The reply to a query that it answers, of at most `size` octets. TTLs are `age` seconds
    /// less than they were, and 0 at least.
    pub fn render(&self, query: &Query<'_>, age: u32, size: usize, out: &mut [u8]) -> usize {
        let length = self.wire.len();
        let error = self.error.as_deref();
        let opt = query.edns.map_or(0, |_| opt::length(error));
        if length + opt > size.min(out.len()) {
            return answer::truncated(query, self.rcode(), size, out);
        }
        out[..length].copy_from_slice(&self.wire);
        out[..2].copy_from_slice(&query.id().to_be_bytes());
        out[HEADER..self.question_end].copy_from_slice(query.question());
        if age > 0 {
            for &at in &self.ttls {
                let at = usize::from(at);
                if let Some(ttl) = out[at..].first_chunk_mut::<4>() {
                    *ttl = u32::from_be_bytes(*ttl).saturating_sub(age).to_be_bytes();
                }
            }
        }
        if let Some(edns) = query.edns {
            opt::write(&mut out[..length + opt], 0, edns.dnssec_ok, error);
        }
        length + opt
    }
}
