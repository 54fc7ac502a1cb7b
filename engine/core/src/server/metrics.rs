//! What is counted: a series for each route, in shards of which each has one writing thread,
//! so that counting is a plain load and store.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use crate::query::rcode;
use crate::rdata::rtype;
use crate::server::cache::CacheStats;
use crate::server::forward::upstream::ForwardStats;
use crate::server::rules::config::Mark;
use crate::server::rules::hits::Count as HitCount;
use crate::server::tap::sink::TapStats;

const TYPES: [(u16, &str); 22] = [
    (rtype::A, "A"),
    (rtype::AAAA, "AAAA"),
    (rtype::ANY, "ANY"),
    (rtype::AXFR, "AXFR"),
    (rtype::CAA, "CAA"),
    (rtype::CDNSKEY, "CDNSKEY"),
    (rtype::CDS, "CDS"),
    (rtype::CNAME, "CNAME"),
    (rtype::DNSKEY, "DNSKEY"),
    (rtype::DS, "DS"),
    (rtype::HTTPS, "HTTPS"),
    (rtype::IXFR, "IXFR"),
    (rtype::MX, "MX"),
    (rtype::NAPTR, "NAPTR"),
    (rtype::NS, "NS"),
    (rtype::NSEC, "NSEC"),
    (rtype::PTR, "PTR"),
    (rtype::SOA, "SOA"),
    (rtype::SRV, "SRV"),
    (rtype::SVCB, "SVCB"),
    (rtype::TLSA, "TLSA"),
    (rtype::TXT, "TXT"),
];
const OTHER: usize = TYPES.len();
const RCODES: usize = 24;
/// Labels of who answered; further ones share the last.
pub const LABELS: usize = 8;
pub const DURATIONS: usize = 16;
const SIZES: [u64; 14] =
    [0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16000, 32000, 48000, 64000];

#[derive(Default)]
struct Count(AtomicU64);

impl Count {
    /// Only the thread that owns the shard adds.
    fn add(&self, number: u64) {
        self.0.store(self.0.load(Ordering::Relaxed) + number, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Default)]
struct SizeCounts {
    counts: [Count; SIZES.len() + 1],
    sum: Count,
}

impl SizeCounts {
    fn add(&self, octets: usize) {
        let octets = octets as u64;
        self.counts[SIZES.partition_point(|bound| *bound < octets)].add(1);
        self.sum.add(octets);
    }
}

#[derive(Default)]
struct Shard {
    requests: [[[Count; TYPES.len() + 1]; 2]; 2],
    dnssec_ok: Count,
    responses: [[Count; LABELS]; RCODES],
    durations: [Count; DURATIONS + 1],
    nanoseconds: Count,
    request_sizes: [SizeCounts; 2],
    response_sizes: [SizeCounts; 2],
    marks: [Count; Mark::ALL.len()],
}

/// One query and its reply.
pub struct Observation {
    pub stream: bool,
    pub ipv6: bool,
    pub qtype: u16,
    pub dnssec_ok: bool,
    pub rcode: u16,
    pub label: usize,
    pub duration: Duration,
    pub request_size: usize,
    pub response_size: usize,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub server: String,
    pub zone: String,
    pub view: String,
    /// Who can answer: index 0 is the server itself.
    pub labels: Vec<String>,
}

pub struct Series {
    key: Key,
    shards: Box<[Shard]>,
    /// The last shard is of all threads that have none of their own.
    shared: Mutex<()>,
}

impl Series {
    /// What a rule that decided is counted as.
    pub fn mark(&self, shard: usize, mark: Mark) {
        self.count(shard, |shard| shard.marks[mark as usize].add(1));
    }

    pub fn record(&self, shard: usize, seen: &Observation) {
        self.count(shard, |shard| shard.record(seen));
    }

    fn count(&self, shard: usize, count: impl FnOnce(&Shard)) {
        let own = shard < self.shards.len() - 1;
        let _turn = (!own).then(|| self.shared.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(shard) = self.shards.get(shard).or(self.shards.last()) {
            count(shard);
        }
    }
}

impl Shard {
    fn record(&self, seen: &Observation) {
        let proto = usize::from(seen.stream);
        let family = usize::from(seen.ipv6);
        let column = TYPES.iter().position(|(number, _)| *number == seen.qtype).unwrap_or(OTHER);
        self.requests[proto][family][column].add(1);
        if seen.dnssec_ok {
            self.dnssec_ok.add(1);
        }
        let row = usize::from(seen.rcode).min(RCODES - 1);
        self.responses[row][seen.label.min(LABELS - 1)].add(1);
        let nanoseconds = seen.duration.as_nanos().min(u128::from(u64::MAX)) as u64;
        self.durations[duration_bucket(nanoseconds)].add(1);
        self.nanoseconds.add(nanoseconds);
        self.request_sizes[proto].add(seen.request_size);
        self.response_sizes[proto].add(seen.response_size);
    }
}

/// Bounds are 250 µs times powers of two.
pub fn duration_bucket(nanoseconds: u64) -> usize {
    (0..DURATIONS).find(|power| nanoseconds <= 250_000 << power).unwrap_or(DURATIONS)
}

/// All series that ever were: what they counted stays over a change of configuration.
pub struct Registry {
    shards: usize,
    series: Mutex<BTreeMap<Key, Arc<Series>>>,
}

impl Registry {
    /// `writers` threads have a shard of their own, 0 up to `writers - 1`.
    pub fn new(writers: usize) -> Self {
        Self { shards: writers + 1, series: Mutex::default() }
    }

    pub fn series(&self, key: Key) -> Arc<Series> {
        let mut all = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || {
            let shards = (0..self.shards).map(|_| Shard::default()).collect();
            Arc::new(Series { key: key.clone(), shards, shared: Mutex::new(()) })
        };
        all.entry(key.clone()).or_insert_with(made).clone()
    }

    pub fn stats(&self) -> Vec<SeriesStats> {
        let all = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let mut merged: BTreeMap<(&str, &str, &str), Tally> = BTreeMap::new();
        for series in all.values() {
            let key = (&*series.key.server, &*series.key.zone, &*series.key.view);
            merged.entry(key).or_default().add(series);
        }
        merged.into_iter().map(|(key, tally)| tally.stats(key)).collect()
    }
}

/// The sum over shards, and over series that differ in who could answer.
#[derive(Default)]
struct Tally {
    requests: BTreeMap<(usize, usize, usize), u64>,
    dnssec_ok: u64,
    responses: BTreeMap<(u16, String), u64>,
    durations: [u64; DURATIONS + 1],
    nanoseconds: u64,
    request_sizes: [([u64; SIZES.len() + 1], u64); 2],
    response_sizes: [([u64; SIZES.len() + 1], u64); 2],
    marks: [u64; Mark::ALL.len()],
}

impl Tally {
    fn add(&mut self, series: &Series) {
        for shard in &series.shards {
            for (proto, families) in shard.requests.iter().enumerate() {
                for (family, types) in families.iter().enumerate() {
                    for (column, count) in types.iter().enumerate().filter(|(_, c)| c.get() > 0) {
                        *self.requests.entry((proto, family, column)).or_default() += count.get();
                    }
                }
            }
            for (row, labels) in shard.responses.iter().enumerate() {
                for (label, count) in labels.iter().enumerate().filter(|(_, c)| c.get() > 0) {
                    let label = series.key.labels.get(label).cloned().unwrap_or_default();
                    *self.responses.entry((row as u16, label)).or_default() += count.get();
                }
            }
            self.dnssec_ok += shard.dnssec_ok.get();
            add_up(&mut self.marks, &shard.marks);
            add_up(&mut self.durations, &shard.durations);
            self.nanoseconds += shard.nanoseconds.get();
            for (mine, theirs) in [
                (&mut self.request_sizes, &shard.request_sizes),
                (&mut self.response_sizes, &shard.response_sizes),
            ] {
                for (sum, counts) in mine.iter_mut().zip(theirs) {
                    add_up(&mut sum.0, &counts.counts);
                    sum.1 += counts.sum.get();
                }
            }
        }
    }

    fn stats(self, (server, zone, view): (&str, &str, &str)) -> SeriesStats {
        let sizes = |both: &[([u64; SIZES.len() + 1], u64); 2]| {
            ["udp", "tcp"]
                .into_iter()
                .zip(both)
                .filter(|(_, (counts, _))| counts.iter().any(|count| *count > 0))
                .map(|(proto, (counts, sum))| Sizes {
                    proto,
                    histogram: Histogram { counts: counts.to_vec(), sum: *sum as f64 },
                })
                .collect()
        };
        SeriesStats {
            server: server.to_owned(),
            zone: zone.to_owned(),
            view: view.to_owned(),
            dnssec_ok: self.dnssec_ok,
            marks: Mark::ALL.iter().zip(self.marks).map(|((_, name), n)| (*name, n)).collect(),
            duration: Histogram {
                counts: self.durations.to_vec(),
                sum: self.nanoseconds as f64 / 1e9,
            },
            request_size: sizes(&self.request_sizes),
            response_size: sizes(&self.response_sizes),
            requests: self
                .requests
                .into_iter()
                .map(|((proto, family, column), count)| Requests {
                    proto: if proto == 0 { "udp" } else { "tcp" },
                    family: family as u8 + 1,
                    rtype: TYPES.get(column).map_or("other", |(_, name)| name),
                    count,
                })
                .collect(),
            responses: self
                .responses
                .into_iter()
                .map(|((code, plugin), count)| Responses {
                    rcode: rcode::name(code).into_owned(),
                    plugin,
                    count,
                })
                .collect(),
        }
    }
}

fn add_up(sums: &mut [u64], counts: &[Count]) {
    for (sum, count) in sums.iter_mut().zip(counts) {
        *sum += count.get();
    }
}

#[derive(Serialize)]
pub struct Histogram {
    pub counts: Vec<u64>,
    pub sum: f64,
}

#[derive(Serialize)]
struct Requests {
    proto: &'static str,
    family: u8,
    #[serde(rename = "type")]
    rtype: &'static str,
    count: u64,
}

#[derive(Serialize)]
struct Responses {
    rcode: String,
    plugin: String,
    count: u64,
}

#[derive(Serialize)]
struct Sizes {
    proto: &'static str,
    histogram: Histogram,
}

#[derive(Serialize)]
pub struct SeriesStats {
    server: String,
    zone: String,
    view: String,
    requests: Vec<Requests>,
    dnssec_ok: u64,
    marks: BTreeMap<&'static str, u64>,
    responses: Vec<Responses>,
    duration: Histogram,
    request_size: Vec<Sizes>,
    response_size: Vec<Sizes>,
}

#[derive(Serialize)]
pub struct PluginCounts {
    pub plugin: u32,
    pub parked: u64,
    pub waiting: u64,
    pub expired: u64,
}

/// A probe of *loop*.
#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
pub struct LoopSeen {
    pub probe: String,
    pub seen: u32,
}

#[derive(Serialize)]
pub struct ZoneState {
    pub chain: String,
    pub origin: String,
    pub serial: u32,
    pub records: usize,
    pub valid_until: i64,
}

/// The shape of server/counters.py.
#[derive(Serialize)]
pub struct Stats {
    pub series: Vec<SeriesStats>,
    pub plugins: Vec<PluginCounts>,
    pub zones: Vec<ZoneState>,
    pub forward: ForwardStats,
    pub caches: Vec<CacheStats>,
    pub taps: Vec<TapStats>,
    pub loops: Vec<LoopSeen>,
    pub hits: Vec<HitCount>,
    pub panics: u64,
    pub log_dropped: u64,
}
