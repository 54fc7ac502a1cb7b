//! How often rules decided: counters by name, which outlive a change of configuration.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Key {
    pub chain: String,
    pub plugin: String,
    /// A line of *firewall*, a feed of *rpz*.
    pub rule: String,
    /// Of a feed; empty for others.
    pub trigger: &'static str,
    pub action: &'static str,
    /// It was not done.
    pub dry: bool,
}

#[derive(Serialize)]
pub struct Count {
    #[serde(flatten)]
    key: Key,
    count: u64,
}

pub type Hit = Arc<AtomicU64>;

#[derive(Default)]
pub struct Hits(Mutex<BTreeMap<Key, Hit>>);

impl Hits {
    pub fn of(&self, key: Key) -> Hit {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().clone()
    }

    pub fn stats(&self) -> Vec<Count> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = all
            .iter()
            .map(|(key, hit)| Count { key: key.clone(), count: hit.load(Ordering::Relaxed) });
        counts.filter(|one| one.count > 0).collect()
    }
}
