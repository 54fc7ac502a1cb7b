//! In which order a query's upstreams are tried.

use crate::server::config::Policy;
use crate::server::forward::random::Random;

/// More than a *forward* can name.
pub const MOST: usize = 16;

/// Indices of upstreams, the first to be tried first.
#[derive(Clone, Copy)]
pub struct Order {
    places: [u8; MOST],
    count: u8,
}

impl Order {
    /// `turn` is the number of queries that came before, for round robin.
    pub fn new(policy: Policy, count: usize, turn: usize, random: &mut Random) -> Self {
        let count = count.min(MOST);
        let mut places = [0; MOST];
        for (index, place) in places[..count].iter_mut().enumerate() {
            *place = index as u8;
        }
        match policy {
            Policy::Sequential => {}
            Policy::RoundRobin => places[..count].rotate_left(turn % count.max(1)),
            Policy::Random => {
                for index in (1..count).rev() {
                    places.swap(index, random.below(index + 1));
                }
            }
        }
        Self { places, count: count as u8 }
    }

    pub fn count(&self) -> usize {
        usize::from(self.count)
    }

    pub fn at(&self, index: usize) -> usize {
        usize::from(self.places[index % MOST])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(policy: Policy, turn: usize) -> Vec<usize> {
        let order = Order::new(policy, 4, turn, &mut Random::default());
        (0..order.count()).map(|index| order.at(index)).collect()
    }

    #[test]
    fn policies() {
        assert_eq!(order(Policy::Sequential, 3), [0, 1, 2, 3]);
        assert_eq!(order(Policy::RoundRobin, 0), [0, 1, 2, 3]);
        assert_eq!(order(Policy::RoundRobin, 5), [1, 2, 3, 0]);
        let mut firsts = [0; 4];
        for _ in 0..400 {
            let mut drawn = order(Policy::Random, 0);
            firsts[drawn[0]] += 1;
            drawn.sort_unstable();
            assert_eq!(drawn, [0, 1, 2, 3]);
        }
        // A fair draw misses 40 of 100 with less than one in 10^12.
        assert!(firsts.iter().all(|&count| count > 40), "{firsts:?}");
    }
}
