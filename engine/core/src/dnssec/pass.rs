//! The signing pass: a source's changes onto a signed version, and signatures where they are
//! needed.

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::chain::{Denial, Nsec3, has_data};
use super::nsec;
use super::plan::{Scope, SignPlan};
use super::sweep::{Sweep, Tally, shared};
use crate::error::{Error, Result};
use crate::name::Name;
use crate::rdata::rtype;
use crate::zone::{Builder, Diff, Node, NodeBuf, Record, RrsetBuf, Zone, diff};

/// Nodes that a thread signs at a time, and that an external signer gets in one batch.
const CHUNK: usize = 256;

pub struct Signed {
    /// None: nothing differs, the base stands.
    pub zone: Option<Zone>,
    /// From the base, when that was signed.
    pub diff: Option<Diff>,
    pub made: usize,
    pub kept: usize,
}

/// Apply a source's changes to a version and sign what they touch. Raises "conflict" (records
/// that can't stand together, or outside the zone), "plan", "serial", "nsec3", "key".
pub fn sign(base: Option<&Zone>, changes: &Diff, plan: &SignPlan, scope: Scope) -> Result<Signed> {
    plan.check()?;
    if plan.threads == 0 {
        return pass(base, changes, plan, scope);
    }
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(plan.threads)
        .thread_name(|index| format!("sign-{index}"))
        .build()
        .map_err(|error| Error::new("threads", error.to_string()))?;
    pool.install(|| pass(base, changes, plan, scope))
}

fn pass(base: Option<&Zone>, changes: &Diff, plan: &SignPlan, scope: Scope) -> Result<Signed> {
    let signed_base = base.filter(|base| base.soa().is_some_and(|soa| soa.signature_count() > 0));
    // As long as it is not known whether anything differs, the serial is the base's.
    let serial = signed_base.map_or(plan.serial, Zone::serial);
    let next = merged(base, changes, plan, serial)?;
    let origin = next.origin().to_owned();
    let continued = signed_base.filter(|base| {
        scope != Scope::All
            && Denial::of(base) == plan.denial
            && base.negative_ttl() == next.negative_ttl()
    });
    let sweep = Sweep::new(&origin, plan, signed_base, scope);
    let (mut next, mut tally) = match continued {
        Some(base) => extend(base, next, plan, &sweep, scope)?,
        None => rebuild(next, plan, &sweep)?,
    };
    if let Some(base) = signed_base {
        if base.differing(&next).is_empty() && !sweep.soa_is_due(next.apex()) {
            return Ok(Signed { zone: None, diff: None, made: 0, kept: tally.kept + 1 });
        }
        // RFC 1982: secondaries take only a serial that is ahead.
        if plan.serial.wrapping_sub(base.serial()) as i32 <= 0 {
            let (new, old) = (plan.serial, base.serial());
            return Err(Error::new("serial", format!("serial {new} does not come after {old}")));
        }
    }
    let mut apex = next.apex().to_buf();
    set_serial(&mut apex, plan.serial);
    tally += sweep.sign_soa(&mut apex)?;
    next.put(apex);
    let diff = signed_base.map(|base| base.difference(&next));
    Ok(Signed { zone: Some(next), diff, made: tally.made, kept: tally.kept })
}

/// What the source says now, with the plan's key sets at the apex; signatures and chain are
/// still the base's.
fn merged(base: Option<&Zone>, changes: &Diff, plan: &SignPlan, serial: u32) -> Result<Zone> {
    let soa = changes.added.iter().find(|record| record.rtype == rtype::SOA);
    let origin = base.map(Zone::origin).or(soa.map(|soa| &*soa.owner));
    let is_sources = |record: &&Record| {
        let apex = origin.is_some_and(|origin| record.owner.same(origin));
        !diff::is_signers_type(record.rtype) && !diff::is_key_set(record.rtype, apex)
    };
    let mut next = match base {
        Some(base) => {
            // The SOA stays the one record it is; only its content may change, below.
            let wanted = |record: &&Record| is_sources(record) && record.rtype != rtype::SOA;
            let filtered = Diff {
                removed: changes.removed.iter().filter(wanted).cloned().collect(),
                added: changes.added.iter().filter(wanted).cloned().collect(),
                ..Diff::default()
            };
            base.patched(&filtered, false)?
        }
        None => {
            let conflict = |error| Error { code: "conflict", ..error };
            let Some(soa) = soa else {
                return Err(Error::new("conflict", "a new zone without an SOA record"));
            };
            let mut builder = Builder::new(&soa.owner);
            for record in changes.added.iter().filter(is_sources) {
                builder
                    .add(&record.owner, record.rtype, record.ttl, &record.rdata)
                    .map_err(conflict)?;
            }
            builder.finish().map_err(conflict)?
        }
    };
    let mut apex = next.apex().to_buf();
    let soa = changes.added.iter().rev().find(|record| record.rtype == rtype::SOA);
    if let Some(soa) = soa {
        if *soa.owner != *next.origin() {
            return Err(Error::at("conflict", &soa.owner, "an SOA record below the zone's apex"));
        }
        let mut rrset = RrsetBuf::new(rtype::SOA, soa.ttl, false);
        rrset.push_rdata(&with_serial(&soa.rdata, serial));
        replace(&mut apex, rrset);
    } else {
        set_serial(&mut apex, serial);
    }
    let parameters = match &plan.denial {
        Denial::Nsec3(nsec3) => vec![nsec3.parameters()],
        Denial::None | Denial::Nsec => vec![],
    };
    for (rtype, ttl, rdatas) in [
        (rtype::DNSKEY, plan.dnskey_ttl, &plan.dnskeys),
        (rtype::CDS, plan.dnskey_ttl, &plan.cds),
        (rtype::CDNSKEY, plan.dnskey_ttl, &plan.cdnskeys),
        // Nobody validates by it: resolvers need not keep it.
        (rtype::NSEC3PARAM, 0, &parameters),
    ] {
        let mut rrset = RrsetBuf::new(rtype, ttl, true);
        rrset.set_rdatas(rdatas.iter().map(Vec::as_slice));
        replace(&mut apex, rrset);
    }
    next.put(apex);
    if next.soa().is_none() {
        return Err(Error::at("conflict", next.origin(), "no SOA record at the zone's apex"));
    }
    Ok(next)
}

/// Put an RRset unless one with the same content, whose signatures stay, is there; an empty
/// one takes it away.
fn replace(node: &mut NodeBuf, rrset: RrsetBuf) {
    let same = node.rrset(rrset.rtype).is_some_and(|held| {
        held.ttl == rrset.ttl && held.ours == rrset.ours && held.rdatas().eq(rrset.rdatas())
    });
    if rrset.is_empty() {
        node.remove(rrset.rtype);
    } else if !same {
        node.set(rrset);
    }
}

/// SOA rdata with another serial: the first of the five numbers behind the names.
fn with_serial(soa: &[u8], serial: u32) -> Vec<u8> {
    let mut rdata = soa.to_vec();
    if let Some(tail) = rdata.last_chunk_mut::<20>() {
        tail[..4].copy_from_slice(&serial.to_be_bytes());
    }
    rdata
}

fn set_serial(apex: &mut NodeBuf, serial: u32) {
    let Some(held) = apex.rrset(rtype::SOA) else { return };
    let Some(rdata) = held.rdatas().next() else { return };
    let mut rrset = RrsetBuf::new(rtype::SOA, held.ttl, held.ours);
    rrset.push_rdata(&with_serial(rdata, serial));
    replace(apex, rrset);
}

/// Whether a node still has denial that it has no right to: nothing else is left there, or it
/// is occluded now.
fn is_bare(node: &Node) -> bool {
    let occluded = node.is_occluded() && node.rrset(rtype::NSEC).is_some();
    occluded || !node.is_empty() && !has_data(node)
}

/// Take the denial away where `is_bare`; the names that had nothing else go with it.
fn clear_denial(next: &mut Zone, names: Vec<Name>) {
    for name in names {
        let Some(node) = next.get(&name).filter(|node| is_bare(node)) else { continue };
        let keep = has_data(node);
        let mut buf = node.to_buf();
        buf.retain(|rrset| keep && rrset.rtype != rtype::NSEC);
        next.put(buf);
    }
}

/// Names that differ, NSEC3 owners apart.
fn differing(base: &Zone, next: &Zone) -> (Vec<Name>, Vec<Name>) {
    let (mut names, mut hashed) = (vec![], vec![]);
    for (before, after) in base.differing(next) {
        let Some(node) = after.or(before) else { continue };
        let of_nsec3 = node.rrset(rtype::NSEC3).is_some();
        if of_nsec3 { &mut hashed } else { &mut names }.push(node.name().to_owned());
    }
    (names, hashed)
}

/// Go on from a signed version: the chain is mended where names came, went or changed, and
/// only nodes that differ are looked at, with those whose signatures are due for renewal.
fn extend(
    base: &Zone,
    mut next: Zone,
    plan: &SignPlan,
    sweep: &Sweep<'_>,
    scope: Scope,
) -> Result<(Zone, Tally)> {
    let (changed, _) = differing(base, &next);
    clear_denial(&mut next, changed);
    let (changed, _) = differing(base, &next);
    plan.denial.update(base, &mut next, &changed)?;
    let (names, hashed) = differing(base, &next);
    let (mut names, mut hashed) = (BTreeSet::from_iter(names), BTreeSet::from_iter(hashed));
    // The roles of keys may have changed though the key sets did not.
    names.insert(next.origin().to_owned());
    for (owner, _) in &plan.resign {
        names.insert(owner.clone());
        hashed.insert(owner.clone());
    }
    if scope == Scope::Expiring {
        let due = |node: &&Node| sweep.is_due(node);
        names.extend(next.nodes().filter(due).map(|node| node.name().to_owned()));
        hashed.extend(next.nsec3_nodes().filter(due).map(|node| node.name().to_owned()));
    }
    let plain = names.iter().filter_map(|name| next.get(name));
    let mut bufs: Vec<NodeBuf> = plain
        .chain(hashed.iter().filter_map(|owner| next.nsec3_match(owner)))
        .map(Node::to_buf)
        .collect();
    let tallies: Vec<Tally> =
        bufs.par_chunks_mut(CHUNK).map(|chunk| sweep.sign(chunk)).collect::<Result<_>>()?;
    for buf in bufs {
        let held = match buf.rrset(rtype::NSEC3) {
            Some(_) => next.nsec3_match(&buf.name),
            None => next.get(&buf.name),
        };
        if held.is_none_or(|held| !held.equal(&buf.build())) {
            next.put(buf);
        }
    }
    Ok((next, total(tallies)))
}

fn total(tallies: impl IntoIterator<Item = Tally>) -> Tally {
    let mut sum = Tally::default();
    tallies.into_iter().for_each(|tally| sum += tally);
    sum
}

/// The whole zone at once: chain, signatures, pages.
fn rebuild(mut next: Zone, plan: &SignPlan, sweep: &Sweep<'_>) -> Result<(Zone, Tally)> {
    let bare = next.nodes().filter(|node| is_bare(node));
    let bare = bare.map(|node| node.name().to_owned()).collect();
    clear_denial(&mut next, bare);
    let ttl = next.negative_ttl();
    let nodes: Vec<Node> = next.nodes().cloned().collect();
    let links = match plan.denial {
        Denial::Nsec => nsec::links(&nodes),
        Denial::None | Denial::Nsec3(_) => vec![None; nodes.len()],
    };
    let (signed, mut tally) = in_chunks(nodes.len(), sweep, |index| {
        let mut buf = nodes[index].to_buf();
        match links[index] {
            Some(behind) => buf.set(nsec::rrset(&nodes[index], nodes[behind].name(), ttl)),
            None => drop(buf.remove(rtype::NSEC)),
        }
        Ok(buf)
    })?;
    let hashed = match &plan.denial {
        Denial::Nsec3(nsec3) => {
            let (hashed, more) = hashed(&next, &nodes, nsec3, sweep)?;
            tally += more;
            hashed
        }
        Denial::None | Denial::Nsec => vec![],
    };
    Ok((Zone::assemble(next.origin(), signed, hashed), tally))
}

/// The NSEC3 nodes, in the order of their hashes.
fn hashed(
    zone: &Zone,
    nodes: &[Node],
    nsec3: &Nsec3,
    sweep: &Sweep<'_>,
) -> Result<(Vec<Node>, Tally)> {
    let (members, ttl) = (nsec3.members(nodes)?, zone.negative_ttl());
    in_chunks(members.len(), sweep, |index| {
        let member = members[index];
        let behind = members[(index + 1) % members.len()].hash;
        let mut buf = NodeBuf::new(&nsec3.owner(zone.origin(), &member.hash)?);
        buf.set(nsec3.rrset(&nodes[member.node], &behind, ttl));
        Ok(buf)
    })
}

/// Make, sign and build nodes on all cores, in order.
fn in_chunks(
    count: usize,
    sweep: &Sweep<'_>,
    make: impl Fn(usize) -> Result<NodeBuf> + Sync,
) -> Result<(Vec<Node>, Tally)> {
    let starts: Vec<usize> = (0..count).step_by(CHUNK).collect();
    let chunks: Vec<(Vec<Node>, Tally)> = starts
        .par_iter()
        .map(|&start| {
            let end = count.min(start + CHUNK);
            let mut bufs = (start..end).map(&make).collect::<Result<Vec<_>>>()?;
            let tally = sweep.sign(&mut bufs)?;
            let built = bufs.iter().map(|buf| shared(sweep.before(buf), buf.build()));
            Ok((built.collect(), tally))
        })
        .collect::<Result<_>>()?;
    let tally = total(chunks.iter().map(|(_, tally)| *tally));
    Ok((chunks.into_iter().flat_map(|(nodes, _)| nodes).collect(), tally))
}
