//! The stage: a look-up on the way in, a reply to keep on the way out.

use std::sync::Arc;
use std::time::Instant;

use crate::query::{Query, rcode};
use crate::rdata::rtype;
use crate::server::cache::entry::{self, Entry, Key};
use crate::server::cache::{Cache, Found};
use crate::server::chain::{Enter, Exchange, Stage};
use crate::server::handle::STREAM_BUFFER;
use crate::server::reply::Reply;
use crate::server::routes::{self, ChainZones, NameSet, find_zone};

pub struct Caching {
    pub label: usize,
    pub cache: Arc<Cache>,
    /// Who answers from what is here: it is not kept a second time.
    pub local: Vec<usize>,
    /// Where the chain has zones of its own: a new version of them is seen at once.
    pub zones: Option<(Arc<ChainZones>, NameSet)>,
}

impl Caching {
    pub(super) fn takes(&self, query: &Query<'_>) -> bool {
        let whole = !matches!(query.qtype, rtype::AXFR | rtype::IXFR) && !query.has_tsig;
        whole
            && query.name().ancestors().any(|one| self.cache.zones.contains(one))
            && !self.is_held(query)
    }

    fn is_held(&self, query: &Query<'_>) -> bool {
        self.zones.as_ref().is_some_and(|(zones, origins)| {
            !matches!(find_zone(&zones.load(), origins, query), routes::Found::Nothing)
        })
    }
}

impl Stage for Caching {
    fn enter(&self, exchange: &mut Exchange<'_>, out: &mut [u8]) -> Enter {
        let query = exchange.query;
        if !self.takes(query) {
            return Enter::Next;
        }
        let at = exchange.clock.received;
        let (found, refreshes) = self.cache.find(&Key::of(query), at);
        let (entry, age) = match found {
            Found::Nothing => return Enter::Next,
            Found::Stale(entry) => (entry, u32::MAX),
            Found::Fresh(entry) if self.cache.config.keep_ttl => (entry, 0),
            Found::Fresh(entry) => {
                let age = entry.age(self.cache.now(at));
                (entry, age)
            }
        };
        exchange.label = self.label;
        exchange.refresh = refreshes;
        if entry.is_failure() {
            exchange.reason = Some("an upstream's failure, which was kept");
        }
        Enter::Answer(entry.render(query, age, exchange.size, out))
    }

    fn leave(&self, exchange: &Exchange<'_>, reply: &mut Vec<u8>) {
        let query = exchange.query;
        if !self.takes(query) {
            return;
        }
        let Some(read) = Reply::read(reply) else { return };
        let key = Key::of(query);
        if !read.question().eq_ignore_ascii_case(query.question()) {
            return self.cache.dropped(&key);
        }
        let now = Instant::now();
        if self.cache.config.serve_stale_verify
            && !matches!(read.rcode(), rcode::NOERROR | rcode::NXDOMAIN)
            && let Some(entry) = self.cache.find_stale(&key, now)
        {
            let mut room = vec![0; STREAM_BUFFER];
            let length = entry.render(query, u32::MAX, STREAM_BUFFER, &mut room);
            room.truncate(length);
            *reply = room;
            return;
        }
        let Some(kind) = entry::kind(&read, query.qtype) else { return };
        let Some(bounds) = self.cache.bounds(query.name(), kind) else { return };
        let Some(lifetime) = entry::lifetime(&read, kind, bounds).filter(|&ttl| ttl > 0) else {
            return;
        };
        let stored = self.cache.now(now);
        let entry = Entry::new(&key, &read, kind, bounds, lifetime, stored);
        self.cache.store(&key, entry, kind);
        // The first client sees what the next one will.
        let records = read.records;
        entry::bound_ttls(reply, &records, kind, bounds, lifetime);
    }

    fn has_leave(&self) -> bool {
        true
    }

    fn wants_leave(&self, exchange: &Exchange<'_>) -> bool {
        !self.local.contains(&exchange.label)
    }

    fn label(&self) -> usize {
        self.label
    }
}
