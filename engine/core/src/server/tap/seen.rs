//! A query that was seen, with what was sent in reply: a copy that nobody waits for.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Who asked whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Between {
    /// A client asked us.
    Client,
    /// We asked an upstream, for this client.
    Upstream,
}

#[derive(Debug)]
pub struct Seen {
    pub between: Between,
    pub client: SocketAddr,
    /// Who was asked, as far as it is known.
    pub server: Option<SocketAddr>,
    /// Over TCP or its kin.
    pub stream: bool,
    /// Since 1970.
    pub asked: Duration,
    /// None where there is no reply.
    pub answered: Option<Duration>,
    pub extra: String,
    /// The query's and then the reply's, as far as they are wanted.
    octets: Box<[u8]>,
    query: usize,
}

impl Seen {
    /// Asked so long ago, and answered now.
    pub fn now(
        between: Between,
        [client, server]: [Option<SocketAddr>; 2],
        stream: bool,
        ago: Duration,
        is_answered: bool,
    ) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            between,
            client: client.unwrap_or_else(|| SocketAddr::from(([0; 4], 0))),
            server,
            stream,
            asked: now.saturating_sub(ago),
            answered: is_answered.then_some(now),
            extra: String::new(),
            octets: Box::default(),
            query: 0,
        }
    }

    pub fn with(mut self, query: &[u8], reply: &[u8]) -> Self {
        self.query = query.len();
        self.octets = [query, reply].concat().into();
        self
    }

    pub fn query(&self) -> &[u8] {
        &self.octets[..self.query]
    }

    /// Empty where there is none.
    pub fn reply(&self) -> &[u8] {
        &self.octets[self.query..]
    }

    pub fn both_mut(&mut self) -> (&mut [u8], &mut [u8]) {
        self.octets.split_at_mut(self.query)
    }

    /// What it weighs in a queue.
    pub fn octets(&self) -> usize {
        size_of::<Self>() + self.octets.len() + self.extra.len()
    }
}
