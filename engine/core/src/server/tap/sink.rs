//! Sinks by what they are asked to be: chains, and one configuration and the next, share those
//! that are the same, with their connections and what waits in them.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::server::parked::locked;
use crate::server::ring::Ring;
use crate::server::tap::anonymous::Veil;
use crate::server::tap::compare::Outcome;
use crate::server::tap::config::{self, Target};
use crate::server::tap::drain::{Counts, Drain, Work, run};
use crate::server::tap::framed::Framed;
use crate::server::tap::queue::Queue;
use crate::server::tap::shadow::Shadow;
use crate::server::tap::written::Written;
use crate::server::tap::{lines, pcap};

/// How long closing waits for all threads together.
const PATIENCE: Duration = Duration::from_secs(3);

/// Its thread ends when nobody holds it any more and all has gone out.
pub struct Sink {
    pub config: config::Sink,
    pub queue: Arc<Queue>,
    counts: Arc<Tally>,
    is_started: AtomicBool,
}

impl Sink {
    /// Whether a query is one that the sink itself sent, which came back: a copy of it would come
    /// back too, without end.
    pub fn is_own(&self, client: SocketAddr) -> bool {
        self.counts.counts.is_own(client)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// Of all sinks of a plugin with the same target, those that are gone too.
#[derive(Default)]
pub struct Tally {
    counts: Arc<Counts>,
    queues: Mutex<Vec<Arc<Queue>>>,
    /// What queues dropped that are gone.
    dropped: Mutex<u64>,
}

impl Tally {
    fn dropped(&self) -> u64 {
        let mut queues = locked(&self.queues);
        let mut gone = locked(&self.dropped);
        queues.retain(|queue| {
            let stays = Arc::strong_count(queue) > 1;
            if !stays {
                *gone += queue.dropped.load(Ordering::Relaxed);
            }
            stays
        });
        let now = queues.iter().map(|queue| queue.dropped.load(Ordering::Relaxed));
        *gone + now.sum::<u64>() + self.counts.lost.load(Ordering::Relaxed)
    }
}

#[derive(Default)]
pub struct Registry {
    sinks: Mutex<Vec<Weak<Sink>>>,
    tallies: Mutex<BTreeMap<(String, String), Arc<Tally>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// The shape of server/counters.py.
#[derive(Serialize)]
pub struct TapStats {
    plugin: String,
    to: String,
    sent: u64,
    dropped: u64,
    connections: u64,
    is_connected: bool,
    compared: BTreeMap<&'static str, u64>,
}

impl Registry {
    pub fn sink(&self, config: &config::Sink) -> Arc<Sink> {
        let mut sinks = locked(&self.sinks);
        sinks.retain(|sink| sink.strong_count() > 0);
        if let Some(sink) = sinks.iter().filter_map(Weak::upgrade).find(|s| s.config == *config) {
            return sink;
        }
        let queue = Arc::new(Queue::new(config.capacity.max(1)));
        let key = (config.plugin.clone(), config.target.label());
        let counts = locked(&self.tallies).entry(key).or_default().clone();
        locked(&counts.queues).push(queue.clone());
        let is_started = AtomicBool::new(false);
        let sink = Arc::new(Sink { config: config.clone(), queue, counts, is_started });
        sinks.push(Arc::downgrade(&sink));
        sink
    }

    /// A thread for each that has none yet.
    pub fn start(&self, ring: &Arc<Ring>) -> io::Result<()> {
        let mut threads = locked(&self.threads);
        threads.retain(|thread| !thread.is_finished());
        for sink in locked(&self.sinks).iter().filter_map(Weak::upgrade) {
            if sink.is_started.swap(true, Ordering::Relaxed) {
                continue;
            }
            let work = Work {
                queue: sink.queue.clone(),
                counts: sink.counts.counts.clone(),
                ring: ring.clone(),
                plugin: sink.config.plugin.clone(),
                target: sink.config.target.clone(),
            };
            let mut drain: Box<dyn Drain> = match &sink.config.target {
                Target::Dnstap(dnstap) => Box::new(Framed::new(dnstap)),
                Target::Json(file) => Box::new(Written::new(file, vec![], lines::encode)),
                Target::Pcap(file) => Box::new(Written::new(file, pcap::head(), pcap::encode)),
                Target::Server(server) => {
                    Box::new(Shadow::new(SocketAddr::new(server.address, server.port)))
                }
            };
            let veil = sink.config.anonymous.as_ref().map(Veil::new);
            let thread = thread::Builder::new().name("zoneward-tap".into());
            threads.push(thread.spawn(move || run(&work, &mut *drain, veil.as_ref()))?);
        }
        Ok(())
    }

    pub fn stats(&self) -> Vec<TapStats> {
        let tallies = locked(&self.tallies);
        let stats = tallies.iter().map(|((plugin, to), tally)| TapStats {
            plugin: plugin.clone(),
            to: to.clone(),
            sent: tally.counts.sent.load(Ordering::Relaxed),
            dropped: tally.dropped(),
            connections: tally.counts.connections.load(Ordering::Relaxed),
            is_connected: tally.counts.is_connected.load(Ordering::Relaxed),
            compared: Outcome::ALL
                .iter()
                .zip(&tally.counts.outcomes)
                .map(|((_, name), count)| (*name, count.load(Ordering::Relaxed)))
                .filter(|(_, count)| *count > 0)
                .collect(),
        });
        stats.collect()
    }

    /// Let out what waits, for a moment; then end the threads.
    pub fn close(&self) {
        locked(&self.sinks).iter().filter_map(Weak::upgrade).for_each(|sink| sink.queue.close());
        let until = Instant::now() + PATIENCE;
        for thread in locked(&self.threads).drain(..) {
            while !thread.is_finished() && Instant::now() < until {
                thread::sleep(Duration::from_millis(2));
            }
            // One that is still looking up a name is left behind: it touches nothing of ours.
            if thread.is_finished() {
                let _ended = thread.join();
            }
        }
    }
}
