//! *cache*: replies that are kept and given out again.
//!
//! What is kept stands in shards by the hash of its key, each under a lock that is held for a
//! look-up, not for a reply. Successes and denials have a room of their own, so that a flood of
//! names that don't exist pushes out none that do.

pub mod entry;
pub mod fifo;
mod stage;
mod stats;

use std::hash::BuildHasher;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use foldhash::fast::RandomState;

use crate::name::NameRef;
use crate::server::cache::entry::{Bounds, Entry, Key, Kind};
use crate::server::cache::fifo::Fifo;
use crate::server::config::{self, Origin};
use crate::server::parked::locked;
use crate::server::routes::NameSet;
pub use stage::Caching;
pub use stats::{CacheStats, Counts};

/// Shards, where the capacity gives each of them enough for its queues to mean something.
const MOST_SHARDS: usize = 16;
const LEAST_IN_SHARD: usize = 256;
/// Octets that an entry may take on the average.
const OCTETS: usize = 1024;
/// How long a refresh that was begun keeps others from being begun: as long as *forward* tries.
const REFRESHING: u64 = 6000;

struct Kept {
    entry: Arc<Entry>,
    /// Until when nobody refreshes it; since when hits are counted for that, and how many.
    refreshing: u64,
    since: u64,
    asked: u32,
}

struct Shard {
    success: Fifo<Kept>,
    denial: Fifo<Kept>,
    counts: Counts,
}

impl Shard {
    fn side(&mut self, kind: Kind) -> &mut Fifo<Kept> {
        match kind {
            Kind::Success => &mut self.success,
            Kind::Denial | Kind::Failure => &mut self.denial,
        }
    }
}

pub struct Cache {
    pub config: config::Cache,
    /// Of the configuration, to be found by name.
    zones: NameSet,
    no_successes: NameSet,
    no_denials: NameSet,
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    epoch: Instant,
    /// What its predecessors counted.
    base: Counts,
}

/// What the cache has for a query.
pub enum Found {
    Fresh(Arc<Entry>),
    /// Too old, but better than nothing.
    Stale(Arc<Entry>),
    Nothing,
}

impl Cache {
    pub fn new(config: &config::Cache, base: Counts) -> Self {
        let (success, denial) = (config.success.capacity, config.denial.capacity);
        let count = (success.min(denial) / LEAST_IN_SHARD).clamp(1, MOST_SHARDS);
        let side = |capacity: usize| {
            let share = capacity.div_ceil(count);
            Fifo::new(share, share * OCTETS)
        };
        let shard = || {
            let (success, denial) = (side(success), side(denial));
            Mutex::new(Shard { success, denial, counts: Counts::default() })
        };
        let names = |origins: &[Origin]| origins.iter().map(|origin| origin.0.clone()).collect();
        Self {
            config: config.clone(),
            zones: names(&config.zones),
            no_successes: names(&config.success.disabled),
            no_denials: names(&config.denial.disabled),
            shards: (0..count).map(|_| shard()).collect(),
            hasher: RandomState::default(),
            epoch: Instant::now(),
            base,
        }
    }

    fn now(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.epoch).as_millis() as u64
    }

    fn shard(&self, key: &Key<'_>) -> (u64, &Mutex<Shard>) {
        let hash = self.hasher.hash_one(key.parts());
        // The table inside takes the bits at both ends.
        (hash, &self.shards[(hash >> 24) as usize % self.shards.len()])
    }

    /// Look up, and count. True beside it: the one who looks has to see to a newer one.
    pub fn find(&self, key: &Key<'_>, at: Instant) -> (Found, bool) {
        let now = self.now(at);
        let (hash, shard) = self.shard(key);
        let shard = &mut *locked(shard);
        let mut stale = None;
        for (side, is_success) in [(&mut shard.denial, false), (&mut shard.success, true)] {
            let Some(kept) = side.get(hash, |kept| kept.entry.is(key)) else { continue };
            if kept.entry.remaining(now) > 0 {
                let refreshes = self.is_wanted(kept, now);
                shard.counts.hit(is_success);
                shard.counts.prefetches += u64::from(refreshes);
                return (Found::Fresh(kept.entry.clone()), refreshes);
            }
            if self.is_still_useful(&kept.entry, now) {
                stale = Some((kept, is_success));
            }
        }
        if let Some((kept, is_success)) = stale.filter(|_| !self.config.serve_stale_verify) {
            let refreshes = begin_refreshing(kept, now);
            shard.counts.hit(is_success);
            shard.counts.served_stale += 1;
            return (Found::Stale(kept.entry.clone()), refreshes);
        }
        shard.counts.misses += 1;
        (Found::Nothing, false)
    }

    /// What is too old and still better than a failure.
    pub fn find_stale(&self, key: &Key<'_>, at: Instant) -> Option<Arc<Entry>> {
        let now = self.now(at);
        let (hash, shard) = self.shard(key);
        let shard = &mut *locked(shard);
        for side in [&mut shard.success, &mut shard.denial] {
            let kept = side.get(hash, |kept| kept.entry.is(key));
            if let Some(kept) = kept.filter(|kept| self.is_still_useful(&kept.entry, now)) {
                shard.counts.served_stale += 1;
                return Some(kept.entry.clone());
            }
        }
        None
    }

    fn is_still_useful(&self, entry: &Entry, now: u64) -> bool {
        let remaining = entry.remaining(now);
        !entry.is_failure()
            && remaining <= 0
            && -remaining <= i64::from(self.config.serve_stale_seconds)
    }

    /// Whether it is asked for so often, and is so near its end, that a newer one is fetched.
    fn is_wanted(&self, kept: &mut Kept, now: u64) -> bool {
        let prefetch = &self.config.prefetch;
        if prefetch.amount == 0 {
            return false;
        }
        if now.saturating_sub(kept.since) > prefetch.duration_ms {
            (kept.since, kept.asked) = (now, 0);
        }
        kept.asked = kept.asked.saturating_add(1);
        let share = u64::from(kept.entry.lifetime) * u64::from(prefetch.percentage);
        kept.asked >= prefetch.amount
            && kept.entry.remaining(now) <= share.div_ceil(100) as i64
            && begin_refreshing(kept, now)
    }

    /// Keep a reply, unless what is there is better.
    fn store(&self, key: &Key<'_>, entry: Entry, kind: Kind) {
        let (now, octets) = (entry.stored, entry.octets());
        let (hash, shard) = self.shard(key);
        let shard = &mut *locked(shard);
        if kind == Kind::Failure {
            let useful = [&mut shard.success, &mut shard.denial].into_iter().any(|side| {
                let kept = side.get(hash, |kept| kept.entry.is(key));
                kept.is_some_and(|kept| {
                    kept.entry.remaining(now) > 0 && !kept.entry.is_failure()
                        || self.is_still_useful(&kept.entry, now)
                })
            });
            if useful {
                return;
            }
        }
        let other = if kind == Kind::Success { Kind::Denial } else { Kind::Success };
        let kept = Kept { entry: Arc::new(entry), refreshing: 0, since: now, asked: 0 };
        shard.side(other).remove(hash, |kept| kept.entry.is(key));
        shard.side(kind).insert(hash, octets, kept, |kept| kept.entry.is(key));
    }

    fn dropped(&self, key: &Key<'_>) {
        locked(self.shard(key).1).counts.drops += 1;
    }

    /// How replies of a kind are kept below a name; None: they aren't.
    fn bounds(&self, name: &NameRef, kind: Kind) -> Option<Bounds> {
        let (side, disabled) = match kind {
            Kind::Success => (&self.config.success, &self.no_successes),
            Kind::Denial => (&self.config.denial, &self.no_denials),
            Kind::Failure => {
                let ttl = self.config.servfail_seconds;
                return (ttl > 0).then_some(Bounds { least: 0, most: ttl });
            }
        };
        let is_off = name.ancestors().any(|one| disabled.contains(one));
        (!is_off).then_some(Bounds { least: side.least_ttl, most: side.most_ttl })
    }
}

/// True for the first who asks for it in a while.
fn begin_refreshing(kept: &mut Kept, now: u64) -> bool {
    let begins = now >= kept.refreshing;
    if begins {
        kept.refreshing = now + REFRESHING;
    }
    begins
}

#[cfg(test)]
mod tests;
