//! Nodes in canonical order, in pages that versions share.
//!
//! A page holds some hundred nodes, each with the first 16 octets of its sort key beside the
//! pointer, so that a search seldom leaves the page. A change copies one page and the list of
//! pages.

use std::cmp::Ordering;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use crate::dnssec::canonical::Rrsig;
use crate::name::{self, NameRef};
use crate::zone::node::Node;

const FULL: usize = 256;

#[derive(Clone)]
struct Entry {
    prefix: u128,
    node: Node,
}

#[derive(Default)]
struct Page {
    entries: Vec<Entry>,
    /// The least RRSIG expiration, once somebody has asked: of a zone of which little changes it
    /// is asked for with each version.
    expiration: OnceLock<Option<u32>>,
}

impl Page {
    fn new(entries: Vec<Entry>) -> Arc<Self> {
        Arc::new(Self { entries, ..Self::default() })
    }

    fn expiration(&self) -> Option<u32> {
        let found = || {
            self.iter()
                .flat_map(|entry| entry.node.rrsets())
                .flat_map(|rrset| rrset.signatures())
                .filter_map(|rdata| Rrsig::parse(rdata).map(|rrsig| rrsig.expiration))
                .min()
        };
        *self.expiration.get_or_init(found)
    }
}

/// For one who changes it.
impl Clone for Page {
    fn clone(&self) -> Self {
        Self { entries: self.entries.clone(), ..Self::default() }
    }
}

impl Deref for Page {
    type Target = [Entry];

    fn deref(&self) -> &[Entry] {
        &self.entries
    }
}

fn changed(page: &mut Arc<Page>) -> &mut Vec<Entry> {
    let page = Arc::make_mut(page);
    page.expiration.take();
    &mut page.entries
}

#[derive(Clone)]
pub struct Order {
    /// Length of the origin's sort key, which all keys begin with and none needs.
    skip: usize,
    firsts: Vec<u128>,
    pages: Vec<Arc<Page>>,
    length: usize,
}

/// A place in an order; valid for the version that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    page: usize,
    entry: usize,
}

/// The first 16 octets of a sort key behind the first `skip`.
pub fn prefix_of(name: &NameRef, skip: usize) -> u128 {
    let key = name::sort_key(name);
    let rest = key.get(skip..).unwrap_or_default();
    let mut octets = [0u8; 16];
    let length = rest.len().min(16);
    octets[..length].copy_from_slice(&rest[..length]);
    u128::from_be_bytes(octets)
}

impl Order {
    pub fn new(origin: &NameRef) -> Self {
        Self { skip: name::sort_key(origin).len(), firsts: vec![], pages: vec![], length: 0 }
    }

    /// From nodes that are in canonical order already.
    pub fn from_sorted(origin: &NameRef, nodes: impl IntoIterator<Item = Node>) -> Self {
        let mut order = Self::new(origin);
        let mut page = Vec::with_capacity(FULL * 3 / 4);
        for node in nodes {
            let prefix = prefix_of(node.name(), order.skip);
            page.push(Entry { prefix, node });
            if page.len() == FULL * 3 / 4 {
                order.push_page(std::mem::replace(&mut page, Vec::with_capacity(FULL * 3 / 4)));
            }
        }
        if !page.is_empty() {
            order.push_page(page);
        }
        order
    }

    fn push_page(&mut self, page: Vec<Entry>) {
        self.firsts.push(page[0].prefix);
        self.length += page.len();
        self.pages.push(Page::new(page));
    }

    pub fn len(&self) -> usize {
        self.length
    }

    /// Where `name` is, or the place before which it would stand.
    fn search(&self, name: &NameRef) -> Result<Place, Place> {
        let prefix = prefix_of(name, self.skip);
        let compare = |entry: &Entry| {
            entry.prefix.cmp(&prefix).then_with(|| entry.node.name().canonical_cmp(name))
        };
        let low = self.firsts.partition_point(|first| *first < prefix);
        let mut page = low;
        while page < self.pages.len()
            && self.firsts[page] == prefix
            && compare(&self.pages[page][0]) != Ordering::Greater
        {
            page += 1;
        }
        let page = page.saturating_sub(1);
        let Some(entries) = self.pages.get(page) else { return Err(Place { page: 0, entry: 0 }) };
        match entries.binary_search_by(compare) {
            Ok(entry) => Ok(Place { page, entry }),
            Err(entry) => Err(Place { page, entry }),
        }
    }

    pub fn get(&self, name: &NameRef) -> Option<&Node> {
        self.search(name).ok().map(|place| self.at(place))
    }

    /// Panics on a place of another version.
    pub fn at(&self, place: Place) -> &Node {
        &self.pages[place.page][place.entry].node
    }

    pub fn insert(&mut self, node: Node) {
        match self.search(node.name()) {
            Ok(Place { page, entry }) => changed(&mut self.pages[page])[entry].node = node,
            Err(Place { page, entry }) => {
                let prefix = prefix_of(node.name(), self.skip);
                if self.pages.is_empty() {
                    self.push_page(vec![Entry { prefix, node }]);
                    return;
                }
                self.length += 1;
                let entries = changed(&mut self.pages[page]);
                entries.insert(entry, Entry { prefix, node });
                self.firsts[page] = entries[0].prefix;
                if entries.len() > FULL {
                    let upper = entries.split_off(FULL / 2);
                    self.firsts.insert(page + 1, upper[0].prefix);
                    self.pages.insert(page + 1, Page::new(upper));
                }
            }
        }
    }

    pub fn remove(&mut self, name: &NameRef) -> Option<Node> {
        let Place { page, entry } = self.search(name).ok()?;
        let entries = changed(&mut self.pages[page]);
        let removed = entries.remove(entry).node;
        self.length -= 1;
        if entries.is_empty() {
            self.pages.remove(page);
            self.firsts.remove(page);
        } else {
            self.firsts[page] = entries[0].prefix;
        }
        Some(removed)
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Node> {
        self.pages.iter().flat_map(|page| page.iter().map(|entry| &entry.node))
    }

    /// The least RRSIG expiration, in Unix seconds.
    pub fn earliest_expiration(&self) -> Option<u32> {
        self.pages.iter().filter_map(|page| page.expiration()).min()
    }

    pub fn first(&self) -> Option<&Node> {
        self.pages.first().and_then(|page| page.first()).map(|entry| &entry.node)
    }

    pub fn last(&self) -> Option<&Node> {
        self.pages.last().and_then(|page| page.last()).map(|entry| &entry.node)
    }

    /// Nodes from the greatest that is `name` or sorts before it, downwards.
    pub fn backwards_from(&self, name: &NameRef) -> impl Iterator<Item = &Node> {
        let (page, end) = match self.search(name) {
            Ok(place) => (place.page, place.entry + 1),
            Err(place) => (place.page, place.entry),
        };
        let head = self.pages.get(page).map(|entries| &entries[..end]).unwrap_or_default();
        let before = &self.pages[..page.min(self.pages.len())];
        head.iter().rev().chain(before.iter().rev().flat_map(|p| p.iter().rev())).map(|e| &e.node)
    }

    /// Nodes that sort behind `name`, upwards.
    pub fn forwards_after(&self, name: &NameRef) -> impl Iterator<Item = &Node> {
        let (page, start) = match self.search(name) {
            Ok(place) => (place.page, place.entry + 1),
            Err(place) => (place.page, place.entry),
        };
        let tail = self.pages.get(page).map(|entries| &entries[start..]).unwrap_or_default();
        let behind = self.pages.get(page + 1..).unwrap_or_default();
        tail.iter().chain(behind.iter().flat_map(|p| p.iter())).map(|entry| &entry.node)
    }

    /// Nodes behind `name`, or all of them, upwards.
    pub fn after(&self, name: Option<&NameRef>) -> impl Iterator<Item = &Node> {
        let (behind, all) = match name {
            Some(name) => (Some(self.forwards_after(name)), None),
            None => (None, Some(self.iter())),
        };
        behind.into_iter().flatten().chain(all.into_iter().flatten())
    }

    /// Pairs of nodes that differ between two versions, by name: (ours, theirs). Pages and
    /// nodes that both share cost a pointer's comparison.
    pub fn differing<'a>(&'a self, other: &'a Self) -> Vec<(Option<&'a Node>, Option<&'a Node>)> {
        let mut pairs = vec![];
        let (mut a, mut b) = (Cursor::new(self), Cursor::new(other));
        loop {
            while a.skip_shared_page(&mut b) {}
            match (a.peek(), b.peek()) {
                (None, None) => return pairs,
                (Some(x), None) => {
                    pairs.push((Some(&x.node), None));
                    a.step();
                }
                (None, Some(y)) => {
                    pairs.push((None, Some(&y.node)));
                    b.step();
                }
                (Some(x), Some(y)) => {
                    let same = x.node.same(&y.node);
                    let order = if same {
                        Ordering::Equal
                    } else {
                        x.prefix
                            .cmp(&y.prefix)
                            .then_with(|| x.node.name().canonical_cmp(y.node.name()))
                    };
                    if order == Ordering::Equal && !same && !x.node.equal(&y.node) {
                        pairs.push((Some(&x.node), Some(&y.node)));
                    }
                    if order == Ordering::Less {
                        pairs.push((Some(&x.node), None));
                    }
                    if order == Ordering::Greater {
                        pairs.push((None, Some(&y.node)));
                    }
                    if order != Ordering::Greater {
                        a.step();
                    }
                    if order != Ordering::Less {
                        b.step();
                    }
                }
            }
        }
    }

    pub fn heap_bytes(&self) -> usize {
        let page = |page: &Arc<Page>| page.entries.capacity() * size_of::<Entry>();
        let entries: usize = self.pages.iter().map(page).sum();
        entries + self.pages.capacity() * 8 + self.firsts.capacity() * 16
    }
}

struct Cursor<'a> {
    order: &'a Order,
    page: usize,
    entry: usize,
}

impl<'a> Cursor<'a> {
    fn new(order: &'a Order) -> Self {
        Self { order, page: 0, entry: 0 }
    }

    fn peek(&self) -> Option<&'a Entry> {
        self.order.pages.get(self.page)?.get(self.entry)
    }

    fn step(&mut self) {
        self.entry += 1;
        if self.order.pages.get(self.page).is_some_and(|page| self.entry == page.len()) {
            self.page += 1;
            self.entry = 0;
        }
    }

    fn skip_shared_page(&mut self, other: &mut Self) -> bool {
        let shared = self.entry == 0
            && other.entry == 0
            && match (self.order.pages.get(self.page), other.order.pages.get(other.page)) {
                (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                _ => false,
            };
        if shared {
            self.page += 1;
            other.page += 1;
        }
        shared
    }
}
