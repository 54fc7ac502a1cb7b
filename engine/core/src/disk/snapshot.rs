//! A version of a zone in one file.
//!
//! Header: the mark (8), format version (4), line (8), number of the last difference in it
//! (8), names (8), NSEC3 owners (8), the origin. Then the nodes in canonical order, then those
//! of NSEC3: name, flags (1), RRsets (2); each RRset: type (2), TTL (4), flags (1), records
//! (2), signatures (2), then every rdata behind its length (2). Last the SHA-256 of all that
//! (32). Integers are little-endian.

use std::io::Write;
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256, SHA256_OUTPUT_LEN, digest};

use crate::disk::files;
use crate::disk::record::{Reader, push_rdata};
use crate::error::{Error, Result};
use crate::name::NameRef;
use crate::rdata::rtype;
use crate::zone::{Node, NodeBuf, RrsetBuf, Zone};

const MARK: &[u8; 8] = b"ZWSNAP\r\n";
const VERSION: u32 = 1;
const OURS: u8 = 1;

/// Where a version stands in its history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    pub line: u64,
    /// Number of the last difference that is in it.
    pub number: u64,
}

/// Write `zone` to `path`: whole, or not at all. Raises "io".
pub fn save(zone: &Zone, path: &Path) -> Result<()> {
    write(zone, path, Position::default())
}

/// Read what `save` wrote. Raises "snapshot" for a file of another format or with damage,
/// "io" for one that can't be read.
pub fn load(path: &Path) -> Result<Zone> {
    let content = std::fs::read(path).map_err(|error| Error::io(path, &error))?;
    parse(path, &content).map(|(zone, _)| zone)
}

pub fn write(zone: &Zone, path: &Path, position: Position) -> Result<()> {
    files::replace(path, |file| {
        let mut sum = Context::new(&SHA256);
        let mut out = Vec::with_capacity(1 << 16);
        out.extend_from_slice(MARK);
        out.extend_from_slice(&VERSION.to_le_bytes());
        let counts = [zone.node_count() as u64, zone.nsec3_count() as u64];
        for number in [position.line, position.number].into_iter().chain(counts) {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(zone.origin().wire());
        for node in zone.all_nodes() {
            push_node(&mut out, node);
            if out.len() > 1 << 15 {
                sum.update(&out);
                file.write_all(&out)?;
                out.clear();
            }
        }
        sum.update(&out);
        file.write_all(&out)?;
        file.write_all(sum.finish().as_ref())
    })
}

fn push_node(out: &mut Vec<u8>, node: &Node) {
    out.extend_from_slice(node.name().wire());
    out.push(node.flags());
    out.extend_from_slice(&(node.rrset_count() as u16).to_le_bytes());
    for rrset in node.rrsets() {
        out.extend_from_slice(&rrset.rtype.to_le_bytes());
        out.extend_from_slice(&rrset.ttl.to_le_bytes());
        out.push(if rrset.ours { OURS } else { 0 });
        out.extend_from_slice(&(rrset.len() as u16).to_le_bytes());
        out.extend_from_slice(&(rrset.signature_count() as u16).to_le_bytes());
        rrset.rdatas().chain(rrset.signatures()).for_each(|rdata| push_rdata(out, rdata));
    }
}

/// The version in a snapshot's octets, and where it stands. Raises "snapshot".
pub fn parse(path: &Path, content: &[u8]) -> Result<(Zone, Position)> {
    let wrong = |what: String| Err(Error::at("snapshot", path.display(), what));
    let mut head = Reader::new(content);
    if head.take(MARK.len()) != Some(MARK) {
        return wrong("not a snapshot of a zone".into());
    }
    match head.u32() {
        Some(VERSION) => {}
        Some(other) => {
            return wrong(format!("format {other}; this program reads format {VERSION}"));
        }
        None => return wrong("cut short in its header".into()),
    }
    let Some(body) = content.len().checked_sub(SHA256_OUTPUT_LEN) else {
        return wrong("cut short in its header".into());
    };
    if digest(&SHA256, &content[..body]).as_ref() != &content[body..] {
        return wrong("its checksum is wrong: damaged, or cut short".into());
    }
    match read(&content[..body]) {
        Some(version) => Ok(version),
        None => {
            wrong("its checksum is right, its content is not: written by another program?".into())
        }
    }
}

fn read(body: &[u8]) -> Option<(Zone, Position)> {
    let mut reader = Reader::new(body.get(MARK.len() + 4..)?);
    let position = Position { line: reader.u64()?, number: reader.u64()? };
    let (names, hashed) = (reader.u64()?, reader.u64()?);
    let origin = reader.name()?;
    let nodes = read_nodes(&mut reader, names, origin, false)?;
    let nsec3 = read_nodes(&mut reader, hashed, origin, true)?;
    let apex = nodes.first()?;
    let whole = reader.is_done() && apex.name() == origin && apex.rrset(rtype::SOA).is_some();
    whole.then(|| (Zone::assemble(origin, nodes, nsec3), position))
}

fn read_nodes(
    reader: &mut Reader<'_>,
    count: u64,
    origin: &NameRef,
    hashed: bool,
) -> Option<Vec<Node>> {
    let mut nodes: Vec<Node> = vec![];
    for _ in 0..count {
        let node = read_node(reader)?;
        let in_order =
            nodes.last().is_none_or(|last| last.name().canonical_cmp(node.name()).is_lt());
        let of_nsec3 = node.rrset(rtype::NSEC3).is_some();
        if !in_order || !node.name().is_under(origin) || of_nsec3 != hashed {
            return None;
        }
        nodes.push(node);
    }
    Some(nodes)
}

fn read_node(reader: &mut Reader<'_>) -> Option<Node> {
    let name = reader.name()?;
    let mut buf = NodeBuf::new(name);
    buf.flags = reader.u8()?;
    for _ in 0..reader.u16()? {
        let (rtype, ttl, flags) = (reader.u16()?, reader.u32()?, reader.u8()?);
        let (records, signatures) = (reader.u16()?, reader.u16()?);
        let mut rrset = RrsetBuf::new(rtype, ttl, flags & OURS != 0);
        for _ in 0..records {
            rrset.push_rdata(reader.rdata(rtype)?);
        }
        for _ in 0..signatures {
            rrset.push_signature(reader.rdata(rtype::RRSIG)?);
        }
        buf.set(rrset);
    }
    Some(buf.build())
}
