//! Verification of whole zones, as the strictest validator would see them.
//!
//! Nothing here is shared with what signs but public keys and the octets that are signed: a
//! mistake in the one is found by the other.

mod delegation;
mod failure;
mod keys;
mod memory;
mod nsec;
mod nsec3;
mod rrsets;
mod types;

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::rdata::rtype;
use crate::zone::{Node, RrsetRef, Zone};

pub use failure::{Code, Failure};
pub use memory::{Digest, Memory};

use keys::KeySet;
use rrsets::Checker;

/// What to hold a zone against.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Unix seconds at which signatures have to be valid.
    pub at: u32,
    /// DS RRsets (rdatas) that caches may hold; each has to lead into the zone.
    pub ds: Vec<Vec<Vec<u8>>>,
    pub max_failures: usize,
    /// 0: one a core.
    pub threads: usize,
}

#[derive(Clone, Debug, Default)]
pub struct Report {
    /// In canonical order of owners; at most as many as were asked for.
    pub failures: Vec<Failure>,
    pub failure_count: usize,
    /// Signatures computed in this call.
    pub verified: usize,
    /// Signatures that `memory` knew.
    pub remembered: usize,
    pub earliest_expiration: Option<u32>,
}

/// What looking at some nodes has brought.
#[derive(Default)]
struct Findings {
    failures: Vec<Failure>,
    verified: usize,
    remembered: usize,
    seen: Vec<Digest>,
}

impl Findings {
    fn merge(mut self, other: Self) -> Self {
        self.failures.extend(other.failures);
        self.seen.extend(other.seen);
        self.verified += other.verified;
        self.remembered += other.remembered;
        self
    }
}

/// Nodes that one task looks at.
const GRAIN: usize = 64;

/// Verify `zone`. `memory` spares signatures that verified before, and learns; after a whole
/// verification it holds those of this version alone. With `since`, a version that verified
/// before, only owners that differ from it, their neighbours in the chain and the apex are
/// looked at, as long as keys and parameters of the chain are the same and nothing expired.
pub fn verify(
    zone: &Zone,
    options: &Options,
    memory: Option<&mut Memory>,
    since: Option<&Zone>,
) -> Result<Report> {
    if options.threads == 0 {
        return Ok(run(zone, options, memory, since));
    }
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(options.threads)
        .build()
        .map_err(|error| Error::new("io", format!("can't start threads: {error}")))?;
    Ok(pool.install(|| run(zone, options, memory, since)))
}

fn run(
    zone: &Zone,
    options: &Options,
    memory: Option<&mut Memory>,
    since: Option<&Zone>,
) -> Report {
    let earliest_expiration = zone.earliest_expiration();
    let mut findings = Findings::default();
    let keys = match KeySet::of(zone, &mut findings.failures) {
        Some(keys) => keys,
        None => return report(findings, options.max_failures, earliest_expiration),
    };
    let expired = earliest_expiration.is_some_and(|earliest| earliest <= options.at);
    let since = since.filter(|since| !expired && comparable(since, zone));
    let nothing = Memory::default();
    let known = memory.as_deref().unwrap_or(&nothing);
    let checker = Checker { zone, keys: &keys, at: options.at, memory: known };
    let (names, looked_at) = match since {
        None => (None, zone.all_nodes().collect::<Vec<_>>()),
        Some(since) => {
            let pairs = since.differing(zone);
            let names: Vec<_> = pairs
                .iter()
                .filter_map(|(before, after)| after.or(*before))
                .map(|node| node.name().to_owned())
                .collect();
            let apex = zone.apex();
            let changed = pairs.into_iter().filter_map(|(_, after)| after);
            let others = changed.filter(|node| node.name() != zone.origin());
            (Some(names), std::iter::once(apex).chain(others).collect())
        }
    };
    let of_nodes = looked_at
        .par_chunks(GRAIN)
        .map(|nodes| {
            let mut part = Findings::default();
            nodes.iter().for_each(|node| checker.check(node, &mut part));
            part
        })
        .reduce(Findings::default, Findings::merge);
    findings = findings.merge(of_nodes);
    delegation::check(&checker, &options.ds, &mut findings);
    check_denial(zone, names.as_deref(), &mut findings.failures);
    if let Some(memory) = memory {
        let seen = std::mem::take(&mut findings.seen);
        memory.learn(seen, since.is_none());
    }
    report(findings, options.max_failures, earliest_expiration)
}

fn report(mut findings: Findings, most: usize, earliest_expiration: Option<u32>) -> Report {
    findings.failures.sort();
    findings.failures.dedup();
    let failure_count = findings.failures.len();
    findings.failures.truncate(most);
    Report {
        failures: findings.failures,
        failure_count,
        verified: findings.verified,
        remembered: findings.remembered,
        earliest_expiration,
    }
}

/// Whether what was found about `since` holds for owners that are alike in `zone`.
fn comparable(since: &Zone, zone: &Zone) -> bool {
    let alike = |wanted: u16| {
        let of = |zone: &Zone| zone.apex().rrset(wanted).map(|r| r.packed_rdatas().to_vec());
        of(since) == of(zone)
    };
    since.origin() == zone.origin()
        && alike(rtype::DNSKEY)
        && alike(rtype::NSEC3PARAM)
        && since.negative_ttl() == zone.negative_ttl()
}

/// RFC 5155 section 7.1: NSEC3PARAM at the apex says that NSEC3 is what denies.
fn check_denial(zone: &Zone, names: Option<&[crate::name::Name]>, failures: &mut Vec<Failure>) {
    let has = |wanted| zone.apex().rrset(wanted).is_some_and(|r: RrsetRef<'_>| !r.is_empty());
    if has(rtype::NSEC3PARAM) {
        nsec3::check(zone, failures);
    } else {
        nsec::check(zone, names, failures);
        if zone.nsec3_count() > 0 {
            let extra = |node: &Node| {
                let why = "an NSEC3 record in a zone without NSEC3PARAM";
                Failure::new(node.name(), rtype::NSEC3, Code::DenialExtra, why)
            };
            failures.extend(zone.nsec3_nodes().map(extra));
        }
    }
}
