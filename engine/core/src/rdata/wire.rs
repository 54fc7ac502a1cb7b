//! Rdata from the wire: untrusted, so every length is looked at and every name bounded.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::MAX_RDATA;
use super::table::{Field, NameUse, demands, fields};
use crate::name::{MAX_NAME, wire_length};

const SHORT: &str = "rdata ends in the middle of a field";
const BAD_NAME: &str = "not a valid uncompressed name";

/// Octets that `field` takes at the start of `rest`, once they are found to be right.
pub fn measure(field: Field, rest: &[u8]) -> Result<usize, &'static str> {
    let fixed = match field {
        Field::Name(_) => return wire_length(rest).ok_or(BAD_NAME),
        Field::U8 | Field::Algorithm | Field::Scheme => 1,
        Field::U16 | Field::Type | Field::CertType => 2,
        Field::U32 | Field::Period | Field::Time => 4,
        Field::Ipv4 => size_of::<Ipv4Addr>(),
        Field::Ipv6 => size_of::<Ipv6Addr>(),
        Field::Eui48 => 6,
        Field::Locator | Field::Eui64 => 8,
        Field::Text | Field::Salt => 1 + usize::from(*rest.first().ok_or(SHORT)?),
        Field::Hash => match rest.first() {
            None => return Err(SHORT),
            Some(0) => return Err("an empty hash"),
            Some(&length) => 1 + usize::from(length),
        },
        Field::Tag => {
            let length = usize::from(*rest.first().ok_or(SHORT)?);
            let tag = rest.get(1..1 + length).ok_or(SHORT)?;
            if tag.is_empty() || !tag.iter().all(u8::is_ascii_alphanumeric) {
                return Err("a tag is letters and digits (RFC 8659 section 4.1)");
            }
            1 + length
        }
        Field::Texts => {
            let mut at = 0;
            while at < rest.len() {
                at += 1 + usize::from(rest[at]);
            }
            if at == 0 {
                return Err("at least one string is needed");
            }
            at
        }
        Field::Value => rest.len(),
        Field::Base64 | Field::Hex if rest.is_empty() => return Err("the data is empty"),
        Field::Base64 | Field::Hex => rest.len(),
        Field::Bitmap => {
            check_bitmap(rest)?;
            rest.len()
        }
    };
    if fixed <= rest.len() { Ok(fixed) } else { Err(SHORT) }
}

/// RFC 4034 section 4.1.2: windows ascend, 1 to 32 octets each, no trailing zero octets.
fn check_bitmap(mut rest: &[u8]) -> Result<(), &'static str> {
    let mut last = None;
    while !rest.is_empty() {
        let (&[window, length], tail) = rest.split_first_chunk().ok_or(SHORT)?;
        let bits = tail.get(..usize::from(length)).ok_or(SHORT)?;
        if last.is_some_and(|last| window <= last) {
            return Err("the windows of a type bitmap do not ascend");
        }
        if !(1..=32).contains(&length) || bits.last() == Some(&0) {
            return Err("a window of a type bitmap has a wrong length");
        }
        last = Some(window);
        rest = &tail[usize::from(length)..];
    }
    Ok(())
}

/// Fields of valid rdata, each with where it starts and ends.
pub struct Spans<'a> {
    fields: std::slice::Iter<'static, Field>,
    rdata: &'a [u8],
    at: usize,
}

/// Rdata that does not fit its fields ends the iteration early.
pub fn spans(rtype: u16, rdata: &[u8]) -> Spans<'_> {
    Spans { fields: fields(rtype).unwrap_or_default().iter(), rdata, at: 0 }
}

impl Iterator for Spans<'_> {
    type Item = (Field, usize, usize);

    fn next(&mut self) -> Option<Self::Item> {
        let &field = self.fields.next()?;
        let start = self.at;
        self.at += measure(field, &self.rdata[start..]).ok()?;
        Some((field, start, self.at))
    }
}

/// Check uncompressed rdata. A foreign type's is right whatever it holds.
pub fn validate(rtype: u16, rdata: &[u8]) -> Result<(), &'static str> {
    if rdata.len() > MAX_RDATA {
        return Err("rdata of more than 65535 octets");
    }
    let Some(fields) = fields(rtype) else { return Ok(()) };
    let mut at = 0;
    for &field in fields {
        at += measure(field, &rdata[at..])?;
    }
    if at < rdata.len() {
        return Err("octets behind the last field of the rdata");
    }
    demands(rtype, rdata)
}

/// Rdata of a received message, names expanded, validated. `offset` and `rdlength` are the
/// rdata's place in `message`. Names are expanded only where RFC 3597 section 4 has
/// receivers do so; a pointer anywhere else is an error.
pub fn decompress(
    rtype: u16,
    message: &[u8],
    offset: usize,
    rdlength: usize,
) -> Result<Vec<u8>, &'static str> {
    let end = offset.checked_add(rdlength).filter(|&end| end <= message.len());
    let end = end.ok_or("rdata runs past the end of the message")?;
    let Some(fields) = fields(rtype) else { return Ok(message[offset..end].to_vec()) };
    let mut rdata = Vec::with_capacity(rdlength + 32);
    let mut at = offset;
    for &field in fields {
        match field {
            Field::Name(NameUse::Compressible | NameUse::Decompressible) => {
                at = expand_name(&message[..end], at, &mut rdata)?;
            }
            _ => {
                let length = measure(field, &message[at..end])?;
                rdata.extend_from_slice(&message[at..at + length]);
                at += length;
            }
        }
    }
    if at < end {
        return Err("octets behind the last field of the rdata");
    }
    if rdata.len() > MAX_RDATA {
        return Err("rdata of more than 65535 octets");
    }
    demands(rtype, &rdata)?;
    Ok(rdata)
}

/// Append the name at `offset` of `message` to `out`, expanded (RFC 1035 section 4.1.4);
/// gives the offset behind it. Each pointer must lead to before the labels that it ends,
/// so that the way gets shorter and ends.
pub fn expand_name(
    message: &[u8],
    offset: usize,
    out: &mut Vec<u8>,
) -> Result<usize, &'static str> {
    let short = "a name runs past the end of the message";
    let start = out.len();
    let (mut at, mut limit, mut behind) = (offset, offset, None);
    loop {
        let octet = *message.get(at).ok_or(short)?;
        match octet {
            0 => {
                out.push(0);
                return Ok(behind.unwrap_or(at + 1));
            }
            1..=63 => {
                let next = at + 1 + usize::from(octet);
                out.extend_from_slice(message.get(at..next).ok_or(short)?);
                if out.len() - start >= MAX_NAME {
                    return Err("a name of more than 255 octets");
                }
                at = next;
            }
            0xc0.. => {
                let low = *message.get(at + 1).ok_or(short)?;
                let target = usize::from(octet & 0x3f) << 8 | usize::from(low);
                if target >= limit {
                    return Err("a compression pointer that does not point backwards");
                }
                behind.get_or_insert(at + 2);
                (at, limit) = (target, target);
            }
            _ => return Err("a label of an unknown kind"),
        }
    }
}
