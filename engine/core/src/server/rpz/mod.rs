//! *rpz*: response policy zones. The first feed in their order that speaks of a query decides; of
//! one feed's triggers, the client's address before the name, and the name before the answer's
//! addresses (draft-vixie-dnsop-dns-rpz-00 section 5).

pub mod feed;
mod verdict;

use std::cmp::Reverse;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::Guard as Loaded;

use crate::name::NameRef;
use crate::rdata::rtype;
use crate::server::chain::{Enter, Exchange, Stage};
use crate::server::config;
use crate::server::reply::{Record, Reply};
use crate::server::rules::hits::{Hit, Key};
use crate::server::rules::networks::Networks;
use crate::server::rules::{Surroundings, note};
use crate::server::stock::Held;
use feed::{Feed, Policy};
use verdict::{Done, Found, Way};

const TRIGGERS: [&str; 3] = ["client-ip", "qname", "ip"];
const ACTIONS: [&str; 7] = ["nxdomain", "nodata", "passthru", "drop", "tcp-only", "cname", "data"];
/// Aliases that are followed in an answer.
const MOST_ALIASES: usize = 16;

#[derive(Clone, Copy)]
enum Trigger {
    Client,
    Name,
    Answer,
}

struct Source {
    config: config::Feed,
    instead: Option<Policy>,
    feed: Held<Feed>,
    /// By trigger and action.
    hits: Vec<Hit>,
}

pub struct Rpz {
    around: Surroundings,
    sources: Vec<Source>,
}

type Feeds = Vec<Loaded<Arc<Feed>>>;

/// What is known of an answer on the way back: a name in it, and its addresses.
struct Place<'n> {
    name: &'n NameRef,
    addresses: Option<&'n [IpAddr]>,
    /// Dry hits by client and name are counted here, and not elsewhere.
    counts: bool,
}

impl Source {
    fn new(config: &config::Feed, around: &Surroundings) -> Self {
        let hit = |(trigger, action)| {
            around.stock.hits.of(Key {
                chain: around.chain.clone(),
                plugin: around.plugin.clone(),
                rule: config.zone.0.to_string(),
                trigger,
                action,
                dry: config.policy == config::Override::Disabled,
            })
        };
        let kinds = TRIGGERS.iter().flat_map(|trigger| ACTIONS.map(|action| (*trigger, action)));
        let hits = kinds.map(hit).collect();
        let instead = match &config.policy {
            config::Override::Given | config::Override::Disabled => None,
            config::Override::Passthru => Some(Policy::Passthru),
            config::Override::Drop => Some(Policy::Drop),
            config::Override::Nxdomain => Some(Policy::NxDomain),
            config::Override::Nodata => Some(Policy::NoData),
            config::Override::TcpOnly => Some(Policy::TcpOnly),
            config::Override::Cname(target) => {
                Some(Policy::Cname(target.0.clone(), config.most_ttl))
            }
        };
        let feed = around.stock.feeds.get(&config.feed);
        Self { config: config.clone(), instead, feed, hits }
    }

    /// Whether it decides: a feed that is disabled is only counted.
    fn decides(
        &self,
        trigger: Trigger,
        policy: &Policy,
        exchange: &Exchange<'_>,
        around: &Surroundings,
    ) {
        let action = match policy {
            Policy::NxDomain => 0,
            Policy::NoData => 1,
            Policy::Passthru => 2,
            Policy::Drop => 3,
            Policy::TcpOnly => 4,
            Policy::Cname(..) => 5,
            Policy::Data(_) => 6,
        };
        if let Some(hit) = self.hits.get(trigger as usize * ACTIONS.len() + action) {
            hit.fetch_add(1, Ordering::Relaxed);
        }
        if self.config.log || self.is_dry() {
            let (trigger, action) = (TRIGGERS[trigger as usize], ACTIONS[action]);
            let said = format!("{trigger} in {}: {action}", self.config.zone.0);
            note(&around.ring, &around.plugin, exchange, &said, self.is_dry());
        }
    }

    fn is_dry(&self) -> bool {
        self.config.policy == config::Override::Disabled
    }
}

fn first_of(table: &Networks, address: IpAddr) -> Option<u32> {
    table.of(address).next()?.first().copied()
}

impl Rpz {
    pub fn new(around: Surroundings, feeds: &[config::Feed]) -> Self {
        let sources = feeds.iter().map(|feed| Source::new(feed, &around)).collect();
        Self { around, sources }
    }

    fn load(&self) -> Feeds {
        self.sources.iter().map(|source| source.feed.load()).collect()
    }

    /// What decides. On the way in None also where a feed before the one that speaks may yet speak
    /// of the answer.
    fn find<'f>(
        &'f self,
        feeds: &'f Feeds,
        exchange: &Exchange<'_>,
        place: &Place<'_>,
    ) -> Option<Found<'f>> {
        let client = exchange.peer.client.ip();
        let mut may_speak = false;
        for (source, feed) in self.sources.iter().zip(feeds) {
            let feed: &Feed = feed;
            let by_client =
                || first_of(&feed.clients, client).map(|number| (Trigger::Client, number));
            let by_name = || {
                let number = feed.names.nearest(place.name);
                feed.policies.get(number as usize).map(|_| (Trigger::Name, number))
            };
            let by_answer = || {
                // Section 5.5 and 5.6: the longest prefix, of the lowest address.
                let all = place.addresses?.iter();
                let found = all.filter_map(|one| {
                    let number = first_of(&feed.answers, *one)?;
                    let (length, policy) = *feed.networks.get(number as usize)?;
                    Some((Reverse(length), *one, policy))
                });
                found.min().map(|(_, _, policy)| (Trigger::Answer, policy))
            };
            let found = by_client().or_else(by_name).or_else(by_answer);
            let given = found
                .and_then(|(trigger, number)| Some((trigger, feed.policies.get(number as usize)?)));
            if let Some((trigger, policy)) = given {
                let policy = source.instead.as_ref().unwrap_or(policy);
                if !source.is_dry() {
                    if may_speak && place.addresses.is_none() {
                        return None;
                    }
                    source.decides(trigger, policy, exchange, &self.around);
                    return Some(Found { config: &source.config, feed, policy });
                }
                if place.counts || matches!(trigger, Trigger::Answer) {
                    source.decides(trigger, policy, exchange, &self.around);
                }
            }
            may_speak |= !feed.answers.is_empty();
        }
        None
    }
}

impl Stage for Rpz {
    fn enter(&self, exchange: &mut Exchange<'_>, out: &mut [u8]) -> Enter {
        let feeds = self.load();
        let name = exchange.query.name();
        let place = Place { name, addresses: None, counts: true };
        let Some(found) = self.find(&feeds, exchange, &place) else { return Enter::Next };
        match found.act(&self.around, name, &Way::default(), exchange, out) {
            Done::Pass => Enter::Next,
            Done::Drop => Enter::Drop,
            Done::Reply(length) => {
                exchange.label = self.around.label;
                exchange.reason = Some("a feed says so");
                Enter::Answer(length)
            }
            Done::Alias(alias) => {
                exchange.label = self.around.label;
                exchange.follow(alias, out)
            }
        }
    }

    /// Names that the answer led to, and its addresses. What was decided on the way in was to let
    /// it pass, or to wait for this.
    fn leave(&self, exchange: &Exchange<'_>, wire: &mut Vec<u8>) {
        let feeds = self.load();
        let Some(reply) = Reply::read(wire) else { return };
        let answers = || reply.records.iter().filter(|record| record.section == 0);
        let looks_at_addresses = feeds.iter().any(|feed| !feed.answers.is_empty());
        if !looks_at_addresses && answers().all(|record| record.rtype != rtype::CNAME) {
            return;
        }
        let qtype = exchange.query.qtype;
        let mut way = Way { reply: Some(&reply), aliases: vec![] };
        let mut name = exchange.query.name().to_owned();
        loop {
            let here = |record: &&Record| reply.name_of(record, false).as_ref() == Some(&name);
            let of_type = |record: &&Record| qtype == rtype::ANY || record.rtype == qtype;
            let addresses: Vec<IpAddr> = answers()
                .filter(of_type)
                .filter(here)
                .filter_map(|record| reply.address(record))
                .collect();
            let counts = !way.aliases.is_empty();
            let place = Place { name: &name, addresses: Some(&addresses), counts };
            if let Some(found) = self.find(&feeds, exchange, &place) {
                let mut out = vec![0; exchange.size.max(512)];
                let done = found.act(&self.around, &name, &way, exchange, &mut out);
                match done {
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
            let next = answers().filter(|record| record.rtype == rtype::CNAME).find(here);
            let Some(next) = next.filter(|_| way.aliases.len() < MOST_ALIASES) else { return };
            let Some(target) = reply.name_of(next, true) else { return };
            way.aliases.push(next);
            name = target;
        }
    }

    fn has_leave(&self) -> bool {
        true
    }

    fn label(&self) -> usize {
        self.around.label
    }
}
