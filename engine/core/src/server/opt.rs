//! The OPT record of a reply that is not ours: its sender's rcode and extended error, our size.

use crate::answer::UDP_SIZE;
use crate::query::HEADER;

/// Octets before the options.
pub const FIXED: usize = 11;

/// Octets with an extended error of this value (RFC 8914 section 2).
pub fn length(error: Option<&[u8]>) -> usize {
    FIXED + error.map_or(0, |error| 4 + error.len())
}

/// Into the last octets of a message, as many as `length` says; counted there.
pub fn write(message: &mut [u8], high_rcode: u8, dnssec_ok: bool, error: Option<&[u8]>) {
    let additional = u16::from_be_bytes([message[10], message[11]]).saturating_add(1);
    message[10..HEADER].copy_from_slice(&additional.to_be_bytes());
    let start = message.len() - length(error);
    let (fixed, option) = message[start..].split_at_mut(FIXED);
    let [high, low] = (UDP_SIZE as u16).to_be_bytes();
    let flags = if dnssec_ok { 0x80 } else { 0 };
    fixed[..9].copy_from_slice(&[0, 0, 41, high, low, high_rcode, 0, flags, 0]);
    fixed[9..].copy_from_slice(&(option.len() as u16).to_be_bytes());
    if let Some(error) = error {
        option[..2].copy_from_slice(&15u16.to_be_bytes());
        option[2..4].copy_from_slice(&(error.len() as u16).to_be_bytes());
        option[4..].copy_from_slice(error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::reply::Reply;
    use crate::server::reply::tests::{A, reply};

    #[test]
    fn what_is_written_is_read_again() {
        for error in [None, Some(&[0, 22][..]), Some(&[0, 6, b'b', b'o', b'g', b'u', b's'][..])] {
            let mut wire = reply(0x8180, [1, 0, 0], &[A]);
            let end = wire.len();
            wire.resize(end + length(error), 0xff);
            write(&mut wire, 1, true, error);
            let read = Reply::read(&wire).unwrap();
            assert_eq!((read.counts(), read.end, read.rcode()), ([1, 0, 0], end, 16));
            assert_eq!(read.extended_error(), error);
            assert_eq!(wire[end..end + 9], [0, 0, 41, 0x04, 0xd0, 1, 0, 0x80, 0]);
        }
    }
}
