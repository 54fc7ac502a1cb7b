//! Differences appended to a file, each on disk before the next step is taken.
//!
//! Header: the mark (8), format version (4), line (8), CRC-32 of these (4). Frames: length of
//! the payload (4), number (8), CRC-32 of the payload (4), CRC-32 of these three (4), then the
//! payload, a difference. A frame's head has a checksum of its own, so that a damaged length
//! is not taken for a frame that a crash cut off.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::disk::checksum::crc32;
use crate::disk::files;
use crate::disk::record::{Reader, push_diff, read_diff};
use crate::error::{Error, Result};
use crate::zone::Diff;

const MARK: &[u8; 8] = b"ZWJRNL\r\n";
const VERSION: u32 = 1;
const HEADER: usize = 24;
const HEAD: usize = 20;
/// What a disk writes at once, at the least.
const SECTOR: usize = 512;

/// A frame's place in the file.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    pub number: u64,
    pub from_serial: u32,
    pub to_serial: u32,
    /// Where its head starts.
    pub offset: u64,
    /// Head and payload.
    pub length: u64,
}

pub struct Journal {
    path: PathBuf,
    file: File,
    pub line: u64,
    pub frames: Vec<Frame>,
    length: u64,
    /// Set when a failed append could not be taken back.
    broken: bool,
}

fn header(line: u64) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(MARK);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[12..20].copy_from_slice(&line.to_le_bytes());
    let sum = crc32(&header[..20]);
    header[20..].copy_from_slice(&sum.to_le_bytes());
    header
}

fn frame(number: u64, diff: &Diff) -> Option<Vec<u8>> {
    let mut octets = vec![0; HEAD];
    push_diff(&mut octets, diff);
    let length = u32::try_from(octets.len() - HEAD).ok()?;
    let payload = crc32(&octets[HEAD..]);
    octets[..4].copy_from_slice(&length.to_le_bytes());
    octets[4..12].copy_from_slice(&number.to_le_bytes());
    octets[12..16].copy_from_slice(&payload.to_le_bytes());
    let sum = crc32(&octets[..16]);
    octets[16..HEAD].copy_from_slice(&sum.to_le_bytes());
    Some(octets)
}

/// Whether a sector behind `start` reads as zeros, as room does that was never written to.
fn has_unwritten_sector(content: &[u8], start: usize) -> bool {
    let first = start.next_multiple_of(SECTOR);
    content.get(first..).is_some_and(|rest| {
        rest.chunks(SECTOR).any(|sector| sector.iter().all(|octet| *octet == 0))
    })
}

/// What stands at an offset of the file.
enum Found {
    Frame(Frame, Diff),
    /// A frame that was being written when everything stopped.
    Torn,
    Damaged(&'static str),
}

fn find(content: &[u8], offset: usize) -> Found {
    let rest = &content[offset..];
    let Some(head) = rest.get(..HEAD) else { return Found::Torn };
    let mut reader = Reader::new(head);
    let (Some(length), Some(number), Some(payload_sum), Some(sum)) =
        (reader.u32(), reader.u64(), reader.u32(), reader.u32())
    else {
        return Found::Torn;
    };
    if crc32(&head[..16]) != sum {
        // Room that the file system gave and never filled reads as zeros.
        let unwritten = rest.iter().all(|octet| *octet == 0);
        return if unwritten { Found::Torn } else { Found::Damaged("a frame's head") };
    }
    let length = length as usize;
    let Some(payload) = rest.get(HEAD..HEAD + length) else { return Found::Torn };
    if crc32(payload) != payload_sum {
        // The last frame's head may have reached the disk before all of what follows it.
        let last = rest.len() == HEAD + length;
        return match last && has_unwritten_sector(content, offset + HEAD) {
            true => Found::Torn,
            false => Found::Damaged("a frame"),
        };
    }
    let Some(diff) = read_diff(payload) else { return Found::Damaged("a frame's content") };
    let frame = Frame {
        number,
        from_serial: diff.from_serial,
        to_serial: diff.to_serial,
        offset: offset as u64,
        length: (HEAD + length) as u64,
    };
    Found::Frame(frame, diff)
}

impl Journal {
    /// A journal without frames, in lieu of any that is there. Raises "io".
    pub fn create(path: &Path, line: u64) -> Result<Self> {
        files::replace(path, |file| file.write_all(&header(line)))?;
        Self::over(path, line, vec![], HEADER as u64)
    }

    fn over(path: &Path, line: u64, frames: Vec<Frame>, length: u64) -> Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .mode(files::MODE)
            .open(path)
            .map_err(|error| Error::io(path, &error))?;
        Ok(Self { path: path.to_owned(), file, line, frames, length, broken: false })
    }

    /// Read a journal; None when there is none. A frame that a crash cut off is cut off the
    /// file too; `each` gets every whole one. Raises "store", naming the offset, for damage.
    pub fn open(
        path: &Path,
        mut each: impl FnMut(u64, &Frame, Diff) -> Result<()>,
    ) -> Result<Option<Self>> {
        let Some(content) = files::read(path)? else { return Ok(None) };
        let damaged = |offset: usize, what: &str| {
            let why = format!(
                "damaged at offset {offset}: {what}; restore it from a backup, or move the \
                 directory away to start over"
            );
            Error::at("store", path.display(), why)
        };
        let mut head = Reader::new(content.get(..HEADER).unwrap_or_default());
        let (mark, version, line) = (head.take(8), head.u32(), head.u64());
        let (Some(MARK), Some(version), Some(line)) =
            (mark.and_then(|m| m.first_chunk()), version, line)
        else {
            return Err(damaged(0, "not a journal of a zone"));
        };
        if version != VERSION {
            let why = format!("format {version}; this program reads format {VERSION}");
            return Err(Error::at("store", path.display(), why));
        }
        if content[..HEADER] != header(line) {
            return Err(damaged(0, "its header"));
        }
        let mut frames: Vec<Frame> = vec![];
        let mut at = HEADER;
        while at < content.len() {
            match find(&content, at) {
                Found::Torn => break,
                Found::Damaged(what) => return Err(damaged(at, what)),
                Found::Frame(frame, diff) => {
                    let chained = frames.last().is_none_or(|last| {
                        last.number + 1 == frame.number && last.to_serial == frame.from_serial
                    });
                    if !chained {
                        return Err(damaged(at, "a frame that does not follow the one before"));
                    }
                    each(line, &frame, diff)?;
                    at += frame.length as usize;
                    frames.push(frame);
                }
            }
        }
        let journal = Self::over(path, line, frames, at as u64)?;
        if at < content.len() {
            journal.cut_back().map_err(|error| Error::io(path, &error))?;
        }
        Ok(Some(journal))
    }

    fn cut_back(&self) -> std::io::Result<()> {
        self.file.set_len(self.length)?;
        self.file.sync_all()
    }

    /// Number of the last difference, if there is one.
    pub fn last(&self) -> Option<&Frame> {
        self.frames.last()
    }

    /// Append a difference; it is on disk when this returns. When it does not fit (a full
    /// disk) the file is as it was. Raises "io", "store".
    pub fn append(&mut self, number: u64, diff: &Diff) -> Result<()> {
        if self.broken {
            let why = "an earlier write failed and could not be taken back: load it again";
            return Err(Error::at("store", self.path.display(), why));
        }
        let Some(octets) = frame(number, diff) else {
            let why = "a difference of more than 4 GiB: replace the snapshot";
            return Err(Error::at("store", self.path.display(), why));
        };
        let written = self
            .file
            .metadata()
            .and_then(|metadata| match metadata.len() == self.length {
                true => Ok(()),
                false => Err(std::io::Error::other("somebody else has written to the journal")),
            })
            .and_then(|()| self.file.write_all_at(&octets, self.length))
            .and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            self.broken = self.cut_back().is_err();
            return Err(Error::io(&self.path, &error));
        }
        self.frames.push(Frame {
            number,
            from_serial: diff.from_serial,
            to_serial: diff.to_serial,
            offset: self.length,
            length: octets.len() as u64,
        });
        self.length += octets.len() as u64;
        Ok(())
    }

    /// The difference of a frame. Raises "store" when it was damaged since it was written.
    pub fn read(&self, frame: &Frame) -> Result<Diff> {
        let mut octets = vec![0; frame.length as usize];
        self.file
            .read_exact_at(&mut octets, frame.offset)
            .map_err(|error| Error::io(&self.path, &error))?;
        match find(&octets, 0) {
            Found::Frame(_, diff) => Ok(diff),
            _ => {
                let why = format!("damaged at offset {}: a frame", frame.offset);
                Err(Error::at("store", self.path.display(), why))
            }
        }
    }

    /// Drop frames from the front until those left take `most` octets at the most. Raises
    /// "io", and then the file is as it was.
    pub fn trim(&mut self, most: u64) -> Result<()> {
        let mut held = 0;
        let keep = self.frames.iter().rev().take_while(|frame| {
            held += frame.length;
            held <= most
        });
        let first = self.frames.len() - keep.count();
        if first == 0 {
            return Ok(());
        }
        let start = self.frames.get(first).map_or(self.length, |frame| frame.offset);
        let mut kept = vec![0; (self.length - start) as usize];
        self.file.read_exact_at(&mut kept, start).map_err(|error| Error::io(&self.path, &error))?;
        files::replace(&self.path, |file| {
            file.write_all(&header(self.line))?;
            file.write_all(&kept)
        })?;
        let moved = start - HEADER as u64;
        let frames =
            self.frames.drain(first..).map(|frame| Frame { offset: frame.offset - moved, ..frame });
        let frames = frames.collect();
        *self = Self::over(&self.path, self.line, frames, self.length - moved)?;
        Ok(())
    }
}
