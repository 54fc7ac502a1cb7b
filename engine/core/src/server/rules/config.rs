//! Rules as Python gives them: the engine's side of server/compiledrules.py.

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::server::config::{Network, Origin};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Each empty for any.
    #[serde(default)]
    pub classes: Vec<u16>,
    #[serde(default)]
    pub types: Vec<u16>,
    #[serde(default)]
    pub networks: Vec<Network>,
    #[serde(default)]
    pub transports: Vec<Transport>,
    /// Of the names one has to fit, in one of three ways.
    #[serde(default)]
    pub names: Vec<Origin>,
    #[serde(default)]
    pub below: Vec<Origin>,
    /// First labels of names that have several, lower-cased.
    #[serde(default)]
    pub first: Vec<String>,
    /// A fourth way: to be in one of these.
    #[serde(default)]
    pub lists: Vec<List>,
    /// The client's prefix asks faster than this; looked at when all else fits.
    #[serde(default)]
    pub rate: Option<Rate>,
    /// An address of the answer is in one of them: a rule that is looked at on the way back.
    #[serde(default)]
    pub answers: Vec<Network>,
    pub action: Action,
    #[serde(default)]
    pub signed: Signed,
    #[serde(default)]
    pub mark: Option<Mark>,
    /// What it is counted under.
    #[serde(default)]
    pub label: Option<String>,
    #[serde(default)]
    pub log: bool,
    /// Counted and logged; what it would do is not done.
    #[serde(default)]
    pub dry: bool,
}

/// A list of names that was filled under this name.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    pub list: String,
    /// Its names mean all below them too.
    #[serde(default)]
    pub below: bool,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    pub per_second: u32,
    pub burst: u32,
    /// Bits of an address that are one client.
    pub v4: u8,
    pub v6: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    Udp,
    Tcp,
}

/// What is done in zones that are signed here, where nothing is forged.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signed {
    /// The rule's action: it forges nothing.
    #[default]
    Same,
    /// As if the stage were not there.
    Pass,
    /// REFUSED, with the action's extended error.
    Refuse,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase", deny_unknown_fields)]
pub enum Action {
    /// On to the next stage.
    Pass {},
    Drop {},
    /// An empty reply with TC, over UDP; on to the next stage over others.
    Truncate {},
    /// Counted and logged; the rules that follow are looked at.
    Note {},
    Reply(Box<Reply>),
    /// Another name's answer behind a CNAME record to it.
    Alias {
        target: Origin,
        ttl: u32,
        #[serde(default)]
        extended: Option<u16>,
    },
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    #[serde(default)]
    pub rcode: u16,
    /// RFC 8914.
    #[serde(default)]
    pub extended: Option<u16>,
    #[serde(default)]
    pub authoritative: bool,
    #[serde(default)]
    pub records: Vec<Record>,
    /// All records whatever the type asked for, else those that have it.
    #[serde(default)]
    pub whole: bool,
    /// What a reply without an answer has.
    #[serde(default)]
    pub authority: Vec<Record>,
}

/// Without an owner it is the name that was asked for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    #[serde(default)]
    pub owner: Option<Origin>,
    pub rtype: u16,
    pub ttl: u32,
    pub rdata: Octets,
}

/// Hexadecimal text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Octets(pub Box<[u8]>);

impl TryFrom<String> for Octets {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        let wrong = || Error::at("config", &text, "not hexadecimal octets");
        let digits = text.as_bytes();
        if digits.len() % 2 != 0 || digits.len() > 2 * usize::from(u16::MAX) {
            return Err(wrong());
        }
        let value = |digit: u8| char::from(digit).to_digit(16).ok_or_else(wrong);
        digits
            .chunks_exact(2)
            .map(|pair| Ok((value(pair[0])? << 4 | value(pair[1])?) as u8))
            .collect::<Result<Box<[u8]>>>()
            .map(Self)
    }
}

/// What is counted when a rule decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    Allowed,
    Blocked,
    Filtered,
    Dropped,
    Localhost,
}

impl Mark {
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::Allowed, "allowed"),
        (Self::Blocked, "blocked"),
        (Self::Filtered, "filtered"),
        (Self::Dropped, "dropped"),
        (Self::Localhost, "localhost"),
    ];
}
