//! A directory that keeps one zone: its newest version, and how it came to be.

use std::fs;
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;

use crate::disk::files;
use crate::disk::journal::{Frame, Journal};
use crate::disk::snapshot::{self, Position};
use crate::error::{Error, Result};
use crate::zone::{Diff, Zone};

/// Octets of differences older than the snapshot that are kept for IXFR, at the least; more
/// while they are less than the snapshot itself.
const HISTORY: u64 = 16 << 20;

pub struct Store {
    snapshot: PathBuf,
    journal: PathBuf,
    open: Option<Open>,
}

/// What is on disk, once it was read.
struct Open {
    position: Position,
    serial: u32,
    journal: Journal,
}

impl Open {
    /// Frames that are not in the snapshot.
    fn since(&self) -> impl Iterator<Item = &Frame> {
        self.journal.frames.iter().filter(|frame| frame.number > self.position.number)
    }
}

/// The number that the next difference gets.
fn after(journal: &Journal, position: Position) -> u64 {
    journal.last().map_or(position.number, |frame| frame.number) + 1
}

impl Store {
    /// The directory must exist; nothing is read yet. Raises "io".
    pub fn new(directory: &Path) -> Result<Self> {
        let metadata = fs::metadata(directory).map_err(|error| Error::io(directory, &error))?;
        if !metadata.is_dir() {
            return Err(Error::at("io", directory.display(), "not a directory"));
        }
        let (snapshot, journal) = (directory.join("snapshot"), directory.join("journal"));
        Ok(Self { snapshot, journal, open: None })
    }

    fn damaged(&self, what: impl Into<String>) -> Error {
        Error::at("store", self.snapshot.display(), what)
    }

    /// The newest version on disk; None when there is none. Raises "store" on damage, "io".
    pub fn load(&mut self) -> Result<Option<Zone>> {
        self.open = None;
        let Some(content) = files::read(&self.snapshot)? else {
            if self.journal.exists() {
                return Err(self.damaged(
                    "missing, though there is a journal of differences to it: restore it from \
                     a backup, or move the directory away to start over",
                ));
            }
            return Ok(None);
        };
        let (mut zone, position) = snapshot::parse(&self.snapshot, &content).map_err(|error| {
            let advice = "restore it from a backup, or move the directory away to start over";
            Error { code: "store", message: format!("{}; {advice}", error.message), ..error }
        })?;
        drop(content);
        let mut next = position.number + 1;
        let journal = Journal::open(&self.journal, |line, frame, diff| {
            // Another line's: replaced, and the crash came before its journal was.
            if line != position.line || frame.number < next {
                return Ok(());
            }
            if frame.number > next {
                let why = "differences between snapshot and journal are missing";
                return Err(self.damaged(why));
            }
            zone = zone.apply(&diff).map_err(|error| Error { code: "store", ..error })?;
            next += 1;
            Ok(())
        })?;
        let journal = match journal {
            // One that ends before the snapshot (as a backup may find the two) would leave a
            // gap in front of the next difference.
            Some(journal) if journal.line == position.line && next == after(&journal, position) => {
                journal
            }
            _ => Journal::create(&self.journal, position.line)?,
        };
        self.open = Some(Open { position, serial: zone.serial(), journal });
        Ok(Some(zone))
    }

    fn opened(&mut self) -> Result<&mut Open> {
        if self.open.is_none() {
            self.load()?;
        }
        let missing = Error::at("store", self.snapshot.display(), "no version is stored yet");
        self.open.as_mut().ok_or(missing)
    }

    /// Add a difference to the newest version. On disk when this returns; when it fails the
    /// journal is as it was. Raises "io"; "store" when it does not start at that version.
    pub fn append(&mut self, diff: &Diff) -> Result<()> {
        let place = self.journal.display().to_string();
        let open = self.opened()?;
        if diff.from_serial != open.serial {
            let (from, at) = (diff.from_serial, open.serial);
            let why = format!("a difference from serial {from}; the newest stored is {at}");
            return Err(Error::at("store", place, why));
        }
        let number = open
            .journal
            .last()
            .map_or(open.position.number, |frame| frame.number.max(open.position.number));
        open.journal.append(number + 1, diff)?;
        open.serial = diff.to_serial;
        Ok(())
    }

    /// Write a new snapshot. When it is the newest version's, the differences that led to it
    /// are kept, up to a bound; any other starts over. Raises "io".
    pub fn replace(&mut self, zone: &Zone) -> Result<()> {
        if self.open.as_ref().is_none_or(|open| open.serial == zone.serial()) {
            // Whatever can't be read any more is not a history of this version.
            let same = self.load().is_ok_and(|stored| {
                stored.is_some_and(|stored| stored.difference(zone).is_empty())
            });
            if same {
                return self.fold(zone);
            }
        }
        self.start_over(zone)
    }

    fn fold(&mut self, zone: &Zone) -> Result<()> {
        let path = self.snapshot.clone();
        let open = self.opened()?;
        let number = open.since().last().map_or(open.position.number, |frame| frame.number);
        let position = Position { number, ..open.position };
        snapshot::write(zone, &path, position)?;
        open.position = position;
        let size = fs::metadata(&path).map_or(0, |metadata| metadata.len());
        if open.journal.trim(HISTORY.max(size)).is_err() {
            // The version is on disk, and a long history harms nobody. What is there now is
            // read again before anything is written.
            self.open = None;
        }
        Ok(())
    }

    fn start_over(&mut self, zone: &Zone) -> Result<()> {
        let mut line = [0u8; 8];
        rand::fill(&mut line).map_err(|_| Error::new("io", "the system gives no random octets"))?;
        let position = Position { line: u64::from_le_bytes(line), number: 0 };
        snapshot::write(zone, &self.snapshot, position)?;
        // From here on the version is on disk, whatever becomes of the journal: one of
        // another line is not used, and `load` makes the one that is due.
        self.open = Journal::create(&self.journal, position.line).ok().map(|journal| Open {
            position,
            serial: zone.serial(),
            journal,
        });
        Ok(())
    }

    /// The differences from `serial` to the newest version, none when it is that; None when
    /// they are not known. Raises "store" on damage, "io".
    pub fn history(&mut self, serial: u32) -> Result<Option<Vec<Diff>>> {
        if self.open.is_none() && self.load()?.is_none() {
            return Ok(None);
        }
        let Some(open) = &self.open else { return Ok(None) };
        if serial == open.serial {
            return Ok(Some(vec![]));
        }
        let frames = &open.journal.frames;
        let Some(first) = frames.iter().rposition(|frame| frame.from_serial == serial) else {
            return Ok(None);
        };
        frames[first..]
            .iter()
            .map(|frame| open.journal.read(frame))
            .collect::<Result<_>>()
            .map(Some)
    }

    /// Octets of differences that are not in the snapshot.
    pub fn journal_bytes(&mut self) -> Result<u64> {
        if self.open.is_none() && self.load()?.is_none() {
            return Ok(0);
        }
        Ok(self.open.as_ref().map_or(0, |open| open.since().map(|frame| frame.length).sum()))
    }
}
