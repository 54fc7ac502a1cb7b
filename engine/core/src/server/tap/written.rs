//! Copies to a file.

use std::time::{Duration, Instant};

use crate::server::ring::level;
use crate::server::tap::config;
use crate::server::tap::drain::{Drain, Work};
use crate::server::tap::files::Rotated;
use crate::server::tap::seen::Seen;

/// Between two attempts to write.
const PAUSE: Duration = Duration::from_secs(1);
/// Octets that are gathered before they are written.
const GATHERED: usize = 64 << 10;

/// Puts a copy behind what is there already; gives how many messages it became.
pub type Encode = fn(&Seen, bool, &mut Vec<u8>) -> u64;

pub struct Written {
    file: Rotated,
    encode: Encode,
    answers: bool,
    gathered: Vec<u8>,
    messages: u64,
    next_attempt: Instant,
    /// Whether the log says that it can't be written.
    told: bool,
}

impl Written {
    pub fn new(config: &config::File, head: Vec<u8>, encode: Encode) -> Self {
        Self {
            file: Rotated::new(config, head),
            encode,
            answers: config.answers,
            gathered: vec![],
            messages: 0,
            next_attempt: Instant::now(),
            told: false,
        }
    }

    fn failed(&mut self, work: &Work, error: &std::io::Error) {
        self.next_attempt = Instant::now() + PAUSE;
        work.connected(false);
        if !std::mem::replace(&mut self.told, true) {
            work.say(level::ERROR, &format!("{error}; it is tried again every second"));
        }
    }
}

impl Drain for Written {
    fn is_open(&mut self, work: &Work) -> bool {
        if Instant::now() < self.next_attempt {
            return false;
        }
        match self.file.ready() {
            Ok(()) => {
                work.connected(true);
                self.told = false;
                true
            }
            Err(error) => {
                self.failed(work, &error);
                false
            }
        }
    }

    fn take(&mut self, seen: &Seen, work: &Work) {
        self.messages += (self.encode)(seen, self.answers, &mut self.gathered);
        if self.gathered.len() >= GATHERED {
            self.flush(work);
        }
    }

    fn flush(&mut self, work: &Work) {
        if self.gathered.is_empty() {
            return;
        }
        match self.file.append(&self.gathered) {
            Ok(()) => work.sent(self.messages),
            Err(error) => {
                work.lost(self.messages);
                self.failed(work, &error);
            }
        }
        self.gathered.clear();
        self.messages = 0;
    }

    fn finish(&mut self, _: &Work) {}
}
