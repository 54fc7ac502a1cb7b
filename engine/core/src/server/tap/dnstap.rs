//! Copies as dnstap messages: protobuf by hand, since dnstap.proto is one small message in
//! another.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::server::tap::config;
use crate::server::tap::seen::{Between, Seen};

/// Wire types of protobuf.
const VARINT: u32 = 0;
const LENGTH: u32 = 2;
const FIXED32: u32 = 5;

/// Fields of dnstap.Dnstap.
mod outer {
    pub const IDENTITY: u32 = 1;
    pub const VERSION: u32 = 2;
    pub const EXTRA: u32 = 3;
    pub const MESSAGE: u32 = 14;
    pub const TYPE: u32 = 15;
}

/// Fields of dnstap.Message.
mod field {
    pub const TYPE: u32 = 1;
    pub const SOCKET_FAMILY: u32 = 2;
    pub const SOCKET_PROTOCOL: u32 = 3;
    pub const QUERY_ADDRESS: u32 = 4;
    pub const RESPONSE_ADDRESS: u32 = 5;
    pub const QUERY_PORT: u32 = 6;
    pub const RESPONSE_PORT: u32 = 7;
    pub const QUERY_TIME_SEC: u32 = 8;
    pub const QUERY_TIME_NSEC: u32 = 9;
    pub const QUERY_MESSAGE: u32 = 10;
    pub const RESPONSE_TIME_SEC: u32 = 12;
    pub const RESPONSE_TIME_NSEC: u32 = 13;
    pub const RESPONSE_MESSAGE: u32 = 14;
}

/// Types of messages: a query's; its response's is the next number.
const CLIENT: u8 = 5;
const FORWARDER: u8 = 7;

/// The types that a copy becomes.
pub fn types(between: Between) -> [u8; 2] {
    match between {
        Between::Client => [CLIENT, CLIENT + 1],
        Between::Upstream => [FORWARDER, FORWARDER + 1],
    }
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn number(field: u32, value: u64, out: &mut Vec<u8>) {
    varint(u64::from(field << 3 | VARINT), out);
    varint(value, out);
}

fn fixed(field: u32, value: u32, out: &mut Vec<u8>) {
    varint(u64::from(field << 3 | FIXED32), out);
    out.extend_from_slice(&value.to_le_bytes());
}

fn octets(field: u32, value: &[u8], out: &mut Vec<u8>) {
    varint(u64::from(field << 3 | LENGTH), out);
    varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

fn place(address: u32, port: u32, of: SocketAddr, out: &mut Vec<u8>) {
    match of.ip().to_canonical() {
        IpAddr::V4(v4) => octets(address, &v4.octets(), out),
        IpAddr::V6(v6) => octets(address, &v6.octets(), out),
    }
    number(port, u64::from(of.port()), out);
}

fn time(seconds: u32, nanoseconds: u32, at: Duration, out: &mut Vec<u8>) {
    number(seconds, at.as_secs(), out);
    fixed(nanoseconds, at.subsec_nanos(), out);
}

pub struct Encoder {
    types: Vec<u8>,
    /// What every message begins with.
    head: Vec<u8>,
    inner: Vec<u8>,
}

impl Encoder {
    pub fn new(config: &config::Dnstap) -> Self {
        let mut head = vec![];
        octets(outer::IDENTITY, &config.identity.0, &mut head);
        octets(outer::VERSION, &config.version.0, &mut head);
        Self { types: config.types.clone(), head, inner: vec![] }
    }

    /// Each message that the copy becomes is put behind `out`; `done` is called after each with
    /// where it started.
    pub fn encode(
        &mut self,
        seen: &Seen,
        out: &mut Vec<u8>,
        mut done: impl FnMut(&mut Vec<u8>, usize),
    ) {
        for kind in types(seen.between) {
            let is_response = kind % 2 == 0;
            if !self.types.contains(&kind) || is_response && seen.answered.is_none() {
                continue;
            }
            self.message(kind, is_response, seen);
            let start = out.len();
            out.extend_from_slice(&self.head);
            if !seen.extra.is_empty() {
                octets(outer::EXTRA, seen.extra.as_bytes(), out);
            }
            octets(outer::MESSAGE, &self.inner, out);
            number(outer::TYPE, 1, out);
            done(out, start);
        }
    }

    fn message(&mut self, kind: u8, is_response: bool, seen: &Seen) {
        let out = &mut self.inner;
        out.clear();
        let is_ipv4 = seen.server.unwrap_or(seen.client).ip().to_canonical().is_ipv4();
        number(field::TYPE, u64::from(kind), out);
        number(field::SOCKET_FAMILY, if is_ipv4 { 1 } else { 2 }, out);
        number(field::SOCKET_PROTOCOL, if seen.stream { 2 } else { 1 }, out);
        place(field::QUERY_ADDRESS, field::QUERY_PORT, seen.client, out);
        if let Some(server) = seen.server {
            place(field::RESPONSE_ADDRESS, field::RESPONSE_PORT, server, out);
        }
        time(field::QUERY_TIME_SEC, field::QUERY_TIME_NSEC, seen.asked, out);
        let (message, content) = if is_response {
            (field::RESPONSE_MESSAGE, seen.reply())
        } else {
            (field::QUERY_MESSAGE, seen.query())
        };
        if let Some(at) = seen.answered.filter(|_| is_response) {
            time(field::RESPONSE_TIME_SEC, field::RESPONSE_TIME_NSEC, at, out);
        }
        if !content.is_empty() {
            octets(message, content, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::rules::config::Octets;
    use crate::server::tap::config::Endpoint;

    fn encoder(types: &[u8]) -> Encoder {
        Encoder::new(&config::Dnstap {
            endpoint: Endpoint::Unix { path: String::new() },
            full: true,
            identity: Octets(Box::from(*b"ns1")),
            version: Octets(Box::from(*b"v")),
            types: types.to_vec(),
            write_buffer: 0,
        })
    }

    fn seen() -> Seen {
        let there = ["192.0.2.1:5", "192.0.2.2:300"].map(|text| text.parse().ok());
        let mut seen =
            Seen::now(Between::Client, there, true, Duration::ZERO, true).with(b"QQ", b"RRR");
        (seen.asked, seen.answered) = (Duration::new(300, 1), Some(Duration::new(301, 256)));
        seen
    }

    fn encoded(types: &[u8], seen: &Seen) -> Vec<Vec<u8>> {
        let mut found = vec![];
        let mut out = vec![];
        encoder(types).encode(seen, &mut out, |out, start| found.push(out[start..].to_vec()));
        found
    }

    #[test]
    fn a_query_and_its_response_octet_for_octet() {
        let addresses = b"\x10\x01\x18\x02\x22\x04\xc0\x00\x02\x01\x30\x05\
            \x2a\x04\xc0\x00\x02\x02\x38\xac\x02\
            \x40\xac\x02\x4d\x01\0\0\0";
        let query = [&b"\x08\x05"[..], addresses, b"\x52\x02QQ"].concat();
        let reply =
            [&b"\x08\x06"[..], addresses, b"\x60\xad\x02\x6d\0\x01\0\0\x72\x03RRR"].concat();
        let whole = |inner: &[u8]| {
            let head = b"\x0a\x03ns1\x12\x01v\x72";
            [&head[..], &[inner.len() as u8], inner, b"\x78\x01"].concat()
        };
        assert_eq!(encoded(&[5, 6, 7, 8], &seen()), [whole(&query), whole(&reply)]);
    }

    #[test]
    fn only_what_is_wanted_and_there() {
        let kinds = |types: &[u8], seen: &Seen| {
            encoded(types, seen).iter().map(|message| message[11]).collect::<Vec<_>>()
        };
        assert_eq!(kinds(&[6], &seen()), [6]);
        assert_eq!(kinds(&[7, 8], &seen()), [0; 0]);
        let mut unanswered = seen();
        unanswered.answered = None;
        assert_eq!(kinds(&[5, 6], &unanswered), [5]);
        let mut forwarded = seen();
        forwarded.between = Between::Upstream;
        assert_eq!(kinds(&[5, 6, 7, 8], &forwarded), [7, 8]);
    }
}
