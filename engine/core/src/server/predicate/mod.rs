//! What a query has to be: a table of tests, each with its way on for either outcome.
//!
//! *view* compiles its expressions to such a table. A query goes through it forwards, without an
//! allocation; regular expressions keep the room that they need from query to query.

pub mod config;
mod text;

use std::net::{IpAddr, SocketAddr};

use regex::bytes::{Regex, RegexBuilder};

use crate::error::{Error, Result};
use crate::query::{Query, bits};
use crate::server::chain::Peer;
use crate::server::predicate::config::{Address, How, Number};
use crate::server::predicate::text::NameText;
use crate::server::rules::networks::Networks;

/// Octets that a compiled regular expression may take.
const LARGEST_PATTERN: usize = 1 << 20;
const TCP: u32 = 6;
const UDP: u32 = 17;

/// The default holds for all queries.
#[derive(Default)]
pub struct Predicate(Box<[Step]>);

struct Step {
    test: Test,
    yes: usize,
    no: usize,
}

enum Test {
    Number { of: Number, ranges: Box<[(u32, u32)]> },
    Address { of: Address, networks: Networks },
    Name { how: How, texts: Box<[String]> },
    Matches(Box<[Regex]>),
}

/// A regular expression for names, which are ASCII. Raises "config".
pub fn pattern(text: &str) -> Result<Regex> {
    let built = RegexBuilder::new(text).unicode(false).size_limit(LARGEST_PATTERN).build();
    built.map_err(|error| Error::at("config", text, flat(&error.to_string())))
}

/// The last line says what is wrong; those before it draw where.
fn flat(message: &str) -> String {
    let last = message.lines().next_back().unwrap_or_default();
    last.trim().trim_start_matches("error: ").to_owned()
}

impl Predicate {
    /// A way leads to a later step, or behind the table: to its length, and it holds, or to one
    /// more, and it doesn't. Raises "config".
    pub fn new(steps: &[config::Step]) -> Result<Self> {
        let ends = steps.len() + 1;
        let step = |(index, step): (usize, &config::Step)| {
            if [step.yes, step.no].iter().any(|way| !(index + 1..=ends).contains(way)) {
                return Err(Error::at("config", index, "a step of a condition leads nowhere"));
            }
            Ok(Step { test: Test::new(&step.test)?, yes: step.yes, no: step.no })
        };
        steps.iter().enumerate().map(step).collect::<Result<_>>().map(Self)
    }

    pub fn holds(&self, query: &Query<'_>, peer: &Peer) -> bool {
        let mut name = None;
        let mut at = 0;
        while let Some(step) = self.0.get(at) {
            at = if step.test.fits(query, peer, &mut name) { step.yes } else { step.no };
        }
        at == self.0.len()
    }
}

impl Test {
    fn new(test: &config::Test) -> Result<Self> {
        Ok(match test {
            config::Test::Number { of, ranges } => {
                Self::Number { of: *of, ranges: ranges.as_slice().into() }
            }
            config::Test::Address { of, networks } => {
                let all = networks.iter().map(|network| (*network, 0));
                Self::Address { of: *of, networks: Networks::new(all) }
            }
            config::Test::Name { how: How::Matches, texts } => {
                let patterns = texts.iter().map(|text| pattern(text));
                Self::Matches(patterns.collect::<Result<_>>()?)
            }
            config::Test::Name { how, texts } => {
                Self::Name { how: *how, texts: texts.as_slice().into() }
            }
        })
    }

    fn fits(&self, query: &Query<'_>, peer: &Peer, name: &mut Option<NameText>) -> bool {
        match self {
            Self::Number { of, ranges } => {
                let value = of.of(query, peer);
                ranges.iter().any(|(least, most)| (*least..=*most).contains(&value))
            }
            Self::Address { of, networks } => {
                of.of(peer).is_some_and(|address| networks.of(address).next().is_some())
            }
            Self::Name { how, texts } => {
                let name = NameText::once(name, query.name());
                texts.iter().any(|text| how.fits(name, text.as_bytes()))
            }
            Self::Matches(patterns) => {
                let name = NameText::once(name, query.name());
                patterns.iter().any(|pattern| pattern.is_match(name))
            }
        }
    }
}

impl Number {
    fn of(self, query: &Query<'_>, peer: &Peer) -> u32 {
        match self {
            Self::Type => query.qtype.into(),
            Self::Class => query.qclass.into(),
            Self::Protocol => {
                if peer.stream {
                    TCP
                } else {
                    UDP
                }
            }
            Self::Port => peer.client.port().into(),
            Self::ServerPort => peer.port.into(),
            Self::Size => query.wire().len() as u32,
            Self::Bufsize if peer.stream => u16::MAX.into(),
            Self::Bufsize => query.udp_limit(usize::from(u16::MAX)) as u32,
            Self::Id => query.id().into(),
            Self::Opcode => ((query.flags() & bits::OPCODE) >> 11).into(),
            Self::Do => query.dnssec_ok().into(),
        }
    }
}

impl Address {
    fn of(self, peer: &Peer) -> Option<IpAddr> {
        match self {
            Self::Client => Some(SocketAddr::ip(&peer.client)),
            Self::Server => peer.local,
        }
    }
}

impl How {
    fn fits(self, name: &[u8], text: &[u8]) -> bool {
        match self {
            Self::Equals => name == text,
            Self::Starts => name.starts_with(text),
            Self::Ends => name.ends_with(text),
            Self::Contains => memchr::memmem::find(name, text).is_some(),
            Self::Matches => false,
        }
    }
}

#[cfg(test)]
mod tests;
