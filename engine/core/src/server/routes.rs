//! From a listener and a name to a chain, and from a chain and a name to a zone.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use foldhash::fast::RandomState;

use crate::name::{Name, NameRef};
use crate::query::Query;
use crate::rdata::rtype;
use crate::server::chain::{Chain, Peer};
use crate::server::config::Timeouts;
use crate::server::metrics::Series;
use crate::zone::Zone;

pub type NameMap<T> = HashMap<Name, T, RandomState>;
pub type NameSet = HashSet<Name, RandomState>;

/// An address and port that is listened on.
pub type Door = (IpAddr, u16);

/// All that a query thread reads; swapped as a whole when the configuration changes.
#[derive(Default)]
pub struct State {
    pub listeners: Vec<Listener>,
}

pub struct Listener {
    pub door: Door,
    /// One for each query thread; empty without UDP.
    pub udp: Vec<Arc<UdpSocket>>,
    pub tcp: Option<Arc<TcpListener>>,
    pub timeouts: Timeouts,
    pub routes: Routes,
    /// Counts queries that no route takes.
    pub unrouted: Option<Arc<Series>>,
}

pub struct Route {
    pub chain: Arc<Chain>,
    pub series: Arc<Series>,
}

/// By origin, in their order.
#[derive(Default)]
pub struct Routes(NameMap<Vec<Arc<Route>>>);

impl Routes {
    pub fn insert(&mut self, origin: Name, route: Arc<Route>) {
        self.0.entry(origin).or_default().push(route);
    }

    pub fn chains(&self) -> impl Iterator<Item = &Arc<Chain>> {
        self.0.values().flatten().map(|route| &route.chain)
    }

    /// The longest origin that encloses the name and has a chain whose view takes the query; the
    /// first such chain. A DS record is the parent's: a query for it goes to the nearest
    /// ancestor's chain that is authoritative (RFC 4035 section 3.1.4.1).
    pub fn find(&self, query: &Query<'_>, peer: &Peer) -> Option<&Arc<Route>> {
        let name = query.name();
        let mut nearest = None;
        for ancestor in name.ancestors() {
            let Some(routes) = self.0.get(ancestor) else { continue };
            let Some(route) = routes.iter().find(|route| route.chain.takes(query, peer)) else {
                continue;
            };
            if query.qtype != rtype::DS {
                return Some(route);
            }
            if nearest.is_none() {
                nearest = Some(route);
                if ancestor != name {
                    break;
                }
            } else if route.chain.has_answer {
                return Some(route);
            }
        }
        nearest
    }
}

/// A published version.
pub struct Served {
    pub zone: Arc<Zone>,
    /// Unix seconds.
    pub valid_until: i64,
}

/// A chain's zones; they outlive a change of configuration.
#[derive(Default)]
pub struct ChainZones {
    published: ArcSwap<NameMap<Arc<Served>>>,
}

/// What a chain has for a name.
pub enum Found<'z> {
    Zone(&'z Served),
    /// Configured, not published.
    NotReady,
    Nothing,
}

impl ChainZones {
    pub fn publish(&self, served: Served) {
        let (origin, served) = (served.zone.origin().to_owned(), Arc::new(served));
        self.published.rcu(|zones| {
            let mut next = NameMap::clone(zones);
            next.insert(origin.clone(), served.clone());
            next
        });
    }

    pub fn withdraw(&self, origin: &NameRef) {
        self.published.rcu(|zones| {
            let mut next = NameMap::clone(zones);
            next.remove(origin);
            next
        });
    }

    pub fn all(&self) -> Vec<Arc<Served>> {
        self.published.load().values().cloned().collect()
    }

    /// One moment's zones.
    pub fn load(&self) -> Guard<Arc<NameMap<Arc<Served>>>> {
        self.published.load()
    }
}

/// The zone that encloses the name most closely; for DS the parent's, where it is here.
pub fn find_zone<'z>(
    zones: &'z NameMap<Arc<Served>>,
    origins: &NameSet,
    query: &Query<'_>,
) -> Found<'z> {
    let name = query.name();
    let at = |ancestor: &NameRef| match zones.get(ancestor) {
        Some(served) => Some(Found::Zone(served)),
        None => origins.contains(ancestor).then_some(Found::NotReady),
    };
    if query.qtype == rtype::DS
        && let Some(found) = name.ancestors().skip(1).find_map(at)
    {
        return found;
    }
    name.ancestors().find_map(at).unwrap_or(Found::Nothing)
}

#[cfg(test)]
impl Route {
    pub fn for_tests() -> Self {
        use crate::server::metrics::{Key, Registry};
        let key = Key {
            server: String::new(),
            zone: String::new(),
            view: String::new(),
            labels: vec![String::new()],
        };
        Self { chain: Arc::new(Chain::default()), series: Registry::new(1).series(key) }
    }
}
