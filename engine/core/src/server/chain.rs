//! A server block as an array of stages, each with three hooks, and the way of a query
//! through it.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Instant;

use crate::answer::{self, UDP_SIZE};
use crate::query::{Query, class, rcode};
use crate::server::cache::Cache;
use crate::server::handle::{fit, limit};
use crate::server::held::Stop;
use crate::server::predicate::Predicate;
use crate::server::routes::Route;
use crate::server::rules::alias::Alias;
use crate::server::tap::Tap;

/// When a query came, read once for a batch of them.
#[derive(Clone, Copy)]
pub struct Clock {
    pub received: Instant,
    /// Unix seconds.
    pub wall: i64,
}

/// Whence a query came, and where its answer goes.
#[derive(Clone, Copy)]
pub struct Peer {
    pub client: SocketAddr,
    /// Our address, as far as it is known.
    pub local: Option<IpAddr>,
    /// Ours.
    pub port: u16,
    /// Over TCP or its kin.
    pub stream: bool,
}

/// A query on its way through a chain.
pub struct Exchange<'a> {
    pub query: &'a Query<'a>,
    pub peer: Peer,
    pub clock: Clock,
    /// What the client takes.
    pub size: usize,
    pub route: &'a Route,
    /// The counters of this thread.
    pub shard: usize,
    /// Who answers: an index into the chain's labels.
    pub label: usize,
    /// Why it is a SERVFAIL.
    pub reason: Option<&'static str>,
    /// The stage that answers wants a newer reply to go by it.
    pub refresh: bool,
    /// What a stage has found on the way in or back: the answer is another name's.
    pub alias: Cell<Option<Box<Alias>>>,
}

impl Exchange<'_> {
    /// On the way back: an alias in the reply's place.
    pub fn lead(&self, alias: Box<Alias>, reply: &mut Vec<u8>) {
        if alias.leads_on(self.query) {
            self.alias.set(Some(alias));
        } else {
            *reply = alias.compose(self.query, None, self.size);
        }
    }

    /// Answer with an alias; where it leads on, once the stages behind have said what it is.
    pub fn follow(&mut self, alias: Box<Alias>, out: &mut [u8]) -> Enter {
        if alias.leads_on(self.query) {
            self.alias.set(Some(alias));
            return Enter::Park;
        }
        let reply = alias.compose(self.query, None, self.size);
        let room = reply.len().min(out.len());
        out[..room].copy_from_slice(&reply[..room]);
        Enter::Answer(room)
    }
}

impl<'a> Exchange<'a> {
    pub fn new(
        query: &'a Query<'a>,
        peer: Peer,
        clock: Clock,
        route: &'a Route,
        shard: usize,
    ) -> Self {
        let size = limit(query, peer.stream, route.chain.udp_size);
        let alias = Cell::default();
        let (label, reason, refresh) = (0, None, false);
        Self { query, peer, clock, size, route, shard, label, reason, refresh, alias }
    }

    /// Another query in place of this one, of the same client.
    fn with<'b>(&'b self, query: &'b Query<'b>) -> Exchange<'b> {
        let Self { peer, clock, size, route, shard, label, reason, refresh, .. } = *self;
        let alias = Cell::default();
        Exchange { query, peer, clock, size, route, shard, label, reason, refresh, alias }
    }
}

/// What a stage does with a query.
pub enum Enter {
    Next,
    /// A reply of this length is in the buffer.
    Answer(usize),
    /// The query waits for Python or an upstream; the thread goes on.
    Park,
    Drop,
    /// The stages behind answer this query in place of the one that came; the stage's own
    /// `leave` makes the reply one to what was asked.
    Instead(Box<[u8]>),
}

pub trait Stage: Send + Sync {
    fn enter(&self, _exchange: &mut Exchange<'_>, _out: &mut [u8]) -> Enter {
        Enter::Next
    }

    /// Change the reply; in reverse order over the stages that were entered. One that is cleared
    /// is not sent.
    fn leave(&self, _exchange: &Exchange<'_>, _reply: &mut Vec<u8>) {}

    /// A chain in which no stage says so renders straight to the wire.
    fn has_leave(&self) -> bool {
        false
    }

    /// Whether `leave` is for this reply too: if no stage's is, it need not be copied.
    fn wants_leave(&self, _exchange: &Exchange<'_>) -> bool {
        true
    }

    /// Look at what is sent, once.
    fn sent(&self, _exchange: &Exchange<'_>, _reply: &[u8]) {}

    fn has_sent(&self) -> bool {
        false
    }

    /// Look at a query that gets no reply; of stages that have a `sent` hook.
    fn dropped(&self, _exchange: &Exchange<'_>) {}

    /// Who answers, when it is this stage: an index into the chain's labels.
    fn label(&self) -> usize {
        0
    }

    /// Only of a stage that takes queries to upstreams.
    fn forward(&self) -> Option<&crate::server::forward::Forward> {
        None
    }

    /// Only of a stage of rules.
    fn rules(&self) -> Option<&crate::server::rules::Rules> {
        None
    }

    /// Only of a stage that copies.
    fn tap(&self) -> Option<&Tap> {
        None
    }

    /// Only of a Python stage.
    fn python(&self) -> Option<&crate::server::stages::Python> {
        None
    }
}

/// Where a run through the stages ended.
pub enum Run {
    Reply {
        length: usize,
        /// The stage whose hooks and those behind it have no more to do with it.
        by: usize,
        /// The stage that wants a newer one.
        stale: Option<Stop>,
    },
    Parked(Stop),
    Dropped,
}

pub struct Chain {
    pub id: String,
    pub view: String,
    pub stages: Vec<Box<dyn Stage>>,
    /// Of who can answer; the first is empty: the server itself.
    pub labels: Vec<String>,
    pub has_answer: bool,
    /// Whether it has a metrics stage.
    pub counts: bool,
    pub cache: Option<Arc<Cache>>,
    /// The probes of *loop*, and how often they came by.
    pub loops: Vec<(String, Arc<AtomicU32>)>,
    /// Octets of a reply over UDP at most: 512 to `UDP_SIZE`.
    pub udp_size: usize,
    /// Whether queries of other classes than IN are taken.
    pub any_class: bool,
    /// Of the view.
    pub when: Predicate,
    leaving: Vec<usize>,
    sending: Vec<usize>,
    /// Of those that copy what upstreams are asked.
    following: Vec<usize>,
}

impl Default for Chain {
    fn default() -> Self {
        Self::new(String::new(), String::new(), vec![], vec![])
    }
}

impl Chain {
    pub fn new(id: String, view: String, stages: Vec<Box<dyn Stage>>, labels: Vec<String>) -> Self {
        let leaving = (0..stages.len()).filter(|&index| stages[index].has_leave()).collect();
        let sending = (0..stages.len()).filter(|&index| stages[index].has_sent()).collect();
        let follows = |stage: &dyn Stage| stage.tap().is_some_and(Tap::follows_upstreams);
        let following = (0..stages.len()).filter(|&index| follows(&*stages[index])).collect();
        Self {
            id,
            view,
            stages,
            labels,
            has_answer: false,
            counts: false,
            cache: None,
            loops: vec![],
            udp_size: UDP_SIZE,
            any_class: false,
            when: Predicate::default(),
            leaving,
            sending,
            following,
        }
    }

    /// Whether its view is for the query.
    pub fn takes(&self, query: &Query<'_>, peer: &Peer) -> bool {
        self.when.holds(query, peer)
    }

    /// Enter the stages from the one with index `from` on.
    fn run(&self, from: usize, exchange: &mut Exchange<'_>, out: &mut [u8]) -> Run {
        // What no stage is for, none sees.
        let stages = match exchange.query.qclass {
            class::IN => &self.stages[..],
            _ if self.any_class => &self.stages[..],
            _ => &[],
        };
        for (index, stage) in stages.iter().enumerate().skip(from) {
            match stage.enter(exchange, out) {
                Enter::Next => {}
                Enter::Answer(length) => {
                    let stale = exchange.refresh.then(|| Stop::at(index, None));
                    return Run::Reply { length, by: index, stale };
                }
                Enter::Park => return Run::Parked(Stop::at(index, exchange.alias.take())),
                Enter::Drop => return Run::Dropped,
                Enter::Instead(packet) => return self.run_instead(index, packet, exchange, out),
            }
        }
        exchange.label = 0;
        let length = answer::error(exchange.query, rcode::REFUSED, None, exchange.size, out);
        Run::Reply { length, by: self.stages.len(), stale: None }
    }

    /// The stages behind the one with this index, for another query.
    fn run_instead(
        &self,
        index: usize,
        packet: Box<[u8]>,
        exchange: &mut Exchange<'_>,
        out: &mut [u8],
    ) -> Run {
        let Ok(query) = Query::parse(&packet) else {
            let length = answer::error(exchange.query, rcode::SERVFAIL, None, exchange.size, out);
            return Run::Reply { length, by: index, stale: None };
        };
        let mut inner = exchange.with(&query);
        let mut run = self.pass(index + 1, &mut inner, out);
        let (label, reason) = (inner.label, inner.reason);
        (exchange.label, exchange.reason) = (label, reason);
        if let Run::Parked(stop) | Run::Reply { stale: Some(stop), .. } = &mut run {
            stop.instead.push((index, packet));
        }
        run
    }

    /// Enter the stages from the one with index `from` on; a reply has gone by the hooks of all
    /// that were entered.
    pub fn pass(&self, from: usize, exchange: &mut Exchange<'_>, out: &mut [u8]) -> Run {
        let (length, stale) = match self.run(from, exchange, out) {
            Run::Reply { length, by, stale } if self.has_leave(from, by, exchange) => {
                let mut reply = out[..length].to_vec();
                if let Some(stop) = self.leave(from, by, exchange, &mut reply) {
                    return Run::Parked(stop);
                }
                if reply.is_empty() {
                    return Run::Dropped;
                }
                (fit(exchange.query, &reply, exchange.size, out), stale)
            }
            Run::Reply { length, stale, .. } => (length, stale),
            other => return other,
        };
        Run::Reply { length, by: from, stale }
    }

    /// Those of the stages `from` up to `to` whose hook wants the reply, the last first.
    fn leaving<'s>(
        &'s self,
        from: usize,
        to: usize,
        exchange: &'s Exchange<'_>,
    ) -> impl Iterator<Item = (usize, &'s dyn Stage)> {
        let indices = self.leaving.iter().rev().filter(move |stage| (from..to).contains(*stage));
        let stages = indices.map(|&index| (index, &*self.stages[index]));
        stages.filter(move |(_, stage)| stage.wants_leave(exchange))
    }

    pub fn has_leave(&self, from: usize, to: usize, exchange: &Exchange<'_>) -> bool {
        self.leaving(from, to, exchange).next().is_some()
    }

    /// The hooks of the stages `from` up to `to`, the last first. Where a stage has found an
    /// alias: the reply is to be made anew, by asking those behind it.
    pub fn leave(
        &self,
        from: usize,
        to: usize,
        exchange: &Exchange<'_>,
        reply: &mut Vec<u8>,
    ) -> Option<Stop> {
        for (index, stage) in self.leaving(from, to, exchange) {
            if !reply.is_empty() {
                stage.leave(exchange, reply);
            }
            if let Some(alias) = exchange.alias.take() {
                return Some(Stop::at(index, Some(alias)));
            }
        }
        None
    }

    pub fn sent(&self, exchange: &Exchange<'_>, reply: &[u8]) {
        for &index in &self.sending {
            self.stages[index].sent(exchange, reply);
        }
    }

    /// Instead of `sent`, where nothing is.
    pub fn dropped(&self, exchange: &Exchange<'_>) {
        for &index in &self.sending {
            self.stages[index].dropped(exchange);
        }
    }

    pub fn followers(&self) -> impl Iterator<Item = &Tap> {
        self.following.iter().filter_map(|&index| self.stages[index].tap())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Marks(u8);

    const PASSED_OVER: u8 = 4;

    impl Stage for Marks {
        fn leave(&self, _: &Exchange<'_>, reply: &mut Vec<u8>) {
            reply.push(self.0);
        }

        fn has_leave(&self) -> bool {
            true
        }

        fn wants_leave(&self, _: &Exchange<'_>) -> bool {
            self.0 != PASSED_OVER
        }
    }

    #[test]
    fn leave_hooks_run_backwards_over_the_stages_entered() {
        let marks = [1, PASSED_OVER, 2, 3];
        let stages = marks.map(|mark| Box::new(Marks(mark)) as Box<dyn Stage>).into();
        let chain = Chain::new(String::new(), String::new(), stages, vec![String::new()]);
        let wire = b"\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\x01\0\x01";
        let query = Query::parse(wire).ok().unwrap();
        let route = Route::for_tests();
        let peer =
            Peer { client: "127.0.0.1:1".parse().unwrap(), local: None, port: 53, stream: false };
        let clock = Clock { received: Instant::now(), wall: 0 };
        let exchange = Exchange::new(&query, peer, clock, &route, 0);
        let mut reply = vec![0];
        assert!(chain.leave(0, 3, &exchange, &mut reply).is_none());
        assert_eq!(reply, [0, 2, 1]);
        assert!(chain.has_leave(0, 1, &exchange) && chain.has_leave(1, 3, &exchange));
        assert!(!chain.has_leave(1, 2, &exchange) && !chain.has_leave(2, 2, &exchange));
    }
}
