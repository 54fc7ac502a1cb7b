//! A query off the wire, read strictly and without a panic, whatever the octets.

use std::ops::Range;

use crate::name::{MAX_LABEL, MAX_NAME, NameRef};
use crate::rdata::rtype;

pub const HEADER: usize = 12;

/// RFC 1035 section 4.1.1, RFC 6891 section 9.
pub mod rcode {
    pub const NOERROR: u16 = 0;
    pub const FORMERR: u16 = 1;
    pub const SERVFAIL: u16 = 2;
    pub const NXDOMAIN: u16 = 3;
    pub const NOTIMP: u16 = 4;
    pub const REFUSED: u16 = 5;
    pub const YXDOMAIN: u16 = 6;
    pub const BADVERS: u16 = 16;

    pub fn name(rcode: u16) -> std::borrow::Cow<'static, str> {
        const NAMES: [&str; 12] = [
            "NOERROR",
            "FORMERR",
            "SERVFAIL",
            "NXDOMAIN",
            "NOTIMP",
            "REFUSED",
            "YXDOMAIN",
            "YXRRSET",
            "NXRRSET",
            "NOTAUTH",
            "NOTZONE",
            "DSOTYPENI",
        ];
        match NAMES.get(usize::from(rcode)) {
            Some(name) => (*name).into(),
            None if rcode == BADVERS => "BADVERS".into(),
            None => format!("RCODE{rcode}").into(),
        }
    }
}

pub mod class {
    pub const IN: u16 = 1;
    pub const ANY: u16 = 255;
}

/// Bits of the header's second 16-bit word.
pub mod bits {
    pub const QR: u16 = 0x8000;
    pub const OPCODE: u16 = 0x7800;
    pub const AA: u16 = 0x0400;
    pub const TC: u16 = 0x0200;
    pub const RD: u16 = 0x0100;
    pub const RA: u16 = 0x0080;
    pub const AD: u16 = 0x0020;
    pub const CD: u16 = 0x0010;
    pub const RCODE: u16 = 0x000f;
}

/// RFC 6891 section 6.1.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    pub size: u16,
    pub version: u8,
    pub dnssec_ok: bool,
}

/// A query with one question. The name is kept as sent, in `wire`, and lower-cased beside.
pub struct Query<'a> {
    wire: &'a [u8],
    lower: [u8; MAX_NAME],
    name_length: u8,
    pub qtype: u16,
    pub qclass: u16,
    pub edns: Option<Edns>,
    pub has_tsig: bool,
    /// Where its EDNS options are.
    options: Range<usize>,
}

/// Why there is no query to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Not a query at all: an answer to it could make two servers talk for ever.
    Silence,
    /// A header is all that can be sent back.
    Error(u16),
}

fn u16_at(wire: &[u8], at: usize) -> Option<u16> {
    let octets = wire.get(at..at + 2)?;
    Some(u16::from_be_bytes([octets[0], octets[1]]))
}

impl<'a> Query<'a> {
    pub fn parse(wire: &'a [u8]) -> Result<Self, Unreadable> {
        let (Some(flags), true) = (u16_at(wire, 2), wire.len() >= HEADER) else {
            return Err(Unreadable::Silence);
        };
        if flags & bits::QR != 0 {
            return Err(Unreadable::Silence);
        }
        if flags & bits::OPCODE != 0 {
            return Err(Unreadable::Error(rcode::NOTIMP));
        }
        Self::read(wire).ok_or(Unreadable::Error(rcode::FORMERR))
    }

    fn read(wire: &'a [u8]) -> Option<Self> {
        let [questions, answers, authorities, additionals] =
            [4, 6, 8, 10].map(|at| u16_at(wire, at).unwrap_or(0));
        if questions != 1 || answers != 0 {
            return None;
        }
        let mut lower = [0; MAX_NAME];
        let mut at = HEADER;
        loop {
            // A question stands first: there is nothing that it could point to.
            let length = usize::from(*wire.get(at)?);
            let end = at + 1 + length;
            if length > MAX_LABEL || end - HEADER > MAX_NAME {
                return None;
            }
            lower[at - HEADER..end - HEADER].copy_from_slice(wire.get(at..end)?);
            at = end;
            if length == 0 {
                break;
            }
        }
        let name_length = at - HEADER;
        lower[..name_length].make_ascii_lowercase();
        let mut query = Self {
            wire,
            lower,
            name_length: name_length as u8,
            qtype: u16_at(wire, at)?,
            qclass: u16_at(wire, at + 2)?,
            edns: None,
            has_tsig: false,
            options: 0..0,
        };
        // RFC 1995 section 3: only IXFR brings a record in the authority section.
        if authorities != 0 && (query.qtype != rtype::IXFR || authorities != 1) {
            return None;
        }
        at += 4;
        for _ in 0..authorities {
            at = Record::read(wire, at)?.end;
        }
        for _ in 0..additionals {
            let record = Record::read(wire, at)?;
            at = record.end;
            query.take(&record)?;
        }
        (at == wire.len()).then_some(query)
    }

    fn take(&mut self, record: &Record<'a>) -> Option<()> {
        // RFC 8945 section 5.1: a TSIG stands last.
        if self.has_tsig {
            return None;
        }
        match record.rtype {
            rtype::OPT => {
                if self.edns.is_some() || !record.owner_is_root {
                    return None;
                }
                check_options(record.rdata)?;
                self.options = record.end - record.rdata.len()..record.end;
                self.edns = Some(Edns {
                    size: record.class,
                    version: (record.ttl >> 16) as u8,
                    dnssec_ok: record.ttl & 0x8000 != 0,
                });
            }
            rtype::TSIG => self.has_tsig = true,
            _ => {}
        }
        Some(())
    }

    pub fn id(&self) -> u16 {
        u16_at(self.wire, 0).unwrap_or(0)
    }

    pub fn flags(&self) -> u16 {
        u16_at(self.wire, 2).unwrap_or(0)
    }

    /// Lower-cased.
    pub fn name(&self) -> &NameRef {
        NameRef::from_valid(&self.lower[..usize::from(self.name_length)])
    }

    /// As the client spelled it.
    pub fn name_as_sent(&self) -> &'a [u8] {
        &self.wire[HEADER..HEADER + usize::from(self.name_length)]
    }

    /// Name, type and class as sent.
    pub fn question(&self) -> &'a [u8] {
        &self.wire[HEADER..HEADER + usize::from(self.name_length) + 4]
    }

    pub fn wire(&self) -> &'a [u8] {
        self.wire
    }

    /// Whether an EDNS option with this code is there.
    pub fn has_option(&self, code: u16) -> bool {
        let mut rest = &self.wire[self.options.clone()];
        while let (Some(found), Some(length)) = (u16_at(rest, 0), u16_at(rest, 2)) {
            if found == code {
                return true;
            }
            rest = rest.get(4 + usize::from(length)..).unwrap_or_default();
        }
        false
    }

    pub fn options_at(&self) -> Range<usize> {
        self.options.clone()
    }

    pub fn dnssec_ok(&self) -> bool {
        self.edns.is_some_and(|edns| edns.dnssec_ok)
    }

    /// The rcode for what no zone can answer.
    pub fn refusal(&self) -> Option<u16> {
        if self.edns.is_some_and(|edns| edns.version != 0) {
            return Some(rcode::BADVERS);
        }
        match self.qtype {
            rtype::OPT | rtype::TSIG => Some(rcode::FORMERR),
            rtype::TKEY | rtype::MAILA | rtype::MAILB => Some(rcode::NOTIMP),
            _ => None,
        }
    }

    /// RFC 6891 section 6.2.3: what the client takes over UDP, no more than `most`.
    pub fn udp_limit(&self, most: usize) -> usize {
        self.edns.map_or(512, |edns| usize::from(edns.size).max(512).min(most))
    }
}

/// RFC 6891 section 6.1.2: options fill the rdata exactly. What they say is passed over.
fn check_options(mut rdata: &[u8]) -> Option<()> {
    while !rdata.is_empty() {
        let length = usize::from(u16_at(rdata, 2)?);
        rdata = rdata.get(4 + length..)?;
    }
    Some(())
}

struct Record<'a> {
    owner_is_root: bool,
    rtype: u16,
    class: u16,
    ttl: u32,
    rdata: &'a [u8],
    end: usize,
}

impl<'a> Record<'a> {
    fn read(wire: &'a [u8], start: usize) -> Option<Self> {
        let mut at = start;
        loop {
            match *wire.get(at)? {
                0 => {
                    at += 1;
                    break;
                }
                length @ 1..=63 => at += 1 + usize::from(length),
                0xc0.. => {
                    at += 2;
                    break;
                }
                _ => return None,
            }
            if at - start > MAX_NAME {
                return None;
            }
        }
        let fixed = wire.get(at..at + 10)?;
        let length = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        let end = at + 10 + length;
        Some(Self {
            owner_is_root: at == start + 1,
            rtype: u16::from_be_bytes([fixed[0], fixed[1]]),
            class: u16::from_be_bytes([fixed[2], fixed[3]]),
            ttl: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            rdata: wire.get(at + 10..end)?,
            end,
        })
    }
}

/// The header alone, as an answer to what could not be read. `wire` holds a header.
pub fn bare_error(wire: &[u8], rcode: u16, out: &mut [u8]) -> usize {
    let flags = u16_at(wire, 2).unwrap_or(0) & (bits::OPCODE | bits::RD) | bits::QR | rcode;
    out[..HEADER].fill(0);
    out[..2].copy_from_slice(&wire[..2]);
    out[2..4].copy_from_slice(&flags.to_be_bytes());
    HEADER
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(counts: [u8; 4], body: &[u8]) -> Vec<u8> {
        let mut wire = vec![0x12, 0x34, 1, 0];
        counts.iter().for_each(|&count| wire.extend_from_slice(&[0, count]));
        wire.extend_from_slice(body);
        wire
    }

    const QUESTION: &[u8] = b"\x03WwW\x07example\x00\x00\x01\x00\x01";
    const OPT: &[u8] = b"\x00\x00\x29\x10\x00\x00\x00\x80\x00\x00\x00";

    fn parse(counts: [u8; 4], parts: &[&[u8]]) -> Result<(Vec<u8>, u16, Option<Edns>), Unreadable> {
        let wire = message(counts, &parts.concat());
        let query = Query::parse(&wire)?;
        Ok((query.name().wire().to_vec(), query.qtype, query.edns))
    }

    #[test]
    fn a_question_is_lowered_and_edns_read() {
        let (name, qtype, edns) = parse([1, 0, 0, 1], &[QUESTION, OPT]).unwrap();
        assert_eq!(name, b"\x03www\x07example\x00");
        assert_eq!(qtype, 1);
        assert_eq!(edns, Some(Edns { size: 4096, version: 0, dnssec_ok: true }));
    }

    #[test]
    fn what_is_wrong_is_a_format_error() {
        let wrong = Err(Unreadable::Error(rcode::FORMERR));
        let bad_option = b"\x00\x00\x29\x10\x00\x00\x00\x80\x00\x00\x04\x00\x0a\x00\x09";
        assert_eq!(parse([1, 0, 0, 2], &[QUESTION, OPT, OPT]), wrong);
        assert_eq!(parse([1, 0, 0, 1], &[QUESTION, bad_option]), wrong);
        assert_eq!(parse([1, 0, 0, 0], &[QUESTION, b"x"]), wrong);
        assert_eq!(parse([1, 0, 0, 0], &[&QUESTION[..6]]), wrong);
        assert_eq!(parse([1, 0, 0, 0], &[b"\xc0\x0c\x00\x01\x00\x01"]), wrong);
        assert_eq!(parse([0, 0, 0, 0], &[]), wrong);
        assert_eq!(parse([2, 0, 0, 0], &[QUESTION, QUESTION]), wrong);
    }

    #[test]
    fn answers_are_met_with_silence_and_other_opcodes_with_notimp() {
        let mut wire = message([1, 0, 0, 0], QUESTION);
        wire[2] = 0x80;
        assert_eq!(Query::parse(&wire).err(), Some(Unreadable::Silence));
        wire[2] = 0x28;
        assert_eq!(Query::parse(&wire).err(), Some(Unreadable::Error(rcode::NOTIMP)));
        assert_eq!(Query::parse(&wire[..11]).err(), Some(Unreadable::Silence));
    }
}
