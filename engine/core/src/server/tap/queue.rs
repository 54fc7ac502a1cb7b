//! Copies on their way to the thread that gives them away: bounded, so that they are dropped
//! and counted where it is slow. Who puts one in never waits.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::server::tap::seen::Seen;

/// Octets for each place of a queue, on average: long messages take the room of several.
const ROOM: usize = 4096;
/// How long an idle thread lets copies gather before it goes to sleep: to wake it costs the
/// query thread more than the copy does.
const LINGER: Duration = Duration::from_millis(4);
/// At the latest it looks again then.
const NAP: Duration = Duration::from_millis(250);
/// How long what waits may still go out when the queue is closed.
const LAST: Duration = Duration::from_secs(1);

pub struct Queue {
    sender: Sender<Seen>,
    receiver: Receiver<Seen>,
    octets: AtomicUsize,
    most_octets: usize,
    pub dropped: AtomicU64,
    sleeper: Mutex<Option<Thread>>,
    sleeps: AtomicBool,
    closed: AtomicBool,
    closed_at: Mutex<Option<Instant>>,
}

impl Queue {
    pub fn new(capacity: usize) -> Self {
        let (sender, receiver) = bounded(capacity);
        Self {
            sender,
            receiver,
            octets: AtomicUsize::new(0),
            most_octets: capacity.saturating_mul(ROOM),
            dropped: AtomicU64::new(0),
            sleeper: Mutex::default(),
            sleeps: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            closed_at: Mutex::default(),
        }
    }

    /// `weight` is what it counts when there is no room.
    pub fn push(&self, seen: Seen, weight: u64) {
        let octets = seen.octets();
        let fits = self.octets.fetch_add(octets, Ordering::Relaxed) + octets <= self.most_octets;
        if !fits || self.is_closed() || self.sender.try_send(seen).is_err() {
            self.octets.fetch_sub(octets, Ordering::Relaxed);
            self.dropped.fetch_add(weight, Ordering::Relaxed);
            return;
        }
        if self.sleeps.load(Ordering::SeqCst) && self.sleeps.swap(false, Ordering::SeqCst) {
            self.wake();
        }
    }

    pub fn take(&self) -> Option<Seen> {
        let seen = self.receiver.try_recv().ok()?;
        self.octets.fetch_sub(seen.octets(), Ordering::Relaxed);
        Some(seen)
    }

    pub fn is_empty(&self) -> bool {
        self.receiver.is_empty()
    }

    /// Of the one thread that takes: until there is something, or for a while.
    pub fn wait(&self) {
        thread::sleep(LINGER);
        *self.sleeper.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread::current());
        self.sleeps.store(true, Ordering::SeqCst);
        if self.receiver.is_empty() && !self.is_closed() {
            thread::park_timeout(NAP);
        }
        self.sleeps.store(false, Ordering::SeqCst);
    }

    fn wake(&self) {
        let sleeper = self.sleeper.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = &*sleeper {
            thread.unpark();
        }
    }

    /// Take nothing more in.
    pub fn close(&self) {
        let mut at = self.closed_at.lock().unwrap_or_else(PoisonError::into_inner);
        at.get_or_insert_with(Instant::now);
        drop(at);
        self.closed.store(true, Ordering::SeqCst);
        self.wake();
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Whether it is closed and there is no more time.
    pub fn is_over(&self) -> bool {
        self.is_closed() && {
            let at = self.closed_at.lock().unwrap_or_else(PoisonError::into_inner);
            at.is_none_or(|at| at.elapsed() >= LAST)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::tap::seen::Between;

    fn seen(length: usize) -> Seen {
        let there = [Some("192.0.2.1:53".parse().unwrap()), None];
        Seen::now(Between::Client, there, false, Duration::ZERO, false).with(&vec![0; length], &[])
    }

    #[test]
    fn what_finds_no_room_is_counted_and_the_rest_is_there() {
        let queue = Queue::new(3);
        (0..5).for_each(|_| queue.push(seen(100), 2));
        assert_eq!(queue.dropped.load(Ordering::Relaxed), 4);
        assert_eq!(std::iter::from_fn(|| queue.take()).count(), 3);
        queue.push(seen(100), 2);
        assert!(queue.take().is_some());
    }

    #[test]
    fn long_messages_have_no_more_room_than_short_ones() {
        let queue = Queue::new(4);
        (0..4).for_each(|_| queue.push(seen(7000), 1));
        assert_eq!(queue.dropped.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_closed_queue_takes_nothing_in_and_gives_what_it_has() {
        let queue = Queue::new(4);
        queue.push(seen(1), 1);
        queue.close();
        queue.push(seen(1), 1);
        assert_eq!(queue.dropped.load(Ordering::Relaxed), 1);
        assert!(queue.take().is_some() && queue.take().is_none() && !queue.is_over());
    }
}
