//! The configuration as Python gives it: the engine's side of server/compiled.py.

use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;

use crate::answer::UDP_SIZE;
use crate::error::{Error, Result};
use crate::name::Name;
use crate::server::log::LogClass;
use crate::server::predicate::config::Step;
use crate::server::rewrite::config as rewrite;
use crate::server::rules::config::{Octets, Rule};
use crate::server::tap::config::Tap;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// 0: one a core.
    pub threads: usize,
    pub listeners: Vec<Listener>,
    pub chains: Vec<Chain>,
    pub routes: Vec<Route>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    pub server: String,
    pub address: IpAddr,
    pub port: u16,
    #[serde(default = "yes")]
    pub udp: bool,
    #[serde(default = "yes")]
    pub tcp: bool,
    #[serde(default)]
    pub timeouts: Timeouts,
}

/// Of TCP connections: for the rest of a query that has begun, for a peer to take a reply, for
/// a query to begin. RFC 7766 section 6.2.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    pub read_ms: u64,
    pub write_ms: u64,
    pub idle_ms: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { read_ms: 10_000, write_ms: 10_000, idle_ms: 10_000 }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    pub id: String,
    #[serde(default)]
    pub view: String,
    pub origins: Vec<Origin>,
    /// Octets of a reply over UDP at most.
    #[serde(default = "udp_size")]
    pub udp_size: usize,
    /// Whether queries of other classes than IN are taken.
    #[serde(default)]
    pub any_class: bool,
    /// What its view takes; empty for all.
    #[serde(default)]
    pub when: Vec<Step>,
    pub stages: Vec<Stage>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    pub listener: usize,
    pub origin: Origin,
    pub chain: String,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Stage {
    Metrics {},
    Errors {
        prefix: String,
    },
    Log {
        names: Vec<Origin>,
        classes: Vec<LogClass>,
        format: String,
    },
    Python(Python),
    Whoami {},
    Forward(Forward),
    Cache(Cache),
    Loop {
        probe: Origin,
    },
    Rules {
        plugin: String,
        rules: Vec<Rule>,
    },
    Tap(Tap),
    Rpz {
        feeds: Vec<Feed>,
    },
    Limit(Limit),
    Rewrite {
        rules: Vec<rewrite::Rule>,
    },
    Minimal {},
    Header {
        set: u16,
        clear: u16,
    },
    Nsid {
        data: Octets,
    },
    Shuffle {
        prefer: Vec<Network>,
    },
    Answer {
        plugin: String,
        /// Queries for ANY get one RRset over TCP too (RFC 8482 section 4.1).
        #[serde(default)]
        one_for_any: bool,
    },
}

/// Replies of each kind a second to one client; 0 for no limit.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    pub responses: u32,
    pub nodata: u32,
    pub nxdomains: u32,
    pub referrals: u32,
    pub errors: u32,
    /// Queries, whatever the reply.
    pub requests: u32,
    /// Seconds whose replies may come at once.
    pub window: u32,
    /// Each so many that are too many are cut instead of dropped; 0: none.
    pub slip: u32,
    pub v4: u8,
    pub v6: u8,
    pub dry: bool,
}

/// A response policy zone, and what is made of it here.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feed {
    /// What it is filled under.
    pub feed: String,
    pub zone: Origin,
    pub policy: Override,
    /// Seconds that what it says may be kept.
    pub most_ttl: u32,
    #[serde(default)]
    pub extended: Option<u16>,
    pub log: bool,
}

/// What is done with whatever a feed's triggers speak of.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Override {
    Given,
    /// Counted and logged only.
    Disabled,
    Passthru,
    Drop,
    Nxdomain,
    Nodata,
    TcpOnly,
    Cname(Origin),
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    pub zones: Vec<Origin>,
    pub success: Side,
    pub denial: Side,
    pub servfail_seconds: u32,
    pub prefetch: Prefetch,
    /// 0: nothing that is too old is given out.
    pub serve_stale_seconds: u32,
    pub serve_stale_verify: bool,
    pub keep_ttl: bool,
}

/// Replies of one kind. TTLs in seconds; `disabled` are names below which none are kept.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Side {
    pub capacity: usize,
    pub most_ttl: u32,
    pub least_ttl: u32,
    pub disabled: Vec<Origin>,
}

/// `amount` 0: never.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prefetch {
    pub amount: u32,
    pub duration_ms: u64,
    pub percentage: u8,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forward {
    pub from: Origin,
    pub except: Vec<Origin>,
    pub upstreams: Vec<Upstream>,
    pub policy: Policy,
    pub force_tcp: bool,
    pub prefer_udp: bool,
    pub expire_ms: u64,
    pub max_fails: u32,
    pub max_connect_attempts: u32,
    pub failfast: bool,
    pub health_interval_ms: u64,
    pub health_recursion: bool,
    pub health_domain: Origin,
    pub max_concurrent: usize,
    pub next: Vec<u16>,
    pub failover: Vec<u16>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    pub address: IpAddr,
    pub port: u16,
}

impl Upstream {
    pub fn socket(self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    Random,
    RoundRobin,
    Sequential,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Python {
    pub plugin: u32,
    pub name: String,
    #[serde(default)]
    pub types: Vec<u16>,
    #[serde(default)]
    pub zones: Vec<Origin>,
    #[serde(default)]
    pub networks: Vec<Network>,
    pub deadline_ms: u64,
    pub on_failure: OnFailure,
    /// It would forge answers: it is passed over in zones that are signed here.
    #[serde(default)]
    pub unsigned_only: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    Servfail,
    Pass,
}

/// An absolute, lower-case name in text.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct Origin(pub Name);

impl TryFrom<String> for Origin {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Name::from_text(&text, None).map(|name| Self(name.to_lower()))
    }
}

/// ADDRESS/LENGTH.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Network {
    address: u128,
    mask: u128,
    is_ipv4: bool,
}

impl TryFrom<String> for Network {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        let wrong = || Error::at("config", &text, "not a network: expected ADDRESS/LENGTH");
        let (address, length) = text.split_once('/').ok_or_else(wrong)?;
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let length: u32 = length.parse().map_err(|_| wrong())?;
        let (width, bits) = octets(address);
        let spare = width.checked_sub(length).ok_or_else(wrong)?;
        let mask = u128::MAX.checked_shl(spare).unwrap_or(0);
        Ok(Self { address: bits & mask, mask, is_ipv4: width == 32 })
    }
}

impl Network {
    /// Whether it is of IPv4; its first and its last address.
    pub fn range(&self) -> (bool, u128, u128) {
        let spare = if self.is_ipv4 { !self.mask & u128::from(u32::MAX) } else { !self.mask };
        (self.is_ipv4, self.address, self.address | spare)
    }

    /// Bits of its prefix.
    pub fn length(&self) -> u8 {
        let spare = if self.is_ipv4 { 96 } else { 0 };
        (self.mask.count_ones() - spare) as u8
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        let (width, bits) = octets(address.to_canonical());
        (width == 32) == self.is_ipv4 && bits & self.mask == self.address
    }
}

fn octets(address: IpAddr) -> (u32, u128) {
    match address {
        IpAddr::V4(v4) => (32, u128::from(v4.to_bits())),
        IpAddr::V6(v6) => (128, v6.to_bits()),
    }
}

fn udp_size() -> usize {
    UDP_SIZE
}

fn yes() -> bool {
    true
}

impl Config {
    /// Raises "config".
    pub fn read(json: &[u8]) -> Result<Self> {
        let config: Self = serde_json::from_slice(json)
            .map_err(|error| Error::new("config", format!("the configuration: {error}")))?;
        for route in &config.routes {
            if route.listener >= config.listeners.len() {
                let why = format!("a route of listener {}, which is not there", route.listener);
                return Err(Error::at("config", &route.origin.0, why));
            }
        }
        Ok(config)
    }

    pub fn thread_count(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads.min(256),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_addresses() {
        let network = |text: &str| Network::try_from(text.to_owned());
        let inside =
            |text: &str, address: &str| network(text).unwrap().contains(address.parse().unwrap());
        assert!(inside("10.0.0.0/8", "10.1.2.3") && !inside("10.0.0.0/8", "11.0.0.1"));
        assert!(inside("0.0.0.0/0", "1.2.3.4") && !inside("0.0.0.0/0", "2001:db8::1"));
        assert!(inside("2001:db8::/32", "2001:db8:1::") && inside("10.0.0.1/32", "10.0.0.1"));
        assert!(network("10.0.0.0/33").is_err() && network("10.0.0.0").is_err());
    }

    #[test]
    fn a_field_that_is_not_known_is_refused() {
        let stage = |text: &str| serde_json::from_str::<Stage>(text);
        assert!(stage(r#"{"kind":"metrics"}"#).is_ok());
        assert!(stage(r#"{"kind":"metrics","x":1}"#).is_err());
        assert!(stage(r#"{"kind":"answer","plugin":"file"}"#).is_ok());
        let python = r#"{"kind":"python","plugin":3,"name":"x","types":[1],"zones":[],
            "networks":["10.0.0.0/8"],"deadline_ms":200,"on_failure":"pass"}"#;
        assert!(matches!(stage(python).unwrap(), Stage::Python(p) if p.plugin == 3));
    }
}
