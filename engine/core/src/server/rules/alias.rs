//! Another name's answer behind a CNAME record: the stages behind are asked for that name.

use crate::answer::writer::{Owner, QUESTION, Section, Writer};
use crate::answer::{self, ExtendedError};
use crate::name::{Name, NameRef};
use crate::query::{HEADER, Query, bits, rcode};
use crate::rdata::rtype;
use crate::server::reply::Reply;

#[derive(Clone, Debug)]
pub struct Alias {
    pub target: Name,
    pub ttl: u32,
    pub extended: Option<u16>,
    /// CNAME records that led to where it stands: owner, TTL, target.
    pub before: Vec<(Name, u32, Name)>,
}

impl Alias {
    /// The query with the target in its name's place; of its additional records only OPT, and
    /// that without options: they were meant for another question.
    pub fn question(&self, query: &Query<'_>) -> Vec<u8> {
        let mut wire = query.wire()[..HEADER].to_vec();
        wire[4..HEADER].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, u8::from(query.edns.is_some())]);
        wire.extend_from_slice(self.target.wire());
        wire.extend_from_slice(&query.qtype.to_be_bytes());
        wire.extend_from_slice(&query.qclass.to_be_bytes());
        if let Some(edns) = query.edns {
            wire.extend_from_slice(&[0, 0, rtype::OPT as u8]);
            wire.extend_from_slice(&edns.size.to_be_bytes());
            wire.extend_from_slice(&[0, 0, if edns.dnssec_ok { 0x80 } else { 0 }, 0, 0, 0]);
        }
        wire
    }

    /// Whether the target is to be asked for: a query for the alias itself has its answer.
    pub fn leads_on(&self, query: &Query<'_>) -> bool {
        !matches!(query.qtype, rtype::CNAME | rtype::ANY) && !query.has_tsig
    }

    /// The CNAME record, and behind it what `target` answered, if it was asked.
    pub fn compose(&self, query: &Query<'_>, target: Option<&[u8]>, size: usize) -> Vec<u8> {
        let mut out = vec![0; size.max(512)];
        let extended = self.extended.map(|code| ExtendedError { code, text: "" });
        let read = target.map(Reply::read);
        let length = match read {
            Some(None) => answer::error(query, rcode::SERVFAIL, extended, size, &mut out),
            read => self.write(query, read.flatten().as_ref(), extended, size, &mut out),
        };
        out.truncate(length);
        out
    }

    fn write(
        &self,
        query: &Query<'_>,
        target: Option<&Reply<'_>>,
        extended: Option<ExtendedError>,
        size: usize,
        out: &mut [u8],
    ) -> usize {
        let mut writer = Writer::new(query, size, extended, out);
        let mut fits = self.before.iter().all(|(name, ttl, target)| {
            writer.record(Owner::Name(name), rtype::CNAME, *ttl, target.wire())
        });
        let owner = self.before.last().map_or(QUESTION, |(_, _, target)| Owner::Name(target));
        fits &= writer.record(owner, rtype::CNAME, self.ttl, self.target.wire());
        let Some(reply) = target else { return writer.finish(rcode::NOERROR) };
        writer.set_flag(reply.flags() & (bits::RA | bits::TC));
        for record in reply.records.iter().filter(|record| record.section < 2) {
            writer.section(if record.section == 0 { Section::Answer } else { Section::Authority });
            fits &= reply.copy(record, &mut writer);
        }
        if !fits {
            writer.set_flag(bits::TC);
        }
        writer.finish(reply.rcode())
    }
}

/// The name that a CNAME record with a wildcard as its target leads to: the whole name in the
/// asterisk's place. None where it would be too long.
pub fn in_wildcard(target: &NameRef, name: &NameRef) -> Option<Name> {
    let suffix = target.parent()?.wire();
    let own = name.wire().split_last()?.1;
    Name::parse(&[own, suffix].concat()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::reply::tests::{A, OPT, reply};

    fn name(text: &str) -> Name {
        Name::from_text(text, None).unwrap()
    }

    #[test]
    fn the_targets_answer_stands_behind_the_alias() {
        let before = vec![(name("x.test."), 60, name("y.test."))];
        let alias = Alias { target: name("www.example."), ttl: 5, extended: Some(4), before };
        let mut asked = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\x01\x01x\x04test\0\0\x01\0\x01".to_vec();
        asked.extend_from_slice(b"\0\0\x29\x04\xd0\0\0\x80\0\0\x05\0\x03\0\x01x");
        let query = Query::parse(&asked).ok().unwrap();
        let onward = alias.question(&query);
        let target = Query::parse(&onward).ok().unwrap();
        assert_eq!((target.name(), target.qtype), (&*alias.target, 1));
        assert_eq!((target.edns, target.id()), (query.edns, 0x1234));
        let wire = reply(0x8180, [1, 0, 1], &[A, OPT]);
        let whole = alias.compose(&query, Some(&wire), 512);
        let read = Reply::read(&whole).unwrap();
        assert_eq!(read.question(), query.question());
        let types: Vec<u16> = read.records.iter().map(|record| record.rtype).collect();
        assert_eq!(types, [rtype::CNAME, rtype::CNAME, rtype::A]);
        assert_eq!(read.extended_error(), Some(&[0, 4][..]));
        let nonsense = alias.compose(&query, Some(&wire[..20]), 512);
        assert_eq!(Reply::read(&nonsense).unwrap().rcode(), rcode::SERVFAIL);
    }

    #[test]
    fn a_wildcard_takes_the_whole_name() {
        let found = in_wildcard(&name("*.garden.test."), &name("bad.example.")).unwrap();
        assert_eq!(found, name("bad.example.garden.test."));
        let long = name(&"abcdefghi.".repeat(25));
        assert!(in_wildcard(&name("*.garden.test."), &long).is_none());
    }
}
