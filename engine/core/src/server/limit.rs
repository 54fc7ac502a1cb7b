//! *rrl*: response rate limiting. What is counted are replies of one kind to one client, so that
//! nobody can have others flooded with ours, and whoever asks for many things is not held up.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::answer;
use crate::query::rcode;
use crate::rdata::rtype;
use crate::server::chain::{Enter, Exchange, Stage};
use crate::server::config;
use crate::server::reply::Reply;
use crate::server::rules::Surroundings;
use crate::server::rules::buckets::{Buckets, prefix};
use crate::server::rules::hits::{Hit, Key};
use crate::server::rules::note;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Response,
    NoData,
    NxDomain,
    Referral,
    Error,
}

const KINDS: [&str; 5] = ["response", "nodata", "nxdomain", "referral", "error"];

struct Class {
    /// None: no limit.
    buckets: Option<Buckets>,
    cut: Hit,
    dropped: Hit,
}

pub struct Limit {
    around: Surroundings,
    config: config::Limit,
    /// By kind.
    classes: Vec<Class>,
    requests: Option<Class>,
    turn: AtomicU32,
}

impl Limit {
    pub fn new(around: Surroundings, config: &config::Limit) -> Self {
        let hit = |kind: &str, action| -> Hit {
            around.stock.hits.of(Key {
                chain: around.chain.clone(),
                plugin: around.plugin.clone(),
                rule: kind.to_owned(),
                trigger: "",
                action,
                dry: config.dry,
            })
        };
        let class = |kind: &str, per_second: u32| Class {
            buckets: (per_second > 0)
                .then(|| Buckets::new(per_second, per_second.saturating_mul(config.window))),
            cut: hit(kind, "truncated"),
            dropped: hit(kind, "dropped"),
        };
        let rates =
            [config.responses, config.nodata, config.nxdomains, config.referrals, config.errors];
        let classes = KINDS.iter().zip(rates).map(|(kind, rate)| class(kind, rate)).collect();
        let requests = (config.requests > 0).then(|| class("request", config.requests));
        Self { around, config: config.clone(), classes, requests, turn: AtomicU32::new(0) }
    }

    fn is_over(&self, class: &Class, key: impl Hash, exchange: &Exchange<'_>) -> bool {
        let client = exchange.peer.client.ip();
        let client = prefix(client, self.config.v4, self.config.v6);
        let at = exchange.clock.received;
        class.buckets.as_ref().is_some_and(|buckets| !buckets.take((client, key), at))
    }

    fn count(&self, hit: &Hit, kind: &str, exchange: &Exchange<'_>) {
        hit.fetch_add(1, Ordering::Relaxed);
        if self.config.dry {
            let said = format!("limit of {kind}s");
            note(&self.around.ring, &self.around.plugin, exchange, &said, true);
        }
    }

    /// Each so many replies that are too many are cut instead of dropped: an honest client
    /// comes back over TCP.
    fn slips(&self) -> bool {
        let slip = self.config.slip;
        slip > 0 && self.turn.fetch_add(1, Ordering::Relaxed) % slip == 0
    }
}

/// What a reply is, and what it is counted with: replies for one name, denials of one zone.
fn kind(reply: &Reply<'_>, exchange: &Exchange<'_>) -> (Kind, u64) {
    let [answers, ..] = reply.counts();
    let of_type = |wanted: u16| {
        reply.records.iter().find(|record| record.section == 1 && record.rtype == wanted)
    };
    let soa = of_type(rtype::SOA);
    let kind = match reply.rcode() {
        rcode::NXDOMAIN => Kind::NxDomain,
        rcode::NOERROR if answers > 0 => Kind::Response,
        rcode::NOERROR if soa.is_none() && of_type(rtype::NS).is_some() => Kind::Referral,
        rcode::NOERROR => Kind::NoData,
        _ => Kind::Error,
    };
    let name = match kind {
        // A wildcard, or a proof, gives each name that is made up an answer of its own.
        Kind::NxDomain | Kind::NoData => soa.and_then(|soa| reply.name_of(soa, false)),
        Kind::Referral => of_type(rtype::NS).and_then(|ns| reply.name_of(ns, false)),
        Kind::Response => Some(exchange.query.name().to_owned()),
        Kind::Error => None,
    };
    let qtype = if kind == Kind::Response { exchange.query.qtype } else { 0 };
    // Keyed anew where it is stored.
    let mut hasher = DefaultHasher::new();
    (name.as_ref().map(|name| name.wire()), qtype).hash(&mut hasher);
    (kind, hasher.finish())
}

impl Stage for Limit {
    fn enter(&self, exchange: &mut Exchange<'_>, _out: &mut [u8]) -> Enter {
        let Some(requests) = self.requests.as_ref().filter(|_| !exchange.peer.stream) else {
            return Enter::Next;
        };
        if !self.is_over(requests, 0u8, exchange) {
            return Enter::Next;
        }
        self.count(&requests.dropped, "request", exchange);
        if self.config.dry { Enter::Next } else { Enter::Drop }
    }

    fn leave(&self, exchange: &Exchange<'_>, wire: &mut Vec<u8>) {
        let Some(reply) = Reply::read(wire) else { return };
        let (kind, key) = kind(&reply, exchange);
        let Some(class) = self.classes.get(kind as usize) else { return };
        if !self.is_over(class, (kind as u8, key), exchange) {
            return;
        }
        let name = KINDS[kind as usize];
        let slips = self.slips();
        self.count(if slips { &class.cut } else { &class.dropped }, name, exchange);
        if self.config.dry {
            return;
        }
        if slips {
            let mut out = vec![0; 512];
            let code = reply.rcode();
            let length = answer::truncated(exchange.query, code, out.len(), &mut out);
            out.truncate(length);
            *wire = out;
        } else {
            wire.clear();
        }
    }

    fn has_leave(&self) -> bool {
        true
    }

    /// Whoever has a connection is who it says.
    fn wants_leave(&self, exchange: &Exchange<'_>) -> bool {
        !exchange.peer.stream
    }

    fn label(&self) -> usize {
        self.around.label
    }
}
