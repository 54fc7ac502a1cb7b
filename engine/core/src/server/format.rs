//! Text with replacements for what a query and its reply have: CoreDNS's.

use std::borrow::Cow;
use std::fmt::Write;
use std::net::IpAddr;

use crate::error::{Error, Result};
use crate::name::NameRef;
use crate::query::{bits, class, rcode};
use crate::rdata::type_name;
use crate::server::chain::Exchange;
use crate::server::stages::rcode_of;

enum Piece {
    Text(String),
    Field(Field),
}

#[derive(Clone, Copy)]
enum Field {
    Type,
    Name,
    Class,
    Proto,
    Remote,
    Port,
    Local,
    Size,
    Rcode,
    ReplySize,
    Duration,
    Id,
    Opcode,
    DnssecOk,
    BufferSize,
    Flags,
}

impl Field {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "type" => Self::Type,
            "name" => Self::Name,
            "class" => Self::Class,
            "proto" => Self::Proto,
            "remote" => Self::Remote,
            "port" => Self::Port,
            "local" => Self::Local,
            "size" => Self::Size,
            "rcode" => Self::Rcode,
            "rsize" => Self::ReplySize,
            "duration" => Self::Duration,
            ">id" => Self::Id,
            ">opcode" => Self::Opcode,
            ">do" => Self::DnssecOk,
            ">bufsize" => Self::BufferSize,
            ">rflags" => Self::Flags,
            _ => return None,
        })
    }
}

pub struct Format(Vec<Piece>);

impl Format {
    /// `of` is the directive. Raises "config" for a replacement that is not known.
    pub fn new(format: &str, of: &str) -> Result<Self> {
        let mut pieces = vec![];
        let mut rest = format;
        while let Some(open) = rest.find('{') {
            let Some(close) = rest[open..].find('}').map(|length| open + length) else { break };
            let name = &rest[open + 1..close];
            let field = Field::named(name).ok_or_else(|| {
                Error::at("config", of, format!("unknown replacement '{{{name}}}' in the format"))
            })?;
            pieces.push(Piece::Text(rest[..open].to_owned()));
            pieces.push(Piece::Field(field));
            rest = &rest[close + 1..];
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self(pieces))
    }

    /// `reply` is empty where there is none.
    pub fn write(&self, exchange: &Exchange<'_>, reply: &[u8], line: &mut String) {
        for piece in &self.0 {
            // Writing to a String never fails.
            let _ = match piece {
                Piece::Text(text) => line.write_str(text),
                Piece::Field(field) => write_field(*field, exchange, reply, line),
            };
        }
    }
}

pub fn flags_of(reply: &[u8]) -> u16 {
    reply.get(2..4).map_or(0, |octets| u16::from_be_bytes([octets[0], octets[1]]))
}

fn write_field(
    field: Field,
    exchange: &Exchange<'_>,
    reply: &[u8],
    line: &mut String,
) -> std::fmt::Result {
    let (query, peer) = (exchange.query, &exchange.peer);
    match field {
        Field::Type => line.write_str(&type_name(query.qtype)),
        Field::Name => write!(line, "{}", NameRef::from_valid(query.name_as_sent())),
        Field::Class => line.write_str(&class_name(query.qclass)),
        Field::Proto => line.write_str(if peer.stream { "tcp" } else { "udp" }),
        Field::Remote => write_address(Some(peer.client.ip()), line),
        Field::Port => write!(line, "{}", peer.client.port()),
        Field::Local => write_address(peer.local, line),
        Field::Size => write!(line, "{}", query.wire().len()),
        Field::Rcode | Field::Flags if reply.is_empty() => line.write_char('-'),
        Field::Rcode => line.write_str(&rcode::name(rcode_of(reply))),
        Field::ReplySize => write!(line, "{}", reply.len()),
        Field::Duration => {
            write!(line, "{:.9}s", exchange.clock.received.elapsed().as_secs_f64())
        }
        Field::Id => write!(line, "{}", query.id()),
        Field::Opcode => write!(line, "{}", query.flags() >> 11 & 15),
        Field::DnssecOk => write!(line, "{}", query.dnssec_ok()),
        Field::BufferSize => write!(line, "{}", query.edns.map_or(512, |edns| edns.size)),
        Field::Flags => write_flags(flags_of(reply), line),
    }
}

fn write_address(address: Option<IpAddr>, line: &mut String) -> std::fmt::Result {
    match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V4(v4)) => write!(line, "{v4}"),
        Some(IpAddr::V6(v6)) => write!(line, "[{v6}]"),
        None => line.write_char('-'),
    }
}

pub fn class_name(number: u16) -> Cow<'static, str> {
    match number {
        class::IN => "IN".into(),
        3 => "CH".into(),
        class::ANY => "ANY".into(),
        other => format!("CLASS{other}").into(),
    }
}

/// Comma-separated.
pub fn flag_names(flags: u16) -> String {
    let mut names = String::new();
    // Writing to a String never fails.
    let _ = write_flags(flags, &mut names);
    names
}

fn write_flags(flags: u16, line: &mut String) -> std::fmt::Result {
    let names = [
        (bits::QR, "qr"),
        (bits::AA, "aa"),
        (bits::TC, "tc"),
        (bits::RD, "rd"),
        (bits::RA, "ra"),
        (bits::AD, "ad"),
        (bits::CD, "cd"),
    ];
    let set = names.iter().filter(|(bit, _)| flags & bit != 0);
    for (index, (_, name)) in set.enumerate() {
        if index > 0 {
            line.write_char(',')?;
        }
        line.write_str(name)?;
    }
    Ok(())
}
