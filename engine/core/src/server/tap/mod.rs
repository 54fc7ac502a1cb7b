//! The stage that copies: *dnstap* and *mirror*.
//!
//! A copy is made when a reply is sent and put into its sink's queue; a thread of the sink's
//! gives it away. Where there is no room it is dropped and counted: no answer ever waits.

mod anonymous;
mod compare;
pub mod config;
mod dnstap;
mod drain;
mod files;
mod framed;
mod frames;
mod lines;
mod pcap;
mod queue;
mod seen;
mod shadow;
pub mod sink;
mod written;

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::error::Result;
use crate::server::chain::{Exchange, Stage};
use crate::server::format::Format;
use crate::server::routes::NameSet;
use crate::server::rules::networks::Networks;
use crate::server::stages::rcode_of;
use seen::{Between, Seen};
use sink::{Registry, Sink};

/// Of which a sample is a part.
const WHOLE: u32 = 1_000_000;

pub struct Tap {
    names: NameSet,
    types: Vec<u16>,
    networks: Networks,
    rcodes: Vec<u16>,
    sample: u32,
    extra: Option<Format>,
    sink: Arc<Sink>,
    octets: (bool, bool),
}

impl Tap {
    /// Raises "config" for a replacement in `extra` that is not known.
    pub fn new(config: &config::Tap, registry: &Registry) -> Result<Self> {
        let plugin = &config.sink.plugin;
        let extra = match config.extra.as_str() {
            "" => None,
            format => Some(Format::new(format, plugin)?),
        };
        Ok(Self {
            names: config.names.iter().map(|origin| origin.0.clone()).collect(),
            types: config.types.clone(),
            networks: Networks::new(config.networks.iter().map(|network| (*network, 0))),
            rcodes: config.rcodes.clone(),
            sample: config.sample,
            extra,
            sink: registry.sink(&config.sink),
            octets: config.sink.target.octets(),
        })
    }

    /// Whether queries to upstreams are copied too.
    pub fn follows_upstreams(&self) -> bool {
        self.weight(Between::Upstream, true) > 0
    }

    fn weight(&self, between: Between, is_answered: bool) -> u64 {
        self.sink.config.target.weight(between, is_answered)
    }

    /// `reply` is empty where there is none.
    fn wants(&self, exchange: &Exchange<'_>, reply: &[u8]) -> bool {
        let query = exchange.query;
        let client = exchange.peer.client.ip();
        (self.types.is_empty() || self.types.contains(&query.qtype))
            && (self.rcodes.is_empty()
                || !reply.is_empty() && self.rcodes.contains(&rcode_of(reply)))
            && (self.names.is_empty() || query.name().ancestors().any(|a| self.names.contains(a)))
            && (self.networks.is_empty() || self.networks.of(client).next().is_some())
            && (self.sample >= WHOLE || chance() < self.sample)
    }

    fn copy(&self, exchange: &Exchange<'_>, reply: &[u8]) {
        let is_answered = !reply.is_empty();
        let weight = self.weight(Between::Client, is_answered);
        let peer = &exchange.peer;
        if weight == 0 || self.sink.is_own(peer.client) || !self.wants(exchange, reply) {
            return;
        }
        let server = peer.local.map(|address| SocketAddr::new(address, peer.port));
        let ago = exchange.clock.received.elapsed();
        let there = [Some(peer.client), server];
        let mut seen = Seen::now(Between::Client, there, peer.stream, ago, is_answered)
            .with(self.part(self.octets.0, exchange.query.wire()), self.part(self.octets.1, reply));
        if let Some(extra) = &self.extra {
            extra.write(exchange, reply, &mut seen.extra);
        }
        self.sink.queue.push(seen, weight);
    }

    fn part<'a>(&self, is_wanted: bool, octets: &'a [u8]) -> &'a [u8] {
        if is_wanted { octets } else { &[] }
    }

    /// What was asked of an upstream, and what it said if it did.
    pub fn forwarded(&self, asked: &Forwarded<'_>) {
        let there = [asked.client, Some(asked.upstream)];
        let (ago, is_answered) = (asked.since.elapsed(), asked.reply.is_some());
        let reply = asked.reply.unwrap_or_default();
        let seen = Seen::now(Between::Upstream, there, asked.stream, ago, is_answered)
            .with(self.part(self.octets.0, asked.query), self.part(self.octets.1, reply));
        self.sink.queue.push(seen, self.weight(Between::Upstream, is_answered));
    }
}

/// A question to an upstream.
pub struct Forwarded<'a> {
    /// The first one that it was asked for.
    pub client: Option<SocketAddr>,
    pub upstream: SocketAddr,
    pub stream: bool,
    pub since: Instant,
    pub query: &'a [u8],
    pub reply: Option<&'a [u8]>,
}

impl Stage for Tap {
    fn sent(&self, exchange: &Exchange<'_>, reply: &[u8]) {
        self.copy(exchange, reply);
    }

    fn has_sent(&self) -> bool {
        true
    }

    fn dropped(&self, exchange: &Exchange<'_>) {
        self.copy(exchange, &[]);
    }

    fn tap(&self) -> Option<&Tap> {
        Some(self)
    }
}

/// A number below `WHOLE` that is good enough for samples: xorshift, one sequence a thread.
fn chance() -> u32 {
    thread_local!(static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(0) | 1));
    STATE.with(|state| {
        let mut next = state.get();
        next ^= next << 13;
        next ^= next >> 7;
        next ^= next << 17;
        state.set(next);
        (((next >> 32) * u64::from(WHOLE)) >> 32) as u32
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_as_large_as_it_says() {
        let taken = (0..100_000).filter(|_| chance() < WHOLE / 10).count();
        assert!((9_000..11_000).contains(&taken), "{taken}");
    }
}
