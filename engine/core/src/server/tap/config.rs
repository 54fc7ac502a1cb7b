//! Copies as Python asks for them: the engine's side of server/compiledtaps.py.

use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;

use crate::server::config::{Network, Origin};
use crate::server::rules::config::Octets;
use crate::server::tap::dnstap::types;
use crate::server::tap::seen::Between;

/// Of which queries, and where to. Each list empty for all.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tap {
    pub sink: Sink,
    /// At or below one of them.
    #[serde(default)]
    pub names: Vec<Origin>,
    #[serde(default)]
    pub types: Vec<u16>,
    #[serde(default)]
    pub networks: Vec<Network>,
    #[serde(default)]
    pub rcodes: Vec<u16>,
    /// How many of a million.
    pub sample: u32,
    /// A format; empty for none.
    #[serde(default)]
    pub extra: String,
}

/// Taps with the same sink share it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sink {
    pub plugin: String,
    pub target: Target,
    /// Copies that wait at most.
    pub capacity: usize,
    #[serde(default)]
    pub anonymous: Option<Anonymous>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "to", rename_all = "lowercase")]
pub enum Target {
    Dnstap(Dnstap),
    Json(File),
    Pcap(File),
    Server(Server),
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dnstap {
    pub endpoint: Endpoint,
    /// With the DNS messages themselves.
    pub full: bool,
    pub identity: Octets,
    pub version: Octets,
    /// dnstap's numbers of message types.
    pub types: Vec<u8>,
    /// Octets that the kernel keeps for the receiver; 0 for its own choice.
    #[serde(default)]
    pub write_buffer: usize,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub path: String,
    /// With the replies.
    pub answers: bool,
    /// When it is rotated, and how many of the old ones are kept; 0: never.
    #[serde(default)]
    pub most_octets: u64,
    #[serde(default)]
    pub keep: u32,
}

/// Whose answers are compared with ours.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    pub address: IpAddr,
    pub port: u16,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "over", rename_all = "lowercase", deny_unknown_fields)]
pub enum Endpoint {
    Unix {
        path: String,
    },
    /// HOST:PORT; a name is looked up whenever a connection is made.
    Tcp {
        place: String,
    },
}

/// How clients' addresses are made unlike those of persons.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "by", rename_all = "lowercase", deny_unknown_fields)]
pub enum Anonymous {
    /// So many bits stay.
    Prefix { ipv4: u8, ipv6: u8 },
    /// Another address of the same family, by this key.
    Hash { key: Octets },
}

impl Target {
    /// What metrics and the log call it.
    pub fn label(&self) -> String {
        match self {
            Self::Dnstap(dnstap) => match &dnstap.endpoint {
                Endpoint::Unix { path } => format!("unix://{path}"),
                Endpoint::Tcp { place } => format!("tcp://{place}"),
            },
            Self::Json(file) | Self::Pcap(file) => file.path.clone(),
            Self::Server(server) => SocketAddr::new(server.address, server.port).to_string(),
        }
    }

    /// How many messages a copy becomes.
    pub fn weight(&self, between: Between, is_answered: bool) -> u64 {
        match self {
            Self::Dnstap(dnstap) => dnstap.count(between, is_answered),
            _ if between == Between::Upstream => 0,
            Self::Json(_) => 1,
            Self::Pcap(file) => 1 + u64::from(file.answers && is_answered),
            Self::Server(_) => u64::from(is_answered),
        }
    }

    /// Whether queries, whether replies are copied octet for octet.
    pub fn octets(&self) -> (bool, bool) {
        match self {
            Self::Dnstap(dnstap) => (dnstap.full, dnstap.full),
            Self::Json(file) | Self::Pcap(file) => (true, file.answers),
            Self::Server(_) => (true, true),
        }
    }
}

impl Dnstap {
    fn count(&self, between: Between, is_answered: bool) -> u64 {
        let [query, response] = types(between).map(|kind| u64::from(self.types.contains(&kind)));
        if is_answered { query + response } else { query }
    }
}
