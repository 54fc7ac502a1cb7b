//! What is made of what a feed says: a reply, an alias, silence, or nothing.

use crate::answer::writer::{Owner, QUESTION, Section, Writer};
use crate::answer::{self, ExtendedError};
use crate::name::{Name, NameRef};
use crate::query::{bits, rcode};
use crate::rdata::rtype;
use crate::server::chain::Exchange;
use crate::server::config;
use crate::server::reply::{Record, Reply};
use crate::server::rpz::feed::{Feed, Policy};
use crate::server::rules::Surroundings;
use crate::server::rules::alias::{Alias, in_wildcard};

/// RFC 8914 sections 4.5 and 4.16.
const FORGED: u16 = 4;
const BLOCKED: u16 = 15;
/// What speaks of a query: a feed, as it is used here, and what it says.
pub struct Found<'f> {
    pub config: &'f config::Feed,
    pub feed: &'f Feed,
    pub policy: &'f Policy,
}

/// Aliases of the answer that lead to the name that a feed speaks of.
#[derive(Default)]
pub struct Way<'r> {
    pub reply: Option<&'r Reply<'r>>,
    pub aliases: Vec<&'r Record>,
}

/// What a policy comes to.
pub enum Done {
    Pass,
    Drop,
    Reply(usize),
    Alias(Box<Alias>),
}

impl Found<'_> {
    pub fn act(
        &self,
        around: &Surroundings,
        name: &NameRef,
        way: &Way<'_>,
        exchange: &Exchange<'_>,
        out: &mut [u8],
    ) -> Done {
        let (query, size) = (exchange.query, exchange.size);
        let extended = |code: u16| {
            Some(ExtendedError { code: self.config.extended.unwrap_or(code), text: "" })
        };
        match self.policy {
            Policy::Passthru => Done::Pass,
            Policy::Drop => Done::Drop,
            Policy::TcpOnly if exchange.peer.stream => Done::Pass,
            Policy::TcpOnly => {
                let code = way.reply.map_or(rcode::NOERROR, Reply::rcode);
                Done::Reply(answer::truncated(query, code & bits::RCODE, size, out))
            }
            Policy::NxDomain | Policy::NoData if around.guard.is_signed(query) => {
                Done::Reply(answer::error(query, rcode::REFUSED, extended(BLOCKED), size, out))
            }
            Policy::Cname(..) | Policy::Data(_) if around.guard.is_signed(query) => Done::Pass,
            Policy::Cname(target, ttl) => {
                let (ttl, extended) = (self.ttl(*ttl), extended(FORGED).map(|error| error.code));
                let target = match target.is_wildcard() {
                    true => in_wildcard(target, name),
                    false => Some(target.clone()),
                };
                match target {
                    Some(target) => {
                        let before = way.before();
                        Done::Alias(Box::new(Alias { target, ttl, extended, before }))
                    }
                    None => {
                        Done::Reply(self.write(around, rcode::YXDOMAIN, way, exchange, None, out))
                    }
                }
            }
            Policy::NxDomain => Done::Reply(self.write(
                around,
                rcode::NXDOMAIN,
                way,
                exchange,
                extended(BLOCKED),
                out,
            )),
            Policy::NoData => Done::Reply(self.write(
                around,
                rcode::NOERROR,
                way,
                exchange,
                extended(BLOCKED),
                out,
            )),
            Policy::Data(_) => Done::Reply(self.write(
                around,
                rcode::NOERROR,
                way,
                exchange,
                extended(FORGED),
                out,
            )),
        }
    }

    fn ttl(&self, ttl: u32) -> u32 {
        ttl.min(self.config.most_ttl)
    }

    fn write(
        &self,
        around: &Surroundings,
        code: u16,
        way: &Way<'_>,
        exchange: &Exchange<'_>,
        extended: Option<ExtendedError>,
        out: &mut [u8],
    ) -> usize {
        let query = exchange.query;
        let mut writer = Writer::new(query, exchange.size, extended, out);
        if around.recursive {
            writer.set_flag(bits::RA);
        }
        let mut fits = way.write(&mut writer);
        let end = way.end();
        let owner = end.as_deref().map_or(QUESTION, Owner::Name);
        let before = writer.count(Section::Answer);
        if let Policy::Data(data) = self.policy {
            let wanted = |rtype: u16| query.qtype == rtype::ANY || query.qtype == rtype;
            for one in data.iter().filter(|one| wanted(one.rtype)) {
                fits &= writer.record(owner, one.rtype, self.ttl(one.ttl), &one.rdata);
            }
        }
        // Which feed it was, for people, as BIND tells it.
        if let Some((zone, soa)) = &self.feed.soa
            && writer.count(Section::Answer) == before
        {
            writer.section(Section::Additional);
            let _room = writer.record(Owner::Name(zone), soa.rtype, self.ttl(soa.ttl), &soa.rdata);
        }
        if !fits {
            writer.set_flag(bits::TC);
        }
        writer.finish(code)
    }
}

impl Way<'_> {
    fn write(&self, writer: &mut Writer<'_>) -> bool {
        let Some(reply) = self.reply else { return true };
        self.aliases.iter().all(|record| reply.copy(record, writer))
    }

    fn before(&self) -> Vec<(Name, u32, Name)> {
        let Some(reply) = self.reply else { return vec![] };
        let of = |record: &&Record| {
            Some((reply.name_of(record, false)?, record.ttl, reply.name_of(record, true)?))
        };
        self.aliases.iter().filter_map(of).collect()
    }

    /// Where it leads.
    fn end(&self) -> Option<Name> {
        self.reply?.name_of(self.aliases.last()?, true)
    }
}
