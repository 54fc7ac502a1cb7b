//! Going through nodes and giving each RRset the signatures that the plan wants: kept where
//! there is a good one, made where there is none, in batches for each key.

use std::ops::AddAssign;

use super::canonical::{Rrsig, RrsigHead, push_rrset, signed_data};
use super::plan::{Role, Scope, SignPlan};
use crate::error::Result;
use crate::name::NameRef;
use crate::rdata::rtype;
use crate::zone::diff::is_key_set;
use crate::zone::node::flags;
use crate::zone::{Node, NodeBuf, RrsetBuf, RrsetRef, Zone};

/// RRsets signed anew, and those whose signatures were kept, among the ones looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub made: usize,
    pub kept: usize,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.made += other.made;
        self.kept += other.kept;
    }
}

pub struct Sweep<'a> {
    origin: &'a NameRef,
    plan: &'a SignPlan,
    base: Option<&'a Zone>,
    scope: Scope,
    /// By key of the plan: another key has its tag and algorithm, so that an RRSIG does not
    /// tell which of them made it.
    ambiguous: Vec<bool>,
}

/// An RRset that gets new signatures.
struct Order {
    node: usize,
    rtype: u16,
    kept: Vec<Vec<u8>>,
    made: Vec<Made>,
}

/// A signature to come: `head` goes before it, `at` is its place in the key's batch.
struct Made {
    key: usize,
    at: usize,
    head: Vec<u8>,
}

enum Verdict<'b> {
    /// All signatures are there.
    Kept(Vec<&'b [u8]>),
    Wanting {
        kept: Vec<&'b [u8]>,
        keys: Vec<usize>,
    },
}

/// RFC 4035 section 2.2: authoritative data, and at a cut what is the parent's, but for NS.
pub fn is_signed(node_flags: u8, rtype: u16) -> bool {
    if node_flags & (flags::BELOW_CUT | flags::BELOW_DNAME) != 0 {
        return false;
    }
    node_flags & flags::CUT == 0 || matches!(rtype, rtype::DS | rtype::NSEC)
}

impl<'a> Sweep<'a> {
    pub fn new(
        origin: &'a NameRef,
        plan: &'a SignPlan,
        base: Option<&'a Zone>,
        scope: Scope,
    ) -> Self {
        let published: Vec<&[u8]> = base
            .and_then(|base| base.apex().rrset(rtype::DNSKEY))
            .into_iter()
            .flat_map(|rrset| rrset.rdatas())
            .chain(plan.dnskeys.iter().map(Vec::as_slice))
            .chain(plan.keys.iter().map(|(key, _)| key.public().dnskey()))
            .collect();
        let ambiguous = |dnskey: &[u8]| {
            let twin = |other: &[u8]| {
                other != dnskey
                    && other.get(3) == dnskey.get(3)
                    && super::key_tag(other) == super::key_tag(dnskey)
            };
            published.iter().any(|other| twin(other))
        };
        let ambiguous = plan.keys.iter().map(|(key, _)| ambiguous(key.public().dnskey())).collect();
        Self { origin, plan, base, scope, ambiguous }
    }

    /// The node of the base that stands where `buf` will.
    pub fn before(&self, buf: &NodeBuf) -> Option<&'a Node> {
        let base = self.base?;
        match buf.rrset(rtype::NSEC3) {
            Some(_) => base.nsec3_match(&buf.name),
            None => base.get(&buf.name),
        }
    }

    /// Sign what needs it in some nodes; the apex's SOA is left for the end, when it is known
    /// whether the serial moves.
    pub fn sign(&self, bufs: &mut [NodeBuf]) -> Result<Tally> {
        self.fill(bufs, |rtype| rtype != rtype::SOA)
    }

    pub fn sign_soa(&self, apex: &mut NodeBuf) -> Result<Tally> {
        self.fill(std::slice::from_mut(apex), |rtype| rtype == rtype::SOA)
    }

    /// Whether the SOA of `apex` wants another signature than its base's.
    pub fn soa_is_due(&self, apex: &Node) -> bool {
        let Some(soa) = apex.rrset(rtype::SOA) else { return false };
        let before = self.base.and_then(Zone::soa);
        matches!(self.judge(apex.name(), &soa.to_buf(), before), Verdict::Wanting { .. })
    }

    /// Whether a node of the base has a signature that is due for renewal.
    pub fn is_due(&self, node: &Node) -> bool {
        node.rrsets().any(|rrset| rrset.signatures().any(|rdata| self.expires_soon(rdata)))
    }

    fn expires_soon(&self, rdata: &[u8]) -> bool {
        Rrsig::parse(rdata).is_none_or(|rrsig| rrsig.expiration < self.plan.refresh_before)
    }

    fn fill(&self, bufs: &mut [NodeBuf], wanted: impl Fn(u16) -> bool) -> Result<Tally> {
        let mut tally = Tally::default();
        let mut orders: Vec<Order> = vec![];
        let mut batches: Vec<Vec<Vec<u8>>> = vec![vec![]; self.plan.keys.len()];
        for (index, buf) in bufs.iter_mut().enumerate() {
            buf.retain(|rrset| !rrset.is_empty());
            let before = self.before(buf);
            let (owner, flags) = (buf.name.clone(), buf.flags);
            let types: Vec<u16> = buf.rrsets().iter().map(|rrset| rrset.rtype).collect();
            for rtype in types.into_iter().filter(|&rtype| wanted(rtype)) {
                let Some(rrset) = buf.rrset_mut(rtype) else { continue };
                if self.plan.keys.is_empty() || !is_signed(flags, rtype) {
                    rrset.clear_signatures();
                    continue;
                }
                match self.judge(&owner, rrset, before.and_then(|node| node.rrset(rtype))) {
                    Verdict::Kept(signatures) => {
                        rrset.clear_signatures();
                        signatures.iter().for_each(|rdata| rrset.push_signature(rdata));
                        tally.kept += 1;
                    }
                    Verdict::Wanting { kept, keys } => {
                        let kept = kept.into_iter().map(<[u8]>::to_vec).collect();
                        let made = self.order(&owner, rrset, &keys, &mut batches);
                        orders.push(Order { node: index, rtype, kept, made });
                        tally.made += 1;
                    }
                }
            }
        }
        let mut signed = vec![];
        for ((key, _), batch) in self.plan.keys.iter().zip(&batches) {
            signed.push(key.sign(batch)?);
        }
        for order in orders {
            let mut signatures = order.kept;
            for made in order.made {
                signatures
                    .push([made.head, std::mem::take(&mut signed[made.key][made.at])].concat());
            }
            signatures.sort_unstable();
            if let Some(rrset) = bufs[order.node].rrset_mut(order.rtype) {
                rrset.clear_signatures();
                signatures.iter().for_each(|rdata| rrset.push_signature(rdata));
            }
        }
        Ok(tally)
    }

    /// What of the base's signatures is still good for this RRset.
    fn judge<'b>(
        &self,
        owner: &NameRef,
        rrset: &RrsetBuf,
        before: Option<RrsetRef<'b>>,
    ) -> Verdict<'b> {
        let before = before.filter(|old| {
            old.ttl == rrset.ttl
                && old.rdatas().eq(rrset.rdatas())
                && !self.plan.resigns(owner, rrset.rtype)
        });
        let held: Vec<&[u8]> = before.into_iter().flat_map(|old| old.signatures()).collect();
        let apex = owner.same(self.origin);
        let reconsidered = match self.scope {
            Scope::Changes => is_key_set(rrset.rtype, apex),
            Scope::Expiring => {
                is_key_set(rrset.rtype, apex) || held.iter().any(|rdata| self.expires_soon(rdata))
            }
            Scope::All => true,
        };
        if !held.is_empty() && !reconsidered {
            return Verdict::Kept(held);
        }
        let (mut kept, mut wanting) = (vec![], vec![]);
        for (index, (_, role)) in self.plan.keys.iter().enumerate() {
            if !role.includes(Role::for_type(rrset.rtype, apex)) {
                continue;
            }
            match held.iter().find(|rdata| self.is_good(rdata, index, owner, rrset)) {
                Some(rdata) => kept.push(*rdata),
                None => wanting.push(index),
            }
        }
        if !wanting.is_empty() {
            return Verdict::Wanting { kept, keys: wanting };
        }
        // All that were there and no others: left in the order that they have.
        if kept.len() == held.len() {
            kept = held;
        }
        Verdict::Kept(kept)
    }

    fn is_good(&self, rdata: &[u8], key: usize, owner: &NameRef, rrset: &RrsetBuf) -> bool {
        let Some(rrsig) = Rrsig::parse(rdata) else { return false };
        let public = self.plan.keys[key].0.public();
        let alike = rrsig.covered == rrset.rtype
            && rrsig.algorithm == public.algorithm().number()
            && rrsig.tag == public.tag()
            && rrsig.labels == owner.rrsig_labels()
            && rrsig.original_ttl == rrset.ttl
            && rrsig.signer.same(self.origin)
            && rrsig.expiration >= self.plan.refresh_before;
        if !alike || !self.ambiguous[key] {
            return alike;
        }
        let message = signed_data(&rrsig, owner, rrset.rdatas());
        message.is_some_and(|message| public.verify(&message, rrsig.signature))
    }

    fn order(
        &self,
        owner: &NameRef,
        rrset: &RrsetBuf,
        keys: &[usize],
        batches: &mut [Vec<Vec<u8>>],
    ) -> Vec<Made> {
        let expiration = self.plan.expiration_of(owner, rrset.rtype);
        let mut made = vec![];
        for &key in keys {
            let public = self.plan.keys[key].0.public();
            let head = RrsigHead {
                covered: rrset.rtype,
                algorithm: public.algorithm().number(),
                labels: owner.rrsig_labels(),
                original_ttl: rrset.ttl,
                expiration,
                inception: self.plan.inception,
                tag: public.tag(),
                signer: self.origin,
            };
            let head = head.to_wire();
            let mut message = head.clone();
            push_rrset(&mut message, owner, rrset.rtype, rrset.ttl, rrset.rdatas());
            made.push(Made { key, at: batches[key].len(), head });
            batches[key].push(message);
        }
        made
    }
}

/// Whether the base's node is as good as the new one, so that both can share it.
pub fn shared(before: Option<&Node>, built: Node) -> Node {
    match before {
        Some(before) if before.equal(&built) => before.clone(),
        _ => built,
    }
}
