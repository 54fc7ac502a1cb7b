//! The thread that gives copies away, for as long as its queue is there.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::server::parked::locked;
use crate::server::ring::{Ring, level};
use crate::server::tap::anonymous::Veil;
use crate::server::tap::compare::Outcome;
use crate::server::tap::config::Target;
use crate::server::tap::queue::Queue;
use crate::server::tap::seen::Seen;

/// Copies that are taken before they are given away.
const BATCH: usize = 256;

#[derive(Default)]
pub struct Counts {
    pub sent: AtomicU64,
    /// Taken, and lost on their way.
    pub lost: AtomicU64,
    pub connections: AtomicU64,
    pub is_connected: AtomicBool,
    /// Where queries of ours come from, and its port; 0 without.
    own: Mutex<Option<SocketAddr>>,
    own_port: AtomicU16,
    /// In the order of `Outcome::ALL`.
    pub outcomes: [AtomicU64; Outcome::ALL.len()],
}

impl Counts {
    /// Whether a query is one that we send ourselves.
    pub fn is_own(&self, client: SocketAddr) -> bool {
        client.port() == self.own_port.load(Ordering::Relaxed) && *locked(&self.own) == Some(client)
    }

    pub fn set_own(&self, own: SocketAddr) {
        *locked(&self.own) = Some(own);
        self.own_port.store(own.port(), Ordering::Relaxed);
    }
}

/// What a thread works with.
pub struct Work {
    pub queue: Arc<Queue>,
    pub counts: Arc<Counts>,
    pub ring: Arc<Ring>,
    pub plugin: String,
    pub target: Target,
}

impl Work {
    pub fn say(&self, level: u8, what: &str) {
        self.ring.push(level, format!("{}: {}: {what}", self.plugin, self.target.label()));
    }

    pub fn sent(&self, messages: u64) {
        self.counts.sent.fetch_add(messages, Ordering::Relaxed);
    }

    pub fn compared(&self, outcome: Outcome) {
        let place = Outcome::ALL.iter().zip(&self.counts.outcomes);
        for (_, count) in place.filter(|((one, _), _)| *one == outcome) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn connected(&self, is_connected: bool) {
        self.counts.is_connected.store(is_connected, Ordering::Relaxed);
    }

    pub fn lost(&self, messages: u64) {
        self.counts.lost.fetch_add(messages, Ordering::Relaxed);
    }
}

pub trait Drain: Send {
    /// Whether copies can go out now, what was left from before being gone.
    fn is_open(&mut self, work: &Work) -> bool;

    fn take(&mut self, seen: &Seen, work: &Work);

    /// Give away what was taken.
    fn flush(&mut self, work: &Work);

    /// The end: nothing comes any more.
    fn finish(&mut self, work: &Work);
}

pub fn run(work: &Work, drain: &mut dyn Drain, veil: Option<&Veil>) {
    let mut turn = || {
        while !work.queue.is_over() {
            let taken = if drain.is_open(work) { batch(work, drain, veil) } else { 0 };
            if taken == 0 {
                if work.queue.is_closed() && work.queue.is_empty() {
                    break;
                }
                work.queue.wait();
            }
        }
    };
    // A bug costs what was in hand, and is told.
    while catch_unwind(AssertUnwindSafe(&mut turn)).is_err() {
        work.say(level::ERROR, "a copy could not be made: this is a bug");
    }
    while let Some(seen) = work.queue.take() {
        work.lost(work.target.weight(seen.between, seen.answered.is_some()));
    }
    drain.finish(work);
    work.counts.is_connected.store(false, Ordering::Relaxed);
}

fn batch(work: &Work, drain: &mut dyn Drain, veil: Option<&Veil>) -> usize {
    let mut taken = 0;
    while taken < BATCH
        && let Some(mut seen) = work.queue.take()
    {
        if let Some(veil) = veil {
            veil.cover(&mut seen);
        }
        drain.take(&seen, work);
        taken += 1;
    }
    drain.flush(work);
    taken
}
