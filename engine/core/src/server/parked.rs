//! Queries that wait for Python: held on the heap, handed out in batches, answered exactly
//! once, by Python or by the clock.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use crate::answer;
use crate::query::{Query, rcode};
use crate::server::chain::{Clock, Exchange, Peer, Run};
use crate::server::config::OnFailure;
use crate::server::handle::{STREAM_BUFFER, fit, limit};
use crate::server::metrics::PluginCounts;
use crate::server::routes::Route;
use crate::server::stages;
use crate::server::wake;

/// Queries that may wait at one time; further ones fail at once.
const MOST_WAITING: usize = 65_536;

/// The shard that threads without one of their own count in.
pub const SHARED_SHARD: usize = usize::MAX;

/// Sends a reply to the client it belongs to.
pub trait Respond: Send {
    fn respond(self: Box<Self>, reply: &[u8]);
}

type Callback = Box<dyn FnOnce(Option<Vec<u8>>) + Send>;

/// Who waits for the reply of a parked query.
enum Back {
    Client(Box<dyn Respond>),
    /// An earlier Python stage, which the query went on from.
    Outer(Arc<Parked>),
}

/// What an earlier stage hears of its query's fate further on.
enum News {
    None,
    Awaited(Callback),
    Arrived(Option<Vec<u8>>),
}

pub struct Parked {
    hub: Arc<Hub>,
    counts: Arc<Counts>,
    packet: Box<[u8]>,
    peer: Peer,
    clock: Clock,
    route: Arc<Route>,
    stage: usize,
    /// Taken by the one who answers.
    back: Mutex<Option<Back>>,
    news: Mutex<News>,
}

#[derive(Default)]
struct Counts {
    parked: AtomicU64,
    waiting: AtomicU64,
    expired: AtomicU64,
}

pub struct Hub {
    event: OwnedFd,
    queue: Mutex<Vec<Arc<Parked>>>,
    counts: Mutex<BTreeMap<u32, Arc<Counts>>>,
    waiting: AtomicUsize,
    timers: Mutex<BinaryHeap<Reverse<Timer>>>,
    sooner: Condvar,
    closed: AtomicBool,
}

struct Timer {
    at: Instant,
    parked: Weak<Parked>,
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Timer {}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timer {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            event: wake::event()?,
            queue: Mutex::default(),
            counts: Mutex::default(),
            waiting: AtomicUsize::new(0),
            timers: Mutex::default(),
            sooner: Condvar::new(),
            closed: AtomicBool::new(false),
        })
    }

    pub fn event(&self) -> RawFd {
        self.event.as_raw_fd()
    }

    /// All that were parked since the last call.
    pub fn take(&self) -> Vec<Arc<Parked>> {
        wake::clear(&self.event);
        std::mem::take(&mut *locked(&self.queue))
    }

    pub fn stats(&self) -> Vec<PluginCounts> {
        let all = locked(&self.counts);
        let number = |count: &AtomicU64| count.load(Ordering::Relaxed);
        all.iter()
            .map(|(&plugin, counts)| PluginCounts {
                plugin,
                parked: number(&counts.parked),
                waiting: number(&counts.waiting),
                expired: number(&counts.expired),
            })
            .collect()
    }

    /// Park a query that stopped at the Python stage `stage` of its route's chain.
    pub fn park(
        self: &Arc<Self>,
        packet: &[u8],
        peer: Peer,
        clock: Clock,
        route: Arc<Route>,
        stage: usize,
        respond: Box<dyn Respond>,
    ) {
        self.hold(packet.into(), peer, clock, route, stage, Back::Client(respond));
    }

    fn hold(
        self: &Arc<Self>,
        packet: Box<[u8]>,
        peer: Peer,
        clock: Clock,
        route: Arc<Route>,
        stage: usize,
        back: Back,
    ) {
        let Some(python) = python(&route, stage) else { return };
        let counts = locked(&self.counts).entry(python.plugin).or_default().clone();
        counts.parked.fetch_add(1, Ordering::Relaxed);
        counts.waiting.fetch_add(1, Ordering::Relaxed);
        let full = self.waiting.fetch_add(1, Ordering::Relaxed) >= MOST_WAITING;
        let deadline = Instant::now() + python.deadline;
        let parked = Arc::new(Parked {
            hub: self.clone(),
            counts,
            packet,
            peer,
            clock,
            route,
            stage,
            back: Mutex::new(Some(back)),
            news: Mutex::new(News::None),
        });
        if full || self.closed.load(Ordering::Acquire) {
            parked.fail();
            return;
        }
        let is_soonest = {
            let mut timers = locked(&self.timers);
            timers.push(Reverse(Timer { at: deadline, parked: Arc::downgrade(&parked) }));
            timers.peek().is_some_and(|first| first.0.at == deadline)
        };
        if is_soonest {
            self.sooner.notify_one();
        }
        locked(&self.queue).push(parked);
        wake::ring(&self.event);
    }

    /// The thread that keeps the deadlines; ends when the hub closes.
    pub fn keep_time(&self) {
        let mut timers = locked(&self.timers);
        while !self.closed.load(Ordering::Acquire) {
            let now = Instant::now();
            match timers.peek() {
                Some(Reverse(first)) if first.at <= now => {
                    let due = timers.pop();
                    drop(timers);
                    if let Some(parked) = due.and_then(|timer| timer.0.parked.upgrade()) {
                        parked.expire();
                    }
                    timers = locked(&self.timers);
                }
                Some(Reverse(first)) => {
                    let wait = first.at - now;
                    let woken = self.sooner.wait_timeout(timers, wait);
                    timers = woken.unwrap_or_else(PoisonError::into_inner).0;
                }
                None => {
                    let woken = self.sooner.wait(timers);
                    timers = woken.unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Fail all that wait, and whatever comes later.
    pub fn close(&self) {
        let timers = {
            let mut timers = locked(&self.timers);
            self.closed.store(true, Ordering::Release);
            std::mem::take(&mut *timers)
        };
        self.sooner.notify_all();
        for Reverse(timer) in timers {
            if let Some(parked) = timer.parked.upgrade() {
                parked.fail();
            }
        }
        locked(&self.queue).clear();
    }
}

fn python(route: &Route, stage: usize) -> Option<&stages::Python> {
    route.chain.stages.get(stage).and_then(|stage| stage.python())
}

impl Parked {
    pub fn packet(&self) -> &[u8] {
        &self.packet
    }

    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    pub fn plugin(&self) -> u32 {
        python(&self.route, self.stage).map_or(0, |python| python.plugin)
    }

    /// The query, which was read once already.
    pub fn query(&self) -> Option<Query<'_>> {
        Query::parse(&self.packet).ok()
    }

    /// Run the stages behind this one. None: parked for a later one, whose reply comes to
    /// `on_reply`.
    pub fn proceed(self: &Arc<Self>) -> Option<Vec<u8>> {
        match self.run_on() {
            Further::Reply(reply) => Some(reply),
            Further::Parked(stage) => {
                let back = Back::Outer(self.clone());
                self.park_further(stage, back);
                None
            }
        }
    }

    /// Called once with the reply of the stages behind, or None if they gave none.
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
            self.deliver(back, wire, None);
        }
    }

    /// Answer nothing.
    pub fn drop_query(&self) {
        if let Some(Back::Outer(outer)) = self.take_back() {
            outer.hear(None);
        }
    }

    /// What the configuration says for a stage that fails.
    pub fn fail(&self) {
        self.fail_because("a plugin failed");
    }

    fn expire(&self) {
        if locked(&self.back).is_some() {
            self.counts.expired.fetch_add(1, Ordering::Relaxed);
            self.fail_because("a plugin did not answer in time");
        }
    }

    fn fail_because(&self, reason: &'static str) {
        let Some(back) = self.take_back() else { return };
        let passes = python(&self.route, self.stage)
            .is_some_and(|python| python.on_failure == OnFailure::Pass);
        if passes && !self.hub.closed.load(Ordering::Acquire) {
            match self.run_on() {
                Further::Reply(reply) => self.deliver(back, &reply, None),
                Further::Parked(stage) => self.park_further(stage, back),
            }
            return;
        }
        let Some(query) = self.query() else { return };
        let mut out = [0; 1024];
        let length = answer::error(&query, rcode::SERVFAIL, None, 512, &mut out);
        self.deliver(back, &out[..length], Some(reason));
    }

    fn take_back(&self) -> Option<Back> {
        let back = locked(&self.back).take();
        if back.is_some() {
            self.counts.waiting.fetch_sub(1, Ordering::Relaxed);
            self.hub.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        back
    }

    fn park_further(&self, stage: usize, back: Back) {
        let packet = self.packet.clone();
        self.hub.hold(packet, self.peer, self.clock, self.route.clone(), stage, back);
    }

    fn run_on(&self) -> Further {
        let Some(query) = self.query() else { return Further::Reply(vec![]) };
        let mut exchange = self.exchange(&query, None);
        let chain = &self.route.chain;
        let mut out = vec![0; exchange.size.max(512)];
        match chain.run(self.stage + 1, &mut exchange, &mut out) {
            Run::Reply(length, by) => {
                out.truncate(length);
                chain.leave(self.stage + 1, by, &exchange, &mut out);
                Further::Reply(out)
            }
            Run::Parked(stage) => Further::Parked(stage),
            Run::Dropped => Further::Reply(vec![]),
        }
    }

    fn exchange<'a>(&'a self, query: &'a Query<'a>, reason: Option<&'static str>) -> Exchange<'a> {
        Exchange {
            query,
            peer: self.peer,
            clock: self.clock,
            size: limit(query, self.peer.stream),
            route: &self.route,
            shard: SHARED_SHARD,
            label: python(&self.route, self.stage).map_or(0, |python| python.label),
            reason,
        }
    }

    fn deliver(&self, back: Back, wire: &[u8], reason: Option<&'static str>) {
        let Some(query) = self.query() else { return };
        let exchange = self.exchange(&query, reason);
        let chain = &self.route.chain;
        let mut out = vec![0; STREAM_BUFFER.min(exchange.size.max(512))];
        let mut length = fit(&query, wire, exchange.size, &mut out);
        let from = match &back {
            Back::Client(_) => 0,
            Back::Outer(outer) => outer.stage + 1,
        };
        if chain.has_leave() {
            let mut reply = out[..length].to_vec();
            chain.leave(from, self.stage, &exchange, &mut reply);
            length = fit(&query, &reply, exchange.size, &mut out);
        }
        out.truncate(length);
        match back {
            Back::Client(respond) => {
                chain.sent(&exchange, &out);
                respond.respond(&out);
            }
            Back::Outer(outer) => outer.hear(Some(out)),
        }
    }

    fn hear(&self, reply: Option<Vec<u8>>) {
        let mut news = locked(&self.news);
        match std::mem::replace(&mut *news, News::None) {
            News::Awaited(callback) => {
                drop(news);
                callback(reply);
            }
            _ => *news = News::Arrived(reply),
        }
    }
}

enum Further {
    Reply(Vec<u8>),
    Parked(usize),
}

/// A handle that is let go of without an answer has failed.
pub struct Handle(pub Arc<Parked>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.fail();
    }
}
