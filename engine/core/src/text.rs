//! Zones as zone-file text: canonical order, absolute names, one record a line.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::name::NameRef;
use crate::rdata::{generic_text, rtype, type_name, write_text};
use crate::scan::Foreign;
use crate::zone::{Node, RrsetRef, Zone};

/// Write every record; the SOA comes first, an RRset's signatures behind it. A type that
/// neither we nor `foreign` know is written in the generic form of RFC 3597.
pub fn write_zone(
    zone: &Zone,
    out: &mut impl Write,
    foreign: Option<&mut dyn Foreign>,
) -> io::Result<()> {
    let mut lines = Lines { out, line: String::with_capacity(256), foreign };
    zone.canonical_after(None).try_for_each(|node| lines.node(node))
}

/// As text in memory.
pub fn zone_text(zone: &Zone, foreign: Option<&mut dyn Foreign>) -> Result<String> {
    let mut out = Vec::new();
    write_zone(zone, &mut out, foreign)
        .map_err(io::Error::into_inner)
        .map_err(|_| Error::new("bug", "writing to memory failed"))?;
    String::from_utf8(out).map_err(|_| Error::new("bug", "zone-file text that is not UTF-8"))
}

/// Write a file: beside `path` first, then renamed over it, so that a reader sees the whole
/// text or the old one. What is no plain file (a pipe, /dev/stdout) is written directly.
pub fn write_file(zone: &Zone, path: &Path, foreign: Option<&mut dyn Foreign>) -> Result<()> {
    let plain = std::fs::metadata(path).map_or(true, |found| found.is_file());
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let target = if plain { path.with_file_name(name) } else { path.to_owned() };
    let written = write_through(zone, &target, plain, foreign)
        .and_then(|()| if plain { std::fs::rename(&target, path) } else { Ok(()) });
    written.map_err(|error| {
        if plain
            && let Err(left) = std::fs::remove_file(&target)
            && left.kind() != io::ErrorKind::NotFound
        {
            let message = format!("{error}; and {} is left behind: {left}", target.display());
            return Error::at("io", path.display(), message);
        }
        Error::io(path, &error)
    })
}

fn write_through(
    zone: &Zone,
    target: &PathBuf,
    sync: bool,
    foreign: Option<&mut dyn Foreign>,
) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, File::create(target)?);
    write_zone(zone, &mut out, foreign)?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    if sync { file.sync_all() } else { Ok(()) }
}

struct Lines<'a, 'f, W> {
    out: &'a mut W,
    line: String,
    foreign: Option<&'f mut dyn Foreign>,
}

impl<W: Write> Lines<'_, '_, W> {
    fn node(&mut self, node: &Node) -> io::Result<()> {
        let owner = node.name();
        let (soa, others): (Vec<_>, Vec<_>) =
            node.rrsets().partition(|rrset| rrset.rtype == rtype::SOA);
        soa.into_iter().chain(others).try_for_each(|rrset| self.rrset(owner, rrset))
    }

    fn rrset(&mut self, owner: &NameRef, rrset: RrsetRef<'_>) -> io::Result<()> {
        for rdata in rrset.rdatas() {
            self.record(owner, rrset.rtype, rrset.ttl, rdata)?;
        }
        for rdata in rrset.signatures() {
            self.record(owner, rtype::RRSIG, rrset.ttl, rdata)?;
        }
        Ok(())
    }

    fn record(&mut self, owner: &NameRef, number: u16, ttl: u32, rdata: &[u8]) -> io::Result<()> {
        self.line.clear();
        // Writing to a String does not fail.
        let _ = write!(self.line, "{owner} {ttl} IN {} ", type_name(number));
        if !write_text(number, rdata, &mut self.line) {
            let known = self.foreign.as_mut().and_then(|foreign| foreign.print(number, rdata));
            let known = known.filter(|text| !text.contains('\n'));
            self.line.push_str(known.unwrap_or_else(|| generic_text(rdata)).trim_end());
        }
        self.line.push('\n');
        self.out.write_all(self.line.as_bytes())
    }
}
