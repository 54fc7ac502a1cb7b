//! Log lines on their way to Python: a bounded queue that drops and counts, never waits.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};

const LINES: usize = 16_384;

/// Levels of Python's logging.
pub mod level {
    pub const INFO: u8 = 20;
    pub const WARNING: u8 = 30;
    pub const ERROR: u8 = 40;
}

pub struct Ring {
    sender: Sender<(u8, String)>,
    receiver: Receiver<(u8, String)>,
    dropped: AtomicU64,
    told: AtomicU64,
}

impl Ring {
    pub fn new() -> Self {
        let (sender, receiver) = bounded(LINES);
        Self { sender, receiver, dropped: AtomicU64::new(0), told: AtomicU64::new(0) }
    }

    pub fn push(&self, level: u8, line: String) {
        if self.sender.try_send((level, line)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// All lines there are, and how many were dropped since the last call.
    pub fn drain(&self) -> Vec<(u8, String)> {
        let mut lines: Vec<_> = self.receiver.try_iter().take(LINES).collect();
        let dropped = self.dropped();
        let untold = dropped - self.told.swap(dropped, Ordering::Relaxed).min(dropped);
        if untold > 0 {
            let line = format!("{untold} log lines were dropped: more came than were taken");
            lines.push((level::WARNING, line));
        }
        lines
    }
}

impl Default for Ring {
    fn default() -> Self {
        Self::new()
    }
}
