//! Rdata as zone-file text, which any reader turns back into the same octets.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::encoding::{base32hex, hex_text, time_text};
use super::table::{Field, is_native};
use super::types::type_name;
use super::wire::{spans, validate};
use crate::name::NameRef;

/// The rdata's text; None where the type is foreign or the rdata is not right for it.
pub fn to_text(rtype: u16, rdata: &[u8]) -> Option<String> {
    let mut text = String::new();
    write_text(rtype, rdata, &mut text).then_some(text)
}

/// As `to_text`, appended to `out`; false, and nothing appended, instead of None.
pub fn write_text(rtype: u16, rdata: &[u8], out: &mut String) -> bool {
    if !is_native(rtype) || validate(rtype, rdata).is_err() {
        return false;
    }
    for (field, start, end) in spans(rtype, rdata) {
        if start > 0 && !(field == Field::Bitmap && start == end) {
            out.push(' ');
        }
        write_field(field, &rdata[start..end], out);
    }
    true
}

/// RFC 3597 section 5: fits any type.
pub fn generic_text(rdata: &[u8]) -> String {
    let mut text = format!("\\# {}", rdata.len());
    if !rdata.is_empty() {
        text.push(' ');
        hex_text(rdata, &mut text);
    }
    text
}

fn write_field(field: Field, octets: &[u8], out: &mut String) {
    match field {
        Field::Name(_) => push(out, NameRef::from_valid(octets)),
        Field::U8
        | Field::U16
        | Field::U32
        | Field::Period
        | Field::Algorithm
        | Field::CertType => push(out, number(octets)),
        Field::Time => out.push_str(&time_text(number(octets))),
        Field::Ipv4 => {
            let mut address = [0; 4];
            address.copy_from_slice(octets);
            push(out, Ipv4Addr::from(address));
        }
        Field::Ipv6 => {
            let mut address = [0; 16];
            address.copy_from_slice(octets);
            push(out, Ipv6Addr::from(address));
        }
        Field::Scheme if octets == [1] => out.push_str("NOTIFY"),
        Field::Scheme => push(out, number(octets)),
        Field::Type => out.push_str(&type_name(number(octets) as u16)),
        Field::Locator => groups(octets, 2, ':', out),
        Field::Eui48 | Field::Eui64 => groups(octets, 1, '-', out),
        Field::Text => quoted(&octets[1..], out),
        Field::Texts => {
            let (mut rest, mut first) = (octets, true);
            while let Some((&length, tail)) = rest.split_first() {
                if !std::mem::take(&mut first) {
                    out.push(' ');
                }
                let (string, next) = tail.split_at(usize::from(length));
                quoted(string, out);
                rest = next;
            }
        }
        Field::Tag => out.extend(octets[1..].iter().map(|&octet| char::from(octet))),
        Field::Value => quoted(octets, out),
        Field::Base64 => STANDARD.encode_string(octets, out),
        Field::Hex => hex_text(octets, out),
        Field::Salt if octets.len() == 1 => out.push('-'),
        Field::Salt => hex_text(&octets[1..], out),
        Field::Hash => out.push_str(&base32hex(&octets[1..])),
        Field::Bitmap => {
            for (index, number) in bitmap_types(octets).enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                out.push_str(&type_name(number));
            }
        }
    }
}

fn push(out: &mut String, value: impl std::fmt::Display) {
    // Writing to a String does not fail.
    let _ = write!(out, "{value}");
}

fn number(octets: &[u8]) -> u32 {
    octets.iter().fold(0, |sum, &octet| sum << 8 | u32::from(octet))
}

fn groups(octets: &[u8], size: usize, separator: char, out: &mut String) {
    for (index, group) in octets.chunks(size).enumerate() {
        if index > 0 {
            out.push(separator);
        }
        group.iter().for_each(|octet| push(out, format_args!("{octet:02x}")));
    }
}

fn quoted(octets: &[u8], out: &mut String) {
    out.push('"');
    for &octet in octets {
        match octet {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(octet));
            }
            0x20..=0x7e => out.push(char::from(octet)),
            _ => push(out, format_args!("\\{octet:03}")),
        }
    }
    out.push('"');
}

/// The types of a valid bitmap, ascending.
pub fn bitmap_types(mut bitmap: &[u8]) -> impl Iterator<Item = u16> {
    let mut windows = Vec::new();
    while let Some((&[window, length], tail)) = bitmap.split_first_chunk() {
        let (bits, rest) = tail.split_at(usize::from(length).min(tail.len()));
        windows.push((window, bits.to_vec()));
        bitmap = rest;
    }
    windows.into_iter().flat_map(|(window, bits)| {
        (0u16..256)
            .filter(move |&low| {
                bits.get(usize::from(low / 8)).is_some_and(|octet| octet & 0x80 >> (low % 8) != 0)
            })
            .map(move |low| u16::from(window) << 8 | low)
    })
}
