//! Which rules speak of a client: many networks at the cost of one search.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::server::config::Network;

const NONE: u32 = u32::MAX;

/// The networks of one family, as the ranges between their ends: each range leads to the
/// narrowest network that it is in, and that to those around it.
#[derive(Default)]
struct Family {
    starts: Vec<u128>,
    innermost: Vec<u32>,
    nodes: Vec<Node>,
}

struct Node {
    /// Ascending.
    rules: Box<[u32]>,
    around: u32,
}

#[derive(Default)]
pub struct Networks {
    v4: Family,
    v6: Family,
}

impl Networks {
    /// Of networks, each with the rule that it is of.
    pub fn new(all: impl Iterator<Item = (Network, u32)>) -> Self {
        let mut sorted = [BTreeMap::new(), BTreeMap::new()];
        for (network, rule) in all {
            let (is_ipv4, start, end) = network.range();
            // Wider ones first, where they start together.
            let key = (start, u128::MAX - end);
            let rules: &mut Vec<u32> = sorted[usize::from(!is_ipv4)].entry(key).or_default();
            rules.push(rule);
        }
        let [v4, v6] = sorted.map(Family::new);
        Self { v4, v6 }
    }

    pub fn is_empty(&self) -> bool {
        self.v4.starts.is_empty() && self.v6.starts.is_empty()
    }

    /// Of each network that the client is in, the rules: the narrowest network's first.
    pub fn of(&self, client: IpAddr) -> impl Iterator<Item = &[u32]> {
        match client.to_canonical() {
            IpAddr::V4(v4) => self.v4.of(u128::from(v4.to_bits())),
            IpAddr::V6(v6) => self.v6.of(v6.to_bits()),
        }
    }
}

impl Family {
    fn new(sorted: BTreeMap<(u128, u128), Vec<u32>>) -> Self {
        let mut family = Self::default();
        let mut open: Vec<(u128, u32)> = vec![];
        for ((start, inverse), mut rules) in sorted {
            let end = u128::MAX - inverse;
            family.close(&mut open, Some(start));
            rules.sort_unstable();
            rules.dedup();
            let node = family.nodes.len() as u32;
            let around = open.last().map_or(NONE, |(_, node)| *node);
            family.nodes.push(Node { rules: rules.into(), around });
            family.mark(start, node);
            open.push((end, node));
        }
        family.close(&mut open, None);
        family
    }

    /// Networks that end before `start` do.
    fn close(&mut self, open: &mut Vec<(u128, u32)>, start: Option<u128>) {
        while let Some(&(end, _)) = open.last()
            && start.is_none_or(|start| end < start)
        {
            open.pop();
            if let Some(behind) = end.checked_add(1) {
                self.mark(behind, open.last().map_or(NONE, |(_, node)| *node));
            }
        }
    }

    fn mark(&mut self, start: u128, node: u32) {
        if self.starts.last() == Some(&start) {
            self.starts.pop();
            self.innermost.pop();
        }
        self.starts.push(start);
        self.innermost.push(node);
    }

    fn of(&self, address: u128) -> Around<'_> {
        let behind = self.starts.partition_point(|start| *start <= address);
        let at = behind.checked_sub(1).map_or(NONE, |index| self.innermost[index]);
        Around { nodes: &self.nodes, at }
    }
}

struct Around<'n> {
    nodes: &'n [Node],
    at: u32,
}

impl<'n> Iterator for Around<'n> {
    type Item = &'n [u32];

    fn next(&mut self) -> Option<Self::Item> {
        let node = self.nodes.get(self.at as usize)?;
        self.at = node.around;
        Some(&node.rules)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn network(text: &str) -> Network {
        Network::try_from(text.to_owned()).unwrap()
    }

    fn found(networks: &[&str], client: &str) -> Vec<u32> {
        let all = networks.iter().zip(0..).map(|(text, rule)| (network(text), rule));
        let table = Networks::new(all);
        table.of(client.parse().unwrap()).flatten().copied().collect()
    }

    #[test]
    fn the_narrowest_comes_first_and_those_around_it_behind() {
        let nested =
            ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.0.0.0/16", "::/0", "10.1.0.0/16"];
        assert_eq!(found(&nested, "10.1.2.3"), [2, 5, 1, 0]);
        assert_eq!(found(&nested, "10.0.255.255"), [3, 1, 0]);
        assert_eq!(found(&nested, "10.2.0.0"), [1, 0]);
        assert_eq!(found(&nested, "255.255.255.255"), [0]);
        assert_eq!(found(&nested, "::ffff:10.2.0.0"), [1, 0]);
        assert_eq!(found(&nested, "ffff::"), [4]);
        assert_eq!(found(&["10.0.0.0/24", "10.0.1.0/24"], "10.0.2.0"), [0; 0]);
    }

    proptest! {
        #[test]
        fn the_table_says_what_each_network_says(
            networks in prop::collection::vec((any::<u8>(), any::<u8>(), 0u32..=32), 0..40),
            client: [u8; 2],
        ) {
            let all: Vec<_> = networks
                .iter()
                .map(|(a, b, length)| network(&format!("{}.{b}.{b}.{a}/{length}", a & 3)))
                .collect();
            let client = IpAddr::from([client[0] & 3, client[1], client[1], client[0]]);
            let table = Networks::new(all.iter().copied().zip(0..));
            let mut found: Vec<_> = table.of(client).flatten().copied().collect();
            found.sort_unstable();
            let told = all.iter().zip(0u32..).filter(|(network, _)| network.contains(client));
            prop_assert_eq!(found, told.map(|(_, rule)| rule).collect::<Vec<_>>());
        }
    }
}
