//! A reply off the wire: where its records are, none of what they say. Strict, and without a
//! panic whatever the octets: what is not well-formed is refused as a whole.

use std::net::IpAddr;
use std::ops::Range;

use crate::answer::writer::{Owner, Writer};
use crate::name::{MAX_LABEL, MAX_NAME, Name, NameRef};
use crate::query::{HEADER, bits};
use crate::rdata::{self, rtype};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// 0 answer, 1 authority, 2 additional.
    pub section: u8,
    pub rtype: u16,
    pub ttl: u32,
    start: u16,
    fixed: u16,
    end: u16,
}

impl Record {
    /// Where the TTL's four octets are.
    pub fn ttl_at(&self) -> usize {
        usize::from(self.fixed) + 4
    }

    pub fn start(&self) -> usize {
        usize::from(self.start)
    }

    /// `wire` is the message that it was found in.
    pub fn class(&self, wire: &[u8]) -> u16 {
        u16_at(wire, usize::from(self.fixed) + 2).unwrap_or(0)
    }

    pub fn rdata(&self) -> Range<usize> {
        usize::from(self.fixed) + 10..usize::from(self.end)
    }
}

/// What is known of the OPT record (RFC 6891 section 6.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opt {
    pub high_rcode: u8,
    pub options: Range<usize>,
}

#[derive(Debug)]
pub struct Reply<'a> {
    wire: &'a [u8],
    name_end: usize,
    /// Those before the OPT record; it stands last, and nothing is lost that counts if it
    /// doesn't.
    pub records: Vec<Record>,
    /// Where they end.
    pub end: usize,
    pub opt: Option<Opt>,
}

fn u16_at(wire: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(wire.get(at..at + 2)?.try_into().ok()?))
}

/// The end of the name at `start`. A pointer leads backwards, so that no name is endless.
fn name_end(wire: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        match *wire.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            0xc0.. => {
                let target = usize::from(u16_at(wire, at)? & 0x3fff);
                return (HEADER..start).contains(&target).then_some(at + 2);
            }
            _ => return None,
        }
        if at - start >= MAX_NAME {
            return None;
        }
    }
}

impl<'a> Reply<'a> {
    /// None for what is no well-formed reply to one question.
    pub fn read(wire: &'a [u8]) -> Option<Self> {
        let wire = wire.get(..wire.len().min(usize::from(u16::MAX)))?;
        let flags = u16_at(wire, 2)?;
        if flags & (bits::QR | bits::OPCODE) != bits::QR || u16_at(wire, 4)? != 1 {
            return None;
        }
        let mut at = HEADER;
        loop {
            let length = usize::from(*wire.get(at)?);
            at += 1 + length;
            if length > MAX_LABEL || at - HEADER > MAX_NAME {
                return None;
            }
            if length == 0 {
                break;
            }
        }
        let mut reply = Self { wire, name_end: at, records: vec![], end: at + 4, opt: None };
        wire.get(at..at + 4)?;
        at += 4;
        for section in 0..3u8 {
            for _ in 0..u16_at(wire, 6 + 2 * usize::from(section))? {
                at = reply.take(section, at)?;
            }
        }
        Some(reply)
    }

    fn take(&mut self, section: u8, start: usize) -> Option<usize> {
        let fixed = name_end(self.wire, start)?;
        let rtype = u16_at(self.wire, fixed)?;
        let high = u16_at(self.wire, fixed + 4)?;
        let ttl = u32::from(high) << 16 | u32::from(u16_at(self.wire, fixed + 6)?);
        let end = fixed + 10 + usize::from(u16_at(self.wire, fixed + 8)?);
        self.wire.get(start..end)?;
        if rtype == rtype::OPT {
            if section != 2 || self.opt.is_some() || fixed != start + 1 {
                return None;
            }
            self.opt = Some(Opt { high_rcode: (high >> 8) as u8, options: fixed + 10..end });
        } else if self.opt.is_none() {
            // RFC 2181 section 8: a TTL with its highest bit set is zero.
            let ttl = if ttl >> 31 == 0 { ttl } else { 0 };
            let [start, fixed, end] = [start as u16, fixed as u16, end as u16];
            self.records.push(Record { section, rtype, ttl, start, fixed, end });
            self.end = usize::from(end);
        }
        Some(end)
    }

    pub fn wire(&self) -> &'a [u8] {
        self.wire
    }

    pub fn flags(&self) -> u16 {
        u16_at(self.wire, 2).unwrap_or(0)
    }

    /// With the part that the OPT record extends it by.
    pub fn rcode(&self) -> u16 {
        let high = self.opt.as_ref().map_or(0, |opt| u16::from(opt.high_rcode));
        high << 4 | self.flags() & bits::RCODE
    }

    pub fn is_truncated(&self) -> bool {
        self.flags() & bits::TC != 0
    }

    pub fn name(&self) -> &'a [u8] {
        &self.wire[HEADER..self.name_end]
    }

    /// Name, type and class.
    pub fn question(&self) -> &'a [u8] {
        &self.wire[HEADER..self.name_end + 4]
    }

    /// How many of `records` are in each section.
    pub fn counts(&self) -> [u16; 3] {
        let mut counts = [0; 3];
        self.records.iter().for_each(|record| counts[usize::from(record.section)] += 1);
        counts
    }

    pub fn has(&self, section: u8, rtype: u16) -> bool {
        self.records.iter().any(|record| record.section == section && record.rtype == rtype)
    }

    /// Write a record of it into another message, its section and class chosen there; false when
    /// it can't be read or does not fit.
    pub fn copy(&self, record: &Record, writer: &mut Writer<'_>) -> bool {
        let mut owner = Vec::with_capacity(64);
        let place = record.rdata();
        if rdata::expand_name(self.wire, record.start(), &mut owner).is_err() {
            return false;
        }
        let data = rdata::decompress(record.rtype, self.wire, place.start, place.len());
        let (Ok(owner), Ok(data)) = (NameRef::parse(&owner), data) else { return false };
        writer.set_class(record.class(self.wire));
        writer.record(Owner::Name(owner), record.rtype, record.ttl, &data)
    }

    /// The name that a record is at, lower-cased; that of a CNAME record's target, with `of_target`.
    pub fn name_of(&self, record: &Record, of_target: bool) -> Option<Name> {
        let mut name = Vec::with_capacity(64);
        let start = if of_target { record.rdata().start } else { record.start() };
        rdata::expand_name(self.wire, start, &mut name).ok()?;
        name.make_ascii_lowercase();
        Name::parse(&name).ok()
    }

    /// The address of an A or AAAA record.
    pub fn address(&self, record: &Record) -> Option<IpAddr> {
        let octets = self.wire.get(record.rdata())?;
        match record.rtype {
            rtype::A => <[u8; 4]>::try_from(octets).ok().map(IpAddr::from),
            rtype::AAAA => <[u8; 16]>::try_from(octets).ok().map(IpAddr::from),
            _ => None,
        }
    }

    /// The first extended error: its option's value (RFC 8914 section 2).
    pub fn extended_error(&self) -> Option<&'a [u8]> {
        let mut rest = self.wire.get(self.opt.as_ref()?.options.clone())?;
        while !rest.is_empty() {
            let length = usize::from(u16_at(rest, 2)?);
            let value = rest.get(4..4 + length)?;
            if u16_at(rest, 0)? == 15 && length >= 2 {
                return Some(value);
            }
            rest = &rest[4 + length..];
        }
        None
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub const QUESTION: &[u8] = b"\x03www\x07example\x00\x00\x01\x00\x01";

    /// A reply of these parts.
    pub fn reply(flags: u16, counts: [u8; 3], body: &[&[u8]]) -> Vec<u8> {
        let mut wire = vec![0x12, 0x34];
        wire.extend_from_slice(&flags.to_be_bytes());
        wire.extend_from_slice(&[0, 1]);
        counts.iter().for_each(|&count| wire.extend_from_slice(&[0, count]));
        wire.extend_from_slice(QUESTION);
        body.iter().for_each(|part| wire.extend_from_slice(part));
        wire
    }

    pub const A: &[u8] = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01";
    pub const OPT: &[u8] = b"\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x06\x00\x0f\x00\x02\x00\x16";

    #[test]
    fn records_are_found_and_the_opt_stands_apart() {
        let wire = reply(0x8180, [1, 0, 2], &[A, OPT, A]);
        let read = Reply::read(&wire).unwrap();
        assert_eq!(read.counts(), [1, 0, 0]);
        assert_eq!((read.records[0].ttl, read.records[0].rtype), (60, 1));
        assert_eq!(&wire[read.records[0].rdata()], [192, 0, 2, 1]);
        assert_eq!(read.extended_error(), Some(&[0, 22][..]));
        assert_eq!(&wire[read.end..read.end + OPT.len()], OPT);
    }

    #[test]
    fn what_is_malformed_is_refused_as_a_whole() {
        let forward = b"\xc0\x30\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01";
        let header = b"\xc0\x02\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01";
        let cases: [(&str, Vec<u8>); 8] = [
            ("a query", reply(0x0100, [1, 0, 0], &[A])),
            ("another opcode", reply(0xa800, [1, 0, 0], &[A])),
            ("cut off", reply(0x8180, [1, 0, 0], &[&A[..15]])),
            ("a record too few", reply(0x8180, [2, 0, 0], &[A])),
            ("a pointer forwards", reply(0x8180, [1, 0, 0], &[forward])),
            ("a pointer into the header", reply(0x8180, [1, 0, 0], &[header])),
            ("two OPT", reply(0x8180, [0, 0, 2], &[OPT, OPT])),
            ("OPT in the answer", reply(0x8180, [1, 0, 0], &[OPT])),
        ];
        for (what, wire) in cases {
            assert!(Reply::read(&wire).is_none(), "{what}");
        }
    }

    #[test]
    fn a_ttl_with_its_highest_bit_is_zero() {
        let mut record = A.to_vec();
        record[6] = 0x80;
        let wire = reply(0x8180, [1, 0, 0], &[&record]);
        assert_eq!(Reply::read(&wire).unwrap().records[0].ttl, 0);
    }
}
