//! NSEC3: which names have one, what it says, and how a change moves the chain (RFC 5155).

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::canonical::{NSEC3_HASH, nsec3_hash};
use super::chain::{Nsec3, has_data, is_insecure_delegation, types_at};
use super::nsec::bitmap;
use crate::error::{Error, Result};
use crate::name::{Name, NameRef};
use crate::rdata::{self, rtype};
use crate::zone::{Node, RrsetBuf, Zone};

type Hash = [u8; NSEC3_HASH];

const SHA1: u8 = 1;
const OPT_OUT: u8 = 1;

/// A name's place in the chain.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    pub hash: Hash,
    /// Index of the node.
    pub node: usize,
}

impl Nsec3 {
    fn hash(&self, name: &NameRef) -> Hash {
        nsec3_hash(name, self.iterations, &self.salt)
    }

    /// The owner of the NSEC3 record with this hash. Raises "nsec3" when it does not fit.
    pub fn owner(&self, origin: &NameRef, hash: &Hash) -> Result<Name> {
        let label = rdata::base32hex(hash).to_ascii_lowercase();
        Name::child(origin, label.as_bytes()).ok_or_else(|| {
            let why = "the zone's name is too long for NSEC3: hashes do not fit below it; use NSEC";
            Error::at("nsec3", origin, why)
        })
    }

    /// NSEC3PARAM rdata; its flags are zero (RFC 5155 section 4.1.2).
    pub fn parameters(&self) -> Vec<u8> {
        self.head(0)
    }

    fn head(&self, flags: u8) -> Vec<u8> {
        let mut rdata = vec![SHA1, flags];
        rdata.extend_from_slice(&self.iterations.to_be_bytes());
        rdata.push(self.salt.len() as u8);
        rdata.extend_from_slice(&self.salt);
        rdata
    }

    /// The NSEC3 RRset of a member.
    pub fn rrset(&self, node: &Node, next: &Hash, ttl: u32) -> RrsetBuf {
        let mut types = types_at(node);
        // An insecure delegation and an empty non-terminal have nothing that is signed.
        let signed = if node.is_cut() { types.contains(&rtype::DS) } else { has_data(node) };
        if signed {
            types.push(rtype::RRSIG);
        }
        self.record(next, &bitmap(types), ttl)
    }

    fn record(&self, next: &Hash, bitmap: &[u8], ttl: u32) -> RrsetBuf {
        let mut rdata = self.head(if self.opt_out { OPT_OUT } else { 0 });
        rdata.push(NSEC3_HASH as u8);
        rdata.extend_from_slice(next);
        rdata.extend_from_slice(bitmap);
        let mut rrset = RrsetBuf::new(rtype::NSEC3, ttl, true);
        rrset.push_rdata(&rdata);
        rrset
    }

    /// Offset of the next hash in this chain's rdata.
    fn next_at(&self) -> usize {
        self.head(0).len() + 1
    }

    /// A member for what it holds itself; an empty non-terminal may be one for what is
    /// below it.
    fn stands_alone(&self, node: &Node) -> bool {
        !node.is_occluded() && has_data(node) && !(self.opt_out && is_insecure_delegation(node))
    }

    /// RFC 5155 section 7.1: authoritative names, delegations (with opt-out the secure ones)
    /// and the empty non-terminals that lead to one of these.
    fn is_member(&self, zone: &Zone, node: &Node) -> bool {
        if node.is_occluded() || has_data(node) {
            return self.stands_alone(node);
        }
        zone.forwards_after(node.name())
            .take_while(|below| below.name().is_under(node.name()))
            .any(|below| self.stands_alone(below))
    }

    /// All members in the order of their hashes. `nodes` in canonical order. Raises "nsec3"
    /// when two names have one hash (RFC 5155 section 7.1).
    pub fn members(&self, nodes: &[Node]) -> Result<Vec<Member>> {
        let mut chosen = vec![false; nodes.len()];
        let mut above: Vec<usize> = vec![];
        for (index, node) in nodes.iter().enumerate() {
            while above.last().is_some_and(|&top| !node.name().is_under(nodes[top].name())) {
                above.pop();
            }
            if self.stands_alone(node) {
                chosen[index] = true;
                let empty = |&&top: &&usize| !nodes[top].is_occluded() && !has_data(&nodes[top]);
                above.iter().rev().filter(empty).for_each(|&top| chosen[top] = true);
            }
            above.push(index);
        }
        let mut members: Vec<Member> = chosen
            .par_iter()
            .enumerate()
            .filter(|(_, chosen)| **chosen)
            .map(|(node, _)| Member { hash: self.hash(nodes[node].name()), node })
            .collect();
        members.par_sort_unstable_by_key(|member| member.hash);
        match members.windows(2).find(|pair| pair[0].hash == pair[1].hash) {
            Some(pair) => Err(collision(nodes[pair[0].node].name(), nodes[pair[1].node].name())),
            None => Ok(members),
        }
    }

    /// Bring the chain of `next` up to date where `touched` names differ from `base`. Raises
    /// "nsec3" as `members`.
    pub fn update(&self, base: &Zone, next: &mut Zone, touched: &[Name]) -> Result<()> {
        let ttl = next.negative_ttl();
        let origin = next.origin().to_owned();
        let mut stale: BTreeSet<Name> = BTreeSet::new();
        let mut gone: Vec<Name> = vec![];
        for name in self.reconsidered(next, touched) {
            let owner = self.owner(&origin, &self.hash(&name))?;
            let member = next.get(&name).filter(|node| self.is_member(next, node));
            let held = next.nsec3_match(&owner).and_then(|node| node.rrset(rtype::NSEC3));
            let was = base.get(&name).is_some_and(|node| self.is_member(base, node));
            match (member, held) {
                (None, None) => {}
                (None, Some(_)) if was => gone.push(owner),
                // Somebody else's: the name had no record before and has none now.
                (None, Some(_)) => {}
                (Some(_), Some(_)) if !was => return Err(collision(&name, &owner)),
                (Some(node), Some(held)) => {
                    let next_hash = held.rdatas().next().and_then(|rdata| self.next_of(rdata));
                    let wanted = self.rrset(node, &next_hash.unwrap_or_default(), ttl);
                    if held.ttl != ttl || !held.rdatas().eq(wanted.rdatas()) {
                        next.set(&owner, wanted);
                    }
                }
                (Some(node), None) => {
                    let wanted = self.rrset(node, &Hash::default(), ttl);
                    next.set(&owner, wanted);
                    stale.insert(owner);
                }
            }
        }
        for owner in &gone {
            next.unset(owner, rtype::NSEC3);
        }
        let mut before: Vec<Name> = vec![];
        for owner in stale.iter().chain(&gone) {
            let above = Name::parse(owner.wire())?;
            let predecessor = next.nsec3_before(&above).map(|node| node.name().to_owned());
            before.extend(predecessor);
        }
        stale.extend(before);
        for owner in stale {
            let Some(behind) = next.nsec3_after(&owner) else { continue };
            let Some(next_hash) = hash_of(behind.name()) else { continue };
            let held = next.nsec3_match(&owner).and_then(|node| node.rrset(rtype::NSEC3));
            let Some(rdata) = held.and_then(|held| held.rdatas().next()) else { continue };
            let bitmap = &rdata[self.next_at() + NSEC3_HASH..];
            let wanted = self.record(&next_hash, bitmap, ttl);
            if self.next_of(rdata) != Some(next_hash) {
                next.set(&owner, wanted);
            }
        }
        Ok(())
    }

    fn next_of(&self, rdata: &[u8]) -> Option<Hash> {
        rdata.get(self.next_at()..)?.first_chunk().copied()
    }

    /// The touched names, and the empty non-terminals above them, which are members or not
    /// for what is below.
    fn reconsidered(&self, zone: &Zone, touched: &[Name]) -> BTreeSet<Name> {
        let mut names: BTreeSet<Name> = touched.iter().cloned().collect();
        for name in touched {
            let above = name
                .ancestors()
                .skip(1)
                .take_while(|ancestor| ancestor.is_under(zone.origin()))
                .filter(|ancestor| zone.get(ancestor).is_some_and(|node| !has_data(node)));
            names.extend(above.map(ToOwned::to_owned));
        }
        names
    }
}

/// The hash that an NSEC3 owner's first label spells.
fn hash_of(owner: &NameRef) -> Option<Hash> {
    let label = owner.labels().next()?;
    let mut hash = vec![];
    rdata::push_base32hex(label, &mut hash)?;
    hash.try_into().ok()
}

fn collision(a: &NameRef, b: &NameRef) -> Error {
    let why = format!("its NSEC3 hash is that of {b} too: choose another salt (RFC 5155 §7.1)");
    Error::at("nsec3", a, why)
}
