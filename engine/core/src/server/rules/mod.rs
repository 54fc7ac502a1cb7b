//! The stage that decides: of whom, for what name and type, over what, and what is done.
//!
//! *acl*, *any*, *chaos*, *hosts* and *local* are rules; which, their Python modules say.

pub mod config;
pub mod networks;
mod program;

use std::sync::Arc;

use crate::answer::writer::{Owner, QUESTION, Section, Writer};
use crate::answer::{self, ExtendedError};
use crate::error::{Error, Result};
use crate::query::{Query, bits, class, rcode};
use crate::rdata::rtype;
use crate::server::chain::{Enter, Exchange, Stage};
use crate::server::routes::{ChainZones, Found, NameSet, find_zone};
use arc_swap::ArcSwap;
use config::{Action, Record, Reply, Signed};
use program::Program;

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

pub struct Rules {
    pub plugin: String,
    pub label: usize,
    pub guard: Guard,
    program: ArcSwap<Program>,
}

impl Rules {
    pub fn new(plugin: String, label: usize, guard: Guard, rules: Vec<config::Rule>) -> Self {
        let program = ArcSwap::from_pointee(Program::new(rules));
        Self { plugin, label, guard, program }
    }

    /// Put others in their place. Raises "config".
    pub fn refill(&self, json: &[u8]) -> Result<()> {
        let rules = serde_json::from_slice(json)
            .map_err(|error| Error::new("config", format!("the rules: {error}")))?;
        self.program.store(Arc::new(Program::new(rules)));
        Ok(())
    }

    fn act(&self, rule: &config::Rule, exchange: &mut Exchange<'_>, out: &mut [u8]) -> Enter {
        let query = exchange.query;
        let signed = match rule.signed {
            Signed::Same => Signed::Same,
            other if self.guard.is_signed(query) => other,
            _ => Signed::Same,
        };
        if signed == Signed::Pass {
            return Enter::Next;
        }
        if let Some(mark) = rule.mark {
            exchange.route.series.mark(exchange.shard, mark);
        }
        let size = exchange.size;
        match &rule.action {
            Action::Pass {} => Enter::Next,
            Action::Drop {} => Enter::Drop,
            Action::Truncate {} if exchange.peer.stream => Enter::Next,
            Action::Truncate {} => {
                exchange.label = self.label;
                Enter::Answer(answer::truncated(query, rcode::NOERROR, size, out))
            }
            Action::Reply(reply) => {
                exchange.label = self.label;
                exchange.reason = Some("a rule says so");
                let extended = reply.extended.map(|code| ExtendedError { code, text: "" });
                Enter::Answer(match signed {
                    Signed::Refuse => answer::error(query, rcode::REFUSED, extended, size, out),
                    _ => render(reply, extended, query, size, out),
                })
            }
        }
    }
}

impl Stage for Rules {
    fn enter(&self, exchange: &mut Exchange<'_>, out: &mut [u8]) -> Enter {
        let program = self.program.load();
        match program.find(exchange.query, &exchange.peer) {
            Some(rule) => self.act(&rule.config, exchange, out),
            None => Enter::Next,
        }
    }

    fn label(&self) -> usize {
        self.label
    }

    fn rules(&self) -> Option<&Rules> {
        Some(self)
    }
}

fn render(
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

/// False when one does not fit.
fn write<'r>(mut records: impl Iterator<Item = &'r Record>, writer: &mut Writer<'_>) -> bool {
    records.all(|record| {
        let owner = record.owner.as_ref().map_or(QUESTION, |origin| Owner::Name(&origin.0));
        writer.record(owner, record.rtype, record.ttl, &record.rdata.0)
    })
}
