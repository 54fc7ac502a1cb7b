//! A response policy zone as a table of what to do with whom
//! (draft-vixie-dnsop-dns-rpz-00 sections 3 and 4).

use std::collections::HashMap;
use std::net::IpAddr;

use foldhash::fast::RandomState;

use crate::error::Result;
use crate::name::{Name, NameRef};
use crate::rdata::rtype;
use crate::server::config::Network;
use crate::server::rules::names::{NONE, Names, Said};
use crate::server::rules::networks::Networks;
use crate::zone::{Node, Zone};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    NxDomain,
    NoData,
    Passthru,
    Drop,
    TcpOnly,
    /// To another name; a wildcard takes the name asked for in its asterisk's place.
    Cname(Name, u32),
    Data(Box<[Datum]>),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Datum {
    pub rtype: u16,
    pub ttl: u32,
    pub rdata: Box<[u8]>,
}

/// Triggers by their kind, and those that are no use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub names: usize,
    pub clients: usize,
    pub answers: usize,
    /// NSDNAME and NSIP: who does not recurse sees no name servers.
    pub of_servers: usize,
    /// Addresses or records that can't be read as triggers or policies.
    pub unread: usize,
}

#[derive(Default)]
pub struct Feed {
    pub names: Names,
    pub clients: Networks,
    /// Numbers in `networks`.
    pub answers: Networks,
    /// Length of a prefix, and its policy.
    pub networks: Vec<(u8, u32)>,
    pub policies: Vec<Policy>,
    pub counts: Counts,
    /// The zone's name, and its SOA record.
    pub soa: Option<(Name, Datum)>,
}

enum Trigger {
    Name(Name),
    Client(Network),
    Answer(Network),
    Server,
}

#[derive(Default)]
struct Reader {
    feed: Feed,
    known: HashMap<Policy, u32, RandomState>,
    clients: Vec<(Network, u32)>,
    answers: Vec<Network>,
}

impl Feed {
    /// Raises "size".
    pub fn read(zone: &Zone) -> Result<Self> {
        let mut reader = Reader::default();
        reader.feed.names = Names::with_capacity(zone.node_count());
        reader.feed.soa = zone.soa().and_then(|soa| {
            let rdata = soa.rdatas().next()?.into();
            let datum = Datum { rtype: rtype::SOA, ttl: soa.ttl, rdata };
            Some((zone.origin().to_owned(), datum))
        });
        for node in zone.nodes().filter(|node| node.rrset_count() > 0) {
            reader.take(node, zone.origin())?;
        }
        let Reader { mut feed, clients, answers, .. } = reader;
        feed.names.close();
        (feed.counts.clients, feed.counts.answers) = (clients.len(), answers.len());
        let answers = answers.into_iter().zip(0..);
        (feed.clients, feed.answers) = (Networks::new(clients.into_iter()), Networks::new(answers));
        Ok(feed)
    }
}

impl Reader {
    fn take(&mut self, node: &Node, origin: &NameRef) -> Result<()> {
        let Some(length) = node.name().wire().len().checked_sub(origin.wire().len()) else {
            return Ok(());
        };
        if length == 0 {
            return Ok(());
        }
        let owner = [&node.name().wire()[..length], &[0]].concat();
        let owner = NameRef::parse(&owner)?.to_lower();
        match trigger(&owner) {
            Some(Trigger::Server) => self.feed.counts.of_servers += 1,
            Some(trigger) => match policy(node, &owner) {
                Some(policy) => self.put(trigger, policy)?,
                None => self.feed.counts.unread += 1,
            },
            None => self.feed.counts.unread += 1,
        }
        Ok(())
    }

    fn put(&mut self, trigger: Trigger, policy: Policy) -> Result<()> {
        let policies = &mut self.feed.policies;
        let number = *self.known.entry(policy).or_insert_with_key(|policy| {
            policies.push(policy.clone());
            policies.len() as u32 - 1
        });
        match trigger {
            Trigger::Client(network) => self.clients.push((network, number)),
            Trigger::Answer(network) => {
                self.feed.networks.push((network.length(), number));
                self.answers.push(network);
            }
            Trigger::Server => {}
            Trigger::Name(name) => {
                self.feed.counts.names += 1;
                match name.parent() {
                    Some(below) if name.is_wildcard() => {
                        self.name(below, Said { exact: NONE, below: number })?;
                    }
                    _ => self.name(&name, Said { exact: number, below: NONE })?,
                }
            }
        }
        Ok(())
    }

    /// Names between it and the zone's are there too: no wildcard above them holds for what is
    /// below them (RFC 4592 section 2.2.2).
    fn name(&mut self, name: &NameRef, said: Said) -> Result<()> {
        self.feed.names.add(name, said)?;
        for above in name.ancestors().skip(1) {
            if self.feed.names.at(above).is_some() {
                break;
            }
            self.feed.names.add(above, Said { exact: NONE, below: NONE })?;
        }
        Ok(())
    }
}

/// None for an address that is none.
fn trigger(owner: &Name) -> Option<Trigger> {
    let labels: Vec<&[u8]> = owner.labels().collect();
    let (last, before) = labels.split_last()?;
    Some(match *last {
        b"rpz-client-ip" => Trigger::Client(network(before)?),
        b"rpz-ip" => Trigger::Answer(network(before)?),
        b"rpz-nsip" | b"rpz-nsdname" => Trigger::Server,
        _ => Trigger::Name(owner.clone()),
    })
}

/// LENGTH.D.C.B.A, or LENGTH and the words of an IPv6 address, the last one first, `zz` for `::`.
fn network(labels: &[&[u8]]) -> Option<Network> {
    let words: Vec<&str> =
        labels.iter().map(|label| std::str::from_utf8(label).ok()).collect::<Option<_>>()?;
    let (length, words) = words.split_first()?;
    let words: Vec<&str> = words.iter().rev().copied().collect();
    let address = match words.iter().position(|word| *word == "zz") {
        Some(gap) => format!("{}::{}", words[..gap].join(":"), words[gap + 1..].join(":")),
        None if words.len() == 4 => words.join("."),
        None => words.join(":"),
    };
    let address: IpAddr = address.parse().ok()?;
    let network = Network::try_from(format!("{address}/{length}")).ok()?;
    let start = match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    // Section 4.1.1: bits beyond the length are zero.
    (length.parse::<u8>().is_ok_and(|bits| bits > 0) && network.range().1 == start)
        .then_some(network)
}

/// None where no record says what to do.
fn policy(node: &Node, owner: &Name) -> Option<Policy> {
    if let Some(alias) = node.rrset(rtype::CNAME) {
        let target = NameRef::parse(alias.rdatas().next()?).ok()?.to_lower();
        return Some(match target.wire() {
            b"\0" => Policy::NxDomain,
            b"\x01*\0" => Policy::NoData,
            b"\x0crpz-passthru\0" => Policy::Passthru,
            b"\x08rpz-drop\0" => Policy::Drop,
            b"\x0crpz-tcp-only\0" => Policy::TcpOnly,
            // How it was said before there was rpz-passthru.
            own if own == owner.wire() => Policy::Passthru,
            _ => Policy::Cname(target, alias.ttl),
        });
    }
    let is_data = |rtype: u16| {
        !matches!(rtype, rtype::DNAME | rtype::RRSIG | rtype::NSEC | rtype::NSEC3 | rtype::DNSKEY)
    };
    let mut data = vec![];
    for rrset in node.rrsets().filter(|rrset| is_data(rrset.rtype)) {
        let datum =
            |rdata: &[u8]| Datum { rtype: rrset.rtype, ttl: rrset.ttl, rdata: rdata.into() };
        data.extend(rrset.rdatas().map(datum));
    }
    (!data.is_empty()).then(|| Policy::Data(data.into()))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::scan::{Options, scan_text};

    pub fn feed(records: &str) -> Feed {
        let text = format!("$TTL 60\n@ SOA a b 1 2 3 4 5\n@ NS a\n{records}");
        let origin = Name::from_text("rpz.test.", None).unwrap();
        let zone = scan_text(text.as_bytes(), "rpz", &origin, &Options::default(), None);
        Feed::read(&zone.ok().unwrap()).unwrap()
    }

    #[test]
    fn what_a_record_tells_to_do() {
        let found = feed(
            "a CNAME .\nb CNAME *.\nc CNAME rpz-passthru.\nd CNAME rpz-drop.\n\
             e CNAME rpz-tcp-only.\nf CNAME f.\ng CNAME garden.test.\n*.h CNAME *.garden.test.\n\
             i A 192.0.2.1\ni TXT x\nj CNAME .\nk DNAME x.test.\n",
        );
        let name = |text: &str| Name::from_text(text, None).unwrap();
        let says = |text: &str| found.policies.get(found.names.nearest(&name(text)) as usize);
        let cases = [
            ("a.", Policy::NxDomain),
            ("b.", Policy::NoData),
            ("c.", Policy::Passthru),
            ("d.", Policy::Drop),
            ("e.", Policy::TcpOnly),
            ("f.", Policy::Passthru),
            ("g.", Policy::Cname(name("garden.test."), 60)),
            ("x.y.h.", Policy::Cname(name("*.garden.test."), 60)),
            ("j.", Policy::NxDomain),
        ];
        for (text, expected) in cases {
            assert_eq!(says(text), Some(&expected), "{text}");
        }
        assert!(matches!(says("i."), Some(Policy::Data(data)) if data.len() == 2));
        assert_eq!((says("h."), says("k."), says("x.a.")), (None, None, None));
        let expected = Counts { names: 10, unread: 1, ..Counts::default() };
        assert_eq!(found.counts, expected);
        assert_eq!(found.policies.len(), 8, "each once");
    }

    #[test]
    fn addresses_are_read_backwards() {
        let found = feed(
            "24.0.2.0.192.rpz-client-ip CNAME .\n32.1.2.0.192.rpz-ip CNAME *.\n\
             48.zz.1.db8.2001.rpz-ip CNAME rpz-drop.\n128.57.zz.2.2001.rpz-ip CNAME .\n\
             128.8.7.6.5.4.3.2.1.rpz-ip CNAME .\n24.1.2.0.192.rpz-ip CNAME .\n\
             0.0.0.0.0.rpz-ip CNAME .\n33.1.2.0.192.rpz-ip CNAME .\n8.x.rpz-client-ip CNAME .\n\
             ns.example.rpz-nsdname CNAME .\n32.1.2.0.192.rpz-nsip CNAME .\n",
        );
        let first = |table: &Networks, address: &str| {
            table.of(address.parse().unwrap()).next().and_then(|all| all.first()).copied()
        };
        let policy = |number: u32| found.policies[number as usize].clone();
        let of_client = |address| first(&found.clients, address).map(policy);
        let of_answer = |address| {
            let number = first(&found.answers, address)?;
            Some(policy(found.networks[number as usize].1))
        };
        assert_eq!(of_client("192.0.2.200"), Some(Policy::NxDomain));
        assert_eq!(of_client("192.0.3.1"), None);
        let cases = [
            ("192.0.2.1", Some(Policy::NoData)),
            ("2001:db8:1::9", Some(Policy::Drop)),
            ("2001:2::57", Some(Policy::NxDomain)),
            ("1:2:3:4:5:6:7:8", Some(Policy::NxDomain)),
            ("192.0.2.2", None),
        ];
        for (address, expected) in cases {
            assert_eq!(of_answer(address), expected, "{address}");
        }
        let expected = Counts { names: 0, clients: 1, answers: 4, of_servers: 2, unread: 4 };
        assert_eq!(found.counts, expected);
    }
}
