//! How fast clients ask: a bucket of tokens for each prefix, in memory that does not grow.

use std::hash::{BuildHasher, Hash};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use foldhash::quality::RandomState;

/// Slots that a key may be in; they share a line of the processor's cache.
const WAYS: usize = 8;
const LINES: usize = 1 << 13;
/// Of a slot: 24 bits that tell keys apart, 40 bits of microseconds.
const TIME: u32 = 40;
const MASK: u64 = (1 << TIME) - 1;

#[repr(align(64))]
#[derive(Default)]
struct Line([AtomicU64; WAYS]);

/// A slot holds when its bucket will be full again (the "theoretical arrival time" of GCRA, ITU-T
/// I.371): one number says all. Where all slots of a line are in use, the bucket that is full the
/// soonest makes room.
pub struct Buckets {
    lines: Box<[Line]>,
    hasher: RandomState,
    start: Instant,
    /// Microseconds that a token takes, and that a bucket does.
    token: u64,
    whole: u64,
}

/// `prefix` bits of an address; the key of its bucket.
pub fn prefix(client: IpAddr, v4: u8, v6: u8) -> (bool, u128) {
    match client.to_canonical() {
        IpAddr::V4(v4_client) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(v4.min(32))).unwrap_or(0);
            (true, u128::from(v4_client.to_bits() & mask))
        }
        IpAddr::V6(v6_client) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(v6.min(128))).unwrap_or(0);
            (false, v6_client.to_bits() & mask)
        }
    }
}

impl Buckets {
    /// Tokens a second, and how many a bucket holds; at least one of each.
    pub fn new(per_second: u32, burst: u32) -> Self {
        let token = (1_000_000 / u64::from(per_second.max(1))).max(1);
        Self {
            lines: (0..LINES).map(|_| Line::default()).collect(),
            hasher: RandomState::default(),
            start: Instant::now(),
            token,
            whole: token * u64::from(burst.max(1)),
        }
    }

    /// Take a token; false if there is none. Threads that come at the same time may lose one of
    /// their tokens: the count is as good as it needs to be.
    pub fn take(&self, key: impl Hash, at: Instant) -> bool {
        let now = at.saturating_duration_since(self.start).as_micros() as u64 & MASK;
        let hash = self.hasher.hash_one(key);
        let line = &self.lines[hash as usize % LINES].0;
        // Zero is a slot that was never used.
        let tag = hash >> TIME | 1;
        let left = |slot: u64| {
            let left = (slot & MASK).wrapping_sub(now) & MASK;
            // What is farther away than a whole bucket is long past.
            if left <= self.whole { left } else { 0 }
        };
        let mut chosen = (0, u64::MAX);
        for (index, slot) in line.iter().enumerate() {
            let value = slot.load(Ordering::Relaxed);
            if value >> TIME == tag {
                chosen = (index, left(value));
                return self.put(&line[chosen.0], tag, chosen.1, now);
            }
            if left(value) < chosen.1 {
                chosen = (index, left(value));
            }
        }
        self.put(&line[chosen.0], tag, 0, now)
    }

    fn put(&self, slot: &AtomicU64, tag: u64, left: u64, now: u64) -> bool {
        let left = left + self.token;
        let is_there = left <= self.whole;
        if is_there {
            slot.store(tag << TIME | (now + left) & MASK, Ordering::Relaxed);
        }
        is_there
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_is_emptied_and_fills_again() {
        let buckets = Buckets::new(10, 5);
        let start = Instant::now();
        let takes = |key: u32, milliseconds: u64, times: usize| {
            let at = start + Duration::from_millis(milliseconds);
            (0..times).filter(|_| buckets.take(key, at)).count()
        };
        assert_eq!(takes(1, 0, 8), 5);
        assert_eq!(takes(2, 0, 8), 5, "another has its own");
        assert_eq!(takes(1, 90, 3), 0);
        assert_eq!(takes(1, 310, 8), 3);
        assert_eq!(takes(1, 60_000, 8), 5, "no more than it holds");
        assert_eq!(takes(1, 14 * 86_400_000, 8), 5, "the clock went round");
    }

    #[test]
    fn so_many_keys_take_no_more_memory_and_the_busy_are_kept() {
        let buckets = Buckets::new(1, 100);
        let now = Instant::now();
        assert_eq!((0..200).filter(|_| buckets.take("busy", now)).count(), 100);
        assert!((0..20_000u32).all(|key| buckets.take(key, now)));
        assert!(!buckets.take("busy", now));
    }

    #[test]
    fn a_prefix_is_one_client() {
        let of = |text: &str| prefix(text.parse().unwrap(), 24, 56);
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.200"));
        assert_ne!(of("192.0.2.1"), of("192.0.3.1"));
        assert_eq!(of("2001:db8::1"), of("2001:db8:0:ff::1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:100::1"));
        assert_eq!(prefix("192.0.2.1".parse().unwrap(), 0, 0), (true, 0));
    }
}
