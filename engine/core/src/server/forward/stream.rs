//! A connection to an upstream: messages behind their lengths (RFC 1035 section 4.2.2), many
//! under way at a time (RFC 7766 section 6.2.1.1).

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use crate::server::forward::random::Random;

/// Queries under way on one connection before another is opened.
pub const PIPELINE: usize = 64;

pub struct Stream {
    socket: TcpStream,
    pub address: SocketAddr,
    /// How long it stays open without a query.
    pub expire: Duration,
    pub idle_since: Instant,
    /// Whether a timer for that runs.
    pub is_timed: bool,
    /// Whether it has brought a reply: one that closes after that was open too long.
    pub is_used: bool,
    /// A reply did not come in time: no more queries go out on it.
    pub is_suspect: bool,
    /// The jobs that wait for a reply, by the ID of their query.
    pub waiting: HashMap<u16, u32>,
    outgoing: Vec<u8>,
    frames: Frames,
}

/// Octets as they came, and the messages in them.
#[derive(Default)]
pub struct Frames {
    octets: Vec<u8>,
    taken: usize,
}

impl Frames {
    pub fn push(&mut self, octets: &[u8]) {
        if self.taken > 0 {
            self.octets.drain(..self.taken);
            self.taken = 0;
        }
        self.octets.extend_from_slice(octets);
    }

    /// The next whole message.
    pub fn next(&mut self) -> Option<&[u8]> {
        let rest = &self.octets[self.taken..];
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length));
        let message = rest.get(..length)?;
        self.taken += 2 + length;
        Some(message)
    }
}

impl Stream {
    pub fn new(socket: TcpStream, address: SocketAddr, expire: Duration, now: Instant) -> Self {
        Self {
            socket,
            address,
            expire,
            idle_since: now,
            is_timed: false,
            is_used: false,
            is_suspect: false,
            waiting: HashMap::new(),
            outgoing: vec![],
            frames: Frames::default(),
        }
    }

    pub fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// An ID that no query under way has.
    pub fn fresh_id(&self, random: &mut Random) -> u16 {
        loop {
            let id = random.word();
            if !self.waiting.contains_key(&id) {
                return id;
            }
        }
    }

    pub fn queue(&mut self, message: &[u8]) {
        self.outgoing.extend_from_slice(&(message.len() as u16).to_be_bytes());
        self.outgoing.extend_from_slice(message);
    }

    pub fn has_more_to_send(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Write what can be written without waiting.
    pub fn send(&mut self) -> io::Result<()> {
        while !self.outgoing.is_empty() {
            match self.socket.write(&self.outgoing) {
                Ok(written) => {
                    self.outgoing.drain(..written);
                }
                Err(error) if is_not_now(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Read what is there, at most `room` of it. An error at its end too.
    pub fn receive(&mut self, room: &mut [u8]) -> io::Result<()> {
        match self.socket.read(room) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => {
                self.frames.push(&room[..length]);
                Ok(())
            }
            Err(error) if is_not_now(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The next whole message, into `room`.
    pub fn next_message(&mut self, room: &mut Vec<u8>) -> bool {
        room.clear();
        match self.frames.next() {
            Some(message) => {
                room.extend_from_slice(message);
                true
            }
            None => false,
        }
    }
}

pub fn is_not_now(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_whole_however_the_octets_are_cut() {
        let stream = b"\0\x03abc\0\0\0\x01d";
        for step in 1..=stream.len() {
            let mut frames = Frames::default();
            let mut found: Vec<Vec<u8>> = vec![];
            for piece in stream.chunks(step) {
                frames.push(piece);
                while let Some(message) = frames.next() {
                    found.push(message.to_vec());
                }
            }
            assert_eq!(found, [&b"abc"[..], b"", b"d"], "in pieces of {step}");
        }
    }
}
