//! The NSEC3 chain (RFC 5155): a circle of hashes, one for each name that exists.

use std::collections::BTreeSet;

use foldhash::{HashMap, HashSet};
use rayon::prelude::*;

use crate::dnssec::canonical::{NSEC3_HASH, nsec3_hash};
use crate::name::{Name, NameRef};
use crate::rdata::{self, rtype};
use crate::verify::failure::{Code, Failure};
use crate::verify::types::{compare, has_data, is_insecure_delegation, read_bitmap, types_at};
use crate::zone::{Node, Zone};

type Hash = [u8; NSEC3_HASH];

const SHA1: u8 = 1;
const OPT_OUT: u8 = 1;

/// RFC 9276 section 3.2: validators take more than this for insecure, or refuse it.
const MOST_ITERATIONS: u16 = 500;

/// NSEC3 rdata, taken apart (RFC 5155 section 3.2).
struct Nsec3<'a> {
    algorithm: u8,
    flags: u8,
    iterations: u16,
    salt: &'a [u8],
    next: &'a [u8],
    bitmap: &'a [u8],
}

impl<'a> Nsec3<'a> {
    fn parse(rdata: &'a [u8]) -> Option<Self> {
        let (&[algorithm, flags, high, low, length], rest) = rdata.split_first_chunk::<5>()?;
        let (salt, rest) = rest.split_at_checked(usize::from(length))?;
        let (&length, rest) = rest.split_first()?;
        let (next, bitmap) = rest.split_at_checked(usize::from(length))?;
        let iterations = u16::from_be_bytes([high, low]);
        Some(Self { algorithm, flags, iterations, salt, next, bitmap })
    }
}

/// What a chain is made by: NSEC3PARAM rdata (RFC 5155 section 4.2).
struct Parameters<'a> {
    iterations: u16,
    salt: &'a [u8],
}

impl<'a> Parameters<'a> {
    fn of(zone: &'a Zone) -> Result<Self, String> {
        let rrset = zone.apex().rrset(rtype::NSEC3PARAM).ok_or("no NSEC3PARAM record")?;
        let mut rdatas = rrset.rdatas();
        let (Some(rdata), None) = (rdatas.next(), rdatas.next()) else {
            return Err("more than one NSEC3PARAM record: which chain is whole?".into());
        };
        let Some((&[algorithm, flags, high, low, length], salt)) = rdata.split_first_chunk::<5>()
        else {
            return Err("an NSEC3PARAM record that can't be read".into());
        };
        if algorithm != SHA1 || flags != 0 || salt.len() != usize::from(length) {
            return Err("an NSEC3PARAM record that no server can use (RFC 5155 section 4)".into());
        }
        let iterations = u16::from_be_bytes([high, low]);
        if iterations > MOST_ITERATIONS {
            return Err(format!("{iterations} iterations: validators refuse that (RFC 9276)"));
        }
        Ok(Self { iterations, salt })
    }
}

/// A name that exists, and how its absence from the chain is to be taken.
struct Member<'a> {
    node: &'a Node,
    /// An insecure delegation, or an empty non-terminal above nothing else: may be left out
    /// where a span opts out (RFC 5155 sections 6 and 7.1).
    optional: bool,
}

pub fn check(zone: &Zone, failures: &mut Vec<Failure>) {
    let origin = zone.origin();
    for node in zone.nodes() {
        if node.rrset(rtype::NSEC).is_some_and(|rrset| !rrset.is_empty()) {
            let why = "an NSEC record in a zone whose NSEC3PARAM says NSEC3";
            failures.push(Failure::new(node.name(), rtype::NSEC, Code::DenialExtra, why));
        }
    }
    let parameters = match Parameters::of(zone) {
        Ok(parameters) => parameters,
        Err(why) => {
            failures.push(Failure::new(origin, rtype::NSEC3PARAM, Code::Structure, why));
            return;
        }
    };
    let names: HashMap<Hash, Member<'_>> = members(zone)
        .into_par_iter()
        .map(|member| {
            let name = member.node.name();
            (nsec3_hash(name, parameters.iterations, parameters.salt), member)
        })
        .collect::<Vec<_>>()
        .into_iter()
        .collect();
    let chain = Chain::read(zone, &parameters, failures);
    chain.check_circle(failures);
    chain.check_names(&names, failures);
}

fn members(zone: &Zone) -> Vec<Member<'_>> {
    let mut members: Vec<Member<'_>> = zone
        .nodes()
        .filter(|node| !node.is_occluded())
        .map(|node| {
            let optional = is_insecure_delegation(node) || !has_data(node);
            Member { node, optional }
        })
        .collect();
    // An empty non-terminal above a name that has to be there has to be there too.
    let needed: HashSet<Name> = members
        .iter()
        .filter(|member| !member.optional)
        .flat_map(|member| {
            let above = member.node.name().ancestors().skip(1);
            above.take_while(|name| name.is_under(zone.origin())).map(ToOwned::to_owned)
        })
        .collect();
    for member in &mut members {
        if !has_data(member.node) && needed.contains(member.node.name()) {
            member.optional = false;
        }
    }
    members
}

struct Link<'a> {
    owner: &'a NameRef,
    hash: Hash,
    flags: u8,
    next: &'a [u8],
    bitmap: &'a [u8],
}

/// The records of the chain in the order of their hashes.
struct Chain<'a> {
    links: Vec<Link<'a>>,
}

impl<'a> Chain<'a> {
    fn read(zone: &'a Zone, parameters: &Parameters<'_>, failures: &mut Vec<Failure>) -> Self {
        let mut links = vec![];
        for node in zone.nsec3_nodes() {
            let mut tell = |code, why: String| {
                failures.push(Failure::new(node.name(), rtype::NSEC3, code, why));
            };
            let Some(rrset) = node.rrset(rtype::NSEC3).filter(|rrset| !rrset.is_empty()) else {
                continue;
            };
            if rrset.ttl > zone.negative_ttl() {
                let (ttl, most) = (rrset.ttl, zone.negative_ttl());
                tell(Code::Ttl, format!("TTL {ttl} of a denial; the SOA allows {most} (RFC 9077)"));
            }
            if rrset.len() > 1 {
                let count = rrset.len();
                tell(Code::DenialWrong, format!("{count} NSEC3 records where there is to be one"));
            }
            let Some(hash) = owner_hash(node.name(), zone.origin()) else {
                tell(Code::DenialWrong, "its owner is no hash of a name in this zone".into());
                continue;
            };
            for rdata in rrset.rdatas() {
                let Some(record) = Nsec3::parse(rdata) else {
                    tell(Code::DenialWrong, "an NSEC3 record that can't be read".into());
                    continue;
                };
                if record.algorithm != SHA1
                    || record.iterations != parameters.iterations
                    || record.salt != parameters.salt
                {
                    let why = "its parameters are not those of NSEC3PARAM";
                    tell(Code::DenialWrong, why.into());
                    continue;
                }
                if record.flags & !OPT_OUT != 0 {
                    let why = format!("flags {}: no validator knows them", record.flags);
                    tell(Code::DenialWrong, why);
                }
                links.push(Link {
                    owner: node.name(),
                    hash,
                    flags: record.flags,
                    next: record.next,
                    bitmap: record.bitmap,
                });
            }
        }
        links.sort_by_key(|link| link.hash);
        Self { links }
    }

    fn check_circle(&self, failures: &mut Vec<Failure>) {
        for (at, link) in self.links.iter().enumerate() {
            let next = &self.links[(at + 1) % self.links.len()];
            if link.next != next.hash {
                let (said, real) = (rdata::base32hex(link.next), rdata::base32hex(&next.hash));
                let why = format!("points to {said}; the next hash is {real}");
                failures.push(Failure::new(link.owner, rtype::NSEC3, Code::DenialWrong, why));
            }
        }
    }

    fn check_names(&self, names: &HashMap<Hash, Member<'_>>, failures: &mut Vec<Failure>) {
        for link in &self.links {
            let mut tell = |code, why: String| {
                failures.push(Failure::new(link.owner, rtype::NSEC3, code, why));
            };
            let Some(member) = names.get(&link.hash) else {
                tell(Code::DenialExtra, "the hash of no name that exists".into());
                continue;
            };
            let name = member.node.name();
            match read_bitmap(link.bitmap) {
                None => tell(Code::DenialBitmap, format!("for {name}: an unreadable bitmap")),
                Some(said) => {
                    if let Some(why) = compare(&said, &real_types(member.node)) {
                        tell(Code::DenialBitmap, format!("for {name}: {why}"));
                    }
                }
            }
        }
        for (hash, member) in names {
            if self.links.binary_search_by_key(hash, |link| link.hash).is_ok() {
                continue;
            }
            let left_out = member.optional && self.covering(hash).is_some_and(|l| l.flags != 0);
            if !left_out {
                let text = rdata::base32hex(hash);
                let why = match member.optional {
                    true => format!("no NSEC3 record {text}, and the span there has no opt-out"),
                    false => format!("no NSEC3 record {text}"),
                };
                let name = member.node.name();
                failures.push(Failure::new(name, rtype::NSEC3, Code::DenialMissing, why));
            }
        }
    }

    fn covering(&self, hash: &Hash) -> Option<&Link<'a>> {
        let at = self.links.partition_point(|link| link.hash < *hash);
        at.checked_sub(1).map_or_else(|| self.links.last(), |at| self.links.get(at))
    }
}

/// RFC 5155 section 3.3: one label, base32hex, right below the apex.
fn owner_hash(owner: &NameRef, origin: &NameRef) -> Option<Hash> {
    let label = owner.labels().next().filter(|_| owner.parent() == Some(origin))?;
    let mut hash = Vec::with_capacity(NSEC3_HASH);
    rdata::push_base32hex(label, &mut hash)?;
    hash.try_into().ok()
}

/// RFC 5155 section 7.1: RRSIG is there where anything at the name is signed.
fn real_types(node: &Node) -> BTreeSet<u16> {
    let mut types = types_at(node);
    if !types.is_empty() && !is_insecure_delegation(node) {
        types.insert(rtype::RRSIG);
    }
    types
}
