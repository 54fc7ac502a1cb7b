//! The native stages: metrics, errors, whoami, answer; and the door to Python's.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::answer::writer::{Owner, QUESTION, Section, Writer};
use crate::answer::{self, ExtendedError};
use crate::name::{Name, NameRef};
use crate::query::{bits, class, rcode};
use crate::rdata::{rtype, type_name};
use crate::server::chain::{Enter, Exchange, Stage};
use crate::server::config::{self, OnFailure};
use crate::server::metrics::Observation;
use crate::server::ring::{Ring, level};
use crate::server::routes::{ChainZones, Found, NameSet, Served, find_zone};
use crate::server::rules::Guard;

/// *prometheus*.
pub struct Metrics;

impl Stage for Metrics {
    fn sent(&self, exchange: &Exchange<'_>, reply: &[u8]) {
        exchange.route.series.record(exchange.shard, &observation(exchange, reply));
    }

    fn has_sent(&self) -> bool {
        true
    }
}

pub fn observation(exchange: &Exchange<'_>, reply: &[u8]) -> Observation {
    Observation {
        stream: exchange.peer.stream,
        ipv6: exchange.peer.client.ip().to_canonical().is_ipv6(),
        qtype: exchange.query.qtype,
        dnssec_ok: exchange.query.dnssec_ok(),
        rcode: rcode_of(reply),
        label: exchange.label,
        duration: exchange.clock.received.elapsed(),
        request_size: exchange.query.wire().len(),
        response_size: reply.len(),
    }
}

/// Without the part that an OPT record extends it by: no stage gives such.
pub fn rcode_of(reply: &[u8]) -> u16 {
    reply.get(3).map_or(rcode::SERVFAIL, |octet| u16::from(octet & 15))
}

/// *errors*.
pub struct Errors {
    pub prefix: String,
    pub ring: Arc<Ring>,
}

impl Stage for Errors {
    fn sent(&self, exchange: &Exchange<'_>, reply: &[u8]) {
        let code = rcode_of(reply);
        if code != rcode::SERVFAIL {
            return;
        }
        let name = NameRef::from_valid(exchange.query.name_as_sent());
        let line = format!(
            "{}{} {name} {}: {}",
            self.prefix,
            rcode::name(code),
            type_name(exchange.query.qtype),
            exchange.reason.unwrap_or("a plugin answered so"),
        );
        self.ring.push(level::ERROR, line);
    }

    fn has_sent(&self) -> bool {
        true
    }
}

/// *whoami*: the client's address and port in the additional section.
pub struct Whoami {
    pub label: usize,
}

impl Stage for Whoami {
    fn enter(&self, exchange: &mut Exchange<'_>, out: &mut [u8]) -> Enter {
        let query = exchange.query;
        if query.qclass != class::IN {
            return Enter::Next;
        }
        exchange.label = self.label;
        let mut writer = Writer::new(query, exchange.size, None, out);
        writer.set_flag(bits::AA);
        writer.section(Section::Additional);
        // What does not fit is left out: all of it is additional.
        let client = exchange.peer.client;
        let _fits = match client.ip().to_canonical() {
            IpAddr::V4(v4) => writer.record(QUESTION, rtype::A, 0, &v4.octets()),
            IpAddr::V6(v6) => writer.record(QUESTION, rtype::AAAA, 0, &v6.octets()),
        };
        let label: &[u8] = if exchange.peer.stream { b"_tcp" } else { b"_udp" };
        if let Some(owner) = Name::child(NameRef::from_valid(query.name_as_sent()), label) {
            let [high, low] = client.port().to_be_bytes();
            let _fits =
                writer.record(Owner::Name(&owner), rtype::SRV, 0, &[0, 0, 0, 0, high, low, 0]);
        }
        Enter::Answer(writer.finish(rcode::NOERROR))
    }
}

/// *loop*: a probe that is sent once comes by once.
pub struct Loop {
    pub probe: Name,
    pub seen: Arc<AtomicU32>,
}

impl Stage for Loop {
    fn enter(&self, exchange: &mut Exchange<'_>, out: &mut [u8]) -> Enter {
        let query = exchange.query;
        let probe: &NameRef = &self.probe;
        if query.qtype != rtype::HINFO || !query.name().same(probe) {
            return Enter::Next;
        }
        if self.seen.fetch_add(1, Ordering::Relaxed) == 0 {
            return Enter::Next;
        }
        exchange.reason = Some("what was forwarded came back");
        Enter::Answer(answer::error(query, rcode::SERVFAIL, None, exchange.size, out))
    }
}

/// *file*, *auto*, *sign*: authoritative answers from the chain's zones.
pub struct Answer {
    pub label: usize,
    pub zones: Arc<ChainZones>,
    pub one_for_any: bool,
    /// What the configuration names: without content, it is an error to be asked for it.
    pub origins: NameSet,
}

/// RFC 8914 section 4.15.
const NOT_READY: ExtendedError =
    ExtendedError { code: 14, text: "the zone has not been loaded yet" };
/// RFC 8914 section 4.8.
const SIGNATURES_EXPIRED: ExtendedError =
    ExtendedError { code: 7, text: "the zone's signatures have expired" };
/// RFC 8914 section 4.1: no code says that a secondary's copy is too old.
const COPY_EXPIRED: ExtendedError =
    ExtendedError { code: 0, text: "the copy of the zone has expired" };

impl Stage for Answer {
    fn enter(&self, exchange: &mut Exchange<'_>, out: &mut [u8]) -> Enter {
        let query = exchange.query;
        if query.qclass != class::IN || matches!(query.qtype, rtype::AXFR | rtype::IXFR) {
            return Enter::Next;
        }
        let zones = self.zones.load();
        let served = match find_zone(&zones, &self.origins, query) {
            Found::Zone(served) => served,
            Found::NotReady => return self.fail(exchange, NOT_READY, out),
            Found::Nothing => return Enter::Next,
        };
        if exchange.clock.wall >= served.valid_until {
            return self.fail(exchange, expired(served, exchange.clock.wall), out);
        }
        exchange.label = self.label;
        let stream = exchange.peer.stream && !self.one_for_any;
        let outcome = answer::answer(&served.zone, query, exchange.size, stream, out);
        Enter::Answer(outcome.length)
    }
}

impl Answer {
    fn fail(&self, exchange: &mut Exchange<'_>, why: ExtendedError, out: &mut [u8]) -> Enter {
        exchange.label = self.label;
        exchange.reason = Some(why.text);
        let size = exchange.size;
        Enter::Answer(answer::error(exchange.query, rcode::SERVFAIL, Some(why), size, out))
    }
}

/// What ended a copy's life: the signature of its SOA tells for all.
fn expired(served: &Served, now: i64) -> ExtendedError {
    let over = served.zone.soa().is_some_and(|soa| {
        soa.signatures().any(|rdata| {
            let expiration = rdata.get(8..12).and_then(|octets| octets.try_into().ok());
            // RFC 4034 section 3.1.5: serial number arithmetic.
            expiration.is_some_and(|octets| {
                (u32::from_be_bytes(octets).wrapping_sub(now as u32) as i32) <= 0
            })
        })
    });
    if over { SIGNATURES_EXPIRED } else { COPY_EXPIRED }
}

/// A plugin written in Python, and which queries wake it.
pub struct Python {
    pub plugin: u32,
    pub label: usize,
    pub deadline: Duration,
    pub on_failure: OnFailure,
    types: Vec<u16>,
    zones: NameSet,
    networks: Vec<config::Network>,
    /// Of one that is passed over in zones that are signed here.
    guard: Option<Guard>,
}

impl Python {
    pub fn new(config: &config::Python, label: usize, guard: Guard) -> Self {
        Self {
            plugin: config.plugin,
            label,
            deadline: Duration::from_millis(config.deadline_ms),
            on_failure: config.on_failure,
            types: config.types.clone(),
            zones: config.zones.iter().map(|origin| origin.0.clone()).collect(),
            networks: config.networks.clone(),
            guard: config.unsigned_only.then_some(guard),
        }
    }

    fn wants(&self, exchange: &Exchange<'_>) -> bool {
        let name = exchange.query.name();
        let client = exchange.peer.client.ip();
        (self.types.is_empty() || self.types.contains(&exchange.query.qtype))
            && (self.zones.is_empty() || name.ancestors().any(|a| self.zones.contains(a)))
            && (self.networks.is_empty() || self.networks.iter().any(|n| n.contains(client)))
            && !self.guard.as_ref().is_some_and(|guard| guard.is_signed(exchange.query))
    }
}

impl Stage for Python {
    fn enter(&self, exchange: &mut Exchange<'_>, _out: &mut [u8]) -> Enter {
        if !self.wants(exchange) {
            return Enter::Next;
        }
        exchange.label = self.label;
        Enter::Park
    }

    fn label(&self) -> usize {
        self.label
    }

    fn python(&self) -> Option<&Python> {
        Some(self)
    }
}
