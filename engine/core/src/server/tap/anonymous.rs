//! Clients' addresses made unlike those of persons, in copies and in what the copied messages
//! tell of clients themselves.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use aws_lc_rs::hmac;

use crate::query::Query;
use crate::server::reply::Reply;
use crate::server::tap::config::Anonymous;
use crate::server::tap::seen::Seen;

/// EDNS options that tell of a client: its network (RFC 7871), and what it is known by again
/// (RFC 7873).
const CLIENT_SUBNET: u16 = 8;
const COOKIE: u16 = 10;

pub enum Veil {
    Prefix { ipv4: u32, ipv6: u32 },
    Hash(Box<hmac::Key>),
}

fn kept(bits: u32, width: u32) -> u128 {
    let all = u128::MAX >> (128 - width);
    all & !all.checked_shr(bits).unwrap_or(0)
}

impl Veil {
    pub fn new(config: &Anonymous) -> Self {
        match config {
            Anonymous::Prefix { ipv4, ipv6 } => {
                Self::Prefix { ipv4: u32::from(*ipv4), ipv6: u32::from(*ipv6) }
            }
            Anonymous::Hash { key } => {
                Self::Hash(Box::new(hmac::Key::new(hmac::HMAC_SHA256, &key.0)))
            }
        }
    }

    pub fn address(&self, address: IpAddr) -> IpAddr {
        match (self, address.to_canonical()) {
            (Self::Prefix { ipv4, .. }, IpAddr::V4(v4)) => {
                Ipv4Addr::from_bits(v4.to_bits() & kept(*ipv4, 32) as u32).into()
            }
            (Self::Prefix { ipv6, .. }, IpAddr::V6(v6)) => {
                Ipv6Addr::from_bits(v6.to_bits() & kept(*ipv6, 128)).into()
            }
            (Self::Hash(key), IpAddr::V4(v4)) => {
                Ipv4Addr::from(hashed::<4>(key, &v4.octets())).into()
            }
            (Self::Hash(key), IpAddr::V6(v6)) => {
                Ipv6Addr::from(hashed::<16>(key, &v6.octets())).into()
            }
        }
    }

    /// Nothing of a message stays that can't be read, and so not be covered.
    pub fn cover(&self, seen: &mut Seen) {
        seen.client.set_ip(self.address(seen.client.ip()));
        let (query, reply) = seen.both_mut();
        match Query::parse(query).ok().map(|found| found.options_at()) {
            Some(options) => self.options(query, options),
            None => query.fill(0),
        }
        match Reply::read(reply).map(|found| found.opt.map(|opt| opt.options)) {
            Some(Some(options)) => self.options(reply, options),
            Some(None) => {}
            None => reply.fill(0),
        }
    }

    fn options(&self, wire: &mut [u8], options: Range<usize>) {
        let mut rest = &mut wire[options];
        while let Some((head, behind)) = rest.split_first_chunk_mut::<4>() {
            let code = u16::from_be_bytes([head[0], head[1]]);
            let length = usize::from(u16::from_be_bytes([head[2], head[3]])).min(behind.len());
            let (value, next) = behind.split_at_mut(length);
            match code {
                CLIENT_SUBNET => self.subnet(value),
                COOKIE => value.fill(0),
                _ => {}
            }
            rest = next;
        }
    }

    /// Family, two lengths, and as much of an address as there is.
    fn subnet(&self, value: &mut [u8]) {
        let Some((head, address)) = value.split_first_chunk_mut::<4>() else { return };
        let bits = match self {
            Self::Prefix { ipv4, .. } if head[..2] == [0, 1] => *ipv4,
            Self::Prefix { ipv6, .. } if head[..2] == [0, 2] => *ipv6,
            _ => 0,
        };
        for (octet, start) in address.iter_mut().zip((0u32..).step_by(8)) {
            let stay = bits.saturating_sub(start).min(8);
            *octet &= !0xffu8.checked_shr(stay).unwrap_or(0);
        }
    }
}

fn hashed<const N: usize>(key: &hmac::Key, address: &[u8]) -> [u8; N] {
    let tag = hmac::sign(key, address);
    let mut found = [0; N];
    found.copy_from_slice(&tag.as_ref()[..N]);
    found
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::server::rules::config::Octets;
    use crate::server::tap::seen::Between;

    fn hash(key: &[u8]) -> Veil {
        Veil::new(&Anonymous::Hash { key: Octets(key.into()) })
    }

    fn address(veil: &Veil, text: &str) -> String {
        veil.address(text.parse().unwrap()).to_string()
    }

    #[test]
    fn prefixes_stay() {
        let cases = [
            (24, 48, "192.0.2.77", "192.0.2.0"),
            (20, 48, "192.0.47.1", "192.0.32.0"),
            (32, 48, "192.0.2.77", "192.0.2.77"),
            (0, 0, "192.0.2.77", "0.0.0.0"),
            (24, 48, "2001:db8:1:2::3", "2001:db8:1::"),
            (24, 128, "2001:db8:1:2::3", "2001:db8:1:2::3"),
            (24, 0, "2001:db8::1", "::"),
            (24, 48, "::ffff:192.0.2.77", "192.0.2.0"),
        ];
        for (ipv4, ipv6, from, to) in cases {
            assert_eq!(address(&Veil::Prefix { ipv4, ipv6 }, from), to);
        }
    }

    #[test]
    fn a_hash_is_the_same_for_a_key_and_of_the_same_family() {
        let (one, other) = (hash(b"one"), hash(b"other"));
        assert_eq!(address(&one, "192.0.2.1"), address(&one, "192.0.2.1"));
        assert_ne!(address(&one, "192.0.2.1"), address(&one, "192.0.2.2"));
        assert_ne!(address(&one, "192.0.2.1"), address(&other, "192.0.2.1"));
        assert!(one.address("2001:db8::1".parse().unwrap()).is_ipv6());
    }

    #[test]
    fn what_a_message_tells_of_its_client_is_covered() {
        let head =
            b"\0\x01\x01\0\0\x01\0\0\0\0\0\x01\x01a\0\0\x01\0\x01\0\0\x29\x04\xd0\0\0\0\0\0\x17";
        let told = b"\0\x08\0\x07\0\x01\x18\0\xc0\0\x02\0\x0a\0\x08COOKIES!";
        let covered = |veil: &Veil| {
            let there = [Some("192.0.2.1:53".parse().unwrap()), None];
            let query = [&head[..], told].concat();
            let mut seen = Seen::now(Between::Client, there, false, Duration::ZERO, false)
                .with(&query, b"no reply");
            veil.cover(&mut seen);
            assert_eq!(seen.reply(), [0; 8]);
            seen.query()[head.len()..].to_vec()
        };
        let behind = b"\0\x0a\0\x08\0\0\0\0\0\0\0\0";
        let prefix = Veil::Prefix { ipv4: 16, ipv6: 48 };
        assert_eq!(covered(&prefix), [&b"\0\x08\0\x07\0\x01\x18\0\xc0\0\0"[..], behind].concat());
        assert_eq!(covered(&hash(b"k")), [&b"\0\x08\0\x07\0\x01\x18\0\0\0\0"[..], behind].concat());
    }
}
