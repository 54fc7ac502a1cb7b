//! What goes to an upstream, what comes back, and what the client gets of it. Pure.

use crate::answer::UDP_SIZE;
use crate::name::NameRef;
use crate::query::{HEADER, Query, bits, class, rcode};
use crate::server::forward::random::Random;
use crate::server::opt;
use crate::server::reply::Reply;

/// A question as it is put to an upstream. All that the client said beyond it stays here, but
/// for the bits that change what an answer is: RD, AD, CD and DO.
pub struct Asked {
    wire: Vec<u8>,
    name_end: usize,
}

/// What a message that came to where a reply was awaited is.
pub enum Verdict<'a> {
    /// The reply.
    Reply(Reply<'a>),
    /// The reply, but its question has not the case of letters that was sent.
    OtherCase(Reply<'a>),
    /// From somebody who knows the question's ID and name, and can't be read.
    Malformed,
    /// From somebody who does not know what was asked.
    Foreign,
}

impl Asked {
    /// EDNS if the client has it, with the size that we take.
    pub fn new(query: &Query<'_>) -> Self {
        let name = query.name().wire();
        let mut wire = Vec::with_capacity(HEADER + name.len() + 4 + 11);
        let flags = query.flags() & (bits::RD | bits::AD | bits::CD);
        let additional = u16::from(query.edns.is_some());
        for word in [0, flags, 1, 0, 0, additional] {
            wire.extend_from_slice(&word.to_be_bytes());
        }
        wire.extend_from_slice(name);
        let name_end = wire.len();
        wire.extend_from_slice(&query.qtype.to_be_bytes());
        wire.extend_from_slice(&query.qclass.to_be_bytes());
        if let Some(edns) = query.edns {
            let [high, low] = (UDP_SIZE as u16).to_be_bytes();
            let dnssec_ok = if edns.dnssec_ok { 0x80 } else { 0 };
            wire.extend_from_slice(&[0, 0, 41, high, low, 0, 0, dnssec_ok, 0, 0, 0]);
        }
        Self { wire, name_end }
    }

    /// A question of our own, without EDNS.
    pub fn ours(name: &NameRef, rtype: u16, recursion_desired: bool) -> Self {
        let mut wire = vec![];
        let flags = if recursion_desired { bits::RD } else { 0 };
        for word in [0, flags, 1, 0, 0, 0] {
            wire.extend_from_slice(&word.to_be_bytes());
        }
        wire.extend_from_slice(name.wire());
        let name_end = wire.len();
        wire.extend_from_slice(&rtype.to_be_bytes());
        wire.extend_from_slice(&class::IN.to_be_bytes());
        Self { wire, name_end }
    }

    pub fn wire(&self) -> &[u8] {
        &self.wire
    }

    /// The same question to the same effect, whatever the ID and the case of letters.
    pub fn is_same(&self, other: &Self) -> bool {
        self.name_end == other.name_end
            && self.wire[2..HEADER] == other.wire[2..HEADER]
            && self.wire[self.name_end..] == other.wire[other.name_end..]
            && self.name().eq_ignore_ascii_case(other.name())
    }

    /// What `is_same` compares, as octets to hash; of a question that has yet to be disguised.
    pub fn essence(&self) -> &[u8] {
        &self.wire[2..]
    }

    pub fn name(&self) -> &[u8] {
        &self.wire[HEADER..self.name_end]
    }

    pub fn set_id(&mut self, id: u16) {
        self.wire[..2].copy_from_slice(&id.to_be_bytes());
    }

    /// Letters of either case as chance has it: what an off-path forger has to guess beside ID
    /// and port (draft-vixie-dnsext-dns0x20).
    pub fn mix_case(&mut self, random: &mut Random) {
        let mut chance = 0;
        for (index, octet) in self.wire[HEADER..self.name_end].iter_mut().enumerate() {
            if index % 64 == 0 {
                chance = random.long();
            }
            // A label's length is no letter: it is at most 63.
            if octet.is_ascii_alphabetic() {
                *octet = *octet & !0x20 | if chance & 1 == 0 { 0x20 } else { 0 };
            }
            chance >>= 1;
        }
    }

    pub fn lower_case(&mut self) {
        self.wire[HEADER..self.name_end].make_ascii_lowercase();
    }

    /// RFC 5452 section 9.1: ID and question have to be those that were sent. Address and port
    /// are what the connected socket lets through.
    pub fn judge<'a>(&self, wire: &'a [u8]) -> Verdict<'a> {
        if wire.len() < HEADER || wire[..2] != self.wire[..2] {
            return Verdict::Foreign;
        }
        let question = &self.wire[HEADER..self.name_end + 4];
        let theirs = wire.get(HEADER..self.name_end + 4).unwrap_or(&[]);
        let is_exact = theirs == question;
        let letters = self.name_end - HEADER;
        let is_alike = theirs.len() == question.len()
            && theirs[..letters].eq_ignore_ascii_case(&question[..letters])
            && theirs[letters..] == question[letters..];
        match Reply::read(wire) {
            Some(reply) if is_exact => Verdict::Reply(reply),
            Some(reply) if is_alike => Verdict::OtherCase(reply),
            None if is_alike => Verdict::Malformed,
            // An upstream that can't read a query may send back a header alone.
            None if wire.len() == HEADER && wire[2] & 0x80 != 0 => Verdict::Malformed,
            _ => Verdict::Foreign,
        }
    }
}

/// The upstream's reply as this client gets it: under its ID, with its spelling of the name, and
/// an OPT record of ours if it has EDNS. It may be longer than the client takes.
pub fn for_client(reply: &Reply<'_>, query: &Query<'_>) -> Vec<u8> {
    let error = reply.extended_error().filter(|error| error.len() <= 256);
    let mut wire = Vec::with_capacity(reply.end + 32 + error.map_or(0, <[u8]>::len));
    wire.extend_from_slice(&query.id().to_be_bytes());
    wire.extend_from_slice(&reply.wire()[2..6]);
    reply.counts().iter().for_each(|count| wire.extend_from_slice(&count.to_be_bytes()));
    wire.extend_from_slice(query.question());
    wire.extend_from_slice(&reply.wire()[HEADER + reply.question().len()..reply.end]);
    let high = reply.opt.as_ref().map_or(0, |opt| opt.high_rcode);
    if high != 0 && query.edns.is_none() {
        // What is left of the rcode would say something else.
        wire[3] = wire[3] & !(bits::RCODE as u8) | rcode::SERVFAIL as u8;
    }
    if let Some(edns) = query.edns {
        wire.resize(wire.len() + opt::length(error), 0);
        opt::write(&mut wire, high, edns.dnssec_ok, error);
    }
    wire
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::reply::tests::{A, OPT, reply};

    const CLIENT: &[u8] = b"\xab\xcd\x01\x30\x00\x01\x00\x00\x00\x00\x00\x01\
        \x03wWw\x07eXample\x00\x00\x01\x00\x01\x00\x00\x29\x10\x00\x00\x00\x80\x00\x00\x08\
        \x00\x0a\x00\x04abcd";

    fn asked() -> Asked {
        let mut asked = Asked::new(&Query::parse(CLIENT).ok().unwrap());
        asked.set_id(0x1234);
        asked
    }

    #[test]
    fn the_dnssec_bits_go_on_and_the_clients_options_stay() {
        let asked = asked();
        let query = Query::parse(asked.wire()).ok().unwrap();
        assert_eq!(query.flags(), 0x0130);
        assert!(query.dnssec_ok());
        assert_eq!(query.edns.unwrap().size, 1232);
        assert!(!asked.wire().windows(4).any(|piece| piece == b"abcd"));
    }

    #[test]
    fn case_is_chance_and_a_question_stays_the_same() {
        let mut random = Random::default();
        let (plain, mut mixed) = (asked(), asked());
        let mut seen = std::collections::HashSet::new();
        for _ in 0..64 {
            mixed.mix_case(&mut random);
            assert!(mixed.is_same(&plain));
            seen.insert(mixed.name().to_vec());
        }
        // Ten letters: that 64 draws give fewer than four spellings is one in 2^500.
        assert!(seen.len() > 3);
        mixed.lower_case();
        assert_eq!(mixed.wire(), plain.wire());
    }

    #[test]
    fn only_who_knows_id_and_question_is_heard() {
        let asked = asked();
        let good = reply(0x8180, [1, 0, 1], &[A, OPT]);
        let verdict = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut wire = good.clone();
            change(&mut wire);
            match asked.judge(&wire) {
                Verdict::Reply(_) => "reply",
                Verdict::OtherCase(_) => "case",
                Verdict::Malformed => "malformed",
                Verdict::Foreign => "foreign",
            }
        };
        assert_eq!(verdict(&|_| {}), "reply");
        assert_eq!(verdict(&|wire| wire[1] ^= 1), "foreign");
        assert_eq!(verdict(&|wire| wire[13] = b'W'), "case");
        assert_eq!(verdict(&|wire| wire[13] = b'v'), "foreign");
        assert_eq!(verdict(&|wire| wire[26] = 28), "foreign");
        assert_eq!(verdict(&|wire| wire[28] = 3), "foreign");
        assert_eq!(verdict(&|wire| wire.truncate(40)), "malformed");
        assert_eq!(verdict(&|wire| wire.truncate(12)), "malformed");
        assert_eq!(verdict(&|wire| wire.truncate(11)), "foreign");
        assert_eq!(verdict(&|wire| wire[2] &= 0x7f), "malformed");
    }

    #[test]
    fn a_client_sees_its_own_id_spelling_and_edns() {
        let wire = reply(0x81a0, [1, 0, 1], &[A, OPT]);
        let read = Reply::read(&wire).unwrap();
        let query = Query::parse(CLIENT).ok().unwrap();
        let sent = for_client(&read, &query);
        assert_eq!(&sent[..4], b"\xab\xcd\x81\xa0");
        let again = Reply::read(&sent).unwrap();
        assert_eq!(again.question(), query.question());
        assert_eq!(again.counts(), [1, 0, 0]);
        assert_eq!(again.extended_error(), Some(&[0, 22][..]));

        let plain = [&CLIENT[..11], b"\0", &CLIENT[12..29]].concat();
        let plain = Query::parse(&plain).ok().unwrap();
        let sent = for_client(&read, &plain);
        assert!(Reply::read(&sent).unwrap().opt.is_none());

        let bad_version = b"\0\0\x29\x04\xd0\x01\0\0\0\0\0";
        let wire = reply(0x8180, [0, 0, 1], &[bad_version]);
        let read = Reply::read(&wire).unwrap();
        assert_eq!(read.rcode(), rcode::BADVERS);
        let sent = for_client(&read, &plain);
        assert_eq!(Reply::read(&sent).unwrap().rcode(), rcode::SERVFAIL);
    }
}
