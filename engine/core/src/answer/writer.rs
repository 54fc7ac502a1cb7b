//! A reply written straight to its place: names compressed, limits kept.
//!
//! There is no table of names but the offsets of label starts, with the length that the name
//! has from there: of those few that could match, the octets are compared.

use crate::name::NameRef;
use crate::query::{HEADER, Query, bits, class};
use crate::rdata::rtype;
use crate::zone::RrsetRef;

/// The UDP payload size that we say we take, and send at most (DNS Flag Day 2020).
pub const UDP_SIZE: usize = 1232;

/// The question's name stands behind the header.
pub const QUESTION: Owner<'static> = Owner::At(HEADER as u16);

const OPT_LENGTH: usize = 11;
const KNOWN: usize = 48;
const FARTHEST: usize = 0x3fff;

#[derive(Clone, Copy)]
pub enum Owner<'a> {
    At(u16),
    Name(&'a NameRef),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    Answer,
    Authority,
    Additional,
}

/// RFC 8914: an extended error and what it means here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedError {
    pub code: u16,
    pub text: &'static str,
}

#[derive(Clone, Copy, Default)]
struct Known {
    offset: u16,
    length: u8,
}

pub struct Writer<'b> {
    out: &'b mut [u8],
    at: usize,
    /// Where records have to end so that the OPT record fits behind them.
    limit: usize,
    section: Section,
    counts: [u16; 3],
    known: [Known; KNOWN],
    known_count: usize,
    edns: Option<bool>,
    extended: Option<ExtendedError>,
    flags: u16,
    class: u16,
}

/// A place to go back to when an RRset does not fit.
struct Mark {
    at: usize,
    count: u16,
    known_count: usize,
}

impl<'b> Writer<'b> {
    /// Header and question of a reply of at most `size` octets. `out` takes 512 at least, and
    /// a question takes 259.
    pub fn new(
        query: &Query<'_>,
        size: usize,
        extended: Option<ExtendedError>,
        out: &'b mut [u8],
    ) -> Self {
        let edns = query.edns.map(|edns| edns.dnssec_ok);
        let extended = extended.filter(|_| edns.is_some());
        let option = extended.map_or(0, |error| 6 + error.text.len());
        let reserved = edns.map_or(0, |_| OPT_LENGTH + option);
        let limit = size.min(out.len()) - reserved;
        let question = query.question();
        let at = HEADER + question.len();
        out[..2].copy_from_slice(&query.id().to_be_bytes());
        out[HEADER..at].copy_from_slice(question);
        let mut writer = Self {
            out,
            at,
            limit,
            section: Section::Answer,
            counts: [0; 3],
            known: [Known::default(); KNOWN],
            known_count: 0,
            edns,
            extended,
            // RFC 4035 section 3.1.6: CD is copied.
            flags: bits::QR | query.flags() & (bits::RD | bits::CD),
            class: class::IN,
        };
        writer.remember(question.len() - 4, HEADER, question.len() - 4);
        writer
    }

    pub fn set_flag(&mut self, bit: u16) {
        self.flags |= bit;
    }

    /// Of the records that follow.
    pub fn set_class(&mut self, class: u16) {
        self.class = class;
    }

    /// Write a reply again that there is already: with its flags, and with as much room left
    /// behind the message as its OPT record takes.
    pub fn replay(&mut self, flags: u16, opt: usize) {
        self.flags = flags & !bits::RCODE;
        self.limit = self.out.len().saturating_sub(opt);
        (self.edns, self.extended) = (None, None);
    }

    pub fn is_truncated(&self) -> bool {
        self.flags & bits::TC != 0
    }

    pub fn count(&self, section: Section) -> u16 {
        self.counts[section as usize]
    }

    pub fn section(&mut self, section: Section) {
        debug_assert!(section >= self.section);
        self.section = section;
    }

    /// An RRset, with its signatures if wanted. False, and nothing written, if it doesn't fit.
    pub fn rrset(&mut self, owner: Owner<'_>, rrset: RrsetRef<'_>, ttl: u32, signed: bool) -> bool {
        let mark = self.mark();
        let written = self.records(owner, rrset.rtype, ttl, rrset.packed_rdatas()).and_then(|at| {
            if signed && rrset.signature_count() > 0 {
                self.records(at, rtype::RRSIG, ttl, rrset.packed_signatures())?;
            }
            Some(())
        });
        self.keep(&mark, written)
    }

    pub fn signatures(&mut self, owner: Owner<'_>, rrset: RrsetRef<'_>) -> bool {
        let mark = self.mark();
        let written = self.records(owner, rtype::RRSIG, rrset.ttl, rrset.packed_signatures());
        self.keep(&mark, written)
    }

    pub fn record(&mut self, owner: Owner<'_>, rtype: u16, ttl: u32, rdata: &[u8]) -> bool {
        let mark = self.mark();
        let written = self.one(owner, rtype, ttl, rdata).map(|_| ());
        self.keep(&mark, written)
    }

    /// Counts, flags, OPT; the message's length.
    pub fn finish(mut self, rcode: u16) -> usize {
        if let Some(dnssec_ok) = self.edns {
            self.opt(rcode, dnssec_ok);
        }
        let flags = self.flags | rcode & bits::RCODE;
        self.out[2..4].copy_from_slice(&flags.to_be_bytes());
        let words = [1, self.counts[0], self.counts[1], self.counts[2]];
        for (index, word) in words.into_iter().enumerate() {
            self.out[4 + index * 2..6 + index * 2].copy_from_slice(&word.to_be_bytes());
        }
        self.at
    }

    fn opt(&mut self, rcode: u16, dnssec_ok: bool) {
        let option = self.extended.map_or(0, |error| 6 + error.text.len());
        let flags = if dnssec_ok { 0x80 } else { 0 };
        let [size_high, size_low] = (UDP_SIZE as u16).to_be_bytes();
        let [high, low] = (option as u16).to_be_bytes();
        let opt = [0, 0, 41, size_high, size_low, (rcode >> 4) as u8, 0, flags, 0, high, low];
        self.raw(&opt);
        if let Some(error) = self.extended {
            self.raw(&15u16.to_be_bytes());
            self.raw(&(option as u16 - 4).to_be_bytes());
            self.raw(&error.code.to_be_bytes());
            self.raw(error.text.as_bytes());
        }
        self.counts[Section::Additional as usize] += 1;
    }

    /// Room for these octets was reserved.
    fn raw(&mut self, octets: &[u8]) {
        self.out[self.at..self.at + octets.len()].copy_from_slice(octets);
        self.at += octets.len();
    }

    fn mark(&self) -> Mark {
        let count = self.counts[self.section as usize];
        Mark { at: self.at, count, known_count: self.known_count }
    }

    fn keep<T>(&mut self, mark: &Mark, written: Option<T>) -> bool {
        if written.is_none() {
            self.at = mark.at;
            self.counts[self.section as usize] = mark.count;
            self.known_count = mark.known_count;
        }
        written.is_some()
    }

    /// Records packed as a node holds them; the owner to use for what follows.
    fn records<'n>(
        &mut self,
        mut owner: Owner<'n>,
        rtype: u16,
        ttl: u32,
        packed: &[u8],
    ) -> Option<Owner<'n>> {
        let mut rest = packed;
        while let Some((length, behind)) = rest.split_first_chunk::<2>() {
            let (rdata, behind) =
                behind.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            owner = self.one(owner, rtype, ttl, rdata)?;
            rest = behind;
        }
        Some(owner)
    }

    fn one<'n>(
        &mut self,
        owner: Owner<'n>,
        rtype: u16,
        ttl: u32,
        rdata: &[u8],
    ) -> Option<Owner<'n>> {
        let owner = match owner {
            Owner::At(offset) => {
                self.push(&(0xc000 | offset).to_be_bytes())?;
                owner
            }
            Owner::Name(name) => self.name(name.wire())?.map_or(owner, Owner::At),
        };
        let mut fixed = [0u8; 10];
        fixed[..2].copy_from_slice(&rtype.to_be_bytes());
        fixed[2..4].copy_from_slice(&self.class.to_be_bytes());
        fixed[4..8].copy_from_slice(&ttl.to_be_bytes());
        fixed[8..].copy_from_slice(&(rdata.len() as u16).to_be_bytes());
        self.push(&fixed)?;
        match names_in(rtype) {
            None => self.push(rdata)?,
            Some((skip, names)) => self.compressed(rdata, skip, names)?,
        }
        self.counts[self.section as usize] += 1;
        Some(owner)
    }

    fn compressed(&mut self, rdata: &[u8], skip: usize, names: usize) -> Option<()> {
        let start = self.at;
        let (head, mut rest) = rdata.split_at_checked(skip)?;
        self.push(head)?;
        for _ in 0..names {
            let Some(name) = NameRef::prefix(rest) else { break };
            self.name(name.wire())?;
            rest = &rest[name.wire().len()..];
        }
        self.push(rest)?;
        let length = (self.at - start) as u16;
        self.out[start - 2..start].copy_from_slice(&length.to_be_bytes());
        Some(())
    }

    fn push(&mut self, octets: &[u8]) -> Option<()> {
        let end = self.at + octets.len();
        if end > self.limit {
            return None;
        }
        self.out[self.at..end].copy_from_slice(octets);
        self.at = end;
        Some(())
    }

    /// Writes a name, compressed; where it may be pointed to, if it may.
    #[allow(clippy::option_option)]
    fn name(&mut self, wire: &[u8]) -> Option<Option<u16>> {
        let mut label = 0;
        let mut hit = None;
        while wire[label] != 0 {
            hit = self.find(&wire[label..]);
            if hit.is_some() {
                break;
            }
            label += usize::from(wire[label]) + 1;
        }
        let start = self.at;
        let Some(target) = hit else {
            self.push(wire)?;
            self.remember(wire.len(), start, wire.len());
            return Some((start <= FARTHEST && wire.len() > 1).then_some(start as u16));
        };
        self.push(&wire[..label])?;
        self.push(&(0xc000 | target).to_be_bytes())?;
        self.remember(label, start, wire.len());
        match label {
            0 => Some(Some(target)),
            _ => Some((start <= FARTHEST).then_some(start as u16)),
        }
    }

    fn find(&self, suffix: &[u8]) -> Option<u16> {
        self.known[..self.known_count]
            .iter()
            .find(|known| {
                usize::from(known.length) == suffix.len()
                    && self.matches(usize::from(known.offset), suffix)
            })
            .map(|known| known.offset)
    }

    fn matches(&self, mut at: usize, suffix: &[u8]) -> bool {
        let mut label = 0;
        loop {
            let mut length = usize::from(self.out[at]);
            while length >= 0xc0 {
                // Our own pointers: they lead backwards, to what was written.
                at = (length & 0x3f) << 8 | usize::from(self.out[at + 1]);
                length = usize::from(self.out[at]);
            }
            let end = label + 1 + length;
            if end > suffix.len()
                || !self.out[at..at + 1 + length].eq_ignore_ascii_case(&suffix[label..end])
            {
                return false;
            }
            if length == 0 {
                return true;
            }
            at += 1 + length;
            label = end;
        }
    }

    /// Label starts among the first `written` octets of a name of `length` put at `offset`.
    fn remember(&mut self, written: usize, offset: usize, length: usize) {
        let mut label = 0;
        while label < written && offset + label <= FARTHEST && self.known_count < KNOWN {
            let octets = usize::from(self.out[offset + label]);
            if octets == 0 {
                return;
            }
            let known = Known { offset: (offset + label) as u16, length: (length - label) as u8 };
            self.known[self.known_count] = known;
            self.known_count += 1;
            label += octets + 1;
        }
    }
}

/// Octets before the first name and number of names, for the types whose names may be
/// compressed (RFC 3597 section 4).
fn names_in(rtype: u16) -> Option<(usize, usize)> {
    match rtype {
        rtype::NS
        | rtype::CNAME
        | rtype::PTR
        | rtype::MD
        | rtype::MF
        | rtype::MB
        | rtype::MG
        | rtype::MR => Some((0, 1)),
        rtype::SOA | rtype::MINFO => Some((0, 2)),
        rtype::MX => Some((2, 1)),
        _ => None,
    }
}

/// A reply of a question and an rcode, nothing else.
pub fn error(
    query: &Query<'_>,
    rcode: u16,
    extended: Option<ExtendedError>,
    size: usize,
    out: &mut [u8],
) -> usize {
    Writer::new(query, size, extended, out).finish(rcode)
}

/// RFC 2181 section 9: the client has to ask over TCP.
pub fn truncated(query: &Query<'_>, rcode: u16, size: usize, out: &mut [u8]) -> usize {
    let mut writer = Writer::new(query, size, None, out);
    writer.set_flag(bits::TC);
    writer.finish(rcode)
}
