//! The signing algorithms of RFC 8624 that a zone may be signed with today.

use aws_lc_rs::signature;

/// Numbers of IANA's registry of DNS security algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Algorithm {
    RsaSha256 = 8,
    RsaSha512 = 10,
    EcdsaP256Sha256 = 13,
    EcdsaP384Sha384 = 14,
    Ed25519 = 15,
    /// Carried by somebody outside: the crypto library has no Ed448.
    Ed448 = 16,
}

impl Algorithm {
    pub fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            8 => Self::RsaSha256,
            10 => Self::RsaSha512,
            13 => Self::EcdsaP256Sha256,
            14 => Self::EcdsaP384Sha384,
            15 => Self::Ed25519,
            16 => Self::Ed448,
            _ => return None,
        })
    }

    pub fn number(self) -> u8 {
        self as u8
    }

    /// Octets of a public key in a DNSKEY record; None where it varies (RSA).
    pub fn public_key_length(self) -> Option<usize> {
        match self {
            Self::RsaSha256 | Self::RsaSha512 => None,
            Self::EcdsaP256Sha256 => Some(64),
            Self::EcdsaP384Sha384 => Some(96),
            Self::Ed25519 => Some(32),
            Self::Ed448 => Some(57),
        }
    }

    /// How RSA signatures are verified. Zones of old have moduli of 1024 bits.
    pub(super) fn rsa(self) -> Option<&'static signature::RsaParameters> {
        match self {
            Self::RsaSha256 => Some(&signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY),
            Self::RsaSha512 => Some(&signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY),
            _ => None,
        }
    }

    /// RFC 6605 section 4: signatures are r and s, of fixed length, one behind the other.
    pub(super) fn ecdsa(self) -> Option<&'static signature::EcdsaSigningAlgorithm> {
        match self {
            Self::EcdsaP256Sha256 => Some(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
            Self::EcdsaP384Sha384 => Some(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
            _ => None,
        }
    }
}
