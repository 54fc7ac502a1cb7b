//! Rules, arranged so that only those are looked at which may speak of a query.

use std::collections::HashMap;
use std::net::IpAddr;

use arc_swap::ArcSwap;
use foldhash::fast::RandomState;

#[cfg(test)]
use crate::name::Name;
use crate::query::Query;
use crate::server::chain::Peer;
use crate::server::routes::NameMap;
use crate::server::rules::buckets::{Buckets, prefix};
use crate::server::rules::config::{self, Action, Transport};
use crate::server::rules::hits::{Hit, Key};
use crate::server::rules::names::{NONE, Names, Said};
use crate::server::rules::networks::Networks;
use crate::server::stock::{Held, Stock};

/// Rules in their order; the first that fits decides. Each is found by its names if it has
/// some, else by its networks if it has some.
#[derive(Default)]
pub struct Program {
    rules: Vec<Rule>,
    always: Vec<u32>,
    networks: Networks,
    names: NameMap<Vec<u32>>,
    below: NameMap<Vec<u32>>,
    first: HashMap<Box<[u8]>, Vec<u32>, RandomState>,
    /// Those that are looked at on the way back.
    answering: Vec<u32>,
}

pub struct Rule {
    pub config: config::Rule,
    /// Of a rule that is found by its names.
    networks: Option<Networks>,
    /// Of names, of which one has to be in one of them; and whether as suffixes.
    lists: Vec<(Held<Names>, bool)>,
    buckets: Option<Buckets>,
    answers: Networks,
    pub hit: Option<Hit>,
}

/// Whose rules they are.
#[derive(Clone, Copy)]
pub struct Owner<'o> {
    pub chain: &'o str,
    pub plugin: &'o str,
    pub stock: &'o Stock,
}

impl Program {
    pub fn new(rules: Vec<config::Rule>, owner: Owner<'_>) -> Self {
        let mut program = Self::default();
        let mut clients = vec![];
        for (mut config, number) in rules.into_iter().zip(0u32..) {
            let lists = lists(&mut config, owner.stock);
            let is_answering = !config.answers.is_empty();
            let named = !is_answering && program.name(&mut config, number);
            let networks = std::mem::take(&mut config.networks);
            let mut own = None;
            if is_answering {
                program.answering.push(number);
            }
            if networks.is_empty() {
                if !named && !is_answering {
                    program.always.push(number);
                }
            } else if named || is_answering {
                own = Some(Networks::new(networks.into_iter().map(|network| (network, 0))));
            } else {
                clients.extend(networks.into_iter().map(|network| (network, number)));
            }
            let answers = std::mem::take(&mut config.answers).into_iter();
            let answers = Networks::new(answers.map(|network| (network, 0)));
            let buckets = config.rate.map(|rate| Buckets::new(rate.per_second, rate.burst));
            let hit = hit(&config, owner);
            program.rules.push(Rule { config, networks: own, lists, buckets, answers, hit });
        }
        program.networks = Networks::new(clients.into_iter());
        program
    }

    /// Make a rule known under its names; false if it has none. They are kept here only.
    fn name(&mut self, config: &mut config::Rule, number: u32) -> bool {
        let [names, below] = [&mut config.names, &mut config.below].map(std::mem::take);
        let first = std::mem::take(&mut config.first);
        let has_some = !(names.is_empty() && below.is_empty() && first.is_empty());
        for (all, map) in [(names, &mut self.names), (below, &mut self.below)] {
            for name in all {
                map.entry(name.0).or_default().push(number);
            }
        }
        for label in first {
            self.first.entry(label.into_bytes().into()).or_default().push(number);
        }
        has_some
    }

    pub fn rule(&self, number: u32) -> Option<&Rule> {
        self.rules.get(number as usize)
    }

    /// The rules that are looked at on the way back, in their order.
    pub fn answering(&self) -> &[u32] {
        &self.answering
    }

    /// The first rule that fits, from number `from` on, of those that need no answer. Rates are
    /// not looked at.
    pub fn find(&self, query: &Query<'_>, peer: &Peer, from: u32) -> Option<(u32, &Rule)> {
        let mut best = u32::MAX;
        let mut look = |numbers: &[u32]| {
            let before = numbers.iter().copied().take_while(|number| *number < best);
            let fits = before.into_iter().find(|number| {
                *number >= from && self.rule(*number).is_some_and(|rule| rule.fits(query, peer))
            });
            best = fits.unwrap_or(best);
        };
        look(&self.always);
        if !self.networks.is_empty() {
            self.networks.of(peer.client.ip()).for_each(&mut look);
        }
        let name: &crate::name::NameRef = query.name();
        if let Some(numbers) = self.names.get(name) {
            look(numbers);
        }
        if !self.below.is_empty() {
            name.ancestors().filter_map(|ancestor| self.below.get(ancestor)).for_each(|n| look(n));
        }
        if !self.first.is_empty() && name.parent().is_some_and(|parent| !parent.is_root()) {
            let numbers = name.labels().next().and_then(|label| self.first.get(label));
            numbers.into_iter().for_each(|n| look(n));
        }
        self.rule(best).map(|rule| (best, rule))
    }

    /// The number of the first rule that has let the query go on, past all that follow it.
    pub fn passed(&self, query: &Query<'_>, peer: &Peer) -> u32 {
        let mut from = 0;
        while let Some((number, rule)) = self.find(query, peer, from) {
            if !rule.goes_on() && rule.buckets.is_none() {
                return number;
            }
            from = number + 1;
        }
        u32::MAX
    }
}

/// The lists of a rule. With one, the rule's own names are another: it is found by none.
fn lists(config: &mut config::Rule, stock: &Stock) -> Vec<(Held<Names>, bool)> {
    let lists = std::mem::take(&mut config.lists);
    if lists.is_empty() && config.answers.is_empty() {
        return vec![];
    }
    let mut all: Vec<_> =
        lists.into_iter().map(|list| (stock.lists.get(&list.list), list.below)).collect();
    for (names, below) in [(&mut config.names, NONE), (&mut config.below, 0)] {
        let mut own = Names::default();
        for name in std::mem::take(names) {
            // Some names of a rule take less than what `set` refuses.
            let _room = own.set(&name.0, Said { exact: 0, below });
        }
        if !own.is_empty() {
            all.push((Held::new(ArcSwap::from_pointee(own)), false));
        }
    }
    all
}

fn hit(config: &config::Rule, owner: Owner<'_>) -> Option<Hit> {
    let rule = config.label.clone()?;
    let (chain, plugin) = (owner.chain.to_owned(), owner.plugin.to_owned());
    let key = Key { chain, plugin, rule, trigger: "", action: "", dry: config.dry };
    Some(owner.stock.hits.of(key))
}

impl Rule {
    fn fits(&self, query: &Query<'_>, peer: &Peer) -> bool {
        let rule = &self.config;
        let transport = if peer.stream { Transport::Tcp } else { Transport::Udp };
        let in_list = |(list, below): &(Held<Names>, bool)| list.load().has(query.name(), *below);
        (rule.types.is_empty() || rule.types.contains(&query.qtype))
            && (rule.classes.is_empty() || rule.classes.contains(&query.qclass))
            && (rule.transports.is_empty() || rule.transports.contains(&transport))
            && self.networks.as_ref().is_none_or(|own| has(own, peer.client.ip()))
            && (self.lists.is_empty() || self.lists.iter().any(in_list))
    }

    /// On the way back, of an answer with these addresses.
    pub fn fits_answer(&self, query: &Query<'_>, peer: &Peer, addresses: &[IpAddr]) -> bool {
        addresses.iter().any(|address| has(&self.answers, *address)) && self.fits(query, peer)
    }

    /// Whether a rate that it has is not reached. It counts.
    pub fn is_within_rate(&self, peer: &Peer, at: std::time::Instant) -> bool {
        match (&self.config.rate, &self.buckets) {
            (Some(rate), Some(buckets)) => {
                buckets.take(prefix(peer.client.ip(), rate.v4, rate.v6), at)
            }
            _ => false,
        }
    }

    /// Whether the rules that follow it are looked at when it fits.
    pub fn goes_on(&self) -> bool {
        self.config.dry || matches!(self.config.action, Action::Note {})
    }
}

fn has(networks: &Networks, client: IpAddr) -> bool {
    networks.of(client).next().is_some()
}

/// The names that a test asks about.
#[cfg(test)]
pub fn question(name: &str, qtype: u16) -> Vec<u8> {
    let mut wire = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0".to_vec();
    wire.extend_from_slice(Name::from_text(name, None).unwrap().wire());
    wire.extend_from_slice(&qtype.to_be_bytes());
    wire.extend_from_slice(&[0, 1]);
    wire
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rdata::rtype;

    /// Which of the rules decides, told by its rcode.
    fn decides(rules: &serde_json::Value, name: &str, qtype: u16, client: &str) -> Option<u16> {
        let stock = Stock::default();
        let owner = Owner { chain: "", plugin: "", stock: &stock };
        let program = Program::new(serde_json::from_value(rules.clone()).unwrap(), owner);
        let wire = question(name, qtype);
        let query = Query::parse(&wire).ok().unwrap();
        let client = format!("{client}:53").parse().unwrap();
        let peer = Peer { client, local: None, port: 53, stream: false };
        program.find(&query, &peer, 0).map(|(_, rule)| match &rule.config.action {
            config::Action::Reply(reply) => reply.rcode,
            _ => 99,
        })
    }

    fn reply(rcode: u16) -> serde_json::Value {
        serde_json::json!({"do": "reply", "rcode": rcode})
    }

    #[test]
    fn the_first_rule_that_fits_decides_however_it_is_found() {
        let rules = serde_json::json!([
            {"networks": ["10.9.0.0/16"], "types": [1], "action": reply(0)},
            {"names": ["www.example.org."], "networks": ["10.0.0.0/8"], "action": reply(1)},
            {"below": ["example.org."], "types": [1], "action": reply(2)},
            {"first": ["localhost"], "action": reply(3)},
            {"networks": ["10.0.0.0/8", "192.0.2.0/24"], "action": reply(4)},
            {"types": [28], "action": reply(5)},
            {"below": ["org."], "transports": ["tcp"], "action": reply(6)},
        ]);
        let cases = [
            ("www.example.org.", rtype::A, "10.9.1.1", Some(0)),
            ("www.example.org.", rtype::A, "10.1.1.1", Some(1)),
            ("www.example.org.", rtype::A, "11.1.1.1", Some(2)),
            ("example.org.", rtype::A, "10.1.1.1", Some(2)),
            ("xexample.org.", rtype::A, "10.1.1.1", Some(4)),
            ("localhost.example.com.", rtype::A, "10.1.1.1", Some(3)),
            ("localhost.", rtype::A, "11.1.1.1", None),
            ("example.org.", rtype::AAAA, "192.0.2.1", Some(4)),
            ("example.org.", rtype::AAAA, "192.0.3.1", Some(5)),
            ("example.org.", rtype::MX, "192.0.3.1", None),
        ];
        for (name, qtype, client, expected) in cases {
            assert_eq!(decides(&rules, name, qtype, client), expected, "{name} {client}");
        }
    }
}
