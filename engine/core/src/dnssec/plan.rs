//! What a signed version shall be: keys and their roles, denial, times.

use std::sync::Arc;

use super::chain::Denial;
use super::key::SigningKey;
use crate::error::{Error, Result};
use crate::name::{Name, NameRef};
use crate::zone::diff::is_key_set;

/// What a key signs: a KSK the apex key sets, a ZSK the rest, a CSK both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Role(u32);

impl Role {
    /// RFC 7344 section 4.1: DNSKEY, CDS and CDNSKEY.
    pub const KEYS: Self = Self(1);
    pub const ZONE: Self = Self(2);

    /// None for a number that says nothing, or too much.
    pub fn from_bits(bits: u32) -> Option<Self> {
        (1..=3).contains(&bits).then_some(Self(bits))
    }

    pub fn bits(self) -> u32 {
        self.0
    }

    pub fn includes(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The role that signs an RRset of this type, at the zone's apex or below.
    pub fn for_type(rtype: u16, apex: bool) -> Self {
        if is_key_set(rtype, apex) { Self::KEYS } else { Self::ZONE }
    }
}

/// Which RRsets a pass looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those that changed, and the apex key sets.
    Changes,
    /// Also those with a signature that is due for renewal.
    Expiring,
    /// Every one, and the chain of denial anew.
    All,
}

pub struct SignPlan {
    pub keys: Vec<(Arc<SigningKey>, Role)>,
    /// The DNSKEY RRset's rdata; keys that others sign with may be among them.
    pub dnskeys: Vec<Vec<u8>>,
    pub dnskey_ttl: u32,
    pub cds: Vec<Vec<u8>>,
    pub cdnskeys: Vec<Vec<u8>>,
    pub denial: Denial,
    pub serial: u32,
    /// Unix seconds.
    pub inception: u32,
    pub expiration: u32,
    /// Expirations are spread over so many seconds before `expiration`.
    pub jitter: u32,
    /// A signature that expires earlier is made anew.
    pub refresh_before: u32,
    /// RRsets that keep no signature in any scope; without a type, all of an owner.
    pub resign: Vec<(Name, Option<u16>)>,
    /// 0: one a core.
    pub threads: usize,
}

impl SignPlan {
    /// Raises "plan": a role without a key, times that can't be.
    pub fn check(&self) -> Result<()> {
        let refuse = |why: &str| Err(Error::new("plan", why));
        let played = |role| self.keys.iter().any(|(_, played)| played.includes(role));
        // A zone that is becoming unsigned loses its keys first and its signatures last.
        let no_key_sets = self.dnskeys.is_empty() && self.cds.is_empty();
        let complete = (played(Role::KEYS) || no_key_sets) && played(Role::ZONE);
        if !self.keys.is_empty() && !complete {
            return refuse("no key for one of the roles: the key sets and the zone need one each");
        }
        if self.keys.is_empty() && self.denial != Denial::None {
            return refuse("a denial of existence without keys to sign it");
        }
        if !self.keys.is_empty() && self.denial == Denial::None {
            return refuse("keys without a kind of denial: NSEC or NSEC3");
        }
        if self.expiration <= self.inception {
            return refuse("signatures would expire before their inception");
        }
        if self.jitter >= self.expiration - self.inception {
            return refuse("the jitter is longer than the validity of signatures");
        }
        if self.expiration - self.jitter < self.refresh_before {
            return refuse("new signatures would be due for renewal at once");
        }
        match &self.denial {
            Denial::Nsec3(nsec3) if nsec3.salt.len() > 255 => {
                refuse("an NSEC3 salt of more than 255 octets")
            }
            _ => Ok(()),
        }
    }

    /// Whether an RRset was named to get new signatures.
    pub fn resigns(&self, owner: &NameRef, rtype: u16) -> bool {
        self.resign
            .iter()
            .any(|(name, wanted)| wanted.is_none_or(|wanted| wanted == rtype) && owner.same(name))
    }

    /// Expiration of a signature: the same for the same owner, type and inception, so that
    /// a pass that is repeated gives the same, and spread so that renewals are.
    pub fn expiration_of(&self, owner: &NameRef, rtype: u16) -> u32 {
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        let octets = owner.wire().iter().copied();
        for octet in octets.chain(rtype.to_be_bytes()).chain(self.inception.to_be_bytes()) {
            hash = (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3);
        }
        // FNV-1a leaves the high bits of short input poor: fold and mix once.
        let mixed = (hash ^ hash >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        self.expiration - (mixed % (u64::from(self.jitter) + 1)) as u32
    }
}
