//! An upstream: whether it is up, and what is counted of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;

use crate::query::rcode;
use crate::server::metrics::{DURATIONS, Histogram, duration_bucket};
use crate::server::parked::locked;

#[derive(Default)]
struct Durations {
    counts: [u64; DURATIONS + 1],
    seconds: f64,
}

pub struct Upstream {
    pub address: SocketAddr,
    /// Failures since it was last seen to work.
    fails: AtomicU32,
    /// Whether some thread probes it.
    probed: AtomicBool,
    durations: Mutex<BTreeMap<u16, Durations>>,
    pub probe_failures: AtomicU64,
    pub reused: AtomicU64,
    pub opened: AtomicU64,
    pub foreign: AtomicU64,
}

impl Upstream {
    fn new(address: SocketAddr) -> Self {
        Self {
            address,
            fails: AtomicU32::new(0),
            probed: AtomicBool::new(false),
            durations: Mutex::default(),
            probe_failures: AtomicU64::new(0),
            reused: AtomicU64::new(0),
            opened: AtomicU64::new(0),
            foreign: AtomicU64::new(0),
        }
    }

    pub fn is_down(&self, max_fails: u32) -> bool {
        max_fails > 0 && self.fails.load(Ordering::Relaxed) > max_fails
    }

    /// A probe failed.
    pub fn failed(&self) {
        self.fails.fetch_add(1, Ordering::Relaxed);
        self.probe_failures.fetch_add(1, Ordering::Relaxed);
    }

    pub fn took(&self, code: u16, duration: Duration) {
        let mut all = locked(&self.durations);
        let one = all.entry(code).or_default();
        one.counts[duration_bucket(duration.as_nanos().min(u128::from(u64::MAX)) as u64)] += 1;
        one.seconds += duration.as_secs_f64();
    }

    fn stats(&self) -> UpstreamStats {
        let number = |count: &AtomicU64| count.load(Ordering::Relaxed);
        UpstreamStats {
            to: self.address.to_string(),
            durations: locked(&self.durations)
                .iter()
                .map(|(&code, one)| UpstreamDurations {
                    rcode: rcode::name(code).into_owned(),
                    histogram: Histogram { counts: one.counts.to_vec(), sum: one.seconds },
                })
                .collect(),
            probe_failures: number(&self.probe_failures),
            reused: number(&self.reused),
            opened: number(&self.opened),
            foreign: number(&self.foreign),
        }
    }
}

/// Held by the one who probes an upstream. Let go of, whatever the reason, the upstream has
/// another chance: the next failure has it probed again.
pub struct Probing(Arc<Upstream>);

impl Probing {
    /// None while somebody else does it.
    pub fn begin(upstream: &Arc<Upstream>) -> Option<Self> {
        let is_first = !upstream.probed.swap(true, Ordering::AcqRel);
        is_first.then(|| Self(upstream.clone()))
    }
}

impl Drop for Probing {
    fn drop(&mut self) {
        self.0.fails.store(0, Ordering::Relaxed);
        self.0.probed.store(false, Ordering::Release);
    }
}

/// Of all *forward*s together.
#[derive(Default)]
pub struct Counts {
    /// Times that every upstream was down.
    pub broken: AtomicU64,
    /// Queries refused for `max_concurrent`.
    pub rejected: AtomicU64,
}

/// All upstreams that ever were: what is known of them stays over a change of configuration.
#[derive(Default)]
pub struct Registry {
    upstreams: Mutex<BTreeMap<SocketAddr, Arc<Upstream>>>,
    counts: Arc<Counts>,
}

impl Registry {
    pub fn upstream(&self, address: SocketAddr) -> Arc<Upstream> {
        let mut all = locked(&self.upstreams);
        all.entry(address).or_insert_with(|| Arc::new(Upstream::new(address))).clone()
    }

    pub fn counts(&self) -> Arc<Counts> {
        self.counts.clone()
    }

    pub fn stats(&self) -> ForwardStats {
        ForwardStats {
            upstreams: locked(&self.upstreams).values().map(|one| one.stats()).collect(),
            broken: self.counts.broken.load(Ordering::Relaxed),
            rejected: self.counts.rejected.load(Ordering::Relaxed),
        }
    }
}

#[derive(Serialize)]
struct UpstreamDurations {
    rcode: String,
    histogram: Histogram,
}

#[derive(Serialize)]
pub struct UpstreamStats {
    to: String,
    durations: Vec<UpstreamDurations>,
    probe_failures: u64,
    reused: u64,
    opened: u64,
    foreign: u64,
}

#[derive(Default, Serialize)]
pub struct ForwardStats {
    upstreams: Vec<UpstreamStats>,
    broken: u64,
    rejected: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_down_above_its_failures_and_up_after_one_answer() {
        let upstream = Registry::default().upstream("127.0.0.1:53".parse().unwrap());
        let probing = Probing::begin(&upstream).unwrap();
        assert!(Probing::begin(&upstream).is_none());
        for _ in 0..2 {
            upstream.failed();
        }
        assert!(!upstream.is_down(2));
        upstream.failed();
        assert!(upstream.is_down(2) && !upstream.is_down(0));
        drop(probing);
        assert!(!upstream.is_down(2));
        assert!(Probing::begin(&upstream).is_some());
    }
}
