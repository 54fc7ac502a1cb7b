//! Conditions as Python gives them: the engine's side of server/compiledtests.py.

use serde::Deserialize;

use crate::server::config::Network;

/// A test, and the index of the step behind it for either outcome.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub test: Test,
    pub yes: usize,
    pub no: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "is", rename_all = "lowercase", deny_unknown_fields)]
pub enum Test {
    /// Within one of the ranges, both ends included.
    Number {
        of: Number,
        ranges: Vec<(u32, u32)>,
    },
    Address {
        of: Address,
        networks: Vec<Network>,
    },
    Name {
        how: How,
        texts: Vec<String>,
    },
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Number {
    Type,
    Class,
    /// 6 is TCP, 17 UDP.
    Protocol,
    /// The client's.
    Port,
    /// Ours.
    ServerPort,
    /// Octets of the query.
    Size,
    /// Octets that the client takes.
    Bufsize,
    Id,
    Opcode,
    /// The DO bit.
    Do,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Address {
    Client,
    Server,
}

/// How one of the texts has to fit the name, which is absolute lower-case text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    Equals,
    Starts,
    Ends,
    Contains,
    /// A regular expression.
    Matches,
}
