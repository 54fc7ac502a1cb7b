//! *loadbalance*: the records of an answer in an order of chance.

use std::cell::RefCell;
use std::net::IpAddr;
use std::ops::Range;

use crate::query::{Query, rcode};
use crate::rdata::{self, rtype};
use crate::server::chain::{Exchange, Stage};
use crate::server::config::Network;
use crate::server::forward::random::Random;
use crate::server::rebuild::rebuilt;
use crate::server::reply::{Record, Reply};

pub struct Shuffle {
    /// Addresses in one of them come first.
    pub prefer: Vec<Network>,
}

thread_local! {
    static RANDOM: RefCell<Random> = RefCell::default();
}

fn shuffle<T>(items: &mut [T]) {
    RANDOM.with_borrow_mut(|random| {
        for index in (1..items.len()).rev() {
            items.swap(index, random.below(index + 1));
        }
    });
}

impl Stage for Shuffle {
    fn leave(&self, exchange: &Exchange<'_>, wire: &mut Vec<u8>) {
        let Some(reply) = Reply::read(wire) else { return };
        if reply.rcode() != rcode::NOERROR || reply.records.len() < 2 {
            return;
        }
        let addresses = rrsets(&reply, &[rtype::A, rtype::AAAA]);
        let exchangers = rrsets(&reply, &[rtype::MX]);
        let in_other_order = match exchangers.is_empty() {
            true => None,
            // Larger than before, it might not fit any more.
            false => in_order_of_chance(exchange.query, &reply, &exchangers)
                .filter(|other| other.len() <= exchange.size.max(wire.len())),
        };
        match in_other_order {
            // Its addresses were not looked at: their places are others now.
            Some(other) => {
                *wire = other;
                let addresses = Reply::read(wire).map(|r| rrsets(&r, &[rtype::A, rtype::AAAA]));
                self.exchange_addresses(&addresses.unwrap_or_default(), wire);
            }
            None => self.exchange_addresses(&addresses, wire),
        }
    }

    fn has_leave(&self) -> bool {
        true
    }
}

/// RRsets of several records: the places of their rdata, and of the first record.
struct Rrset {
    first: usize,
    rdata: Vec<Range<usize>>,
}

fn rrsets(reply: &Reply<'_>, types: &[u16]) -> Vec<Rrset> {
    let owner = |record: &Record| {
        let mut name = Vec::with_capacity(64);
        let read = rdata::expand_name(reply.wire(), record.start(), &mut name);
        name.make_ascii_lowercase();
        read.ok().map(|_| name)
    };
    let mut found: Vec<Rrset> = vec![];
    let mut open: Option<(&Record, Vec<u8>)> = None;
    for (index, record) in reply.records.iter().enumerate() {
        if !types.contains(&record.rtype) {
            open = None;
            continue;
        }
        let Some(name) = owner(record) else { return vec![] };
        let goes_on = open.as_ref().is_some_and(|(before, owner)| {
            (before.section, before.rtype, owner) == (record.section, record.rtype, &name)
        });
        match found.last_mut() {
            Some(rrset) if goes_on => rrset.rdata.push(record.rdata()),
            _ => found.push(Rrset { first: index, rdata: vec![record.rdata()] }),
        }
        open = Some((record, name));
    }
    found.retain(|rrset| rrset.rdata.len() > 1);
    found
}

impl Shuffle {
    /// Addresses hold no names: they can change places where they are.
    fn exchange_addresses(&self, rrsets: &[Rrset], wire: &mut [u8]) {
        for Rrset { rdata, .. } in rrsets {
            let length = rdata[0].len();
            if rdata.iter().any(|range| range.len() != length) {
                continue;
            }
            let mut all: Vec<_> = rdata.iter().map(|range| wire[range.clone()].to_vec()).collect();
            shuffle(&mut all);
            if !self.prefer.is_empty() {
                all.sort_by_key(|octets| !self.is_preferred(octets));
            }
            for (range, octets) in rdata.iter().zip(all) {
                wire[range.clone()].copy_from_slice(&octets);
            }
        }
    }

    fn is_preferred(&self, octets: &[u8]) -> bool {
        let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
        let address = v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from));
        address.is_ok_and(|address| self.prefer.iter().any(|one| one.contains(address)))
    }
}

/// The message anew, RRsets of other types as they are: names in rdata are compressed, so that
/// their records can't change places. None if there is a record that can't be read.
fn in_order_of_chance(query: &Query<'_>, reply: &Reply<'_>, rrsets: &[Rrset]) -> Option<Vec<u8>> {
    let mut order: Vec<usize> = (0..reply.records.len()).collect();
    for rrset in rrsets {
        shuffle(&mut order[rrset.first..rrset.first + rrset.rdata.len()]);
    }
    rebuilt(query, reply, order.into_iter().map(|index| reply.whole(&reply.records[index])))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::query::HEADER;
    use crate::server::reply::tests::{A, OPT, QUESTION, reply};

    const MX: &[u8] = b"\xc0\x0c\x00\x0f\x00\x01\x00\x00\x00\x3c\x00\x08\x00\x0a\x03mx1\xc0\x10";
    const OTHER_MX: &[u8] =
        b"\xc0\x0c\x00\x0f\x00\x01\x00\x00\x00\x3c\x00\x08\x00\x14\x03mx2\xc0\x2b";

    fn question() -> Vec<u8> {
        let mut wire = vec![0; HEADER];
        wire[5] = 1;
        wire.extend_from_slice(QUESTION);
        wire
    }

    proptest! {
        #[test]
        fn whatever_comes_is_left_alone_or_becomes_a_reply_of_as_many_records(
            at in 0usize..120, octet: u8, cut in 0usize..20, behind: bool,
        ) {
            let parts: &[&[u8]] =
                if behind { &[MX, OTHER_MX, A, OPT, A] } else { &[MX, OTHER_MX, A, A, OPT] };
            let mut wire = reply(0x8180, [2, 0, 3], parts);
            if let Some(place) = wire.get_mut(at) {
                *place = octet;
            }
            wire.truncate(wire.len() - cut);
            let asked = question();
            let query = Query::parse(&asked).ok().unwrap();
            if let Some(read) = Reply::read(&wire) {
                let other = in_order_of_chance(&query, &read, &rrsets(&read, &[rtype::MX]));
                if let Some(mut other) = other {
                    let again = Reply::read(&other).unwrap();
                    prop_assert_eq!(again.counts(), read.counts());
                    prop_assert_eq!(again.opt.is_some(), read.opt.is_some());
                    let addresses = rrsets(&again, &[rtype::A]);
                    Shuffle { prefer: vec![] }.exchange_addresses(&addresses, &mut other);
                }
            }
        }
    }
}
