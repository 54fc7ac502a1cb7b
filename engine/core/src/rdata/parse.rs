//! Rdata from the tokens of a zone file.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::MAX_RDATA;
use super::encoding::{
    ALGORITHMS, CERT_TYPES, SCHEMES, decimal, mnemonic_value, parse_time, period, push_base32hex,
    push_hex,
};
use super::expect::{expected, shown, wanted};
use super::table::{Field, demands, fields};
use super::types::{type_from_octets, type_name};
use super::wire::validate;
use crate::name::{MAX_LABEL, MAX_NAME, NameRef, unescape};

/// One token of a zone file, as it stands there: quotes taken off, escapes not.
#[derive(Clone, Copy, Debug)]
pub struct Token<'a> {
    pub text: &'a [u8],
    /// Offset in the file, of the quote if there is one.
    pub start: usize,
    pub quoted: bool,
    /// Whether a backslash is in it.
    pub escaped: bool,
}

/// What is wrong, and with which token (their count: one is missing at the end).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    pub token: usize,
    pub message: Cow<'static, str>,
}

type Text<T> = Result<T, Cow<'static, str>>;

/// Append the wire form of a type's rdata to `out`. Understands RFC 3597's `\# length hex`
/// for every type, and validates it; a foreign type has no other form here.
/// On an error `out` holds part of the rdata.
pub fn from_tokens(
    rtype: u16,
    tokens: &[Token<'_>],
    origin: &NameRef,
    out: &mut Vec<u8>,
) -> Result<(), Wrong> {
    let start = out.len();
    if tokens.first().is_some_and(is_generic) {
        return generic(rtype, tokens, out);
    }
    let Some(fields) = fields(rtype) else {
        let message = format!(
            "{} is not known here: write its rdata as \\# LENGTH HEX (RFC 3597)",
            type_name(rtype)
        );
        return Err(Wrong { token: 0, message: message.into() });
    };
    let mut at = 0;
    for &field in fields {
        at = push_field(field, tokens, at, origin, out)
            .map_err(|(token, message)| Wrong { token, message })?;
    }
    let refuse = |token, message: &'static str| Err(Wrong { token, message: message.into() });
    if at < tokens.len() {
        return refuse(at, "more than the record can hold: remove what follows, or quote spaces");
    }
    if out.len() - start > MAX_RDATA {
        return refuse(0, "rdata of more than 65535 octets");
    }
    demands(rtype, &out[start..]).or_else(|message| refuse(0, message))
}

/// Whether rdata begins as RFC 3597 section 5 has it.
pub fn is_generic(token: &Token<'_>) -> bool {
    token.text == b"\\#" && !token.quoted
}

fn generic(rtype: u16, tokens: &[Token<'_>], out: &mut Vec<u8>) -> Result<(), Wrong> {
    let refuse = |token, message: String| Err(Wrong { token, message: message.into() });
    let length = tokens.get(1).and_then(|token| decimal(token.text, MAX_RDATA as u64));
    let Some(length) = length else {
        return refuse(1, "\\# is followed by the rdata's length, at most 65535".into());
    };
    let (start, mut half) = (out.len(), None);
    for (index, token) in tokens.iter().enumerate().skip(2) {
        if push_hex(token.text, &mut half, out).is_none() {
            return refuse(index, format!("not hex digits: {}", shown(token)));
        }
    }
    let count = out.len() - start;
    if half.is_some() || count as u64 != length {
        return refuse(1, format!("\\# says {length} octets, {count} follow in hex"));
    }
    match validate(rtype, &out[start..]) {
        Ok(()) => Ok(()),
        Err(why) => refuse(1, format!("not the rdata of a {} record: {why}", type_name(rtype))),
    }
}

/// Gives the index of the token behind the field.
fn push_field(
    field: Field,
    tokens: &[Token<'_>],
    at: usize,
    origin: &NameRef,
    out: &mut Vec<u8>,
) -> Result<usize, (usize, Cow<'static, str>)> {
    let here = |message| (at, message);
    let before = out.len();
    match field {
        Field::Texts => {
            for (index, token) in tokens.iter().enumerate().skip(at) {
                push_string(token, out).map_err(|message| (index, message))?;
            }
            if at == tokens.len() {
                return Err(here("a string is missing".into()));
            }
            return Ok(tokens.len());
        }
        Field::Hex => {
            let mut half = None;
            for (index, token) in tokens.iter().enumerate().skip(at) {
                push_hex(token.text, &mut half, out)
                    .ok_or_else(|| (index, expected(field, token)))?;
            }
            if half.is_some() {
                return Err((tokens.len() - 1, "an odd number of hex digits".into()));
            }
        }
        Field::Base64 => push_base64(&tokens[at..], out).map_err(here)?,
        Field::Bitmap => {
            push_bitmap(&tokens[at..], out).map_err(|(index, why)| (at + index, why))?;
            return Ok(tokens.len());
        }
        _ => {
            let Some(token) = tokens.get(at) else {
                return Err(here(format!("{} is missing", wanted(field)).into()));
            };
            push_single(field, token, origin, out).map_err(here)?;
            return Ok(at + 1);
        }
    }
    if at == tokens.len() {
        return Err(here(format!("{} is missing", wanted(field)).into()));
    }
    if out.len() == before {
        // `""` is a token, and says nothing.
        return Err(here("the data is empty".into()));
    }
    Ok(tokens.len())
}

fn push_single(field: Field, token: &Token<'_>, origin: &NameRef, out: &mut Vec<u8>) -> Text<()> {
    match field {
        Field::Text => return push_string(token, out),
        Field::Value => return push_octets(token, out).map_err(Cow::from),
        _ if token.quoted => return Err(format!("{} is not quoted", wanted(field)).into()),
        Field::Name(_) => return push_name(token, origin, out).map_err(Cow::from),
        _ => {}
    }
    let text = token.text;
    let number = |most: u64| decimal(text, most);
    let plain = || std::str::from_utf8(text).ok();
    let done = match field {
        Field::U8 => number(0xff).map(|value| out.push(value as u8)),
        Field::U16 => number(0xffff).map(|value| push_u16(value as u16, out)),
        Field::U32 => number(0xffff_ffff).map(|value| push_u32(value as u32, out)),
        Field::Period => period(text)
            .and_then(|value| u32::try_from(value).ok())
            .map(|value| push_u32(value, out)),
        Field::Time => parse_time(text).map(|value| push_u32(value, out)),
        Field::Ipv4 => plain()
            .and_then(|text| text.parse::<Ipv4Addr>().ok())
            .map(|address| out.extend_from_slice(&address.octets())),
        Field::Ipv6 => plain()
            .and_then(|text| text.parse::<Ipv6Addr>().ok())
            .map(|address| out.extend_from_slice(&address.octets())),
        Field::Type => type_from_octets(text).map(|value| push_u16(value, out)),
        Field::Algorithm => number(0xff)
            .or_else(|| mnemonic_value(ALGORITHMS, text).map(u64::from))
            .map(|value| out.push(value as u8)),
        Field::CertType => number(0xffff)
            .or_else(|| mnemonic_value(CERT_TYPES, text).map(u64::from))
            .map(|value| push_u16(value as u16, out)),
        Field::Scheme => number(0xff)
            .or_else(|| mnemonic_value(SCHEMES, text).map(u64::from))
            .map(|value| out.push(value as u8)),
        Field::Locator => push_groups(text, b':', 4, 2, out),
        Field::Eui48 => push_groups(text, b'-', 6, 1, out),
        Field::Eui64 => push_groups(text, b'-', 8, 1, out),
        Field::Tag => ((1..=255).contains(&text.len())
            && text.iter().all(u8::is_ascii_alphanumeric))
        .then(|| {
            out.push(text.len() as u8);
            out.extend_from_slice(text);
        }),
        Field::Salt if text == b"-" => {
            out.push(0);
            Some(())
        }
        Field::Salt => push_counted(out, |out| {
            let mut half = None;
            push_hex(text, &mut half, out).filter(|()| half.is_none())
        }),
        Field::Hash => push_counted(out, |out| push_base32hex(text, out)),
        Field::Name(_)
        | Field::Text
        | Field::Texts
        | Field::Value
        | Field::Base64
        | Field::Hex
        | Field::Bitmap => None,
    };
    done.ok_or_else(|| expected(field, token))
}

fn push_u16(value: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn push_u32(value: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// A length octet, then 1 to 255 octets that `fill` appends.
fn push_counted(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>) -> Option<()>) -> Option<()> {
    let start = out.len();
    out.push(0);
    fill(out)?;
    out[start] = u8::try_from(out.len() - start - 1).ok().filter(|&length| length > 0)?;
    Some(())
}

/// `count` groups of `size` octets in hex, with a separator.
fn push_groups(
    text: &[u8],
    separator: u8,
    count: usize,
    size: usize,
    out: &mut Vec<u8>,
) -> Option<()> {
    let mut groups = 0;
    for group in text.split(|&octet| octet == separator) {
        let mut half = None;
        groups += 1;
        if group.len() != size * 2 || groups > count {
            return None;
        }
        push_hex(group, &mut half, out)?;
    }
    (groups == count).then_some(())
}

fn push_base64(tokens: &[Token<'_>], out: &mut Vec<u8>) -> Text<()> {
    let joined: Cow<'_, [u8]> = match tokens {
        [one] => Cow::Borrowed(one.text),
        many => Cow::Owned(many.iter().flat_map(|token| token.text).copied().collect()),
    };
    let start = out.len();
    out.resize(start + joined.len() / 4 * 3 + 3, 0);
    match STANDARD.decode_slice(&joined, &mut out[start..]) {
        Ok(length) => {
            out.truncate(start + length);
            Ok(())
        }
        Err(why) => Err(format!("not base64: {why}").into()),
    }
}

fn push_bitmap(tokens: &[Token<'_>], out: &mut Vec<u8>) -> Result<(), (usize, Cow<'static, str>)> {
    let mut window = 0u8;
    let mut bits = [0u8; 32];
    let mut numbers = Vec::with_capacity(tokens.len());
    for (index, token) in tokens.iter().enumerate() {
        let number = type_from_octets(token.text);
        numbers.push(number.ok_or_else(|| (index, expected(Field::Type, token)))?);
    }
    numbers.sort_unstable();
    let mut flush = |window: u8, bits: &mut [u8; 32]| {
        if let Some(last) = bits.iter().rposition(|&octet| octet != 0) {
            out.extend_from_slice(&[window, last as u8 + 1]);
            out.extend_from_slice(&bits[..=last]);
        }
        bits.fill(0);
    };
    for number in numbers {
        let [high, low] = number.to_be_bytes();
        if high != window {
            flush(window, &mut bits);
            window = high;
        }
        bits[usize::from(low / 8)] |= 0x80 >> (low % 8);
    }
    flush(window, &mut bits);
    Ok(())
}

/// The octets of a token, escapes resolved.
fn push_octets(token: &Token<'_>, out: &mut Vec<u8>) -> Result<(), &'static str> {
    if !token.escaped {
        out.extend_from_slice(token.text);
        return Ok(());
    }
    let mut at = 0;
    while let Some(&octet) = token.text.get(at) {
        at += 1;
        out.push(if octet == b'\\' { unescape(token.text, &mut at)? } else { octet });
    }
    Ok(())
}

fn push_string(token: &Token<'_>, out: &mut Vec<u8>) -> Text<()> {
    let start = out.len();
    out.push(0);
    push_octets(token, out)?;
    let length = out.len() - start - 1;
    out[start] = u8::try_from(length).map_err(|_| {
        format!("a string of {length} octets: split it into strings of at most 255")
    })?;
    Ok(())
}

/// Append a name's wire form; one without a final dot is completed with `origin`, and `@`
/// is the origin (RFC 1035 section 5.1).
pub fn push_name(
    token: &Token<'_>,
    origin: &NameRef,
    out: &mut Vec<u8>,
) -> Result<(), &'static str> {
    let text = token.text;
    match text {
        b"@" => {
            out.extend_from_slice(origin.wire());
            return Ok(());
        }
        b"." => {
            out.push(0);
            return Ok(());
        }
        b"" => return Err("an empty name"),
        _ => {}
    }
    let start = out.len();
    let mut label = start;
    out.push(0);
    let mut at = 0;
    while let Some(&octet) = text.get(at) {
        at += 1;
        match octet {
            b'.' => {
                close_label(out, label)?;
                label = out.len();
                out.push(0);
            }
            b'\\' => out.push(unescape(text, &mut at)?),
            _ => out.push(octet),
        }
    }
    // A final dot has opened the root's label; an escaped one has not.
    if out.len() - label > 1 {
        close_label(out, label)?;
        out.extend_from_slice(origin.wire());
    }
    if out.len() - start > MAX_NAME { Err("a name of more than 255 octets") } else { Ok(()) }
}

fn close_label(out: &mut [u8], label: usize) -> Result<(), &'static str> {
    match out.len() - label - 1 {
        0 => Err("an empty label: two dots in a row, or a dot in front"),
        length @ 1..=MAX_LABEL => {
            out[label] = length as u8;
            Ok(())
        }
        _ => Err("a label of more than 63 octets"),
    }
}
