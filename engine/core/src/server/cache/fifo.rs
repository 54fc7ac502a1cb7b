//! A bounded map that keeps what is asked for again: S3-FIFO (Yang et al., SOSP 2023).
//!
//! What is new stands in a small queue, a tenth of the room. What is asked for twice while it is
//! there goes on to the main queue; the rest leaves, but its hash is remembered for a while: if
//! it comes back in that time, it goes to the main queue at once. A name that is asked for once
//! pushes out nothing that is in use.

use std::collections::VecDeque;

use hashbrown::{HashSet, HashTable};

/// Hits beyond these make no difference.
const MOST_HITS: u8 = 3;
/// Hits that take an entry from the small queue to the main one.
const PROMOTED: u8 = 2;

struct Place<V> {
    hash: u64,
    octets: usize,
    hits: u8,
    /// None once it was removed; its place is freed when it comes to the head of its queue.
    value: Option<V>,
}

pub struct Fifo<V> {
    table: HashTable<u32>,
    places: Vec<Place<V>>,
    free: Vec<u32>,
    small: VecDeque<u32>,
    main: VecDeque<u32>,
    gone: VecDeque<u64>,
    is_gone: HashSet<u64, foldhash::fast::FixedState>,
    capacity: usize,
    most_octets: usize,
    octets: usize,
    evicted: u64,
}

impl<V> Fifo<V> {
    /// Room for `capacity` values that take `most_octets` together.
    pub fn new(capacity: usize, most_octets: usize) -> Self {
        Self {
            table: HashTable::new(),
            places: vec![],
            free: vec![],
            small: VecDeque::new(),
            main: VecDeque::new(),
            gone: VecDeque::new(),
            is_gone: HashSet::default(),
            capacity: capacity.max(1),
            most_octets,
            octets: 0,
            evicted: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.table.len()
    }

    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    fn find(&self, hash: u64, is: &impl Fn(&V) -> bool) -> Option<u32> {
        let places = &self.places;
        let found = self.table.find(hash, |&index| {
            let place = &places[index as usize];
            place.hash == hash && place.value.as_ref().is_some_and(is)
        });
        found.copied()
    }

    /// The value, and a hit for it.
    pub fn get(&mut self, hash: u64, is: impl Fn(&V) -> bool) -> Option<&mut V> {
        let index = self.find(hash, &is)?;
        let place = &mut self.places[index as usize];
        place.hits = (place.hits + 1).min(MOST_HITS);
        place.value.as_mut()
    }

    /// Put a value in, in place of one that `is` the same.
    pub fn insert(&mut self, hash: u64, octets: usize, value: V, is: impl Fn(&V) -> bool) {
        if octets > self.most_octets {
            self.remove(hash, is);
            return;
        }
        self.octets += octets;
        if let Some(index) = self.find(hash, &is) {
            let place = &mut self.places[index as usize];
            self.octets -= place.octets;
            (place.octets, place.value) = (octets, Some(value));
        } else {
            let place = Place { hash, octets, hits: 0, value: Some(value) };
            let index = match self.free.pop() {
                Some(index) => {
                    self.places[index as usize] = place;
                    index
                }
                None => {
                    self.places.push(place);
                    self.places.len() as u32 - 1
                }
            };
            let places = &self.places;
            self.table.insert_unique(hash, index, |&index| places[index as usize].hash);
            if self.is_gone.remove(&hash) {
                self.main.push_back(index);
            } else {
                self.small.push_back(index);
            }
        }
        while self.small.len() + self.main.len() > self.capacity || self.octets > self.most_octets {
            self.make_room();
        }
    }

    pub fn remove(&mut self, hash: u64, is: impl Fn(&V) -> bool) {
        if let Some(index) = self.find(hash, &is) {
            self.unlink(index);
        }
    }

    /// Out of the table; the place stays in its queue.
    fn unlink(&mut self, index: u32) {
        let place = &mut self.places[index as usize];
        let hash = place.hash;
        place.value = None;
        self.octets -= std::mem::take(&mut place.octets);
        if let Ok(entry) = self.table.find_entry(hash, |&other| other == index) {
            entry.remove();
        }
    }

    /// One step: something goes, or goes on.
    fn make_room(&mut self) {
        let from_small = self.small.len() * 10 > self.capacity || self.main.is_empty();
        let queue = if from_small { &mut self.small } else { &mut self.main };
        let Some(index) = queue.pop_front() else { return };
        let place = &mut self.places[index as usize];
        if place.value.is_none() {
            self.free.push(index);
        } else if from_small && place.hits >= PROMOTED {
            place.hits = 0;
            self.main.push_back(index);
        } else if !from_small && place.hits > 0 {
            place.hits -= 1;
            self.main.push_back(index);
        } else {
            let hash = place.hash;
            self.unlink(index);
            self.free.push(index);
            self.evicted += 1;
            if from_small {
                self.remember(hash);
            }
        }
    }

    fn remember(&mut self, hash: u64) {
        if self.is_gone.insert(hash) {
            self.gone.push_back(hash);
        }
        while self.gone.len() > self.capacity {
            if let Some(oldest) = self.gone.pop_front() {
                self.is_gone.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values are their own hashes.
    struct Map(Fifo<u64>);

    impl Map {
        fn of(capacity: usize) -> Self {
            Self(Fifo::new(capacity, usize::MAX))
        }

        fn put(&mut self, key: u64) {
            self.0.insert(key, 1, key, |value| *value == key);
        }

        fn has(&mut self, key: u64) -> bool {
            self.0.get(key, |value| *value == key).is_some()
        }
    }

    #[test]
    fn names_that_are_asked_for_once_push_out_none_that_is_in_use() {
        let mut map = Map::of(100);
        (0..50).for_each(|key| map.put(key));
        for _ in 0..3 {
            assert!((0..50).all(|key| map.has(key)));
        }
        (1000..20_000).for_each(|key| map.put(key));
        let kept = (0..50).filter(|&key| map.has(key)).count();
        assert_eq!(kept, 50);
        assert_eq!(map.0.len(), 100);
    }

    #[test]
    fn what_comes_back_soon_stays() {
        let mut map = Map::of(100);
        (0..200).for_each(|key| map.put(key));
        assert!(!map.has(50));
        map.put(50);
        (1000..1300).for_each(|key| map.put(key));
        assert!(map.has(50));
    }

    #[test]
    fn hashes_that_collide_are_told_apart() {
        let mut fifo = Fifo::new(10, usize::MAX);
        for key in 0..5u64 {
            fifo.insert(7, 1, key, |value| *value == key);
        }
        assert_eq!(fifo.len(), 5);
        for key in 0..5u64 {
            assert_eq!(fifo.get(7, |value| *value == key), Some(&mut key.clone()));
        }
        fifo.remove(7, |value| *value == 3);
        assert!(fifo.get(7, |value| *value == 3).is_none());
        assert!(fifo.get(7, |value| *value == 4).is_some());
    }

    #[test]
    fn octets_are_bounded_and_what_is_larger_than_all_is_not_kept() {
        let mut fifo = Fifo::new(1000, 1000);
        for key in 0..100u64 {
            fifo.insert(key, 100, key, |value| *value == key);
            assert!(fifo.octets <= 1000 && fifo.len() <= 10);
        }
        fifo.insert(99, 1001, 99, |value| *value == 99);
        assert!(fifo.get(99, |value| *value == 99).is_none());
    }

    #[test]
    fn what_is_put_in_and_taken_out_for_ever_takes_no_more_room() {
        let mut map = Map::of(10);
        for key in 0..10_000 {
            map.put(key % 3);
            map.0.remove(key % 3, |value| *value == key % 3);
        }
        assert!(map.0.is_empty());
        assert!(map.0.places.len() <= 11 && map.0.gone.len() <= 10);
    }

    #[test]
    fn the_count_of_a_long_mixed_run_adds_up() {
        let mut map = Map::of(64);
        let mut state = 1u64;
        for _ in 0..50_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let key = state >> 33 & 255;
            match state >> 60 & 3 {
                0 => map.0.remove(key, |value| *value == key),
                1 => {
                    map.has(key);
                }
                _ => map.put(key),
            }
            let live = map.0.places.iter().filter(|place| place.value.is_some()).count();
            assert_eq!(live, map.0.len());
            assert_eq!(map.0.octets, live);
            assert!(map.0.small.len() + map.0.main.len() <= 64);
        }
    }
}
