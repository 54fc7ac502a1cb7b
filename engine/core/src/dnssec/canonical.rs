//! What is signed and what is hashed: canonical octets.

use aws_lc_rs::digest;

use crate::error::{Error, Result};
use crate::name::{MAX_NAME, Name, NameRef};
use crate::rdata;

const CLASS_IN: [u8; 2] = [0, 1];

/// Octets of RRSIG rdata before the signer's name.
const RRSIG_FIXED: usize = 18;

/// RRSIG rdata, taken apart (RFC 4034 section 3.1).
#[derive(Clone, Copy, Debug)]
pub struct Rrsig<'a> {
    pub covered: u16,
    pub algorithm: u8,
    pub labels: u8,
    pub original_ttl: u32,
    pub expiration: u32,
    pub inception: u32,
    pub tag: u16,
    pub signer: &'a NameRef,
    pub signature: &'a [u8],
    /// All before the signature.
    head: &'a [u8],
}

impl<'a> Rrsig<'a> {
    pub fn parse(rdata: &'a [u8]) -> Option<Self> {
        let fixed = rdata.first_chunk::<RRSIG_FIXED>()?;
        let number = |at: usize| {
            u32::from_be_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]])
        };
        let signer = NameRef::prefix(&rdata[RRSIG_FIXED..])?;
        let (head, signature) = rdata.split_at(RRSIG_FIXED + signer.wire().len());
        Some(Self {
            covered: u16::from_be_bytes([fixed[0], fixed[1]]),
            algorithm: fixed[2],
            labels: fixed[3],
            original_ttl: number(4),
            expiration: number(8),
            inception: number(12),
            tag: u16::from_be_bytes([fixed[16], fixed[17]]),
            signer,
            signature,
            head,
        })
    }
}

/// RRSIG rdata up to the signature: what is signed first, and kept.
#[derive(Clone, Copy, Debug)]
pub struct RrsigHead<'a> {
    pub covered: u16,
    pub algorithm: u8,
    pub labels: u8,
    pub original_ttl: u32,
    pub expiration: u32,
    pub inception: u32,
    pub tag: u16,
    /// Lower-cased.
    pub signer: &'a NameRef,
}

impl RrsigHead<'_> {
    pub fn to_wire(&self) -> Vec<u8> {
        let mut wire = Vec::with_capacity(RRSIG_FIXED + self.signer.wire().len());
        wire.extend_from_slice(&self.covered.to_be_bytes());
        wire.push(self.algorithm);
        wire.push(self.labels);
        wire.extend_from_slice(&self.original_ttl.to_be_bytes());
        wire.extend_from_slice(&self.expiration.to_be_bytes());
        wire.extend_from_slice(&self.inception.to_be_bytes());
        wire.extend_from_slice(&self.tag.to_be_bytes());
        wire.extend_from_slice(self.signer.wire());
        wire
    }
}

/// The message that an RRSIG signs (RFC 4034 section 3.1.8.1): its own rdata without the
/// signature, then the RRset in canonical form with the original TTL; under the wildcard
/// where the RRSIG has fewer labels than the owner (RFC 4035 section 5.3.2). `owner`
/// lower-cased, `rdatas` in canonical order. None when the RRSIG has more labels.
pub fn signed_data<'a>(
    rrsig: &Rrsig<'_>,
    owner: &NameRef,
    rdatas: impl Iterator<Item = &'a [u8]>,
) -> Option<Vec<u8>> {
    let mut message = rrsig.head.to_vec();
    // RFC 6840 section 5.1: the signer's name is lower-cased in what is signed.
    message[RRSIG_FIXED..].make_ascii_lowercase();
    let surplus = owner.rrsig_labels().checked_sub(rrsig.labels)?;
    if surplus == 0 {
        push_rrset(&mut message, owner, rrsig.covered, rrsig.original_ttl, rdatas);
        return Some(message);
    }
    let encloser =
        owner.ancestors().nth(usize::from(surplus) + usize::from(owner.is_wildcard()))?;
    let wildcard = Name::wildcard_of(encloser)?;
    push_rrset(&mut message, &wildcard, rrsig.covered, rrsig.original_ttl, rdatas);
    Some(message)
}

/// Append an RRset in canonical form (RFC 4034 sections 6.2 and 6.3). `owner` lower-cased,
/// `rdatas` in canonical order.
pub fn push_rrset<'a>(
    out: &mut Vec<u8>,
    owner: &NameRef,
    rtype: u16,
    ttl: u32,
    rdatas: impl Iterator<Item = &'a [u8]>,
) {
    for rdata in rdatas {
        let rdata = rdata::canonical(rtype, rdata);
        out.extend_from_slice(owner.wire());
        out.extend_from_slice(&rtype.to_be_bytes());
        out.extend_from_slice(&CLASS_IN);
        out.extend_from_slice(&ttl.to_be_bytes());
        out.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
        out.extend_from_slice(&rdata);
    }
}

/// DS rdata for a DNSKEY (RFC 4034 section 5.1.4, RFC 4509, RFC 6605). Raises "key" for a
/// digest type other than 1, 2 and 4 and for rdata that is too short.
pub fn ds_digest(owner: &NameRef, dnskey: &[u8], digest_type: u8) -> Result<Vec<u8>> {
    let hash = match digest_type {
        1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        2 => &digest::SHA256,
        4 => &digest::SHA384,
        _ => {
            return Err(Error::new(
                "key",
                format!("DS digest type {digest_type} is not 1, 2 or 4"),
            ));
        }
    };
    let Some(&algorithm) = dnskey.get(3) else {
        return Err(Error::new("key", "DNSKEY: rdata is too short"));
    };
    let mut context = digest::Context::new(hash);
    context.update(owner.to_lower().wire());
    context.update(dnskey);
    let tag = super::key::key_tag(dnskey).to_be_bytes();
    Ok([&tag[..], &[algorithm, digest_type], context.finish().as_ref()].concat())
}

/// Octets of an NSEC3 hash: SHA-1 is the one algorithm there is (RFC 5155 section 11).
pub const NSEC3_HASH: usize = 20;

/// RFC 5155 section 5.
pub fn nsec3_hash(name: &NameRef, iterations: u16, salt: &[u8]) -> [u8; NSEC3_HASH] {
    let once = |octets: &[u8]| {
        let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
        context.update(octets);
        context.update(salt);
        let mut hash = [0; NSEC3_HASH];
        hash.copy_from_slice(context.finish().as_ref());
        hash
    };
    // On the stack: a negative answer hashes three names.
    let mut lower = [0; MAX_NAME];
    let lower = &mut lower[..name.wire().len()];
    lower.copy_from_slice(name.wire());
    lower.make_ascii_lowercase();
    (0..iterations).fold(once(lower), |hash, _| once(&hash))
}
