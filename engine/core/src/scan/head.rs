//! What stands between a record's owner and its rdata.

use crate::rdata::{Token, period, rtype, shown, type_from_text, type_name};

/// RFC 2181 section 8.
pub const MAX_TTL: u32 = 0x7fff_ffff;

/// TTL and class, in either order and both optional, and the type.
pub struct Head {
    pub ttl: Option<u32>,
    pub rtype: u16,
}

impl Head {
    pub fn read(tokens: &[Token<'_>], at: &mut usize) -> Result<Self, (usize, String)> {
        let (mut ttl, mut class) = (None, false);
        loop {
            let index = *at;
            let wrong = |message: String| (index, message);
            let Some(token) = tokens.get(index) else {
                return Err(wrong("the record ends before its type".into()));
            };
            *at += 1;
            if token.quoted {
                return Err(wrong("a string where a record type was expected".into()));
            }
            if token.text[0].is_ascii_digit() && ttl.is_none() {
                ttl = Some(read_ttl(token).map_err(wrong)?);
                continue;
            }
            match class_of(token.text) {
                Some(1) if !class => class = true,
                Some(1) => return Err(wrong("the class stands twice".into())),
                Some(_) => {
                    return Err(wrong(format!("class {}: only IN is served here", shown(token))));
                }
                None => {
                    let rtype = read_type(token).map_err(wrong)?;
                    return Ok(Self { ttl, rtype });
                }
            }
        }
    }
}

pub fn read_ttl(token: &Token<'_>) -> Result<u32, String> {
    match period(token.text) {
        Some(ttl) if ttl <= u64::from(MAX_TTL) => Ok(ttl as u32),
        Some(_) => Err("a TTL is at most 2147483647 seconds (RFC 2181 section 8)".into()),
        None => Err(format!("not a TTL: {}; write seconds, or 1h30m", shown(token))),
    }
}

fn read_type(token: &Token<'_>) -> Result<u16, String> {
    let known = std::str::from_utf8(token.text).ok().and_then(type_from_text);
    match known {
        None => Err(format!("unknown record type {}: mistyped, or write TYPEnnn", shown(token))),
        // RFC 6895 section 3.1: 128 to 255 are for questions and the like, as are 0 and OPT.
        Some(number @ (0 | rtype::OPT | 128..=255)) => {
            Err(format!("{} is not a type that a zone can hold", type_name(number)))
        }
        Some(number) => Ok(number),
    }
}

fn class_of(text: &[u8]) -> Option<u16> {
    let is = |name: &[u8]| text.eq_ignore_ascii_case(name);
    if is(b"IN") {
        return Some(1);
    }
    if is(b"CH") || is(b"CHAOS") {
        return Some(3);
    }
    if is(b"HS") || is(b"HESIOD") {
        return Some(4);
    }
    if is(b"CS") {
        return Some(2);
    }
    let (word, digits) = text.split_at_checked(5)?;
    if !word.eq_ignore_ascii_case(b"CLASS") || !digits.first()?.is_ascii_digit() {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}
