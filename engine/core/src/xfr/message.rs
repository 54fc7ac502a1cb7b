//! DNS messages taken apart where they lie: a header, questions, records by their offsets.
//! What stands here was sent by strangers, so nothing is trusted before it was measured.

use crate::error::{Error, Result};
use crate::name::{Name, NameRef};
use crate::rdata::{self, rtype};

pub const HEADER: usize = 12;
/// The two-octet length before a message on a stream (RFC 1035 section 4.2.2).
pub const MAX_MESSAGE: usize = 65_535;
pub const CLASS_IN: u16 = 1;
pub const CLASS_ANY: u16 = 255;

pub mod opcode {
    pub const QUERY: u8 = 0;
    pub const NOTIFY: u8 = 4;
}

pub mod rcode {
    pub const NOERROR: u8 = 0;
    pub const FORMERR: u8 = 1;
    pub const SERVFAIL: u8 = 2;
    pub const NXDOMAIN: u8 = 3;
    pub const NOTIMP: u8 = 4;
    pub const REFUSED: u8 = 5;
    pub const NOTAUTH: u8 = 9;
}

/// RFC 1035 section 4.1.1, the second word.
pub mod bits {
    pub const QR: u16 = 0x8000;
    pub const AA: u16 = 0x0400;
    pub const TC: u16 = 0x0200;
    pub const RD: u16 = 0x0100;
}

/// The mnemonic of an RCODE, for people.
pub fn rcode_name(code: u8) -> String {
    match code {
        rcode::NOERROR => "NOERROR".into(),
        rcode::FORMERR => "FORMERR".into(),
        rcode::SERVFAIL => "SERVFAIL".into(),
        rcode::NXDOMAIN => "NXDOMAIN".into(),
        rcode::NOTIMP => "NOTIMP".into(),
        rcode::REFUSED => "REFUSED".into(),
        rcode::NOTAUTH => "NOTAUTH".into(),
        other => format!("RCODE {other}"),
    }
}

/// A message whose header is there.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    pub wire: &'a [u8],
    pub id: u16,
    pub flags: u16,
    /// Questions, answers, authority, additional.
    pub counts: [u16; 4],
}

#[derive(Clone, Debug)]
pub struct Question {
    /// As it was sent, case kept.
    pub name: Name,
    pub qtype: u16,
    pub qclass: u16,
}

/// Where a record lies in its message.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Where its owner starts.
    pub start: usize,
    pub rtype: u16,
    pub class: u16,
    pub ttl: u32,
    pub rdata: usize,
    pub length: usize,
}

impl Place {
    pub fn end(&self) -> usize {
        self.rdata + self.length
    }
}

/// A message with every section measured.
pub struct Parsed<'a> {
    pub message: Message<'a>,
    pub questions: Vec<Question>,
    pub answers: Vec<Place>,
    pub authority: Vec<Place>,
    pub additional: Vec<Place>,
}

fn malformed(what: impl Into<String>) -> Error {
    Error::new("malformed", what)
}

impl<'a> Message<'a> {
    pub fn header(wire: &'a [u8]) -> Result<Self> {
        let Some(header) = wire.first_chunk::<HEADER>() else {
            return Err(malformed(format!("a message of {} octets has no header", wire.len())));
        };
        let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        Ok(Self {
            wire,
            id: word(0),
            flags: word(2),
            counts: [word(4), word(6), word(8), word(10)],
        })
    }

    pub fn is_response(&self) -> bool {
        self.flags & bits::QR != 0
    }

    pub fn opcode(&self) -> u8 {
        (self.flags >> 11 & 15) as u8
    }

    pub fn rcode(&self) -> u8 {
        (self.flags & 15) as u8
    }

    fn word(&self, at: usize) -> Result<u16> {
        let octets = self.wire.get(at..at + 2).and_then(|octets| octets.first_chunk());
        octets.map(|octets| u16::from_be_bytes(*octets)).ok_or_else(|| malformed(SHORT))
    }

    /// The name at `at`, expanded, and the offset behind it.
    pub fn name(&self, at: usize) -> Result<(Name, usize)> {
        let mut wire = Vec::with_capacity(64);
        let behind = rdata::expand_name(self.wire, at, &mut wire).map_err(malformed)?;
        Ok((Name::parse(&wire)?, behind))
    }

    /// The offset behind a name that nobody reads yet: pointers are not followed.
    fn skip_name(&self, mut at: usize) -> Result<usize> {
        loop {
            let octet = *self.wire.get(at).ok_or_else(|| malformed(SHORT))?;
            match octet {
                0 => return Ok(at + 1),
                1..=63 => at += 1 + usize::from(octet),
                0xc0.. => return Ok(at + 2),
                _ => return Err(malformed("a label of an unknown kind")),
            }
        }
    }

    fn question(&self, at: usize) -> Result<(Question, usize)> {
        let (name, at) = self.name(at)?;
        let question = Question { name, qtype: self.word(at)?, qclass: self.word(at + 2)? };
        Ok((question, at + 4))
    }

    fn place(&self, start: usize) -> Result<Place> {
        let at = self.skip_name(start)?;
        let place = Place {
            start,
            rtype: self.word(at)?,
            class: self.word(at + 2)?,
            ttl: u32::from(self.word(at + 4)?) << 16 | u32::from(self.word(at + 6)?),
            rdata: at + 10,
            length: usize::from(self.word(at + 8)?),
        };
        if place.end() > self.wire.len() { Err(malformed(SHORT)) } else { Ok(place) }
    }

    /// Measure all sections. Raises "malformed"; octets behind the last record are one.
    pub fn parse(self) -> Result<Parsed<'a>> {
        let mut at = HEADER;
        let mut questions = vec![];
        for _ in 0..self.counts[0] {
            let (question, behind) = self.question(at)?;
            questions.push(question);
            at = behind;
        }
        let mut sections = [vec![], vec![], vec![]];
        for (section, count) in sections.iter_mut().zip(&self.counts[1..]) {
            for _ in 0..*count {
                let place = self.place(at)?;
                at = place.end();
                section.push(place);
            }
        }
        if at != self.wire.len() {
            return Err(malformed("octets behind the message's last record"));
        }
        let [answers, authority, additional] = sections;
        Ok(Parsed { message: self, questions, answers, authority, additional })
    }
}

const SHORT: &str = "a record runs past the end of the message";

impl Parsed<'_> {
    pub fn owner(&self, place: &Place) -> Result<Name> {
        self.message.name(place.start).map(|(name, _)| name)
    }

    /// Rdata, uncompressed and valid for its type.
    pub fn rdata(&self, place: &Place) -> Result<Vec<u8>> {
        rdata::decompress(place.rtype, self.message.wire, place.rdata, place.length)
            .map_err(|why| malformed(format!("a {} record: {why}", rdata::type_name(place.rtype))))
    }

    /// Whether the sender speaks EDNS (RFC 6891 section 6.1.1).
    pub fn has_opt(&self) -> bool {
        self.additional.iter().any(|place| place.rtype == rtype::OPT)
    }
}

/// The serial in SOA rdata: the first of the five numbers at its end.
pub fn soa_serial(rdata: &[u8]) -> Option<u32> {
    let tail = rdata.last_chunk::<20>()?;
    Some(u32::from_be_bytes([tail[0], tail[1], tail[2], tail[3]]))
}

/// RFC 1982 section 3.2; None where the two serials can't be compared.
pub fn serial_cmp(a: u32, b: u32) -> Option<std::cmp::Ordering> {
    use std::cmp::Ordering;
    match a.wrapping_sub(b) {
        0 => Some(Ordering::Equal),
        1..=0x7fff_ffff => Some(Ordering::Greater),
        0x8000_0000 => None,
        0x8000_0001.. => Some(Ordering::Less),
    }
}

/// A header and a question, for messages that we make.
pub fn begin(id: u16, flags: u16, question: Option<(&NameRef, u16)>) -> Vec<u8> {
    let mut wire = Vec::with_capacity(512);
    wire.extend_from_slice(&id.to_be_bytes());
    wire.extend_from_slice(&flags.to_be_bytes());
    wire.extend_from_slice(&u16::from(question.is_some()).to_be_bytes());
    wire.extend_from_slice(&[0; 6]);
    if let Some((name, qtype)) = question {
        wire.extend_from_slice(name.wire());
        wire.extend_from_slice(&qtype.to_be_bytes());
        wire.extend_from_slice(&CLASS_IN.to_be_bytes());
    }
    wire
}

/// Add `by` to the count of a section (0 questions, 1 answers, 2 authority, 3 additional).
pub fn count_up(wire: &mut [u8], section: usize, by: u16) {
    let at = 4 + section * 2;
    let count = u16::from_be_bytes([wire[at], wire[at + 1]]).wrapping_add(by);
    wire[at..at + 2].copy_from_slice(&count.to_be_bytes());
}
