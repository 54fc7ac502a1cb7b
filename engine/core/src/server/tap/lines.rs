//! A copy as a line of JSON.

use std::net::SocketAddr;

use serde::Serialize;

use crate::name::NameRef;
use crate::query::{Query, rcode};
use crate::rdata::{self, time_text, type_name};
use crate::server::format::{class_name, flag_names};
use crate::server::reply::Reply;
use crate::server::tap::seen::Seen;

#[derive(Serialize)]
struct Line {
    time: String,
    client: String,
    client_port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_port: Option<u16>,
    transport: &'static str,
    #[serde(flatten)]
    asked: Option<Asked>,
    #[serde(flatten)]
    answered: Option<Answered>,
    #[serde(skip_serializing_if = "str::is_empty")]
    extra: String,
}

#[derive(Serialize)]
struct Asked {
    id: u16,
    name: String,
    #[serde(rename = "type")]
    rtype: String,
    class: String,
    flags: String,
    #[serde(rename = "do")]
    dnssec_ok: bool,
    bufsize: u16,
    size: usize,
}

#[derive(Serialize)]
struct Answered {
    seconds: f64,
    reply_size: usize,
    rcode: String,
    reply_flags: String,
    answer: Vec<Record>,
}

#[derive(Serialize)]
struct Record {
    name: String,
    #[serde(rename = "type")]
    rtype: String,
    ttl: u32,
    data: String,
}

pub fn encode(seen: &Seen, answers: bool, out: &mut Vec<u8>) -> u64 {
    let address = |of: SocketAddr| of.ip().to_canonical().to_string();
    let line = Line {
        time: time(seen),
        client: address(seen.client),
        client_port: seen.client.port(),
        server: seen.server.map(address),
        server_port: seen.server.map(|server| server.port()),
        transport: if seen.stream { "tcp" } else { "udp" },
        asked: Query::parse(seen.query()).ok().map(|query| asked(&query)),
        answered: if answers { answered(seen) } else { None },
        extra: seen.extra.clone(),
    };
    // Strings and numbers only: there is nothing that JSON can't hold.
    if serde_json::to_writer(&mut *out, &line).is_ok() {
        out.push(b'\n');
    }
    1
}

/// RFC 3339, with microseconds.
fn time(seen: &Seen) -> String {
    let text = time_text(u32::try_from(seen.asked.as_secs()).unwrap_or(u32::MAX));
    let part = |range| text.get(range).unwrap_or("00");
    format!(
        "{}-{}-{}T{}:{}:{}.{:06}Z",
        part(0..4),
        part(4..6),
        part(6..8),
        part(8..10),
        part(10..12),
        part(12..14),
        seen.asked.subsec_micros()
    )
}

fn asked(query: &Query<'_>) -> Asked {
    Asked {
        id: query.id(),
        name: NameRef::from_valid(query.name_as_sent()).to_string(),
        rtype: type_name(query.qtype).to_string(),
        class: class_name(query.qclass).into_owned(),
        flags: flag_names(query.flags()),
        dnssec_ok: query.dnssec_ok(),
        bufsize: query.edns.map_or(512, |edns| edns.size),
        size: query.wire().len(),
    }
}

fn answered(seen: &Seen) -> Option<Answered> {
    let reply = Reply::read(seen.reply())?;
    let records = reply.records.iter().filter(|record| record.section == 0);
    Some(Answered {
        seconds: seen.answered?.saturating_sub(seen.asked).as_secs_f64(),
        reply_size: reply.wire().len(),
        rcode: rcode::name(reply.rcode()).into_owned(),
        reply_flags: flag_names(reply.flags()),
        answer: records.filter_map(|record| shown(&reply, record)).collect(),
    })
}

fn shown(reply: &Reply<'_>, record: &crate::server::reply::Record) -> Option<Record> {
    let (wire, rtype, place) = (reply.wire(), record.rtype, record.rdata());
    let mut owner = vec![];
    rdata::expand_name(wire, record.start(), &mut owner).ok()?;
    let data = rdata::decompress(rtype, wire, place.start, place.len());
    let data = data.unwrap_or_else(|_| wire[place].to_vec());
    Some(Record {
        name: NameRef::parse(&owner).ok()?.to_string(),
        rtype: type_name(rtype).to_string(),
        ttl: record.ttl,
        data: rdata::to_text(rtype, &data).unwrap_or_else(|| rdata::generic_text(&data)),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::server::reply::tests::{A, reply};
    use crate::server::tap::seen::Between;

    #[test]
    fn a_query_and_its_answer_on_one_line() {
        let query = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\0\0\x01\0\x01";
        let there = ["192.0.2.1:5353", "192.0.2.2:53"].map(|text| text.parse().ok());
        let mut seen = Seen::now(Between::Client, there, false, Duration::ZERO, true)
            .with(query, &reply(0x8180, [1, 0, 0], &[A]));
        seen.asked = Duration::new(1_000_000_000, 5_000);
        seen.answered = Some(Duration::new(1_000_000_000, 1_005_000));
        let shown = |answers| {
            let mut out = vec![];
            assert_eq!(encode(&seen, answers, &mut out), 1);
            String::from_utf8(out).unwrap()
        };
        let asked = "{\"time\":\"2001-09-09T01:46:40.000005Z\",\"client\":\"192.0.2.1\",\
            \"client_port\":5353,\"server\":\"192.0.2.2\",\"server_port\":53,\
            \"transport\":\"udp\",\"id\":4660,\"name\":\"www.example.\",\"type\":\"A\",\
            \"class\":\"IN\",\"flags\":\"rd\",\"do\":false,\"bufsize\":512,\"size\":29";
        let answer = ",\"seconds\":0.001,\"reply_size\":45,\"rcode\":\"NOERROR\",\
            \"reply_flags\":\"qr,rd,ra\",\"answer\":[{\"name\":\"www.example.\",\
            \"type\":\"A\",\"ttl\":60,\"data\":\"192.0.2.1\"}]";
        assert_eq!(shown(false), format!("{asked}}}\n"));
        assert_eq!(shown(true), format!("{asked}{answer}}}\n"));
    }
}
