//! What stages look things up in and Python fills by name: lists, feeds. It can be filled
//! before the configuration that asks for it, and while queries come.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;

use crate::server::rpz::feed::Feed;
use crate::server::rules::hits::Hits;
use crate::server::rules::names::Names;

pub type Held<T> = Arc<ArcSwap<T>>;

pub struct Shelf<T>(Mutex<HashMap<String, Held<T>>>);

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Default> Shelf<T> {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Held<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Empty until it is filled.
    pub fn get(&self, name: &str) -> Held<T> {
        self.all().entry(name.to_owned()).or_default().clone()
    }

    pub fn put(&self, name: &str, what: T) {
        self.get(name).store(Arc::new(what));
    }

    /// Let go of what no stage holds.
    fn tidy(&self) {
        self.all().retain(|_, held| Arc::strong_count(held) > 1);
    }
}

#[derive(Default)]
pub struct Stock {
    pub lists: Shelf<Names>,
    pub feeds: Shelf<Feed>,
    pub hits: Hits,
}

impl Stock {
    pub fn tidy(&self) {
        self.lists.tidy();
        self.feeds.tidy();
    }
}
