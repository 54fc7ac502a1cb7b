//! Nodes by hash of their lower-cased name, in pages that versions share.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::name::NameRef;
use crate::zone::node::Node;

/// Nodes a page is made for, and those at which all pages are dealt anew.
const AIM: usize = 32;
const CROWDED: usize = 128;

#[derive(Clone)]
pub struct Index {
    pages: Vec<Arc<HashTable<Node>>>,
    /// Seeded once a process: a zone's names may come from strangers (transfers).
    hasher: RandomState,
    length: usize,
}

impl Index {
    pub fn with_capacity(nodes: usize) -> Self {
        let pages = (nodes / AIM).max(1).next_power_of_two();
        let empty = Arc::new(HashTable::new());
        Self { pages: vec![empty; pages], hasher: RandomState::default(), length: 0 }
    }

    fn hash(&self, name: &NameRef) -> u64 {
        self.hasher.hash_one(name.wire())
    }

    fn page(&self, hash: u64) -> usize {
        // The table inside the page uses the low bits and the top seven.
        (hash >> 32) as usize & (self.pages.len() - 1)
    }

    /// `name` lower-cased.
    pub fn get(&self, name: &NameRef) -> Option<&Node> {
        let hash = self.hash(name);
        self.pages[self.page(hash)].find(hash, |node| node.name() == name)
    }

    pub fn insert(&mut self, node: Node) {
        if self.length > self.pages.len() * CROWDED {
            self.deal_anew();
        }
        let hash = self.hash(node.name());
        let page = self.page(hash);
        let hasher = self.hasher.clone();
        let table = Arc::make_mut(&mut self.pages[page]);
        match table.find_mut(hash, |other| other.name() == node.name()) {
            Some(place) => *place = node,
            None => {
                table.insert_unique(hash, node, |other| hasher.hash_one(other.name().wire()));
                self.length += 1;
            }
        }
    }

    pub fn remove(&mut self, name: &NameRef) {
        let hash = self.hash(name);
        let page = self.page(hash);
        let table = Arc::make_mut(&mut self.pages[page]);
        if let Ok(entry) = table.find_entry(hash, |node| node.name() == name) {
            entry.remove();
            self.length -= 1;
        }
    }

    fn deal_anew(&mut self) {
        let mut larger = Self::with_capacity(self.length * 2);
        for page in &self.pages {
            for node in page.iter() {
                larger.insert(node.clone());
            }
        }
        *self = larger;
    }

    pub fn heap_bytes(&self) -> usize {
        self.pages.iter().map(|page| page.allocation_size() + 48).sum::<usize>()
            + self.pages.capacity() * 8
    }
}
