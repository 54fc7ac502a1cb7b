//! The TSIG record in a message, and what its MAC covers.

use aws_lc_rs::hmac;

use crate::error::{Error, Result};
use crate::name::{Name, NameRef};
use crate::rdata::rtype;
use crate::xfr::message::{self, CLASS_ANY, Message, Parsed, Place};

/// A TSIG record as it stands in a message (RFC 8945 section 4.2).
#[derive(Debug)]
pub struct Record {
    pub key: Name,
    pub algorithm: Name,
    pub time: u64,
    pub fudge: u16,
    pub mac: Vec<u8>,
    pub original_id: u16,
    pub error: u16,
    pub other: Vec<u8>,
    /// Where the record starts: the message that was signed ends here.
    pub(super) start: usize,
}

fn malformed(what: &str) -> Error {
    Error::new("malformed", format!("TSIG: {what}"))
}

impl Record {
    /// The TSIG of a message, if there is one. RFC 8945 section 5.1: it is the last record
    /// of the additional section, and the only one.
    pub fn find(parsed: &Parsed<'_>) -> Result<Option<Self>> {
        let is_tsig = |place: &&Place| place.rtype == rtype::TSIG;
        let sections = [&parsed.answers, &parsed.authority, &parsed.additional];
        let count = sections.iter().flat_map(|section| section.iter()).filter(is_tsig).count();
        match (count, parsed.additional.last().filter(is_tsig)) {
            (0, _) => Ok(None),
            (1, Some(place)) => Self::read(parsed, place).map(Some),
            _ => Err(malformed("not the one last record of the message")),
        }
    }

    fn read(parsed: &Parsed<'_>, place: &Place) -> Result<Self> {
        if place.class != CLASS_ANY || place.ttl != 0 {
            return Err(malformed("its class is not ANY or its TTL not 0"));
        }
        let short = || malformed("the record is cut short");
        let mut rest = &parsed.message.wire[place.rdata..place.end()];
        let algorithm = NameRef::prefix(rest).ok_or_else(short)?;
        rest = &rest[algorithm.wire().len()..];
        let mut take = |length: usize| -> Result<&[u8]> {
            let (head, tail) = rest.split_at_checked(length).ok_or_else(short)?;
            rest = tail;
            Ok(head)
        };
        let number = |octets: &[u8]| octets.iter().fold(0u64, |n, &o| n << 8 | u64::from(o));
        let time = number(take(6)?);
        let fudge = number(take(2)?) as u16;
        let length = number(take(2)?) as usize;
        let mac = take(length)?.to_vec();
        let original_id = number(take(2)?) as u16;
        let error = number(take(2)?) as u16;
        let length = number(take(2)?) as usize;
        let other = take(length)?.to_vec();
        if !rest.is_empty() {
            return Err(malformed("octets behind the record's last field"));
        }
        let (key, algorithm) = (parsed.owner(place)?.to_lower(), algorithm.to_lower());
        let start = place.start;
        Ok(Self { key, algorithm, time, fudge, mac, original_id, error, other, start })
    }

    pub(super) fn append(&self, wire: &mut Vec<u8>) {
        wire.extend_from_slice(self.key.wire());
        wire.extend_from_slice(&rtype::TSIG.to_be_bytes());
        wire.extend_from_slice(&CLASS_ANY.to_be_bytes());
        wire.extend_from_slice(&[0; 4]);
        let length = self.algorithm.wire().len() + 16 + self.mac.len() + self.other.len();
        wire.extend_from_slice(&(length as u16).to_be_bytes());
        wire.extend_from_slice(self.algorithm.wire());
        wire.extend_from_slice(&self.time.to_be_bytes()[2..]);
        wire.extend_from_slice(&self.fudge.to_be_bytes());
        wire.extend_from_slice(&(self.mac.len() as u16).to_be_bytes());
        wire.extend_from_slice(&self.mac);
        wire.extend_from_slice(&self.original_id.to_be_bytes());
        wire.extend_from_slice(&self.error.to_be_bytes());
        wire.extend_from_slice(&(self.other.len() as u16).to_be_bytes());
        wire.extend_from_slice(&self.other);
        message::count_up(wire, 3, 1);
    }

    /// RFC 8945 section 4.3.3: what the MAC covers beside the message.
    pub(super) fn digest_variables(&self, context: &mut hmac::Context) {
        context.update(self.key.wire());
        context.update(&CLASS_ANY.to_be_bytes());
        context.update(&[0; 4]);
        context.update(self.algorithm.wire());
        self.digest_timers(context);
        context.update(&self.error.to_be_bytes());
        context.update(&(self.other.len() as u16).to_be_bytes());
        context.update(&self.other);
    }

    pub(super) fn digest_timers(&self, context: &mut hmac::Context) {
        context.update(&self.time.to_be_bytes()[2..]);
        context.update(&self.fudge.to_be_bytes());
    }
}

/// The message as its sender signed it: the original id, and the TSIG not there yet.
pub(super) fn digest_message(context: &mut hmac::Context, message: Message<'_>, record: &Record) {
    let mut header = [0u8; message::HEADER];
    header.copy_from_slice(&message.wire[..message::HEADER]);
    header[..2].copy_from_slice(&record.original_id.to_be_bytes());
    let additional = message.counts[3].wrapping_sub(1);
    header[10..].copy_from_slice(&additional.to_be_bytes());
    context.update(&header);
    context.update(&message.wire[message::HEADER..record.start]);
}
