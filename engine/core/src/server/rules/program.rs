//! Rules, arranged so that only those are looked at which may speak of a query.

use std::collections::HashMap;
use std::net::IpAddr;

use foldhash::fast::RandomState;

#[cfg(test)]
use crate::name::Name;
use crate::query::Query;
use crate::server::chain::Peer;
use crate::server::routes::NameMap;
use crate::server::rules::config::{self, Transport};
use crate::server::rules::networks::Networks;

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
}

pub struct Rule {
    pub config: config::Rule,
    /// Of a rule that is found by its names.
    networks: Option<Networks>,
}

impl Program {
    pub fn new(rules: Vec<config::Rule>) -> Self {
        let mut program = Self::default();
        let mut clients = vec![];
        for (mut config, number) in rules.into_iter().zip(0u32..) {
            let named = program.name(&mut config, number);
            let networks = std::mem::take(&mut config.networks);
            let mut own = None;
            if networks.is_empty() {
                if !named {
                    program.always.push(number);
                }
            } else if named {
                own = Some(Networks::new(networks.into_iter().map(|network| (network, 0))));
            } else {
                clients.extend(networks.into_iter().map(|network| (network, number)));
            }
            program.rules.push(Rule { config, networks: own });
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

    /// The first rule that fits.
    pub fn find(&self, query: &Query<'_>, peer: &Peer) -> Option<&Rule> {
        let mut best = u32::MAX;
        let mut look = |numbers: &[u32]| {
            let before = numbers.iter().copied().take_while(|number| *number < best);
            let fits = before.into_iter().find(|number| {
                self.rules.get(*number as usize).is_some_and(|rule| rule.fits(query, peer))
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
        self.rules.get(best as usize)
    }
}

impl Rule {
    fn fits(&self, query: &Query<'_>, peer: &Peer) -> bool {
        let rule = &self.config;
        let transport = if peer.stream { Transport::Tcp } else { Transport::Udp };
        (rule.types.is_empty() || rule.types.contains(&query.qtype))
            && (rule.classes.is_empty() || rule.classes.contains(&query.qclass))
            && (rule.transports.is_empty() || rule.transports.contains(&transport))
            && self.networks.as_ref().is_none_or(|own| has(own, peer.client.ip()))
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
        let program = Program::new(serde_json::from_value(rules.clone()).unwrap());
        let wire = question(name, qtype);
        let query = Query::parse(&wire).ok().unwrap();
        let client = format!("{client}:53").parse().unwrap();
        let peer = Peer { client, local: None, port: 53, stream: false };
        program.find(&query, &peer).map(|rule| match &rule.config.action {
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
