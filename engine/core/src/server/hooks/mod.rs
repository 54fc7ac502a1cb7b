//! Stages that change replies on their way back: *minimal*, *header*, *nsid*, *loadbalance*.

mod shuffle;

use crate::query::{bits, rcode};
use crate::rdata::rtype;
use crate::server::chain::{Exchange, Stage};
use crate::server::opt;
use crate::server::reply::Reply;
use crate::server::rules::Guard;

pub use shuffle::Shuffle;

/// *minimal*: the answer without what is beside it. Proofs stay: without them a validator
/// would not believe the answer (RFC 4035 section 3.1.3.3).
pub struct Minimal;

impl Stage for Minimal {
    fn leave(&self, exchange: &Exchange<'_>, reply: &mut Vec<u8>) {
        if let Some(smaller) = minimal(reply, exchange.query.qtype) {
            *reply = smaller;
        }
    }

    fn has_leave(&self) -> bool {
        true
    }
}

/// None where all of it is needed: denials, referrals, errors.
fn minimal(wire: &[u8], qtype: u16) -> Option<Vec<u8>> {
    let reply = Reply::read(wire)?;
    let [answers, authority, additional] = reply.counts();
    if reply.rcode() != rcode::NOERROR || answers == 0 || authority + additional == 0 {
        return None;
    }
    // RFC 2308 section 2.2: what an alias leads to can lack the type, and its SOA says so.
    if qtype != rtype::ANY && !reply.has(0, qtype) && reply.has(1, rtype::SOA) {
        return None;
    }
    let is_proof = |rtype: u16| matches!(rtype, rtype::NSEC | rtype::NSEC3);
    let proves = reply.records.iter().any(|record| record.section == 1 && is_proof(record.rtype));
    let last = u8::from(proves);
    let end = reply.records.iter().rfind(|record| record.section <= last)?.rdata().end;
    let mut smaller = wire[..end].to_vec();
    if let Some(opt) = &reply.opt {
        smaller.extend_from_slice(&wire[opt.options.start - opt::FIXED..opt.options.end]);
    }
    let authority = if proves { authority } else { 0 };
    smaller[8..10].copy_from_slice(&authority.to_be_bytes());
    smaller[10..12].copy_from_slice(&u16::from(reply.opt.is_some()).to_be_bytes());
    Some(smaller)
}

/// *header*: bits of the reply's header. The answers of zones that are signed here pass as
/// they are.
pub struct Header {
    pub set: u16,
    pub clear: u16,
    pub guard: Guard,
}

/// Bits that may be changed.
pub const CHANGEABLE: u16 = bits::AA | bits::RA | bits::RD;

impl Stage for Header {
    fn leave(&self, exchange: &Exchange<'_>, reply: &mut Vec<u8>) {
        if self.guard.is_signed(exchange.query) {
            return;
        }
        if let Some(octets) = reply.get_mut(2..4) {
            let flags = u16::from_be_bytes([octets[0], octets[1]]);
            octets.copy_from_slice(&(flags & !self.clear | self.set).to_be_bytes());
        }
    }

    fn has_leave(&self) -> bool {
        true
    }
}

/// *nsid*: who answers, for those who ask (RFC 5001).
pub struct Nsid {
    pub data: Box<[u8]>,
}

const NSID: u16 = 3;

impl Stage for Nsid {
    fn leave(&self, exchange: &Exchange<'_>, reply: &mut Vec<u8>) {
        self.add(exchange.size, reply);
    }

    fn has_leave(&self) -> bool {
        true
    }

    fn wants_leave(&self, exchange: &Exchange<'_>) -> bool {
        exchange.query.has_option(NSID)
    }
}

impl Nsid {
    /// Behind the options that are there; where there is no room, the answer counts more.
    fn add(&self, size: usize, wire: &mut Vec<u8>) {
        let options = Reply::read(wire).and_then(|reply| reply.opt).map(|opt| opt.options);
        let Some(options) = options else { return };
        let length = options.len() + 4 + self.data.len();
        if options.end != wire.len() || wire.len() + 4 + self.data.len() > size {
            return;
        }
        wire.extend_from_slice(&NSID.to_be_bytes());
        wire.extend_from_slice(&(self.data.len() as u16).to_be_bytes());
        wire.extend_from_slice(&self.data);
        wire[options.start - 2..options.start].copy_from_slice(&(length as u16).to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::reply::tests::{A, OPT, reply};

    const CNAME: &[u8] = b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x02\xc0\x10";
    const SOA: &[u8] = b"\xc0\x10\x00\x06\x00\x01\x00\x00\x00\x3c\x00\x16\x00\x00\
        \x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x04\x00\x00\x00\x05";
    const NSEC: &[u8] = b"\xc0\x0c\x00\x2f\x00\x01\x00\x00\x00\x3c\x00\x04\x00\x00\x01\x40";

    #[test]
    fn what_is_beside_an_answer_goes_but_for_proofs() {
        let cases = [
            ("additional", reply(0x8180, [1, 1, 2], &[A, A, A, OPT]), Some([1, 0, 1])),
            ("without EDNS", reply(0x8180, [2, 0, 1], &[A, A, A]), Some([2, 0, 0])),
            ("a proof", reply(0x8180, [1, 2, 2], &[A, A, NSEC, A, OPT]), Some([1, 2, 1])),
            ("nothing beside", reply(0x8180, [1, 0, 1], &[A, OPT]), None),
            ("an alias", reply(0x8180, [2, 1, 1], &[CNAME, A, A, OPT]), Some([2, 0, 1])),
            ("an alias to a denial", reply(0x8180, [1, 1, 1], &[CNAME, SOA, OPT]), None),
            ("an answer with an SOA", reply(0x8180, [1, 1, 1], &[A, SOA, OPT]), Some([1, 0, 1])),
            ("a referral", reply(0x8180, [0, 1, 1], &[A, A]), None),
            ("an error", reply(0x8183, [1, 1, 0], &[A, A]), None),
        ];
        for (what, wire, expected) in cases {
            let smaller = minimal(&wire, rtype::A);
            let counts = smaller.map(|wire| {
                let read = Reply::read(&wire).unwrap();
                let [answers, authority, others] = read.counts();
                [answers, authority, others + u16::from(read.opt.is_some())]
            });
            assert_eq!(counts, expected, "{what}");
        }
    }

    #[test]
    fn an_identifier_stands_behind_the_options_that_are_there() {
        let nsid = Nsid { data: b"ns1"[..].into() };
        let mut wire = reply(0x8180, [1, 0, 1], &[A, OPT]);
        nsid.add(512, &mut wire);
        assert!(wire.ends_with(b"\x00\x0d\x00\x0f\x00\x02\x00\x16\x00\x03\x00\x03ns1"));
        assert!(Reply::read(&wire).unwrap().extended_error().is_some());
        let whole = wire.clone();
        nsid.add(whole.len() + 6, &mut wire);
        assert_eq!(wire, whole, "no room");
        let mut plain = reply(0x8180, [1, 0, 0], &[A]);
        nsid.add(512, &mut plain);
        assert_eq!(plain, reply(0x8180, [1, 0, 0], &[A]), "no EDNS");
    }
}
