//! A query that waits for somebody: held on the heap, answered exactly once, by whoever took
//! it or by the clock.

use std::borrow::Cow;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::answer::{self, ExtendedError};
use crate::query::{HEADER, Query, bits, rcode};
use crate::server::chain::{Clock, Exchange, Peer, Run};
use crate::server::config::OnFailure;
use crate::server::forward::Forward;
use crate::server::handle::{fit, guarded};
use crate::server::held::{Asked, Back, Held, Stop};
use crate::server::hub::{Counts, Hub};
use crate::server::routes::Route;
use crate::server::rules::alias::Alias;
use crate::server::stages::Python;
use crate::server::tap::Tap;

pub type Callback = Box<dyn FnOnce(Option<Vec<u8>>) + Send>;

/// What an earlier stage hears of its query's fate further on.
enum News {
    None,
    Awaited(Callback),
    Arrived(Option<Vec<u8>>),
}

pub struct Parked {
    hub: Arc<Hub>,
    counts: Option<Arc<Counts>>,
    packet: Box<[u8]>,
    peer: Peer,
    clock: Clock,
    route: Arc<Route>,
    stage: usize,
    /// Of the thread that will answer it.
    shard: usize,
    /// Taken by the one who answers.
    back: Mutex<Option<Back>>,
    news: Mutex<News>,
}

pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Parked {
    pub fn new(hub: Arc<Hub>, counts: Option<Arc<Counts>>, held: Held, shard: usize) -> Self {
        let Held { packet, peer, clock, route, stage, back, alias: _ } = held;
        let (back, news) = (Mutex::new(Some(back)), Mutex::new(News::None));
        Self { hub, counts, packet, peer, clock, route, stage, shard, back, news }
    }

    fn python(&self) -> Option<&Python> {
        self.route.chain.stages.get(self.stage)?.python()
    }

    /// The stage that it is parked for, if that takes queries to upstreams.
    pub fn forward(&self) -> Option<&Forward> {
        self.route.chain.stages.get(self.stage)?.forward()
    }

    /// The stages that copy what upstreams are asked.
    pub fn followers(&self) -> impl Iterator<Item = &Tap> {
        self.route.chain.followers()
    }

    /// Whether one of the stages right behind, which take queries to upstreams too, takes `query`.
    pub fn is_followed_by_forward(&self, query: &Query<'_>) -> bool {
        let behind = self.route.chain.stages.get(self.stage + 1..).unwrap_or_default();
        let mut forwards = behind.iter().map_while(|stage| stage.forward());
        forwards.any(|forward| forward.takes(query))
    }

    pub fn packet(&self) -> &[u8] {
        &self.packet
    }

    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    pub fn plugin(&self) -> u32 {
        self.python().map_or(0, |python| python.plugin)
    }

    /// The query, which was read once already.
    pub fn query(&self) -> Option<Query<'_>> {
        Query::parse(&self.packet).ok()
    }

    /// Run the stages behind this one. None: parked for a later one, or dropped; what comes of
    /// it comes to `on_reply`.
    pub fn proceed(self: &Arc<Self>) -> Option<Vec<u8>> {
        match self.run_on() {
            Further::Reply(reply) => Some(reply),
            Further::Dropped => {
                self.hear(None);
                None
            }
            Further::Parked(stop) => {
                let back = Back::Outer(self.clone());
                self.park_further(&self.packet, stop, back);
                None
            }
        }
    }

    /// Called once with the reply of the stages behind, or None if they gave none: at once if
    /// it is known, else by whoever takes from the hub.
    pub fn on_reply(&self, callback: Callback) {
        let mut news = locked(&self.news);
        match std::mem::replace(&mut *news, News::None) {
            News::Arrived(reply) => {
                drop(news);
                callback(reply);
            }
            _ => *news = News::Awaited(callback),
        }
    }

    /// Answer; the first answer counts.
    pub fn reply(&self, wire: &[u8]) {
        if let Some(back) = self.take_back() {
            let by_upstream = self.forward().is_some();
            self.deliver(back, wire, by_upstream.then_some("the upstream answered so"));
        }
    }

    /// Answer an rcode and nothing else. `reason` is for *errors*.
    pub fn refuse(&self, code: u16, why: Option<ExtendedError>, reason: &'static str) {
        let Some(query) = self.query() else { return };
        if let Some(back) = self.take_back() {
            let mut out = [0; 1024];
            let length = answer::error(&query, code, why, out.len(), &mut out);
            self.deliver(back, &out[..length], Some(reason));
        }
    }

    /// Leave it to the stages behind.
    pub fn go_on(&self) {
        if let Some(back) = self.take_back() {
            self.pass_on(back);
        }
    }

    /// Answer nothing.
    pub fn drop_query(&self) {
        if let Some(back) = self.take_back() {
            self.let_go(&self.packet, back);
        }
    }

    /// Ask the stages behind for an alias' target, and answer with both.
    pub fn follow(self: Arc<Self>, alias: Box<Alias>, shard: usize) {
        let Some(packet) = self.query().map(|query| alias.question(&query)) else { return };
        let (peer, clock, stage, route) = (self.peer, self.clock, self.stage, self.route.clone());
        let (hub, packet) = (self.hub.clone(), packet.into());
        let back = Back::Alias(self, alias);
        hub.refresh(Held { packet, peer, clock, route, stage, back, alias: None }, shard);
    }

    fn answer_with(&self, alias: &Alias, target: &[u8]) {
        if let Some(query) = self.query() {
            let size = self.exchange(&query, None).size;
            self.reply(&alias.compose(&query, Some(target), size));
        }
    }

    /// What the configuration says for a stage that fails.
    pub fn fail(&self) {
        self.fail_because("a plugin failed");
    }

    pub fn expire(&self) {
        if locked(&self.back).is_some() {
            if let Some(counts) = &self.counts {
                counts.expired.fetch_add(1, Ordering::Relaxed);
            }
            self.fail_because("a plugin did not answer in time");
        }
    }

    fn fail_because(&self, reason: &'static str) {
        let Some(back) = self.take_back() else { return };
        let passes = self.python().is_some_and(|python| python.on_failure == OnFailure::Pass);
        if passes && !self.hub.is_closed() {
            return self.pass_on(back);
        }
        let Some(query) = self.query() else { return };
        let mut out = [0; 512];
        let length = answer::error(&query, rcode::SERVFAIL, None, 512, &mut out);
        self.deliver(back, &out[..length], Some(reason));
    }

    fn pass_on(&self, back: Back) {
        match self.run_on() {
            Further::Reply(reply) => self.deliver(back, &reply, None),
            Further::Parked(stop) => self.park_further(&self.packet, stop, back),
            Further::Dropped => self.let_go(&self.packet, back),
        }
    }

    /// There will be no reply to `packet`.
    fn let_go(&self, packet: &[u8], back: Back) {
        match back {
            Back::Outer(outer) => outer.hear(None),
            Back::Client(_) => {
                if let Ok(query) = Query::parse(packet) {
                    self.route.chain.dropped(&self.exchange(&query, None));
                }
            }
            Back::Alias(outer, _) => outer.drop_query(),
            Back::Stage(_) => {}
            Back::Asked(asked) => {
                let Asked { packet, back, .. } = *asked;
                self.let_go(&packet, back);
            }
        }
    }

    fn take_back(&self) -> Option<Back> {
        let back = locked(&self.back).take();
        if back.is_some() {
            if let Some(counts) = &self.counts {
                counts.waiting.fetch_sub(1, Ordering::Relaxed);
            }
            self.hub.one_less();
        }
        back
    }

    fn park_further(&self, packet: &[u8], stop: Stop, back: Back) {
        let route = self.route.clone();
        let held = Held::new(packet, self.peer, self.clock, route, stop, back);
        self.hub.park(held, self.shard);
    }

    fn run_on(&self) -> Further {
        let Some(query) = self.query() else { return Further::Dropped };
        let mut exchange = self.exchange(&query, None);
        let chain = &self.route.chain;
        let mut out = vec![0; exchange.size];
        match chain.pass(self.stage + 1, &mut exchange, &mut out) {
            Run::Reply { length, stale, .. } => {
                if let Some(stop) = stale {
                    self.refresh(stop);
                }
                out.truncate(length);
                Further::Reply(out)
            }
            Run::Parked(stop) => Further::Parked(stop),
            Run::Dropped => Further::Dropped,
        }
    }

    /// A newer reply for a stage behind, which answered.
    fn refresh(&self, stop: Stop) {
        let route = self.route.clone();
        let held = Held::for_stage(&self.packet, self.peer, self.clock, route, stop);
        self.hub.refresh(held, self.shard);
    }

    fn exchange<'a>(&'a self, query: &'a Query<'a>, reason: Option<&'static str>) -> Exchange<'a> {
        let label = self.route.chain.stages.get(self.stage).map_or(0, |stage| stage.label());
        let exchange = Exchange::new(query, self.peer, self.clock, &self.route, self.shard);
        Exchange { label, reason, ..exchange }
    }

    fn deliver(&self, back: Back, wire: &[u8], reason: Option<&'static str>) {
        self.deliver_as(&self.packet, self.stage, back, wire, reason);
    }

    /// The reply to `packet`, after which the stages before the one with the index `to` have
    /// their turn.
    fn deliver_as(
        &self,
        packet: &[u8],
        to: usize,
        back: Back,
        wire: &[u8],
        reason: Option<&'static str>,
    ) {
        let Ok(query) = Query::parse(packet) else { return };
        let exchange = self.exchange(&query, reason);
        let chain = &self.route.chain;
        let from = match &back {
            Back::Client(_) => 0,
            Back::Outer(outer) | Back::Alias(outer, _) => outer.stage + 1,
            Back::Stage(stage) => *stage,
            Back::Asked(asked) => asked.stage + 1,
        };
        let mut reply = Cow::Borrowed(wire);
        if chain.has_leave(from, to, &exchange) && is_reply(wire) {
            let reply = reply.to_mut();
            if let Some(stop) = chain.leave(from, to, &exchange, reply) {
                return self.park_further(packet, stop, back);
            }
            if reply.is_empty() {
                return self.let_go(packet, back);
            }
        }
        let fitted = || {
            let mut out = vec![0; exchange.size];
            let length = fit(&query, &reply, exchange.size, &mut out);
            out.truncate(length);
            out
        };
        match back {
            Back::Client(respond) => {
                let out = fitted();
                chain.sent(&exchange, &out);
                respond.respond(&out);
            }
            Back::Outer(outer) => outer.hear(Some(fitted())),
            Back::Alias(outer, alias) => outer.answer_with(&alias, &fitted()),
            Back::Stage(_) => {}
            Back::Asked(asked) => {
                let Asked { packet, stage, back } = *asked;
                self.deliver_as(&packet, stage + 1, back, &fitted(), reason);
            }
        }
    }

    fn hear(&self, reply: Option<Vec<u8>>) {
        let mut news = locked(&self.news);
        match std::mem::replace(&mut *news, News::None) {
            News::Awaited(callback) => self.hub.tell(callback, reply),
            _ => *news = News::Arrived(reply),
        }
    }
}

fn is_reply(wire: &[u8]) -> bool {
    wire.len() >= HEADER && u16::from(wire[2]) << 8 & bits::QR != 0
}

enum Further {
    Reply(Vec<u8>),
    Parked(Stop),
    Dropped,
}

/// A handle that is let go of without an answer has failed.
pub struct Handle(pub Arc<Parked>);

impl Drop for Handle {
    /// It may be a panic that lets go of it: a second one that got out of here would be the
    /// end of the process.
    fn drop(&mut self) {
        guarded(&self.0.hub.panics, || self.0.fail());
    }
}
