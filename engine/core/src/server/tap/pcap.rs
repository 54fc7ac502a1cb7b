//! Copies as packets: the addresses, ports and messages are real, the rest of their headers is
//! made up.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::server::tap::seen::Seen;

/// A packet's octets at most, as the file's header says.
const LONGEST: usize = 65_535;
/// The magic number of times in nanoseconds; version 2.4; what begins with an IP header.
const MAGIC: u32 = 0xa1b2_3c4d;
const RAW: u32 = 101;
const UDP: u8 = 17;
const TCP: u8 = 6;
const HOPS: u8 = 64;

/// What a file begins with.
pub fn head() -> Vec<u8> {
    let mut out = MAGIC.to_le_bytes().to_vec();
    out.extend_from_slice(&[2, 0, 4, 0]);
    for word in [0, 0, LONGEST as u32, RAW] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out
}

pub fn encode(seen: &Seen, answers: bool, out: &mut Vec<u8>) -> u64 {
    let server = seen.server.unwrap_or_else(|| unknown(seen.client));
    let mut packets = 1;
    packet(seen.asked, [seen.client, server], seen.stream, seen.query(), out);
    if let Some(at) = seen.answered.filter(|_| answers) {
        packet(at, [server, seen.client], seen.stream, seen.reply(), out);
        packets += 1;
    }
    packets
}

fn unknown(like: SocketAddr) -> SocketAddr {
    if like.ip().to_canonical().is_ipv4() { ([0; 4], 53).into() } else { ([0; 16], 53).into() }
}

fn packet(at: Duration, ends: [SocketAddr; 2], stream: bool, message: &[u8], out: &mut Vec<u8>) {
    let mut payload = transport(ends.map(|end| end.port()), stream, message);
    let protocol = if stream { TCP } else { UDP };
    let (mut header, pseudo) = match ends.map(|end| end.ip().to_canonical()) {
        [IpAddr::V4(from), IpAddr::V4(to)] => {
            let ends = [from.octets(), to.octets()].concat();
            (ipv4(payload.len(), protocol, &ends), ends)
        }
        ends => {
            let ends = ends.map(|end| match end {
                IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
                IpAddr::V6(v6) => v6.octets(),
            });
            (ipv6(payload.len(), protocol, &ends.concat()), ends.concat())
        }
    };
    let length = (payload.len() as u32).to_be_bytes();
    let sum = checksum(&[&pseudo, &length, &[0, 0, 0, protocol], &payload]);
    // RFC 768: a sum of zero is sent as ones, since zero says that there is none.
    let sum = if sum == 0 && !stream { u16::MAX } else { sum };
    let place = if stream { 16 } else { 6 };
    payload[place..place + 2].copy_from_slice(&sum.to_be_bytes());
    header.append(&mut payload);
    let kept = header.len().min(LONGEST);
    for word in [at.as_secs() as u32, at.subsec_nanos(), kept as u32, header.len() as u32] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.extend_from_slice(&header[..kept]);
}

/// A length that may not fit its 16 bits.
fn short(length: usize) -> [u8; 2] {
    (length.min(LONGEST) as u16).to_be_bytes()
}

fn ipv4(length: usize, protocol: u8, ends: &[u8]) -> Vec<u8> {
    let [high, low] = short(20 + length);
    let mut header = vec![0x45, 0, high, low, 0, 0, 0x40, 0, HOPS, protocol, 0, 0];
    header.extend_from_slice(ends);
    let sum = checksum(&[&header]);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header
}

fn ipv6(length: usize, protocol: u8, ends: &[u8]) -> Vec<u8> {
    let [high, low] = short(length);
    let mut header = vec![0x60, 0, 0, 0, high, low, protocol, HOPS];
    header.extend_from_slice(ends);
    header
}

/// A datagram, or a segment that holds the whole message behind its length.
fn transport([from, to]: [u16; 2], stream: bool, message: &[u8]) -> Vec<u8> {
    let mut out = from.to_be_bytes().to_vec();
    out.extend_from_slice(&to.to_be_bytes());
    if stream {
        // Sequence and acknowledgment 1; 20 octets of header; PSH and ACK; a window.
        out.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
        out.extend_from_slice(&short(message.len()));
    } else {
        out.extend_from_slice(&short(8 + message.len()));
        out.extend_from_slice(&[0, 0]);
    }
    out.extend_from_slice(message);
    out
}

/// RFC 1071. Each part but the last has an even length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0u64;
    for pair in parts.iter().flat_map(|part| part.chunks(2)) {
        sum += u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::tap::seen::Between;

    fn encoded(ends: [&str; 2], stream: bool, answers: bool) -> (u64, Vec<u8>) {
        let there = ends.map(|text| text.parse().ok());
        let mut seen = Seen::now(Between::Client, there, stream, Duration::ZERO, true)
            .with(b"query", b"reply!");
        (seen.asked, seen.answered) = (Duration::new(1, 2), Some(Duration::new(3, 4)));
        let mut out = vec![];
        (encode(&seen, answers, &mut out), out)
    }

    #[test]
    fn a_datagram_octet_for_octet() {
        let (packets, out) = encoded(["192.0.2.1:5353", "192.0.2.2:53"], false, false);
        let expected = b"\x01\0\0\0\x02\0\0\0\x21\0\0\0\x21\0\0\0\
            \x45\0\0\x21\0\0\x40\0\x40\x11\xb6\xc8\xc0\0\x02\x01\xc0\0\x02\x02\
            \x14\xe9\0\x35\0\x0d\x16\xcaquery";
        assert_eq!((packets, &out[..]), (1, &expected[..]));
    }

    #[test]
    fn what_is_checked_comes_out_even() {
        for (ends, header) in [
            (["192.0.2.1:5353", "192.0.2.2:53"], 20),
            (["[2001:db8::1]:5353", "[2001:db8::2]:53"], 40),
        ] {
            for stream in [false, true] {
                let (packets, out) = encoded(ends, stream, true);
                let length = u32::from_le_bytes(out[8..12].try_into().unwrap()) as usize;
                let packet = &out[16..16 + length];
                let (ip, payload) = packet.split_at(header);
                let addresses = if header == 20 { &ip[12..] } else { &ip[8..] };
                let protocol = if stream { TCP } else { UDP };
                let octets = (payload.len() as u32).to_be_bytes();
                let parts = [addresses, &octets, &[0, 0, 0, protocol], payload];
                assert_eq!((packets, checksum(&parts)), (2, 0));
                assert!(header == 40 || checksum(&[ip]) == 0);
                assert_eq!(&out[16 + length..][..4], [3, 0, 0, 0]);
            }
        }
    }
}
