//! DNSSEC: keys, signatures, denial of existence, and the pass that signs a zone.

pub mod algorithm;
pub mod canonical;
pub mod chain;
pub mod key;
pub mod nsec;
pub mod nsec3;
pub mod pass;
pub mod plan;
mod sweep;

pub use algorithm::Algorithm;
pub use canonical::{Rrsig, ds_digest, nsec3_hash, signed_data};
pub use chain::{Denial, Nsec3};
pub use key::{ForeignVerifier, PublicKey, Sign, SigningKey, key_tag, set_foreign_verifier};
pub use pass::{Signed, sign};
pub use plan::{Role, Scope, SignPlan};

#[cfg(test)]
mod tests;
