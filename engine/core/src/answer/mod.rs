//! Authoritative answers: the algorithm of RFC 1034 section 4.3.2 over a version of a zone,
//! with DNAME (RFC 6672), wildcards (RFC 4592) and DNSSEC (RFC 4035, RFC 5155).
//!
//! What is a matter of choice: authority NS records are left out of positive answers; ANY
//! gives one RRset over UDP (RFC 8482 section 4.1) and all over TCP; chains of aliases are
//! followed within the zone.

mod additional;
mod denial;
mod nsec3;
pub mod writer;

use crate::name::NameRef;
use crate::query::{Query, bits, rcode};
use crate::rdata::rtype;
use crate::zone::{Lookup, Node, RrsetRef, Zone};
use denial::{Denial, NameBuf, Proofs};
pub use writer::{ExtendedError, UDP_SIZE, error, truncated};
use writer::{Owner, QUESTION, Section, Writer};

/// Aliases followed in one answer.
const MOST_ALIASES: usize = 16;

/// An answer that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub rcode: u16,
    pub length: usize,
    pub truncated: bool,
}

/// Where the search for a name ended.
enum End<'z> {
    Answered(Option<RrsetRef<'z>>),
    NoData,
    NoName,
    Referral(&'z Node),
    /// RFC 6672 section 2.2: the name that a DNAME makes is too long.
    TooLong,
    /// An alias leads out of the zone, round in circles, or too far.
    Left,
    Full,
}

// A box would be an allocation in an answer.
#[allow(clippy::large_enum_variant)]
enum Step<'z> {
    End(End<'z>),
    /// An alias: go on with its target.
    Alias(NameBuf),
}

/// Answer `query`, whose name is at or below the zone's origin, in at most `size` octets of
/// `out`. `stream`: over TCP or its kin.
pub fn answer(
    zone: &Zone,
    query: &Query<'_>,
    size: usize,
    stream: bool,
    out: &mut [u8],
) -> Outcome {
    let mut writer = Writer::new(query, size, None, out);
    let mut search = Search::new(zone, query, stream);
    let end = search.run(query.name(), &mut writer);
    let code = search.close(end, &mut writer);
    let truncated = writer.is_truncated();
    Outcome { rcode: code, length: writer.finish(code), truncated }
}

struct Search<'z> {
    zone: &'z Zone,
    qtype: u16,
    dnssec: bool,
    stream: bool,
    proofs: Proofs<'z>,
}

impl<'z> Search<'z> {
    fn new(zone: &'z Zone, query: &Query<'_>, stream: bool) -> Self {
        let dnssec = query.dnssec_ok();
        let denial = if dnssec { Denial::of(zone) } else { Denial::Unsigned };
        let proofs = Proofs::new(zone, denial);
        Self { zone, qtype: query.qtype, dnssec, stream, proofs }
    }

    fn run(&mut self, qname: &NameRef, writer: &mut Writer<'_>) -> End<'z> {
        let mut target = match self.step(qname, QUESTION, writer) {
            Step::End(end) => {
                // RFC 1035 section 4.1.1: AA speaks of the question's name.
                if !matches!(end, End::Referral(_)) {
                    writer.set_flag(bits::AA);
                }
                return end;
            }
            Step::Alias(target) => target,
        };
        writer.set_flag(bits::AA);
        let mut seen = [0u64; MOST_ALIASES];
        seen[0] = fingerprint(qname);
        for hop in 1..MOST_ALIASES {
            seen[hop] = fingerprint(target.name());
            if seen[..hop].contains(&seen[hop]) || !target.name().is_under(self.zone.origin()) {
                return End::Left;
            }
            match self.step(target.name(), Owner::Name(target.name()), writer) {
                Step::End(end) => return end,
                Step::Alias(next) => target = next,
            }
        }
        End::Left
    }

    /// One name: looked up, and what it has written to the answer section.
    fn step(&mut self, name: &NameRef, owner: Owner<'_>, writer: &mut Writer<'_>) -> Step<'z> {
        match self.zone.find(name) {
            Lookup::Exact(node) => {
                if node.is_occluded() {
                    return self.occluded(name, node, owner, writer);
                }
                if node.is_cut() && self.qtype != rtype::DS {
                    return Step::End(End::Referral(node));
                }
                let step = self.at_node(node, owner, writer);
                if matches!(step, Step::End(End::NoData)) {
                    self.proofs.no_data(name);
                }
                step
            }
            Lookup::Encloser(node) if node.is_occluded() => {
                self.occluded(name, node, owner, writer)
            }
            Lookup::Encloser(node) if node.is_cut() => Step::End(End::Referral(node)),
            Lookup::Encloser(node) if node.has_dname() => self.redirect(name, node, owner, writer),
            Lookup::Encloser(node) => self.wildcard(name, node, owner, writer),
        }
    }

    /// Below a cut or a DNAME: the highest one decides.
    fn occluded(
        &mut self,
        name: &NameRef,
        node: &'z Node,
        owner: Owner<'_>,
        writer: &mut Writer<'_>,
    ) -> Step<'z> {
        match self.zone.cut_above(node.name()) {
            Some(above) if above.is_cut() => Step::End(End::Referral(above)),
            Some(above) => self.redirect(name, above, owner, writer),
            None => Step::End(End::NoName),
        }
    }

    /// RFC 4592 section 3.3.
    fn wildcard(
        &mut self,
        name: &NameRef,
        encloser: &'z Node,
        owner: Owner<'_>,
        writer: &mut Writer<'_>,
    ) -> Step<'z> {
        let mut wildcard = NameBuf::new();
        let node =
            wildcard.wildcard_of(encloser.name()).then(|| self.zone.get(wildcard.name())).flatten();
        let Some(node) = node else {
            self.proofs.no_name(name, encloser.name());
            return Step::End(End::NoName);
        };
        let step = self.at_node(node, owner, writer);
        match &step {
            Step::End(End::NoData) => {
                self.proofs.expanded_no_data(name, encloser.name(), node.name());
            }
            Step::End(End::Answered(_)) | Step::Alias(_) => {
                self.proofs.expanded(name, encloser.name());
            }
            Step::End(_) => {}
        }
        step
    }

    fn at_node(&self, node: &'z Node, owner: Owner<'_>, writer: &mut Writer<'_>) -> Step<'z> {
        match self.qtype {
            rtype::ANY => return Step::End(self.any(node, owner, writer)),
            rtype::RRSIG => return Step::End(self.signatures(node, owner, writer)),
            _ => {}
        }
        if let Some(rrset) = present(node, self.qtype) {
            return Step::End(match writer.rrset(owner, rrset, rrset.ttl, self.dnssec) {
                true => End::Answered(Some(rrset)),
                false => End::Full,
            });
        }
        // RFC 4035 section 2.5: NSEC is one of the few types that stand beside a CNAME, so that
        // a query for it is about this name.
        let alias = present(node, rtype::CNAME).filter(|_| self.qtype != rtype::NSEC);
        let Some(alias) = alias else { return Step::End(End::NoData) };
        if !writer.rrset(owner, alias, alias.ttl, self.dnssec) {
            return Step::End(End::Full);
        }
        let mut target = NameBuf::new();
        match alias.rdatas().next().and_then(NameRef::prefix) {
            Some(name) if target.join(&[], name) => {
                target.lower();
                Step::Alias(target)
            }
            _ => Step::End(End::Left),
        }
    }

    fn any(&self, node: &'z Node, owner: Owner<'_>, writer: &mut Writer<'_>) -> End<'z> {
        let mut found = false;
        for rrset in node.rrsets().filter(|rrset| !rrset.is_empty()) {
            if !writer.rrset(owner, rrset, rrset.ttl, self.dnssec) {
                return End::Full;
            }
            found = true;
            if !self.stream {
                break;
            }
        }
        if found { End::Answered(None) } else { End::NoData }
    }

    fn signatures(&self, node: &'z Node, owner: Owner<'_>, writer: &mut Writer<'_>) -> End<'z> {
        let mut found = false;
        for rrset in node.rrsets().filter(|rrset| rrset.signature_count() > 0) {
            if !writer.signatures(owner, rrset) {
                return End::Full;
            }
            found = true;
        }
        if found { End::Answered(None) } else { End::NoData }
    }

    /// RFC 6672 section 3.2: the DNAME, and a CNAME made from it, which is not signed.
    fn redirect(
        &mut self,
        name: &NameRef,
        node: &'z Node,
        owner: Owner<'_>,
        writer: &mut Writer<'_>,
    ) -> Step<'z> {
        let Some(dname) = present(node, rtype::DNAME) else { return Step::End(End::NoName) };
        if !writer.rrset(Owner::Name(node.name()), dname, dname.ttl, self.dnssec) {
            return Step::End(End::Full);
        }
        let Some(to) = dname.rdatas().next().and_then(NameRef::prefix) else {
            return Step::End(End::Left);
        };
        let head = &name.wire()[..name.wire().len() - node.name().wire().len()];
        let mut target = NameBuf::new();
        if !target.join(head, to) {
            return Step::End(End::TooLong);
        }
        if !writer.record(owner, rtype::CNAME, dname.ttl, target.name().wire()) {
            return Step::End(End::Full);
        }
        target.lower();
        match self.qtype {
            // The CNAME that was asked for is the one just made.
            rtype::CNAME | rtype::ANY => Step::End(End::Answered(None)),
            _ => Step::Alias(target),
        }
    }

    /// Authority and additional sections; the rcode.
    fn close(&mut self, end: End<'z>, writer: &mut Writer<'_>) -> u16 {
        let (code, fits) = match end {
            End::Answered(rrset) => {
                writer.section(Section::Authority);
                let fits = self.show_proofs(writer);
                if let (true, Some(rrset)) = (fits, rrset) {
                    writer.section(Section::Additional);
                    additional::of_answer(self.zone, rrset, self.dnssec, writer);
                }
                (rcode::NOERROR, fits)
            }
            End::NoData => (rcode::NOERROR, self.negative(writer)),
            // RFC 6604 section 3: the rcode speaks of the last name of a chain.
            End::NoName => (rcode::NXDOMAIN, self.negative(writer)),
            End::Referral(cut) => (rcode::NOERROR, self.referral(cut, writer)),
            End::TooLong => (rcode::YXDOMAIN, true),
            End::Left => {
                writer.section(Section::Authority);
                (rcode::NOERROR, self.show_proofs(writer))
            }
            End::Full => (rcode::NOERROR, false),
        };
        if !fits {
            writer.set_flag(bits::TC);
        }
        code
    }

    /// RFC 2308 section 3, with the TTL that RFC 9077 gives it.
    fn negative(&self, writer: &mut Writer<'_>) -> bool {
        writer.section(Section::Authority);
        let origin = Owner::Name(self.zone.origin());
        let soa = self.zone.soa();
        let fits =
            soa.is_none_or(|soa| writer.rrset(origin, soa, self.zone.negative_ttl(), self.dnssec));
        fits && self.show_proofs(writer)
    }

    fn show_proofs(&self, writer: &mut Writer<'_>) -> bool {
        let rtype = self.proofs.rtype();
        self.proofs.nodes().all(|node| {
            present(node, rtype)
                .is_none_or(|rrset| writer.rrset(Owner::Name(node.name()), rrset, rrset.ttl, true))
        })
    }

    /// RFC 4035 section 3.1.4: NS, then DS or the proof that there is none.
    fn referral(&mut self, cut: &'z Node, writer: &mut Writer<'_>) -> bool {
        writer.section(Section::Authority);
        let Some(ns) = present(cut, rtype::NS) else { return true };
        let owner = Owner::Name(cut.name());
        if !writer.rrset(owner, ns, ns.ttl, false) {
            return false;
        }
        if self.dnssec {
            match present(cut, rtype::DS) {
                Some(ds) if !writer.rrset(owner, ds, ds.ttl, true) => return false,
                Some(_) => {}
                None => self.proofs.no_data(cut.name()),
            }
        }
        if !self.show_proofs(writer) {
            return false;
        }
        writer.section(Section::Additional);
        additional::glue(self.zone, cut, ns, self.dnssec, writer)
    }
}

/// The RRset, if it has records: a source may hold signatures over nothing.
fn present(node: &Node, rtype: u16) -> Option<RrsetRef<'_>> {
    node.rrset(rtype).filter(|rrset| !rrset.is_empty())
}

/// FNV-1a. A collision would only end a chain of aliases early.
fn fingerprint(name: &NameRef) -> u64 {
    name.wire().iter().fold(0xcbf2_9ce4_8422_2325, |hash, &octet| {
        (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests;
