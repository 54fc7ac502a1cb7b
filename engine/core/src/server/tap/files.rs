//! A file that is appended to and rotated: NAME becomes NAME.1, that NAME.2, and so on.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::server::tap::config;

/// How often it is looked whether the file is still where it was: others rotate too.
const LOOK: Duration = Duration::from_secs(1);

pub struct Rotated {
    path: PathBuf,
    /// 0: never.
    most: u64,
    keep: u32,
    /// What every file begins with.
    head: Vec<u8>,
    open: Option<Open>,
}

struct Open {
    file: File,
    octets: u64,
    looked: Instant,
}

impl Rotated {
    pub fn new(config: &config::File, head: Vec<u8>) -> Self {
        let (most, keep) = (config.most_octets, config.keep);
        Self { path: PathBuf::from(&config.path), most, keep, head, open: None }
    }

    /// Open it if it is not; anew if it was moved away.
    pub fn ready(&mut self) -> io::Result<()> {
        if let Some(open) = &mut self.open {
            if open.looked.elapsed() < LOOK {
                return Ok(());
            }
            open.looked = Instant::now();
            let (ours, there) = (open.file.metadata()?, fs::metadata(&self.path));
            if there.is_ok_and(|there| (there.ino(), there.dev()) == (ours.ino(), ours.dev())) {
                return Ok(());
            }
        }
        self.open = None;
        // A pipe without a reader is an error at once, instead of a wait without end.
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o640)
            .custom_flags(libc::O_NONBLOCK)
            .open(&self.path)?;
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        let mut open = Open { file, octets: found.len(), looked: Instant::now() };
        if open.octets == 0 {
            open.append(&self.head)?;
        }
        self.open = Some(open);
        Ok(())
    }

    /// Whole lines or packets: all of it is there then, or nothing.
    pub fn append(&mut self, octets: &[u8]) -> io::Result<()> {
        let more = octets.len() as u64;
        let is_full =
            |open: &Open| open.octets > self.head.len() as u64 && open.octets + more > self.most;
        if self.most > 0 && self.open.as_ref().is_some_and(is_full) {
            self.rotate()?;
        }
        self.ready()?;
        let open = self.open.as_mut().ok_or(ErrorKind::NotFound)?;
        let appended = open.append(octets);
        if appended.is_err() {
            self.open = None;
        }
        appended
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.open = None;
        for number in (1..self.keep).rev() {
            match fs::rename(self.numbered(number), self.numbered(number + 1)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        match self.keep {
            0 => fs::remove_file(&self.path),
            _ => fs::rename(&self.path, self.numbered(1)),
        }
    }
}

impl Open {
    fn append(&mut self, octets: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(octets);
        match written {
            Ok(()) => self.octets += octets.len() as u64,
            // Half a line would spoil the next one. Where this fails too, the error is the same.
            Err(_) => self.file.set_len(self.octets)?,
        }
        written
    }
}
