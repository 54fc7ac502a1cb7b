//! Octets of the files: integers little-endian, each piece measured before it is read.

use crate::name::NameRef;
use crate::rdata;
use crate::zone::{Diff, Record};

/// Reads on; None at the first thing that is not there.
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(octets: &'a [u8]) -> Self {
        Self { rest: octets }
    }

    pub fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.rest.split_at_checked(length)?;
        self.rest = tail;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub fn name(&mut self) -> Option<&'a NameRef> {
        let name = NameRef::prefix(self.rest)?;
        self.take(name.wire().len())?;
        Some(name)
    }

    /// Rdata behind its length, valid for its type.
    pub fn rdata(&mut self, rtype: u16) -> Option<&'a [u8]> {
        let length = self.u16()?;
        let rdata = self.take(usize::from(length))?;
        rdata::validate(rtype, rdata).ok().map(|()| rdata)
    }
}

pub fn push_rdata(out: &mut Vec<u8>, rdata: &[u8]) {
    out.extend_from_slice(&(rdata.len() as u16).to_le_bytes());
    out.extend_from_slice(rdata);
}

/// A difference: both serials, both counts, the records removed, those added.
pub fn push_diff(out: &mut Vec<u8>, diff: &Diff) {
    for number in
        [diff.from_serial, diff.to_serial, diff.removed.len() as u32, diff.added.len() as u32]
    {
        out.extend_from_slice(&number.to_le_bytes());
    }
    for record in diff.removed.iter().chain(&diff.added) {
        out.extend_from_slice(record.owner.wire());
        out.extend_from_slice(&record.rtype.to_le_bytes());
        out.extend_from_slice(&record.ttl.to_le_bytes());
        out.push(u8::from(record.ours));
        push_rdata(out, &record.rdata);
    }
}

pub fn read_diff(octets: &[u8]) -> Option<Diff> {
    let mut reader = Reader::new(octets);
    let (from_serial, to_serial) = (reader.u32()?, reader.u32()?);
    let (removed, added) = (reader.u32()?, reader.u32()?);
    let mut records = |count: u32| -> Option<Vec<Record>> {
        (0..count).map(|_| read_record(&mut reader)).collect()
    };
    let (removed, added) = (records(removed)?, records(added)?);
    let diff = Diff { from_serial, to_serial, removed, added };
    reader.is_done().then_some(diff)
}

fn read_record(reader: &mut Reader<'_>) -> Option<Record> {
    let owner = reader.name()?.to_owned();
    let (rtype, ttl, ours) = (reader.u16()?, reader.u32()?, reader.u8()? != 0);
    let rdata = reader.rdata(rtype)?.into();
    Some(Record { owner, rtype, ttl, rdata, ours })
}
