//! NOTIFY (RFC 1996): telling a secondary that there is a new version.

use std::sync::Arc;

use crate::name::NameRef;
use crate::rdata::rtype;
use crate::tsig::{Key, Session};
use crate::xfr::message::{self, CLASS_IN, bits, count_up, opcode};

/// A NOTIFY for `origin`, with an SOA record that hints at the serial (RFC 1996 section 3.7);
/// its other fields are 0, since nobody may use it as data.
pub fn notify(origin: &NameRef, serial: u32, key: Option<Arc<Key>>, id: u16, now: u64) -> Vec<u8> {
    let flags = u16::from(opcode::NOTIFY) << 11 | bits::AA;
    let mut wire = message::begin(id, flags, Some((origin, rtype::SOA)));
    push_soa(&mut wire, serial);
    count_up(&mut wire, 1, 1);
    if let Some(key) = key {
        Session::new(key).sign(&mut wire, now);
    }
    wire
}

/// An SOA record of nothing but a serial, owned by the question's name.
pub fn push_soa(wire: &mut Vec<u8>, serial: u32) {
    wire.extend_from_slice(&(0xc000 | message::HEADER as u16).to_be_bytes());
    wire.extend_from_slice(&rtype::SOA.to_be_bytes());
    wire.extend_from_slice(&CLASS_IN.to_be_bytes());
    wire.extend_from_slice(&[0; 4]);
    wire.extend_from_slice(&22u16.to_be_bytes());
    wire.extend_from_slice(&[0, 0]);
    wire.extend_from_slice(&serial.to_be_bytes());
    wire.extend_from_slice(&[0; 16]);
}
