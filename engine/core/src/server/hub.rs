//! Where queries wait that a stage has parked: Python's queue and its deadlines, and the
//! inboxes of the query threads for what waits for an upstream.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, Weak};
use std::time::Instant;

use crate::server::handle::guarded;
use crate::server::held::Held;
use crate::server::metrics::PluginCounts;
use crate::server::parked::{Callback, Handle, Parked, locked};
use crate::server::wake;

/// Queries that may wait at one time; further ones fail at once.
const MOST_WAITING: usize = 65_536;

/// The shard that threads without one of their own count in.
pub const SHARED_SHARD: usize = usize::MAX;

#[derive(Default)]
pub struct Counts {
    pub parked: AtomicU64,
    pub waiting: AtomicU64,
    pub expired: AtomicU64,
}

/// What waits to be taken, until it is closed.
struct Queue<T>(Mutex<Option<Vec<T>>>);

impl<T> Queue<T> {
    fn new() -> Self {
        Self(Mutex::new(Some(vec![])))
    }

    /// Back it comes where it is closed.
    fn put(&self, one: T) -> Option<T> {
        match locked(&self.0).as_mut() {
            Some(waiting) => waiting.push(one),
            None => return Some(one),
        }
        None
    }

    /// All that wait, into an empty `room`.
    fn empty_into(&self, room: &mut Vec<T>) {
        if let Some(waiting) = locked(&self.0).as_mut() {
            std::mem::swap(waiting, room);
        }
    }

    /// Nothing is taken in any more; what waited.
    fn close(&self) -> Vec<T> {
        locked(&self.0).take().unwrap_or_default()
    }
}

pub struct Hub {
    event: OwnedFd,
    queue: Queue<Arc<Parked>>,
    /// Python's calls for what became of queries further on, and what did.
    calls: Mutex<Vec<(Callback, Option<Vec<u8>>)>>,
    counts: Mutex<BTreeMap<u32, Arc<Counts>>>,
    waiting: AtomicUsize,
    timers: Mutex<BinaryHeap<Reverse<Timer>>>,
    sooner: Condvar,
    closed: AtomicBool,
    inboxes: OnceLock<Vec<Arc<Inbox>>>,
    turn: AtomicUsize,
    /// Of all that is done for queries.
    pub panics: AtomicU64,
}

/// Queries that a query thread has to take to an upstream.
pub struct Inbox {
    event: OwnedFd,
    queue: Queue<Handle>,
    filled: AtomicBool,
}

impl Inbox {
    pub fn new() -> io::Result<Self> {
        Ok(Self { event: wake::event()?, queue: Queue::new(), filled: AtomicBool::new(false) })
    }

    /// Readable when another thread has put something in.
    pub fn event(&self) -> RawFd {
        self.event.as_raw_fd()
    }

    /// The thread that the inbox belongs to looks into it before it waits. Where nobody will
    /// look any more, the query fails.
    fn put(&self, handle: Handle, is_own: bool) {
        if let Some(late) = self.queue.put(handle) {
            return drop(late);
        }
        self.filled.store(true, Ordering::Release);
        if !is_own {
            wake::ring(&self.event);
        }
    }

    /// All that is there, into an empty `room`.
    pub fn empty_into(&self, room: &mut Vec<Handle>) {
        if self.filled.swap(false, Ordering::AcqRel) {
            self.queue.empty_into(room);
        }
    }

    pub fn clear(&self) {
        wake::clear(&self.event);
    }
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

impl Hub {
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            event: wake::event()?,
            queue: Queue::new(),
            calls: Mutex::default(),
            counts: Mutex::default(),
            waiting: AtomicUsize::new(0),
            timers: Mutex::default(),
            sooner: Condvar::new(),
            closed: AtomicBool::new(false),
            inboxes: OnceLock::new(),
            turn: AtomicUsize::new(0),
            panics: AtomicU64::new(0),
        })
    }

    /// One inbox for each query thread; later calls change nothing.
    pub fn open_inboxes(&self, threads: usize) -> io::Result<()> {
        let inboxes =
            (0..threads).map(|_| Inbox::new().map(Arc::new)).collect::<io::Result<_>>()?;
        let _were_there = self.inboxes.set(inboxes);
        Ok(())
    }

    pub fn inbox(&self, thread: usize) -> Option<Arc<Inbox>> {
        self.inboxes.get()?.get(thread).cloned()
    }

    pub fn event(&self) -> RawFd {
        self.event.as_raw_fd()
    }

    /// Have a call made by `take`: this thread may be one that answers queries, and must not
    /// wait for the interpreter.
    pub fn tell(&self, callback: Callback, reply: Option<Vec<u8>>) {
        locked(&self.calls).push((callback, reply));
        wake::ring(&self.event);
    }

    /// All that were parked for Python since the last call; before that, the calls that Python
    /// waits for are made.
    pub fn take(&self) -> Vec<Arc<Parked>> {
        wake::clear(&self.event);
        let calls = std::mem::take(&mut *locked(&self.calls));
        calls.into_iter().for_each(|(callback, reply)| callback(reply));
        let mut parked = vec![];
        self.queue.empty_into(&mut parked);
        parked
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

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub fn one_less(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Park a query that stopped at a stage of its route's chain. `shard` is the thread that it
    /// is on, or `SHARED_SHARD`.
    pub fn park(self: &Arc<Self>, mut held: Held, shard: usize) {
        let full = self.waiting.fetch_add(1, Ordering::Relaxed) >= MOST_WAITING;
        if let Some(alias) = held.alias.take() {
            // Whoever answers it may be any thread.
            let parked = Arc::new(Parked::new(self.clone(), None, held, SHARED_SHARD));
            return parked.follow(alias, shard);
        }
        let python = held.python().map(|python| (python.plugin, python.deadline));
        let Some((plugin, deadline)) = python else {
            return self.park_natively(held, shard, full);
        };
        let counts = locked(&self.counts).entry(plugin).or_default().clone();
        counts.parked.fetch_add(1, Ordering::Relaxed);
        counts.waiting.fetch_add(1, Ordering::Relaxed);
        let at = Instant::now() + deadline;
        let parked = Arc::new(Parked::new(self.clone(), Some(counts), held, SHARED_SHARD));
        if full || self.is_closed() {
            parked.fail();
            return;
        }
        let is_soonest = {
            let mut timers = locked(&self.timers);
            timers.push(Reverse(Timer { at, parked: Arc::downgrade(&parked) }));
            timers.peek().is_some_and(|first| first.0.at == at)
        };
        if is_soonest {
            self.sooner.notify_one();
        }
        self.enqueue(parked);
    }

    fn enqueue(&self, parked: Arc<Parked>) {
        match self.queue.put(parked) {
            Some(late) => late.fail(),
            None => wake::ring(&self.event),
        }
    }

    /// Run the stages behind `held.stage`, for a reply that it sees go by or `held.back` waits
    /// for.
    pub fn refresh(self: &Arc<Self>, held: Held, shard: usize) {
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let parked = Arc::new(Parked::new(self.clone(), None, held, shard));
        if before >= MOST_WAITING || self.is_closed() {
            return parked.fail();
        }
        parked.go_on();
    }

    /// To the thread that it is on, or to each in turn.
    fn park_natively(self: &Arc<Self>, held: Held, shard: usize, full: bool) {
        let inboxes = self.inboxes.get().map_or(&[][..], Vec::as_slice);
        let thread = if shard < inboxes.len() {
            shard
        } else {
            self.turn.fetch_add(1, Ordering::Relaxed) % inboxes.len().max(1)
        };
        let inbox = inboxes.get(thread).filter(|_| !full && !self.is_closed());
        // Whoever answers it counts it: that thread, or this one.
        let counting = if inbox.is_some() { thread } else { shard };
        let parked = Arc::new(Parked::new(self.clone(), None, held, counting));
        match inbox {
            Some(inbox) => inbox.put(Handle(parked), thread == shard),
            None => parked.fail(),
        }
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
                        guarded(&self.panics, || parked.expire());
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
        self.queue.close().iter().for_each(|parked| parked.fail());
        for inbox in self.inboxes.get().into_iter().flatten() {
            drop(inbox.queue.close());
        }
    }
}

#[cfg(test)]
mod tests;
