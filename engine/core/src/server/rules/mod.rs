//! The stage that decides: of whom, for what name and type, over what, and what is done.
//!
//! *acl*, *any*, *chaos*, *firewall*, *hosts* and *local* are rules; which, their Python modules
//! say.

pub mod alias;
pub mod buckets;
pub mod config;
pub mod hits;
pub mod list;
pub mod names;
pub mod networks;
mod program;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::answer::writer::{Owner, QUESTION, Section, Writer};
use crate::answer::{self, ExtendedError};
use crate::error::{Error, Result};
use crate::name::NameRef;
use crate::query::{Query, bits, class, rcode};
use crate::rdata::{rtype, type_name};
use crate::server::chain::{Enter, Exchange, Stage};
use crate::server::reply;
use crate::server::ring::{Ring, level};
use crate::server::routes::{ChainZones, Found, NameSet, find_zone};
use crate::server::stock::Stock;
use alias::Alias;
use arc_swap::ArcSwap;
use config::{Action, Record, Reply, Signed};
#[cfg(test)]
pub use program::question;
use program::{Program, Rule};

/// Where nothing is forged: in zones that are signed here.
pub struct Guard {
    pub zones: Arc<ChainZones>,
    pub origins: NameSet,
}

impl Guard {
    /// A zone that has not arrived may be signed.
    pub fn is_signed(&self, query: &Query<'_>) -> bool {
        let zones = self.zones.load();
        match find_zone(&zones, &self.origins, query) {
            Found::Zone(served) => {
                served.zone.apex().rrset(rtype::DNSKEY).is_some_and(|keys| !keys.is_empty())
            }
            Found::NotReady => true,
            Found::Nothing => false,
        }
    }
}

/// Of whom the rules are, and what they reach for.
pub struct Surroundings {
    pub chain: String,
    pub plugin: String,
    pub label: usize,
    pub guard: Guard,
    pub ring: Arc<Ring>,
    pub stock: Arc<Stock>,
    /// The chain has upstreams: the reply says so (RFC 1035 section 4.1.1, RA).
    pub recursive: bool,
}

pub struct Rules {
    pub around: Surroundings,
    program: ArcSwap<Program>,
    has_leave: bool,
}

/// What a rule comes to.
enum Done {
    Nothing,
    Pass,
    Drop,
    Reply(usize),
    Alias(Box<Alias>),
}

impl Rules {
    pub fn new(around: Surroundings, rules: Vec<config::Rule>) -> Self {
        let program = around.program(rules);
        let has_leave = !program.answering().is_empty();
        Self { around, program: ArcSwap::from_pointee(program), has_leave }
    }

    /// Put others in their place. Raises "config".
    pub fn refill(&self, json: &[u8]) -> Result<()> {
        let rules = serde_json::from_slice(json)
            .map_err(|error| Error::new("config", format!("the rules: {error}")))?;
        self.program.store(Arc::new(self.around.program(rules)));
        Ok(())
    }

    fn act(&self, rule: &Rule, exchange: &Exchange<'_>, out: &mut [u8]) -> Done {
        let (query, size, config) = (exchange.query, exchange.size, &rule.config);
        let signed = match config.signed {
            Signed::Same => Signed::Same,
            other if self.around.guard.is_signed(query) => other,
            _ => Signed::Same,
        };
        if signed == Signed::Pass {
            return if rule.goes_on() { Done::Nothing } else { Done::Pass };
        }
        self.count(rule, exchange);
        if rule.goes_on() {
            return Done::Nothing;
        }
        let explain = |code: Option<u16>| code.map(|code| ExtendedError { code, text: "" });
        match &config.action {
            Action::Note {} => Done::Nothing,
            Action::Pass {} => Done::Pass,
            Action::Drop {} => Done::Drop,
            Action::Truncate {} if exchange.peer.stream => Done::Pass,
            Action::Truncate {} => Done::Reply(answer::truncated(query, rcode::NOERROR, size, out)),
            Action::Reply(reply) => {
                let extended = explain(reply.extended);
                Done::Reply(match signed {
                    Signed::Refuse => answer::error(query, rcode::REFUSED, extended, size, out),
                    _ => self.around.render(reply, extended, query, size, out),
                })
            }
            Action::Alias { target, ttl, extended } => Done::Alias(Box::new(Alias {
                target: target.0.clone(),
                ttl: *ttl,
                extended: *extended,
                before: vec![],
            })),
        }
    }

    fn count(&self, rule: &Rule, exchange: &Exchange<'_>) {
        if let Some(mark) = rule.config.mark {
            exchange.route.series.mark(exchange.shard, mark);
        }
        if let Some(hit) = &rule.hit {
            hit.fetch_add(1, Ordering::Relaxed);
        }
        if rule.config.log {
            let said = rule.config.label.as_deref().unwrap_or_default();
            note(&self.around.ring, &self.around.plugin, exchange, said, rule.config.dry);
        }
    }
}

/// A line for the log: of whom, for what, and what was done.
pub fn note(ring: &Ring, plugin: &str, exchange: &Exchange<'_>, said: &str, dry: bool) {
    let name = NameRef::from_valid(exchange.query.name_as_sent());
    let client = exchange.peer.client.ip().to_canonical();
    let qtype = type_name(exchange.query.qtype);
    let only = if dry { "dry run: " } else { "" };
    ring.push(level::INFO, format!("{plugin}: {client} asked for {name} {qtype}: {only}{said}"));
}

impl Stage for Rules {
    fn enter(&self, exchange: &mut Exchange<'_>, out: &mut [u8]) -> Enter {
        let program = self.program.load();
        let mut from = 0;
        while let Some((number, rule)) = program.find(exchange.query, &exchange.peer, from) {
            from = number + 1;
            if rule.is_within_rate(&exchange.peer, exchange.clock.received) {
                continue;
            }
            let done = self.act(rule, exchange, out);
            match done {
                Done::Nothing => continue,
                Done::Pass => return Enter::Next,
                Done::Drop => return Enter::Drop,
                Done::Reply(_) | Done::Alias(_) => exchange.label = self.around.label,
            }
            return match done {
                Done::Alias(alias) => exchange.follow(alias, out),
                Done::Reply(length) => {
                    exchange.reason = Some("a rule says so");
                    Enter::Answer(length)
                }
                _ => Enter::Next,
            };
        }
        Enter::Next
    }

    fn leave(&self, exchange: &Exchange<'_>, wire: &mut Vec<u8>) {
        let program = self.program.load();
        let (query, peer) = (exchange.query, &exchange.peer);
        let Some(read) = reply::Reply::read(wire) else { return };
        let of_answer = read.records.iter().filter(|record| record.section == 0);
        let addresses: Vec<IpAddr> = of_answer.filter_map(|record| read.address(record)).collect();
        if addresses.is_empty() {
            return;
        }
        let end = program.passed(query, peer);
        for number in program.answering().iter().take_while(|number| **number < end) {
            let fits = |rule: &&Rule| rule.fits_answer(query, peer, &addresses);
            let Some(rule) = program.rule(*number).filter(fits) else { continue };
            let mut out = vec![0; exchange.size.max(512)];
            match self.act(rule, exchange, &mut out) {
                Done::Nothing => continue,
                Done::Pass => {}
                Done::Drop => wire.clear(),
                Done::Reply(length) => {
                    out.truncate(length);
                    *wire = out;
                }
                Done::Alias(alias) => exchange.lead(alias, wire),
            }
            return;
        }
    }

    fn has_leave(&self) -> bool {
        self.has_leave
    }

    fn label(&self) -> usize {
        self.around.label
    }

    fn rules(&self) -> Option<&Rules> {
        Some(self)
    }
}

impl Surroundings {
    fn program(&self, rules: Vec<config::Rule>) -> Program {
        let owner = program::Owner { chain: &self.chain, plugin: &self.plugin, stock: &self.stock };
        Program::new(rules, owner)
    }

    fn render(
        &self,
        reply: &Reply,
        extended: Option<ExtendedError>,
        query: &Query<'_>,
        size: usize,
        out: &mut [u8],
    ) -> usize {
        let mut writer = Writer::new(query, size, extended, out);
        writer.set_class(if query.qclass == class::ANY { class::IN } else { query.qclass });
        if reply.authoritative {
            writer.set_flag(bits::AA);
        }
        if self.recursive {
            writer.set_flag(bits::RA);
        }
        let wanted = reply.records.iter().filter(|r| reply.whole || r.rtype == query.qtype);
        let mut fits = write(wanted, &mut writer);
        if fits && writer.count(Section::Answer) == 0 {
            writer.section(Section::Authority);
            fits = write(reply.authority.iter(), &mut writer);
        }
        if !fits {
            writer.set_flag(bits::TC);
        }
        writer.finish(reply.rcode)
    }
}

/// False when one does not fit.
fn write<'r>(mut records: impl Iterator<Item = &'r Record>, writer: &mut Writer<'_>) -> bool {
    records.all(|record| {
        let owner = record.owner.as_ref().map_or(QUESTION, |origin| Owner::Name(&origin.0));
        writer.record(owner, record.rtype, record.ttl, &record.rdata.0)
    })
}
