//! *forward*: queries that upstreams answer.
//!
//! The stage parks a query; the query thread that it is on takes it out of its inbox and asks
//! (`forwarder`), beside its own sockets, without waiting for anybody.

pub mod forwarder;
mod job;
pub mod message;
pub mod policy;
pub mod poller;
mod probe;
pub mod random;
mod stream;
mod streams;
pub mod upstream;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::answer;
use crate::name::{Name, NameRef};
use crate::query::{Query, rcode};
use crate::rdata::rtype;
use crate::server::chain::{Enter, Exchange, Stage};
use crate::server::config;
use crate::server::forward::upstream::{Counts, Registry, Upstream};
use crate::server::routes::NameSet;

/// Why a query is refused or fails, for *errors*.
pub const TOO_MANY: &str = "more queries are under way than max_concurrent allows";

/// The stage.
pub struct Forward {
    pub label: usize,
    pub pool: Arc<Pool>,
}

impl Forward {
    pub fn takes(&self, query: &Query<'_>) -> bool {
        // A transfer is more than one reply, and a signature covers what is not sent on.
        let is_whole = !matches!(query.qtype, rtype::AXFR | rtype::IXFR) && !query.has_tsig;
        is_whole && self.pool.takes(query.name())
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.pool.is_retired.store(true, Ordering::Release);
    }
}

/// The upstreams of one *forward* and how they are asked.
pub struct Pool {
    from: Name,
    except: NameSet,
    pub upstreams: Vec<Arc<Upstream>>,
    pub policy: config::Policy,
    /// Of round robin.
    pub turn: AtomicUsize,
    pub force_tcp: bool,
    pub prefer_udp: bool,
    pub expire: Duration,
    /// 0: an upstream is never down.
    pub max_fails: u32,
    /// 0: as many as there is time for.
    pub max_attempts: u32,
    pub fails_fast: bool,
    pub health: Health,
    /// 0: no limit.
    max_concurrent: usize,
    under_way: AtomicUsize,
    /// Replies with these go to the next *forward*, to the next upstream.
    pub next: Vec<u16>,
    pub failover: Vec<u16>,
    pub counts: Arc<Counts>,
    /// No longer configured: its upstreams are not probed any more.
    pub is_retired: AtomicBool,
}

pub struct Health {
    pub interval: Duration,
    pub recursion_desired: bool,
    pub domain: Name,
}

/// A query counts as under way until this is dropped.
pub struct Ticket(Arc<Pool>);

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    pub fn new(config: &config::Forward, registry: &Registry) -> Self {
        Self {
            from: config.from.0.clone(),
            except: config.except.iter().map(|origin| origin.0.clone()).collect(),
            upstreams: config.upstreams.iter().map(|at| registry.upstream(at.socket())).collect(),
            policy: config.policy,
            turn: AtomicUsize::new(0),
            force_tcp: config.force_tcp,
            prefer_udp: config.prefer_udp,
            expire: Duration::from_millis(config.expire_ms),
            max_fails: config.max_fails,
            max_attempts: config.max_connect_attempts,
            fails_fast: config.failfast,
            health: Health {
                interval: Duration::from_millis(config.health_interval_ms.max(1)),
                recursion_desired: config.health_recursion,
                domain: config.health_domain.0.clone(),
            },
            max_concurrent: config.max_concurrent,
            under_way: AtomicUsize::new(0),
            next: config.next.clone(),
            failover: config.failover.clone(),
            counts: registry.counts(),
            is_retired: AtomicBool::new(false),
        }
    }

    fn takes(&self, name: &NameRef) -> bool {
        let from: &NameRef = &self.from;
        name.is_under(from)
            && (name.same(from) || !name.ancestors().any(|one| self.except.contains(one)))
    }

    fn is_full(&self) -> bool {
        self.max_concurrent > 0 && self.under_way.load(Ordering::Relaxed) >= self.max_concurrent
    }

    /// None when there are too many.
    pub fn ticket(self: &Arc<Self>) -> Option<Ticket> {
        let before = self.under_way.fetch_add(1, Ordering::Relaxed);
        let ticket = Ticket(self.clone());
        (self.max_concurrent == 0 || before < self.max_concurrent).then_some(ticket)
    }
}

impl Stage for Forward {
    fn enter(&self, exchange: &mut Exchange<'_>, out: &mut [u8]) -> Enter {
        let query = exchange.query;
        if !self.takes(query) {
            return Enter::Next;
        }
        exchange.label = self.label;
        if self.pool.is_full() {
            self.pool.counts.rejected.fetch_add(1, Ordering::Relaxed);
            exchange.reason = Some(TOO_MANY);
            let size = exchange.size;
            return Enter::Answer(answer::error(query, rcode::REFUSED, None, size, out));
        }
        Enter::Park
    }

    fn label(&self) -> usize {
        self.label
    }

    fn forward(&self) -> Option<&Forward> {
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(from: &str, except: &[&str], max_concurrent: usize) -> Arc<Pool> {
        let json = serde_json::json!({
            "from": from, "except": except, "upstreams": [{"address": "127.0.0.1", "port": 53}],
            "policy": "random", "force_tcp": false, "prefer_udp": false, "expire_ms": 10000,
            "max_fails": 2, "max_connect_attempts": 0, "failfast": false,
            "health_interval_ms": 500, "health_recursion": true, "health_domain": ".",
            "max_concurrent": max_concurrent, "next": [], "failover": [],
        });
        let config: config::Forward = serde_json::from_value(json).unwrap();
        Arc::new(Pool::new(&config, &Registry::default()))
    }

    #[test]
    fn exceptions_are_names_and_what_is_below_them_but_never_the_whole() {
        let takes = |pool: &Pool, name: &str| pool.takes(&Name::from_text(name, None).unwrap());
        let some = pool("example.org.", &["in.example.org."], 0);
        assert!(takes(&some, "example.org.") && takes(&some, "a.example.org."));
        assert!(!takes(&some, "in.example.org.") && !takes(&some, "a.in.example.org."));
        assert!(!takes(&some, "example.com."));
        let same = pool("example.org.", &["example.org."], 0);
        assert!(takes(&same, "example.org.") && !takes(&same, "a.example.org."));
    }

    #[test]
    fn tickets_end_and_come_back() {
        let pool = pool(".", &[], 2);
        let held = [pool.ticket().unwrap(), pool.ticket().unwrap()];
        assert!(pool.is_full() && pool.ticket().is_none() && pool.is_full());
        drop(held);
        assert!(!pool.is_full() && pool.ticket().is_some());
    }
}
