//! From a name to the NSEC3 record that matches or covers it.

use crate::answer::denial::NameBuf;
use crate::dnssec::nsec3_hash;
use crate::name::NameRef;
use crate::rdata::rtype;
use crate::zone::{Node, Zone};

/// Beyond this a query costs too much; validators treat such zones as insecure or bogus long
/// before (RFC 9276 section 3.2), so the proofs are left out.
const MOST_ITERATIONS: u16 = 500;

/// What an NSEC3PARAM record says (RFC 5155 section 4).
#[derive(Clone, Copy)]
pub struct Parameters<'z> {
    iterations: u16,
    salt: &'z [u8],
}

impl<'z> Parameters<'z> {
    pub fn of(zone: &'z Zone) -> Option<Self> {
        let chain = zone.apex().rrset(rtype::NSEC3PARAM)?;
        chain.rdatas().find_map(|rdata| {
            let (&[algorithm, flags, high, low, length], salt) = rdata.split_first_chunk()?;
            let iterations = u16::from_be_bytes([high, low]);
            let usable = algorithm == 1
                && flags == 0
                && iterations <= MOST_ITERATIONS
                && salt.len() == usize::from(length);
            usable.then_some(Self { iterations, salt })
        })
    }

    pub fn matching(&self, zone: &'z Zone, name: &NameRef) -> Option<&'z Node> {
        let mut owner = NameBuf::new();
        self.owner(zone, name, &mut owner)?;
        zone.nsec3_match(owner.name())
    }

    pub fn covering(&self, zone: &'z Zone, name: &NameRef) -> Option<&'z Node> {
        let mut owner = NameBuf::new();
        self.owner(zone, name, &mut owner)?;
        zone.nsec3_covering(owner.name())
    }

    fn owner(&self, zone: &Zone, name: &NameRef, owner: &mut NameBuf) -> Option<()> {
        let mut label = [0u8; 33];
        label[0] = 32;
        base32hex(&nsec3_hash(name, self.iterations, self.salt), &mut label[1..]);
        owner.join(&label, zone.origin()).then_some(())
    }
}

/// RFC 4648 section 7: five octets become eight characters; lower case, as names here are.
fn base32hex(octets: &[u8; 20], out: &mut [u8]) {
    for (group, text) in octets.chunks_exact(5).zip(out.chunks_exact_mut(8)) {
        let number = group.iter().fold(0u64, |sum, &octet| sum << 8 | u64::from(octet));
        for (index, character) in text.iter_mut().enumerate() {
            let digit = (number >> (35 - index * 5)) as u8 & 31;
            *character = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Name;

    #[test]
    fn owners_are_those_of_rfc_5155_appendix_a() {
        for (name, expected) in [
            ("example.", b"0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"),
            ("*.w.example.", b"r53bq7cc2uvmubfu5ocmm6pers9tk9en"),
        ] {
            let mut text = [0u8; 32];
            let name = Name::from_text(name, None).unwrap();
            base32hex(&nsec3_hash(&name, 12, b"\xaa\xbb\xcc\xdd"), &mut text);
            assert_eq!(&text, expected);
        }
    }
}
