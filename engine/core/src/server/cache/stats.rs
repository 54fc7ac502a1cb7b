//! What a cache counts, in CoreDNS's terms.

use serde::Serialize;

use crate::server::cache::Cache;
use crate::server::parked::locked;

#[derive(Clone, Copy, Default, Serialize)]
pub struct Counts {
    pub success_hits: u64,
    pub denial_hits: u64,
    pub misses: u64,
    pub served_stale: u64,
    pub prefetches: u64,
    /// Replies to another question than was asked.
    pub drops: u64,
    pub success_evictions: u64,
    pub denial_evictions: u64,
}

impl Counts {
    pub fn hit(&mut self, is_success: bool) {
        if is_success {
            self.success_hits += 1;
        } else {
            self.denial_hits += 1;
        }
    }

    fn add(&mut self, other: &Self) {
        self.success_hits += other.success_hits;
        self.denial_hits += other.denial_hits;
        self.misses += other.misses;
        self.served_stale += other.served_stale;
        self.prefetches += other.prefetches;
        self.drops += other.drops;
        self.success_evictions += other.success_evictions;
        self.denial_evictions += other.denial_evictions;
    }
}

#[derive(Serialize)]
pub struct CacheStats {
    chain: String,
    counts: Counts,
    success_entries: usize,
    denial_entries: usize,
}

impl Cache {
    /// Over all shards, and all predecessors.
    pub fn counts(&self) -> Counts {
        let mut sum = self.base;
        for shard in &self.shards {
            let shard = locked(shard);
            sum.add(&shard.counts);
            sum.success_evictions += shard.success.evicted();
            sum.denial_evictions += shard.denial.evicted();
        }
        sum
    }

    pub fn stats(&self, chain: &str) -> CacheStats {
        let entries = |of: &dyn Fn(&super::Shard) -> usize| {
            self.shards.iter().map(|shard| of(&locked(shard))).sum()
        };
        CacheStats {
            chain: chain.to_owned(),
            counts: self.counts(),
            success_entries: entries(&|shard| shard.success.len()),
            denial_entries: entries(&|shard| shard.denial.len()),
        }
    }
}
