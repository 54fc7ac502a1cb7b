//! Records packed into messages, names compressed (RFC 1035 section 4.1.4).

use foldhash::HashMap;

use crate::name::NameRef;
use crate::rdata;
use crate::xfr::message::{self, HEADER, MAX_MESSAGE};

/// Where a message is full: well filled, and below what any peer's buffer takes.
const FULL: usize = 60 * 1024;
/// Pointers have 14 bits.
const REACH: usize = 0x4000;

/// A message under construction.
pub struct Packer {
    wire: Vec<u8>,
    /// Suffixes that stand in the message, octet for octet, so that case is kept.
    names: HashMap<Box<[u8]>, u16>,
    limit: usize,
    full: usize,
    records: u16,
}

impl Packer {
    /// `reserve`: octets to leave for what comes behind the records.
    pub fn new(wire: Vec<u8>, question: Option<&NameRef>, reserve: usize) -> Self {
        let limit = MAX_MESSAGE - reserve;
        let mut packer =
            Self { wire, names: HashMap::default(), limit, full: FULL.min(limit), records: 0 };
        if let Some(name) = question {
            packer.note(name, HEADER);
        }
        packer
    }

    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    fn note(&mut self, name: &NameRef, at: usize) {
        for suffix in name.ancestors().filter(|suffix| !suffix.is_root()) {
            let offset = at + name.wire().len() - suffix.wire().len();
            if offset >= REACH || self.names.contains_key(suffix.wire()) {
                break;
            }
            self.names.insert(suffix.wire().into(), offset as u16);
        }
    }

    fn push_name(&mut self, name: &NameRef) {
        let at = self.wire.len();
        let known = name
            .ancestors()
            .take_while(|suffix| !suffix.is_root())
            .find_map(|suffix| Some((suffix.wire().len(), *self.names.get(suffix.wire())?)));
        let Some((length, offset)) = known else {
            self.wire.extend_from_slice(name.wire());
            self.note(name, at);
            return;
        };
        let fresh = name.wire().len() - length;
        self.wire.extend_from_slice(&name.wire()[..fresh]);
        self.wire.extend_from_slice(&(0xc000 | offset).to_be_bytes());
        if fresh > 0 {
            self.note(name, at);
        }
    }

    /// Put a record into the answer section; false, with the message as it was, when it
    /// does not fit any more. A record alone in its message may fill it to the brim.
    pub fn push(&mut self, owner: &NameRef, rtype: u16, ttl: u32, rdata: &[u8]) -> bool {
        let before = self.wire.len();
        self.push_name(owner);
        self.wire.extend_from_slice(&rtype.to_be_bytes());
        self.wire.extend_from_slice(&message::CLASS_IN.to_be_bytes());
        self.wire.extend_from_slice(&ttl.to_be_bytes());
        let length_at = self.wire.len();
        self.wire.extend_from_slice(&[0; 2]);
        let mut done = 0;
        for (at, length) in rdata::compressible_names(rtype, rdata) {
            self.wire.extend_from_slice(&rdata[done..at]);
            self.push_name(NameRef::from_valid(&rdata[at..at + length]));
            done = at + length;
        }
        self.wire.extend_from_slice(&rdata[done..]);
        let length = self.wire.len() - length_at - 2;
        self.wire[length_at..length_at + 2].copy_from_slice(&(length as u16).to_be_bytes());
        let most = if self.is_empty() { self.limit } else { self.full };
        if self.wire.len() > most || self.records == u16::MAX {
            self.wire.truncate(before);
            self.names.retain(|_, offset| usize::from(*offset) < before);
            return false;
        }
        self.records += 1;
        true
    }

    pub fn finish(mut self) -> Vec<u8> {
        message::count_up(&mut self.wire, 1, self.records);
        self.wire
    }
}
