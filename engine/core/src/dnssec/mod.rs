//! DNSSEC: keys, signatures, denial of existence, and the pass that signs a zone.

pub mod algorithm;
pub mod canonical;
pub mod key;

pub use algorithm::Algorithm;
pub use canonical::{Rrsig, ds_digest, nsec3_hash, signed_data};
pub use key::{ForeignVerifier, PublicKey, Sign, SigningKey, key_tag, set_foreign_verifier};
