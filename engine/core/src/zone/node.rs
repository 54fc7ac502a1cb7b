//! One owner with all its RRsets, packed into one allocation.
//!
//! A query that finds its node reads the flags, the directory of RRsets and the records from
//! adjacent cache lines; a version that changes one owner copies one node.
//!
//! Layout: flags (1), length of the name (1), number of RRsets (2), the name, lower-cased;
//! then a directory entry of 16 octets for each RRset, ordered by type: type (2), records (2),
//! signatures (2), flags (2), TTL (4), offset of the data (4); then the data: each record,
//! then each RRSIG's rdata, preceded by its length (2). Integers are little-endian, but for
//! the lengths before rdata, which stand as they go to the wire.

use std::sync::Arc;

use crate::name::{Name, NameRef};

const HEADER: usize = 4;
const ENTRY: usize = 16;
const OURS: u16 = 1;

/// Records, signatures included, that an owner may have: more of one type fit neither the
/// directory's counts nor a message's (RFC 1035 section 4.1.1).
pub const MAX_RECORDS: usize = 65_535;

/// What a node is to its neighbours (RFC 9499: zone cut, occluded name).
pub mod flags {
    /// NS records that are not the apex's: a delegation.
    pub const CUT: u8 = 1;
    /// Below a delegation: glue or occluded data, not authoritative.
    pub const BELOW_CUT: u8 = 2;
    pub const DNAME: u8 = 4;
    /// Occluded by a DNAME above (RFC 6672 section 2.4).
    pub const BELOW_DNAME: u8 = 8;
}

#[derive(Clone)]
pub struct Node(Arc<[u8]>);

/// One RRset of a node, with the signatures over it.
#[derive(Clone, Copy)]
pub struct RrsetRef<'a> {
    pub rtype: u16,
    pub ttl: u32,
    /// Made by our signer and not by the zone's source.
    pub ours: bool,
    count: u16,
    signatures: u16,
    data: &'a [u8],
    signatures_at: usize,
}

/// An RRset on its way into a node: packed rdata, each preceded by its length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RrsetBuf {
    pub rtype: u16,
    pub ttl: u32,
    pub ours: bool,
    count: u16,
    signatures: u16,
    records: Vec<u8>,
    rrsigs: Vec<u8>,
}

/// A node being made or changed.
#[derive(Clone, Debug)]
pub struct NodeBuf {
    pub name: Name,
    pub flags: u8,
    rrsets: Vec<RrsetBuf>,
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

impl Node {
    pub fn name(&self) -> &NameRef {
        NameRef::from_valid(&self.0[HEADER..HEADER + usize::from(self.0[1])])
    }

    pub fn flags(&self) -> u8 {
        self.0[0]
    }

    pub fn is_cut(&self) -> bool {
        self.0[0] & flags::CUT != 0
    }

    pub fn has_dname(&self) -> bool {
        self.0[0] & flags::DNAME != 0
    }

    /// Below a zone cut or a DNAME: nothing here is authoritative.
    pub fn is_occluded(&self) -> bool {
        self.0[0] & (flags::BELOW_CUT | flags::BELOW_DNAME) != 0
    }

    /// RFC 9499: a name without records that exists because of the names below it.
    pub fn is_empty(&self) -> bool {
        self.rrset_count() == 0
    }

    pub fn rrset_count(&self) -> usize {
        usize::from(u16_at(&self.0, 2))
    }

    pub fn rrset(&self, rtype: u16) -> Option<RrsetRef<'_>> {
        let start = HEADER + usize::from(self.0[1]);
        (0..self.rrset_count())
            .map(|index| start + index * ENTRY)
            .find(|&entry| u16_at(&self.0, entry) == rtype)
            .map(|entry| self.read(entry))
    }

    /// RRsets ordered by type.
    pub fn rrsets(&self) -> impl ExactSizeIterator<Item = RrsetRef<'_>> {
        let start = HEADER + usize::from(self.0[1]);
        (0..self.rrset_count()).map(move |index| self.read(start + index * ENTRY))
    }

    fn read(&self, entry: usize) -> RrsetRef<'_> {
        let bytes = &self.0;
        let at = u32_at(bytes, entry + 12) as usize;
        let count = u16_at(bytes, entry + 2);
        let signatures = u16_at(bytes, entry + 4);
        let mut end = at;
        for _ in 0..count {
            end += 2 + usize::from(u16::from_be_bytes([bytes[end], bytes[end + 1]]));
        }
        let signatures_at = end - at;
        for _ in 0..signatures {
            end += 2 + usize::from(u16::from_be_bytes([bytes[end], bytes[end + 1]]));
        }
        RrsetRef {
            rtype: u16_at(bytes, entry),
            ttl: u32_at(bytes, entry + 8),
            ours: u16_at(bytes, entry + 6) & OURS != 0,
            count,
            signatures,
            data: &bytes[at..end],
            signatures_at,
        }
    }

    pub fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether name, flags and all records are alike.
    pub fn equal(&self, other: &Self) -> bool {
        self.same(other) || self.0 == other.0
    }

    pub fn heap_bytes(&self) -> usize {
        self.0.len() + 16
    }

    pub fn to_buf(&self) -> NodeBuf {
        NodeBuf {
            name: self.name().to_owned(),
            flags: self.flags(),
            rrsets: self.rrsets().map(RrsetRef::to_buf).collect(),
        }
    }
}

impl<'a> RrsetRef<'a> {
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// Signatures without records, as only a broken source has them.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn signature_count(&self) -> usize {
        usize::from(self.signatures)
    }

    /// Rdata in canonical order (RFC 4034 section 6.3), case kept.
    pub fn rdatas(self) -> Rdatas<'a> {
        Rdatas { rest: &self.data[..self.signatures_at] }
    }

    /// Rdata of the RRSIG records over this RRset.
    pub fn signatures(self) -> Rdatas<'a> {
        Rdatas { rest: &self.data[self.signatures_at..] }
    }

    /// The records as packed: each rdata preceded by its length, big-endian.
    pub fn packed_rdatas(self) -> &'a [u8] {
        &self.data[..self.signatures_at]
    }

    /// As `packed_rdatas`, for the signatures.
    pub fn packed_signatures(self) -> &'a [u8] {
        &self.data[self.signatures_at..]
    }

    pub fn to_buf(self) -> RrsetBuf {
        RrsetBuf {
            rtype: self.rtype,
            ttl: self.ttl,
            ours: self.ours,
            count: self.count,
            signatures: self.signatures,
            records: self.packed_rdatas().to_vec(),
            rrsigs: self.packed_signatures().to_vec(),
        }
    }
}

/// Rdata out of a packed run.
#[derive(Clone)]
pub struct Rdatas<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Rdatas<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.rest.split_first_chunk::<2>()?;
        let (rdata, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)));
        self.rest = rest;
        Some(rdata)
    }
}

fn push(packed: &mut Vec<u8>, rdata: &[u8]) {
    packed.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
    packed.extend_from_slice(rdata);
}

impl RrsetBuf {
    pub fn new(rtype: u16, ttl: u32, ours: bool) -> Self {
        Self { rtype, ttl, ours, count: 0, signatures: 0, records: vec![], rrsigs: vec![] }
    }

    /// The caller gives records in canonical order, without duplicates.
    pub fn push_rdata(&mut self, rdata: &[u8]) {
        push(&mut self.records, rdata);
        self.count += 1;
    }

    pub fn push_signature(&mut self, rdata: &[u8]) {
        push(&mut self.rrsigs, rdata);
        self.signatures += 1;
    }

    pub fn clear_signatures(&mut self) {
        self.rrsigs.clear();
        self.signatures = 0;
    }

    /// Replace all records; they are put in canonical order, twins dropped.
    pub fn set_rdatas<'a>(&mut self, rdatas: impl IntoIterator<Item = &'a [u8]>) {
        let mut sorted: Vec<_> = rdatas
            .into_iter()
            .map(|rdata| (crate::rdata::canonical(self.rtype, rdata).into_owned(), rdata.to_vec()))
            .collect();
        sorted.sort();
        sorted.dedup_by(|a, b| a.0 == b.0);
        self.records.clear();
        self.count = 0;
        for (_, rdata) in sorted {
            self.push_rdata(&rdata);
        }
    }

    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn signature_count(&self) -> usize {
        usize::from(self.signatures)
    }

    pub fn rdatas(&self) -> Rdatas<'_> {
        Rdatas { rest: &self.records }
    }

    pub fn signatures(&self) -> Rdatas<'_> {
        Rdatas { rest: &self.rrsigs }
    }
}

impl NodeBuf {
    /// Signatures included.
    pub fn record_count(&self) -> usize {
        self.rrsets.iter().map(|rrset| rrset.len() + rrset.signature_count()).sum()
    }

    /// `name` lower-cased.
    pub fn new(name: &NameRef) -> Self {
        Self { name: name.to_owned(), flags: 0, rrsets: vec![] }
    }

    pub fn rrsets(&self) -> &[RrsetBuf] {
        &self.rrsets
    }

    pub fn rrset(&self, rtype: u16) -> Option<&RrsetBuf> {
        self.rrsets.iter().find(|rrset| rrset.rtype == rtype)
    }

    pub fn rrset_mut(&mut self, rtype: u16) -> Option<&mut RrsetBuf> {
        self.rrsets.iter_mut().find(|rrset| rrset.rtype == rtype)
    }

    /// Put an RRset in its place, in lieu of the one of its type if there is one.
    pub fn set(&mut self, rrset: RrsetBuf) {
        match self.rrsets.binary_search_by_key(&rrset.rtype, |other| other.rtype) {
            Ok(at) => self.rrsets[at] = rrset,
            Err(at) => self.rrsets.insert(at, rrset),
        }
    }

    pub fn remove(&mut self, rtype: u16) -> Option<RrsetBuf> {
        let at = self.rrsets.iter().position(|rrset| rrset.rtype == rtype)?;
        Some(self.rrsets.remove(at))
    }

    pub fn retain(&mut self, keep: impl FnMut(&RrsetBuf) -> bool) {
        self.rrsets.retain(keep);
    }

    pub fn build(&self) -> Node {
        let name = self.name.wire();
        let directory = HEADER + name.len();
        let data = directory + self.rrsets.len() * ENTRY;
        let size: usize = self.rrsets.iter().map(|r| r.records.len() + r.rrsigs.len()).sum();
        let mut bytes = Vec::with_capacity(data + size);
        bytes.push(self.flags);
        bytes.push(name.len() as u8);
        bytes.extend_from_slice(&(self.rrsets.len() as u16).to_le_bytes());
        bytes.extend_from_slice(name);
        let mut offset = data;
        for rrset in &self.rrsets {
            for field in [rrset.rtype, rrset.count, rrset.signatures, u16::from(rrset.ours)] {
                bytes.extend_from_slice(&field.to_le_bytes());
            }
            bytes.extend_from_slice(&rrset.ttl.to_le_bytes());
            bytes.extend_from_slice(&(offset as u32).to_le_bytes());
            offset += rrset.records.len() + rrset.rrsigs.len();
        }
        for rrset in &self.rrsets {
            bytes.extend_from_slice(&rrset.records);
            bytes.extend_from_slice(&rrset.rrsigs);
        }
        Node(bytes.into())
    }
}
