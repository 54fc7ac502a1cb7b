//! What two servers said of the same question, side by side.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use crate::name::NameRef;
use crate::rdata::{self, rtype};
use crate::server::reply::Reply;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Same,
    /// The rcodes differ.
    Rcode,
    /// The answer sections do.
    Answer,
    /// One of them was cut off: only the rcodes were compared.
    Truncated,
    /// What came back can't be read.
    Malformed,
    /// Nothing came back in time.
    Silence,
}

impl Outcome {
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Same, "same"),
        (Self::Rcode, "rcode"),
        (Self::Answer, "answer"),
        (Self::Truncated, "truncated"),
        (Self::Malformed, "malformed"),
        (Self::Silence, "silence"),
    ];
}

/// As much of a reply as is compared.
pub struct Summary {
    rcode: u16,
    is_truncated: bool,
    answer: u64,
}

impl Summary {
    /// None for a reply with a record that can't be read.
    pub fn of(reply: &Reply<'_>, hasher: &RandomState) -> Option<Self> {
        Some(Self {
            rcode: reply.rcode(),
            is_truncated: reply.is_truncated(),
            answer: hasher.hash_one(records(reply)?),
        })
    }

    pub fn compare(&self, other: &Self) -> Outcome {
        match () {
            () if self.rcode != other.rcode => Outcome::Rcode,
            () if self.is_truncated || other.is_truncated => Outcome::Truncated,
            () if self.answer != other.answer => Outcome::Answer,
            () => Outcome::Same,
        }
    }
}

/// Owner, type and data of each record of the answer, whatever their order, TTLs and letters. Of a
/// signature only what it covers: two servers that sign the same make different ones.
fn records(reply: &Reply<'_>) -> Option<Vec<Vec<u8>>> {
    let wire = reply.wire();
    let mut found = vec![];
    for record in reply.records.iter().filter(|record| record.section == 0) {
        let mut one = vec![];
        rdata::expand_name(wire, record.start(), &mut one).ok()?;
        NameRef::parse(&one).ok()?;
        one.make_ascii_lowercase();
        one.extend_from_slice(&record.rtype.to_be_bytes());
        one.extend_from_slice(&record.class(wire).to_be_bytes());
        let place = record.rdata();
        let data = rdata::decompress(record.rtype, wire, place.start, place.len()).ok()?;
        match record.rtype {
            rtype::RRSIG => one.extend_from_slice(data.get(..2)?),
            kind => one.extend_from_slice(&rdata::canonical(kind, &data)),
        }
        found.push(one);
    }
    found.sort_unstable();
    found.dedup();
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::reply::tests::{A, OPT, reply};

    #[test]
    fn order_ttls_and_letters_do_not_count_and_the_rest_does() {
        let other = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x02";
        let later = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x01\x00\x04\xc0\x00\x02\x01";
        let spelled = b"\x03WWW\xc0\x10\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01";
        let ours = || reply(0x8180, [2, 0, 0], &[A, other]);
        let cases = [
            (ours(), reply(0x8400, [2, 0, 1], &[other, later, OPT]), Outcome::Same),
            (ours(), reply(0x8180, [2, 0, 0], &[spelled, other]), Outcome::Same),
            (ours(), reply(0x8180, [1, 1, 0], &[A, other]), Outcome::Answer),
            (ours(), reply(0x8180, [0, 0, 0], &[]), Outcome::Answer),
            (ours(), reply(0x8183, [2, 0, 0], &[A, other]), Outcome::Rcode),
            (ours(), reply(0x8380, [0, 0, 0], &[]), Outcome::Truncated),
            (reply(0x8382, [0, 0, 0], &[]), ours(), Outcome::Rcode),
        ];
        let hasher = RandomState::default();
        let summary = |wire: &[u8]| Summary::of(&Reply::read(wire).unwrap(), &hasher).unwrap();
        for (ours, theirs, expected) in cases {
            assert_eq!(summary(&ours).compare(&summary(&theirs)), expected);
        }
    }
}
