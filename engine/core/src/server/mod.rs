//! The query path: sockets, threads, chains, zones.

mod build;
pub mod cache;
mod callers;
pub mod chain;
pub mod config;
mod format;
pub mod forward;
mod handle;
mod held;
mod hooks;
mod hub;
mod limit;
mod log;
mod metrics;
mod opt;
pub mod parked;
pub mod predicate;
mod rebuild;
pub mod reply;
pub mod rewrite;
mod ring;
mod routes;
pub mod rpz;
pub mod rules;
mod sockets;
mod stages;
mod stock;
pub mod tap;
mod tcp;
pub mod udp;
mod wake;

use std::collections::HashMap;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::runtime::Runtime;

use crate::error::{Error, Result};
use crate::name::NameRef;
use crate::zone::Zone;
use callers::Callers;
use chain::{Chain, Clock};
use config::Config;
use hub::{Hub, SHARED_SHARD};
use metrics::{Key, LABELS, LoopSeen, Registry, Series, Stats, ZoneState};
use parked::Handle;
use ring::Ring;
use routes::{ChainZones, Door, Listener, Route, Routes, Served, State};
use stock::Stock;

/// What the server's threads share.
pub struct Shared {
    state: ArcSwap<State>,
    hub: Arc<Hub>,
    closing: AtomicBool,
    callers: Callers,
    stream_shard: usize,
}

/// See the contract in engine/_native.pyi.
pub struct Server {
    ring: Arc<Ring>,
    hub: Arc<Hub>,
    inner: Mutex<Inner>,
    lameduck: AtomicBool,
    stock: Arc<Stock>,
}

#[derive(Default)]
struct Inner {
    /// From `bind` on.
    bound: Option<Bound>,
    running: Option<Running>,
    closed: bool,
}

struct Bound {
    shared: Arc<Shared>,
    registry: Registry,
    upstreams: forward::upstream::Registry,
    sinks: tap::sink::Registry,
    zones: HashMap<String, Arc<ChainZones>>,
    caches: HashMap<String, Arc<cache::Cache>>,
    threads: usize,
}

/// What a configuration comes to.
struct Plan {
    state: State,
    zones: HashMap<String, Arc<ChainZones>>,
    caches: HashMap<String, Arc<cache::Cache>>,
}

struct Running {
    workers: Vec<JoinHandle<()>>,
    timer: JoinHandle<()>,
    wakes: Vec<Arc<OwnedFd>>,
    runtime: Runtime,
    accepting: HashMap<Door, tokio::task::JoinHandle<()>>,
}

/// The time now: monotonic, and Unix seconds as of the kernel's last tick.
pub fn clock() -> Clock {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes to a timespec of ours.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME_COARSE, &raw mut now) };
    Clock { received: Instant::now(), wall: now.tv_sec }
}

impl Server {
    pub fn new() -> Result<Self> {
        let hub = Hub::new().map_err(|error| Error::new("io", error.to_string()))?;
        Ok(Self {
            ring: Arc::new(Ring::new()),
            hub: Arc::new(hub),
            inner: Mutex::default(),
            lameduck: AtomicBool::new(false),
            stock: Arc::default(),
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Open the sockets. Raises "bind", "config".
    pub fn bind(&self, json: &[u8]) -> Result<()> {
        let config = Config::read(json)?;
        let mut inner = self.inner();
        if inner.bound.is_some() {
            return Err(Error::new("config", "the server is bound already: use configure"));
        }
        let threads = config.thread_count();
        self.hub.open_inboxes(threads).map_err(|error| Error::new("io", error.to_string()))?;
        let mut bound = Bound {
            shared: Arc::new(Shared {
                state: ArcSwap::default(),
                hub: self.hub.clone(),
                closing: AtomicBool::new(false),
                callers: Callers::default(),
                stream_shard: SHARED_SHARD,
            }),
            registry: Registry::new(threads),
            upstreams: forward::upstream::Registry::default(),
            sinks: tap::sink::Registry::default(),
            zones: HashMap::new(),
            caches: HashMap::new(),
            threads,
        };
        let plan = bound.plan(&config, &self.ring, &self.stock)?;
        bound.follow(plan);
        self.stock.tidy();
        inner.bound = Some(bound);
        Ok(())
    }

    pub fn start(&self) -> Result<()> {
        let mut inner = self.inner();
        let Some(bound) = &inner.bound else {
            return Err(Error::new("config", "the server has no sockets yet: bind comes first"));
        };
        if inner.running.is_some() || inner.closed {
            return Err(Error::new("config", "the server was started already"));
        }
        let mut running = bound.spawn().map_err(|error| {
            Error::new("io", format!("the query threads could not be started: {error}"))
        })?;
        bound.open_sinks(&self.ring)?;
        running.listen(&bound.shared)?;
        inner.running = Some(running);
        Ok(())
    }

    /// Swap to a new configuration. The number of threads stays what it was at `bind`.
    pub fn configure(&self, json: &[u8]) -> Result<()> {
        let config = Config::read(json)?;
        let mut guard = self.inner();
        let inner = &mut *guard;
        let Some(bound) = &mut inner.bound else {
            return Err(Error::new("config", "the server has no sockets yet: bind comes first"));
        };
        let plan = bound.plan(&config, &self.ring, &self.stock)?;
        bound.follow(plan);
        self.stock.tidy();
        match &mut inner.running {
            Some(running) => {
                bound.open_sinks(&self.ring)?;
                running.listen(&bound.shared)
            }
            None => Ok(()),
        }
    }

    /// Raises "config" for a chain that is not configured.
    pub fn publish(&self, chain: &str, zone: Arc<Zone>, valid_until: i64) -> Result<()> {
        self.zones(chain)?.publish(Served { zone, valid_until });
        Ok(())
    }

    /// `origin` lower-cased. Raises "config" for a chain that is not configured.
    pub fn withdraw(&self, chain: &str, origin: &NameRef) -> Result<()> {
        self.zones(chain)?.withdraw(origin);
        Ok(())
    }

    /// Put others in the place of the rules of a plugin in a chain. Raises "config", also for a
    /// chain or a plugin that is not configured.
    pub fn refill(&self, chain: &str, plugin: &str, json: &[u8]) -> Result<()> {
        let bound = self.inner().bound.as_ref().map(|bound| bound.shared.clone());
        let state = bound.map(|shared| shared.state.load_full()).unwrap_or_default();
        let mut chains = state.listeners.iter().flat_map(|listener| listener.routes.chains());
        let found = chains.find(|one| one.id == chain);
        let mut stages = found.iter().flat_map(|chain| &chain.stages);
        let rules =
            stages.find_map(|stage| stage.rules().filter(|rules| rules.around.plugin == plugin));
        let rules = rules.ok_or_else(|| Error::at("config", chain, "no such rules here"))?;
        rules.refill(json)
    }

    /// Put a list of names in the place of the one that stages know as `list`: how many names it
    /// has, and how many lines could not be read. Raises "size".
    pub fn fill_list(&self, list: &str, text: &[u8]) -> Result<(usize, usize)> {
        let (names, unread) = rules::list::read(text)?;
        let count = names.len();
        self.stock.lists.put(list, names);
        Ok((count, unread))
    }

    /// Put a response policy zone in the place of the one that stages know as `feed`.
    pub fn fill_feed(&self, feed: &str, zone: &Zone) -> Result<rpz::feed::Counts> {
        let read = rpz::feed::Feed::read(zone)?;
        let counts = read.counts;
        self.stock.feeds.put(feed, read);
        Ok(counts)
    }

    fn zones(&self, chain: &str) -> Result<Arc<ChainZones>> {
        let inner = self.inner();
        let zones = inner.bound.as_ref().and_then(|bound| bound.zones.get(chain));
        zones.cloned().ok_or_else(|| Error::at("config", chain, "no such chain is configured"))
    }

    pub fn plugin_fd(&self) -> RawFd {
        self.hub.event()
    }

    pub fn take(&self) -> Vec<Handle> {
        self.hub.take().into_iter().map(Handle).collect()
    }

    pub fn drain_log(&self) -> Vec<(u8, String)> {
        self.ring.drain()
    }

    /// JSON in the shape of server/counters.py.
    pub fn stats(&self) -> Vec<u8> {
        let inner = self.inner();
        let bound = inner.bound.as_ref();
        let stats = Stats {
            series: bound.map(|bound| bound.registry.stats()).unwrap_or_default(),
            plugins: self.hub.stats(),
            zones: bound.map(Bound::zone_states).unwrap_or_default(),
            forward: bound.map(|bound| bound.upstreams.stats()).unwrap_or_default(),
            caches: bound.map(Bound::cache_stats).unwrap_or_default(),
            taps: bound.map(|bound| bound.sinks.stats()).unwrap_or_default(),
            loops: bound.map(Bound::loops_seen).unwrap_or_default(),
            hits: self.stock.hits.stats(),
            panics: self.hub.panics.load(Ordering::Relaxed),
            log_dropped: self.ring.dropped(),
        };
        // Numbers and strings only: there is nothing that JSON can't hold.
        serde_json::to_vec(&stats).unwrap_or_default()
    }

    /// Answers go on; what reports health says otherwise.
    pub fn lameduck(&self) {
        self.lameduck.store(true, Ordering::Release);
    }

    pub fn is_lameduck(&self) -> bool {
        self.lameduck.load(Ordering::Acquire)
    }

    /// Stop taking queries, answer those under way, join every thread.
    pub fn close(&self) {
        let (bound, running) = {
            let mut inner = self.inner();
            inner.closed = true;
            (inner.bound.take(), inner.running.take())
        };
        if let Some(bound) = &bound {
            bound.shared.closing.store(true, Ordering::Release);
        }
        if let Some(running) = running {
            running.accepting.values().for_each(tokio::task::JoinHandle::abort);
            running.wakes.iter().for_each(|event| wake::ring(event));
            // A thread that panicked has ended too.
            for worker in running.workers {
                let _ended = worker.join();
            }
            self.hub.close();
            let _ended = running.timer.join();
            // Long enough for replies that are on their way out.
            running.runtime.shutdown_timeout(Duration::from_millis(500));
        }
        self.hub.close();
        if let Some(bound) = bound {
            bound.sinks.close();
            bound.shared.state.store(Arc::default());
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.close();
    }
}

impl Bound {
    /// The state that `config` asks for, with the sockets that are open already; nothing is
    /// changed when it fails.
    fn plan(&self, config: &Config, ring: &Arc<Ring>, stock: &Arc<Stock>) -> Result<Plan> {
        let (mut zones, mut caches) = (HashMap::new(), HashMap::new());
        let mut chains = HashMap::new();
        let shared = build::Registries { upstreams: &self.upstreams, sinks: &self.sinks, stock };
        for chain in &config.chains {
            let held = self.zones.get(&chain.id).cloned().unwrap_or_default();
            let cached = self.caches.get(&chain.id);
            let built = build::chain(chain, &held, cached, ring, &shared)?;
            caches.extend(built.cache.clone().map(|cache| (chain.id.clone(), cache)));
            chains.insert(&*chain.id, Arc::new(built));
            zones.insert(chain.id.clone(), held);
        }
        let old = self.shared.state.load_full();
        let mut listeners = vec![];
        for (index, listener) in config.listeners.iter().enumerate() {
            let mut routes = Routes::default();
            let mut counts = false;
            for route in config.routes.iter().filter(|route| route.listener == index) {
                let chain = chains.get(&*route.chain).cloned().ok_or_else(|| {
                    Error::at("config", &route.chain, "a route to a chain that is not there")
                })?;
                counts |= chain.counts;
                let zone = route.origin.0.to_string();
                let series = self.series(&listener.server, &zone, &chain);
                routes.insert(route.origin.0.clone(), Arc::new(Route { chain, series }));
            }
            let unrouted =
                counts.then(|| self.series(&listener.server, "dropped", &Chain::default()));
            let door = (listener.address, listener.port);
            let (udp, tcp) = self.open(listener, &old, door)?;
            let timeouts = listener.timeouts;
            listeners.push(Listener { door, udp, tcp, timeouts, routes, unrouted });
        }
        Ok(Plan { state: State { listeners }, zones, caches })
    }

    fn follow(&mut self, plan: Plan) {
        self.shared.state.store(Arc::new(plan.state));
        (self.zones, self.caches) = (plan.zones, plan.caches);
    }

    fn open_sinks(&self, ring: &Arc<Ring>) -> Result<()> {
        self.sinks.start(ring).map_err(|error| {
            Error::new("io", format!("a thread for copies could not be started: {error}"))
        })
    }

    fn loops_seen(&self) -> Vec<LoopSeen> {
        let state = self.shared.state.load_full();
        let chains = state.listeners.iter().flat_map(|listener| listener.routes.chains());
        let mut all: Vec<_> = chains
            .flat_map(|chain| &chain.loops)
            .map(|(probe, seen)| LoopSeen {
                probe: probe.clone(),
                seen: seen.load(Ordering::Relaxed),
            })
            .collect();
        // A chain has several routes.
        all.sort();
        all.dedup();
        all
    }

    fn cache_stats(&self) -> Vec<cache::CacheStats> {
        let mut chains: Vec<_> = self.caches.iter().collect();
        chains.sort_by_key(|(chain, _)| *chain);
        chains.into_iter().map(|(chain, cache)| cache.stats(chain)).collect()
    }

    fn series(&self, server: &str, zone: &str, chain: &Chain) -> Arc<Series> {
        let mut labels = chain.labels.clone();
        labels.truncate(LABELS);
        self.registry.series(Key {
            server: server.to_owned(),
            zone: zone.to_owned(),
            view: chain.view.clone(),
            labels,
        })
    }

    #[allow(clippy::type_complexity)]
    fn open(
        &self,
        listener: &config::Listener,
        old: &State,
        door: Door,
    ) -> Result<(Vec<Arc<UdpSocket>>, Option<Arc<TcpListener>>)> {
        let before = old.listeners.iter().find(|before| before.door == door);
        let kept_udp = before.map(|before| &before.udp).filter(|udp| !udp.is_empty());
        let udp = match kept_udp {
            _ if !listener.udp => vec![],
            Some(udp) => udp.clone(),
            None => sockets::udp(listener, self.threads)?,
        };
        let tcp = match before.and_then(|before| before.tcp.clone()) {
            _ if !listener.tcp => None,
            Some(tcp) => Some(tcp),
            None => Some(sockets::tcp(listener)?),
        };
        Ok((udp, tcp))
    }

    fn spawn(&self) -> std::io::Result<Running> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("zoneward-tcp")
            .enable_all()
            .build()?;
        let shared = self.shared.clone();
        let timer = thread::Builder::new()
            .name("zoneward-timer".into())
            .spawn(move || shared.hub.keep_time())?;
        let mut running =
            Running { workers: vec![], timer, wakes: vec![], runtime, accepting: HashMap::new() };
        let most = forward::poller::most_sockets(self.threads);
        for index in 0..self.threads {
            let wake = Arc::new(wake::event()?);
            running.wakes.push(wake.clone());
            let inbox = self.shared.hub.inbox(index).ok_or(std::io::ErrorKind::NotFound)?;
            let forwarder = forward::forwarder::Forwarder::new(inbox, most)?;
            let worker = udp::Worker { shared: self.shared.clone(), index, wake, forwarder, most };
            let name = format!("zoneward-udp-{index}");
            running.workers.push(thread::Builder::new().name(name).spawn(move || worker.run())?);
        }
        Ok(running)
    }

    fn zone_states(&self) -> Vec<ZoneState> {
        let mut states: Vec<_> = self
            .zones
            .iter()
            .flat_map(|(chain, zones)| zones.all().into_iter().map(move |served| (chain, served)))
            .map(|(chain, served)| ZoneState {
                chain: chain.clone(),
                origin: served.zone.origin().to_string(),
                serial: served.zone.serial(),
                records: served.zone.counts().records,
                valid_until: served.valid_until,
            })
            .collect();
        states.sort_by(|a, b| (&a.chain, &a.origin).cmp(&(&b.chain, &b.origin)));
        states
    }
}

impl Running {
    /// Let the threads see the new state; open and shut TCP doors.
    fn listen(&mut self, shared: &Arc<Shared>) -> Result<()> {
        let state = shared.state.load_full();
        let open = |door: &Door| state.listeners.iter().any(|l| l.door == *door && l.tcp.is_some());
        self.accepting.retain(|door, task| {
            let stays = open(door);
            if !stays {
                task.abort();
            }
            stays
        });
        for listener in &state.listeners {
            let Some(tcp) = &listener.tcp else { continue };
            if self.accepting.contains_key(&listener.door) {
                continue;
            }
            let socket = tcp.try_clone().map_err(|error| {
                Error::at("bind", format!("{:?}", listener.door), error.to_string())
            })?;
            let task = tcp::accept(socket, listener.door, shared.clone());
            self.accepting.insert(listener.door, self.runtime.spawn(task));
        }
        self.wakes.iter().for_each(|event| wake::ring(event));
        Ok(())
    }
}
