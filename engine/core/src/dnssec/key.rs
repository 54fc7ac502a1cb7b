//! Public keys as DNSKEY records hold them, and private keys that sign.

use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, EcdsaKeyPair, Ed25519KeyPair,
    ParsedPublicKey, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RsaEncoding, RsaKeyPair,
    RsaPublicKeyComponents,
};

use super::algorithm::Algorithm;
use crate::error::{Error, Result};

/// RFC 4034 section 2.1.1: a key that may sign zone data.
pub const ZONE_KEY: u16 = 0x0100;
/// RFC 5011 section 3.
pub const REVOKED: u16 = 0x0080;
/// RFC 4034 section 2.1.1: a key that a DS may point to, by custom.
pub const SECURE_ENTRY_POINT: u16 = 0x0001;

/// Flags, protocol and algorithm come before the key.
const FIXED: usize = 4;

/// RFC 3110 section 2 allows 512 to 4096 bits; below 1024 nothing is trusted any more.
const RSA_MODULUS: std::ops::RangeInclusive<usize> = 128..=512;

/// Verifies what the crypto library here can't (Ed448).
pub trait ForeignVerifier: Send + Sync {
    fn verify(
        &self,
        algorithm: Algorithm,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> bool;
}

static FOREIGN: OnceLock<Box<dyn ForeignVerifier>> = OnceLock::new();

/// The first one set stays.
pub fn set_foreign_verifier(verifier: Box<dyn ForeignVerifier>) {
    FOREIGN.get_or_init(|| verifier);
}

/// RFC 4034 appendix B, over DNSKEY rdata.
pub fn key_tag(dnskey: &[u8]) -> u16 {
    let sum = dnskey.iter().enumerate().fold(0u32, |sum, (at, &octet)| {
        sum.wrapping_add(if at & 1 == 0 { u32::from(octet) << 8 } else { u32::from(octet) })
    });
    (sum.wrapping_add(sum >> 16 & 0xffff) & 0xffff) as u16
}

/// A DNSKEY record's key, parsed once for many verifications.
#[derive(Debug)]
pub struct PublicKey {
    algorithm: Algorithm,
    flags: u16,
    tag: u16,
    dnskey: Box<[u8]>,
    parsed: Option<ParsedPublicKey>,
}

impl PublicKey {
    /// From DNSKEY rdata. Raises "key": too short, an algorithm that is not known here, or a
    /// key that is none of its algorithm.
    pub fn from_dnskey(rdata: &[u8]) -> Result<Self> {
        let refuse = |why: &str| Err(Error::new("key", format!("DNSKEY: {why}")));
        let Some((&[high, low, protocol, number], key)) = rdata.split_first_chunk::<FIXED>() else {
            return refuse("rdata is too short");
        };
        if protocol != 3 {
            return refuse("the protocol field is not 3 (RFC 4034 section 2.1.2)");
        }
        let Some(algorithm) = Algorithm::from_number(number) else {
            return refuse(&format!("algorithm {number} is not supported"));
        };
        if algorithm.public_key_length().is_some_and(|length| length != key.len()) {
            return refuse(&format!("wrong length of a key of algorithm {number}"));
        }
        let broken = || Error::new("key", format!("DNSKEY: no valid key of algorithm {number}"));
        let parsed = match algorithm {
            Algorithm::RsaSha256 | Algorithm::RsaSha512 => {
                let (e, n) = rsa_components(key).ok_or_else(broken)?;
                let params = algorithm.rsa().ok_or_else(broken)?;
                let components = RsaPublicKeyComponents { n, e };
                Some(components.to_parsed_public_key(params).map_err(|_| broken())?)
            }
            Algorithm::EcdsaP256Sha256 => {
                let point = uncompressed(key);
                Some(ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| broken())?)
            }
            Algorithm::EcdsaP384Sha384 => {
                let point = uncompressed(key);
                Some(ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point).map_err(|_| broken())?)
            }
            Algorithm::Ed25519 => Some(ParsedPublicKey::new(&ED25519, key).map_err(|_| broken())?),
            Algorithm::Ed448 => None,
        };
        Ok(Self {
            algorithm,
            flags: u16::from_be_bytes([high, low]),
            tag: key_tag(rdata),
            dnskey: rdata.into(),
            parsed,
        })
    }

    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub fn flags(&self) -> u16 {
        self.flags
    }

    /// Whether signatures over a zone's data may be made by it (RFC 4034 section 2.1.1,
    /// RFC 5011 section 2.1 for revocation).
    pub fn is_zone_key(&self) -> bool {
        self.flags & ZONE_KEY != 0
    }

    pub fn is_revoked(&self) -> bool {
        self.flags & REVOKED != 0
    }

    pub fn tag(&self) -> u16 {
        self.tag
    }

    /// The rdata that it was made from.
    pub fn dnskey(&self) -> &[u8] {
        &self.dnskey
    }

    /// `signature` as it stands in an RRSIG record.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.parsed {
            Some(key) => key.verify_sig(message, signature).is_ok(),
            None => FOREIGN.get().is_some_and(|foreign| {
                foreign.verify(self.algorithm, &self.dnskey[FIXED..], message, signature)
            }),
        }
    }
}

/// SEC 1 section 2.3.3: a point with its tag of "not compressed", which DNSKEY leaves out.
fn uncompressed(point: &[u8]) -> Vec<u8> {
    [&[4], point].concat()
}

/// RFC 3110 section 2: exponent and modulus, without leading zeros.
fn rsa_components(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match *key.first()? {
        0 => (usize::from(u16::from_be_bytes([*key.get(1)?, *key.get(2)?])), &key[3..]),
        short => (usize::from(short), &key[1..]),
    };
    let (exponent, modulus) = rest.split_at_checked(length)?;
    let trim = |octets: &'_ [u8]| octets.iter().take_while(|&&octet| octet == 0).count();
    let (exponent, modulus) = (&exponent[trim(exponent)..], &modulus[trim(modulus)..]);
    (!exponent.is_empty() && RSA_MODULUS.contains(&modulus.len())).then_some((exponent, modulus))
}

/// A signer outside (HSM, KMS, Ed448): whole messages in, signatures in DNSSEC's form out.
pub trait Sign: Send {
    fn sign(&self, messages: &[Vec<u8>]) -> Result<Vec<Vec<u8>>>;
}

impl<F: Fn(&[Vec<u8>]) -> Result<Vec<Vec<u8>>> + Send> Sign for F {
    fn sign(&self, messages: &[Vec<u8>]) -> Result<Vec<Vec<u8>>> {
        self(messages)
    }
}

enum Private {
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    /// One caller at a time: modules for HSMs seldom bear more.
    Outside(Mutex<Box<dyn Sign>>),
}

/// A private key with its public half, shown to belong together. The crypto library wipes
/// the key's memory when it is freed.
pub struct SigningKey {
    public: PublicKey,
    private: Private,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?}, tag {})", self.public.algorithm, self.public.tag)
    }
}

impl SigningKey {
    /// From DNSKEY rdata and PKCS#8 DER. Raises "key": no key of that algorithm, or the two
    /// halves don't belong together.
    pub fn from_pkcs8(dnskey: &[u8], pkcs8: &[u8]) -> Result<Self> {
        let public = PublicKey::from_dnskey(dnskey)?;
        let unusable = || {
            let number = public.algorithm.number();
            Error::new("key", format!("the private key is no valid one of algorithm {number}"))
        };
        let rsa = |encoding| {
            RsaKeyPair::from_pkcs8(pkcs8)
                .map(|pair| Private::Rsa(pair, encoding))
                .map_err(|_| unusable())
        };
        let private = match public.algorithm {
            Algorithm::RsaSha256 => rsa(&RSA_PKCS1_SHA256)?,
            Algorithm::RsaSha512 => rsa(&RSA_PKCS1_SHA512)?,
            Algorithm::EcdsaP256Sha256 | Algorithm::EcdsaP384Sha384 => {
                let curve = public.algorithm.ecdsa().ok_or_else(unusable)?;
                Private::Ecdsa(EcdsaKeyPair::from_pkcs8(curve, pkcs8).map_err(|_| unusable())?)
            }
            Algorithm::Ed25519 => Private::Ed25519(
                // Version 1 of PKCS#8 has no public half; ours comes from the DNSKEY.
                Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).map_err(|_| unusable())?,
            ),
            Algorithm::Ed448 => {
                let why = "Ed448 is signed outside of the engine: use an external signer";
                return Err(Error::new("key", why));
            }
        };
        let key = Self { public, private };
        let probe = b"zoneward: do these two halves belong together?".to_vec();
        let signature = key.sign_one(&probe)?;
        if !key.public.verify(&probe, &signature) {
            let tag = key.public.tag;
            let why = format!("the private key does not belong to the DNSKEY with tag {tag}");
            return Err(Error::new("key", why));
        }
        Ok(key)
    }

    /// A key whose private half is elsewhere. Each signature that comes is verified.
    pub fn external(dnskey: &[u8], signer: Box<dyn Sign>) -> Result<Self> {
        let public = PublicKey::from_dnskey(dnskey)?;
        Ok(Self { public, private: Private::Outside(Mutex::new(signer)) })
    }

    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// A signature for each message, in order, as RRSIG records hold them. Raises "key" when
    /// the signer outside fails, or gives one that does not verify.
    pub fn sign(&self, messages: &[Vec<u8>]) -> Result<Vec<Vec<u8>>> {
        let Private::Outside(signer) = &self.private else {
            return messages.iter().map(|message| self.sign_one(message)).collect();
        };
        if messages.is_empty() {
            return Ok(vec![]);
        }
        let signatures = {
            let signer = signer.lock().unwrap_or_else(PoisonError::into_inner);
            signer.sign(messages)?
        };
        let tag = self.public.tag;
        if signatures.len() != messages.len() {
            let (asked, got) = (messages.len(), signatures.len());
            let why = format!("the signer of key {tag} gave {got} signatures, {asked} were asked");
            return Err(Error::new("key", why));
        }
        let bad = messages.iter().zip(&signatures).any(|(m, s)| !self.public.verify(m, s));
        if bad {
            let why = format!("the signer of key {tag} gave a signature that does not verify");
            return Err(Error::new("key", why));
        }
        Ok(signatures)
    }

    fn sign_one(&self, message: &[u8]) -> Result<Vec<u8>> {
        let random = SystemRandom::new();
        let signature = match &self.private {
            Private::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let made = pair.sign(*encoding, &random, message, &mut signature);
                made.map(|()| signature)
            }
            Private::Ecdsa(pair) => pair.sign(&random, message).map(|s| s.as_ref().to_vec()),
            Private::Ed25519(pair) => pair.try_sign(message).map(|s| s.as_ref().to_vec()),
            Private::Outside(_) => return Err(Error::new("key", "an external key signs batches")),
        };
        signature.map_err(|_| {
            Error::new(
                "key",
                format!("the crypto library refused to sign by key {}", self.public.tag),
            )
        })
    }
}
