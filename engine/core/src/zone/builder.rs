//! A zone arranged once, from records in any order: sorted, grouped, empty non-terminals and
//! the marks of occlusion put in.

use std::cmp::Ordering;
use std::ops::Range;

use rayon::slice::ParallelSliceMut;

use crate::error::{Error, Result};
use crate::name::{Name, NameRef};
use crate::rdata::{self, rtype};
use crate::zone::node::{MAX_RECORDS, Node, NodeBuf, RrsetBuf};
use crate::zone::order::prefix_of;
use crate::zone::{Zone, edit, is_nsec3};

/// Owners and rdata of all records, in arenas; what is sorted are the small rows beside.
pub struct Builder {
    origin: Name,
    skip: usize,
    owners: Vec<u8>,
    rdatas: Vec<u8>,
    rows: Vec<Row>,
    last_owner: Range<usize>,
}

#[derive(Clone, Copy)]
struct Row {
    prefix: u128,
    owner: usize,
    rdata: usize,
    rdata_length: u16,
    /// The type that an RRSIG covers, for RRSIG records.
    rtype: u16,
    ttl: u32,
    is_signature: bool,
    ours: bool,
}

impl Builder {
    pub fn new(origin: &NameRef) -> Self {
        let origin = origin.to_lower();
        Self {
            skip: crate::name::sort_key(&origin).len(),
            origin,
            owners: vec![],
            rdatas: vec![],
            rows: vec![],
            last_owner: 0..0,
        }
    }

    pub fn origin(&self) -> &NameRef {
        &self.origin
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// `rdata` uncompressed and valid for its type (`rdata::validate`). Raises "zone" for a
    /// record outside the zone.
    pub fn add(&mut self, owner: &NameRef, rtype: u16, ttl: u32, rdata: &[u8]) -> Result<()> {
        self.add_flagged(owner, rtype, ttl, rdata, false)
    }

    /// As `add`, saying whether our signer made the record.
    pub fn add_flagged(
        &mut self,
        owner: &NameRef,
        rtype: u16,
        ttl: u32,
        rdata: &[u8],
        ours: bool,
    ) -> Result<()> {
        let same = self.owners[self.last_owner.clone()].eq_ignore_ascii_case(owner.wire());
        let prefix = if same {
            self.rows.last().map_or(0, |row| row.prefix)
        } else {
            let owner = owner.to_lower();
            if !owner.is_under(&self.origin) {
                let origin = &self.origin;
                return Err(Error::at("zone", &owner, format!("not in the zone {origin}")));
            }
            self.last_owner = self.owners.len()..self.owners.len() + owner.wire().len();
            self.owners.extend_from_slice(owner.wire());
            prefix_of(&owner, self.skip)
        };
        let (rtype, is_signature) = match (rtype, rdata.first_chunk::<2>()) {
            (rtype::RRSIG, Some(covered)) => (u16::from_be_bytes(*covered), true),
            (rtype::RRSIG, None) => return Err(Error::at("zone", owner, "an empty RRSIG")),
            _ => (rtype, false),
        };
        self.rows.push(Row {
            prefix,
            owner: self.last_owner.start,
            rdata: self.rdatas.len(),
            rdata_length: u16::try_from(rdata.len())
                .map_err(|_| Error::at("zone", owner, "rdata of more than 65535 octets"))?,
            rtype,
            ttl,
            is_signature,
            ours,
        });
        self.rdatas.extend_from_slice(rdata);
        Ok(())
    }

    fn owner(&self, row: &Row) -> &NameRef {
        NameRef::prefix(&self.owners[row.owner..]).expect("added as a name")
    }

    fn rdata(&self, row: &Row) -> &[u8] {
        &self.rdatas[row.rdata..row.rdata + usize::from(row.rdata_length)]
    }

    fn compare(&self, a: &Row, b: &Row) -> Ordering {
        let owners = || {
            if a.owner == b.owner {
                Ordering::Equal
            } else {
                self.owner(a).canonical_cmp(self.owner(b))
            }
        };
        let rdatas = || {
            rdata::canonical(a.rtype, self.rdata(a)).cmp(&rdata::canonical(b.rtype, self.rdata(b)))
        };
        a.prefix
            .cmp(&b.prefix)
            .then_with(owners)
            .then_with(|| a.rtype.cmp(&b.rtype))
            .then_with(|| a.is_signature.cmp(&b.is_signature))
            .then_with(rdatas)
    }

    /// The zone. Raises "zone": no SOA or several, CNAME or DNAME beside what can't be there.
    pub fn finish(mut self) -> Result<Zone> {
        let mut rows = std::mem::take(&mut self.rows);
        rows.par_sort_unstable_by(|a, b| self.compare(a, b));
        let (mut nodes, mut nsec3) = (Vec::with_capacity(rows.len() / 2), vec![]);
        let mut path = Path::new(&self.origin);
        let mut rest = &rows[..];
        while let Some(first) = rest.first() {
            let owner = self.owner(first);
            let same = |row: &Row| row.owner == first.owner || self.owner(row) == owner;
            let (here, behind) =
                rest.split_at(rest.partition_point(|row| row.prefix == first.prefix && same(row)));
            rest = behind;
            if here.len() > MAX_RECORDS {
                return Err(Error::at("zone", owner, "more than 65535 records at one owner"));
            }
            let mut buf = self.group(owner, here);
            if let Some(hashed) = buf.remove(rtype::NSEC3) {
                let mut apart = NodeBuf::new(owner);
                apart.set(hashed);
                nsec3.push(apart.build());
                if buf.rrsets().is_empty() {
                    continue;
                }
            }
            check_node(&buf, &self.origin)?;
            path.enter(buf, &mut nodes);
        }
        if nodes.first().is_none_or(|apex| apex.name() != &*self.origin) {
            return Err(Error::at("zone", &self.origin, "no SOA record at the zone's apex"));
        }
        check_apex(&nodes[0])?;
        Ok(Zone::assemble(&self.origin, nodes, nsec3))
    }

    fn group(&self, owner: &NameRef, rows: &[Row]) -> NodeBuf {
        let mut buf = NodeBuf::new(owner);
        let mut previous: Option<&Row> = None;
        for row in rows {
            let rdata = self.rdata(row);
            let twin = previous.is_some_and(|other| self.compare(other, row).is_eq());
            previous = Some(row);
            if buf.rrset(row.rtype).is_none() {
                buf.set(RrsetBuf::new(row.rtype, row.ttl, row.ours));
            }
            let Some(rrset) = buf.rrset_mut(row.rtype) else { continue };
            if !row.is_signature {
                // RFC 2181 section 5.2: one TTL for the set; the least can't be cached too long.
                rrset.ttl = rrset.ttl.min(row.ttl);
                rrset.ours |= row.ours;
            }
            match (twin, row.is_signature) {
                (true, _) => {}
                (false, true) => rrset.push_signature(rdata),
                (false, false) => rrset.push_rdata(rdata),
            }
        }
        buf
    }
}

/// The names from the origin down to the last node, to find empty non-terminals and what
/// is occluded while going through the zone in canonical order.
struct Path {
    origin: Name,
    above: Vec<(Name, u8)>,
}

impl Path {
    fn new(origin: &Name) -> Self {
        Self { origin: origin.clone(), above: vec![] }
    }

    fn enter(&mut self, mut buf: NodeBuf, nodes: &mut Vec<Node>) {
        let name = buf.name.clone();
        while self.above.last().is_some_and(|(above, _)| !name.is_under(above)) {
            self.above.pop();
        }
        let depth = self.above.last().map_or(self.origin.label_count(), |(n, _)| n.label_count());
        let between: Vec<&NameRef> = name
            .ancestors()
            .skip(1)
            .take_while(|ancestor| ancestor.label_count() > depth)
            .collect();
        for missing in between.into_iter().rev() {
            let mut empty = NodeBuf::new(missing);
            empty.flags = self.inherited();
            self.above.push((missing.to_owned(), empty.flags));
            nodes.push(empty.build());
        }
        buf.flags = self.inherited() | edit::own_flags(&buf, name == self.origin);
        self.above.push((name, buf.flags));
        nodes.push(buf.build());
    }

    fn inherited(&self) -> u8 {
        self.above.last().map_or(0, |(_, flags)| edit::below(*flags))
    }
}

/// RFC 1034 section 3.6.2, RFC 2181 section 10.1, RFC 4035 section 2.5, RFC 6672 section 2.4.
pub fn check_node(buf: &NodeBuf, origin: &NameRef) -> Result<()> {
    let has = |wanted| buf.rrset(wanted).filter(|rrset: &&RrsetBuf| !rrset.is_empty());
    for single in [rtype::CNAME, rtype::DNAME] {
        if has(single).is_some_and(|rrset| rrset.len() > 1) {
            let what = rdata::type_name(single);
            return Err(Error::at("zone", &buf.name, format!("more than one {what} record")));
        }
    }
    if has(rtype::CNAME).is_some() {
        let may_stand = [rtype::CNAME, rtype::NSEC, rtype::KEY];
        let other = buf.rrsets().iter().find(|r| !r.is_empty() && !may_stand.contains(&r.rtype));
        if let Some(other) = other {
            let what = rdata::type_name(other.rtype);
            let why = format!("CNAME beside {what}: a CNAME stands alone");
            return Err(Error::at("zone", &buf.name, why));
        }
    }
    if *buf.name != *origin {
        if has(rtype::SOA).is_some() {
            return Err(Error::at("zone", &buf.name, "an SOA record below the zone's apex"));
        }
        if has(rtype::NS).is_some() && has(rtype::DNAME).is_some() {
            let why = "DNAME beside NS: a delegation can't also be redirected";
            return Err(Error::at("zone", &buf.name, why));
        }
    }
    debug_assert!(!buf.rrsets().iter().any(|rrset| is_nsec3(rrset.rtype)));
    Ok(())
}

fn check_apex(apex: &Node) -> Result<()> {
    match apex.rrset(rtype::SOA).map_or(0, |soa| soa.len()) {
        1 => Ok(()),
        0 => Err(Error::at("zone", apex.name(), "no SOA record at the zone's apex")),
        _ => Err(Error::at("zone", apex.name(), "SOA records that differ: there can be one")),
    }
}
