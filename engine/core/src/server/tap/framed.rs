//! Copies to a dnstap receiver. What it does not take waits, here and in the queue, also while
//! there is no connection.

use std::io;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::server::ring::level;
use crate::server::tap::config;
use crate::server::tap::dnstap::Encoder;
use crate::server::tap::drain::{Drain, Work};
use crate::server::tap::frames::Connection;
use crate::server::tap::seen::Seen;

/// Between two attempts to connect.
const PAUSE: Duration = Duration::from_secs(1);

pub struct Framed {
    config: config::Dnstap,
    encoder: Encoder,
    connection: Option<Connection>,
    next_attempt: Instant,
    /// Whether the log says that there is no connection.
    told: bool,
    /// Frames that wait to go out, and where each ends.
    frames: Vec<u8>,
    ends: Vec<usize>,
}

impl Framed {
    pub fn new(config: &config::Dnstap) -> Self {
        Self {
            config: config.clone(),
            encoder: Encoder::new(config),
            connection: None,
            next_attempt: Instant::now(),
            told: false,
            frames: vec![],
            ends: vec![],
        }
    }

    fn connect(&mut self, work: &Work) {
        if Instant::now() < self.next_attempt {
            return;
        }
        let stop = || work.queue.is_closed();
        match Connection::open(&self.config.endpoint, self.config.write_buffer, &stop) {
            Ok(connection) => {
                self.connection = Some(connection);
                self.told = false;
                work.counts.connections.fetch_add(1, Ordering::Relaxed);
                work.counts.is_connected.store(true, Ordering::Relaxed);
                work.say(level::INFO, "connected");
            }
            Err(error) => self.disconnect(work, &error),
        }
    }

    fn disconnect(&mut self, work: &Work, why: &io::Error) {
        self.connection = None;
        self.next_attempt = Instant::now() + PAUSE;
        work.counts.is_connected.store(false, Ordering::Relaxed);
        if !std::mem::replace(&mut self.told, true) && !work.queue.is_closed() {
            let what = format!("no connection: {why}; it is tried again every second");
            work.say(level::ERROR, &what);
        }
    }

    /// What went out is forgotten; a frame of which a part did goes out anew.
    fn gone(&mut self, octets: usize, work: &Work) {
        let whole = self.ends.partition_point(|end| *end <= octets);
        let Some(at) = whole.checked_sub(1).map(|last| self.ends[last]) else { return };
        self.frames.drain(..at);
        self.ends.drain(..whole);
        self.ends.iter_mut().for_each(|end| *end -= at);
        work.sent(whole as u64);
    }
}

impl Drain for Framed {
    fn is_open(&mut self, work: &Work) -> bool {
        if self.connection.as_ref().is_some_and(Connection::is_over) {
            self.disconnect(work, &io::ErrorKind::UnexpectedEof.into());
        }
        if self.connection.is_none() {
            self.connect(work);
        }
        self.flush(work);
        self.connection.is_some()
    }

    fn take(&mut self, seen: &Seen, _: &Work) {
        let (frames, ends) = (&mut self.frames, &mut self.ends);
        // The length comes before the message that it is of.
        self.encoder.encode(seen, frames, |frames, start| {
            let length = (frames.len() - start) as u32;
            frames.splice(start..start, length.to_be_bytes());
            ends.push(frames.len());
        });
    }

    fn flush(&mut self, work: &Work) {
        let Some(connection) = &mut self.connection else { return };
        if self.frames.is_empty() {
            return;
        }
        match connection.send(&self.frames, &|| work.queue.is_over()) {
            Ok(()) => {
                work.sent(self.ends.len() as u64);
                self.frames.clear();
                self.ends.clear();
            }
            Err((octets, error)) => {
                self.gone(octets, work);
                self.disconnect(work, &error);
            }
        }
    }

    fn finish(&mut self, work: &Work) {
        work.lost(self.ends.len() as u64);
        if let Some(connection) = self.connection.take() {
            // A receiver that does not say that it has all has it most likely.
            let _told = connection.finish();
        }
    }
}
