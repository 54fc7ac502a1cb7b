//! *log*: a line for each reply, in CoreDNS's format.

use std::sync::Arc;

use serde::Deserialize;

use crate::error::Result;
use crate::query::{bits, rcode};
use crate::server::chain::{Exchange, Stage};
use crate::server::config::Origin;
use crate::server::format::{Format, flags_of};
use crate::server::ring::{Ring, level};
use crate::server::routes::NameSet;
use crate::server::stages::rcode_of;

/// CoreDNS's classes of replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogClass {
    All,
    Success,
    Denial,
    Error,
}

pub struct Log {
    names: NameSet,
    classes: Vec<LogClass>,
    format: Format,
    ring: Arc<Ring>,
}

impl Log {
    /// Raises "config" for a replacement that is not known.
    pub fn new(
        names: &[Origin],
        classes: &[LogClass],
        format: &str,
        ring: Arc<Ring>,
    ) -> Result<Self> {
        let names = names.iter().map(|origin| origin.0.clone()).collect();
        Ok(Self { names, classes: classes.to_vec(), format: Format::new(format, "log")?, ring })
    }

    fn wants(&self, exchange: &Exchange<'_>, reply: &[u8]) -> bool {
        let class = class_of(reply);
        (self.classes.contains(&LogClass::All) || self.classes.contains(&class))
            && exchange.query.name().ancestors().any(|ancestor| self.names.contains(ancestor))
    }
}

fn class_of(reply: &[u8]) -> LogClass {
    let count = |at: usize| reply.get(at..at + 2).is_some_and(|octets| octets != [0, 0]);
    let flags = flags_of(reply);
    match rcode_of(reply) {
        rcode::NXDOMAIN => LogClass::Denial,
        rcode::NOERROR if count(6) || flags & bits::TC != 0 => LogClass::Success,
        // A referral is no denial: it has NS records, and no authority.
        rcode::NOERROR if flags & bits::AA == 0 && count(8) => LogClass::Success,
        rcode::NOERROR => LogClass::Denial,
        _ => LogClass::Error,
    }
}

impl Stage for Log {
    fn sent(&self, exchange: &Exchange<'_>, reply: &[u8]) {
        if !self.wants(exchange, reply) {
            return;
        }
        let mut line = String::with_capacity(160);
        self.format.write(exchange, reply, &mut line);
        self.ring.push(level::INFO, line);
    }

    fn has_sent(&self) -> bool {
        true
    }
}
