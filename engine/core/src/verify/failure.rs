//! What can be wrong, by codes that do not change.

use crate::name::{Name, NameRef};
use crate::rdata;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    NoKeys,
    NoSignature,
    BadSignature,
    Expired,
    NotYetValid,
    UnknownKey,
    MissingAlgorithm,
    Ttl,
    NoDsPath,
    DenialMissing,
    DenialWrong,
    DenialBitmap,
    DenialExtra,
    SignedGlue,
    SignedCut,
    OrphanSignature,
    Structure,
}

impl Code {
    pub fn text(self) -> &'static str {
        match self {
            Self::NoKeys => "no-keys",
            Self::NoSignature => "no-signature",
            Self::BadSignature => "bad-signature",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::UnknownKey => "unknown-key",
            Self::MissingAlgorithm => "missing-algorithm",
            Self::Ttl => "ttl",
            Self::NoDsPath => "no-ds-path",
            Self::DenialMissing => "denial-missing",
            Self::DenialWrong => "denial-wrong",
            Self::DenialBitmap => "denial-bitmap",
            Self::DenialExtra => "denial-extra",
            Self::SignedGlue => "signed-glue",
            Self::SignedCut => "signed-cut",
            Self::OrphanSignature => "orphan-signature",
            Self::Structure => "structure",
        }
    }
}

/// One reason why a validator would refuse something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Failure {
    pub owner: Name,
    pub rtype: u16,
    pub code: Code,
    pub message: String,
}

impl Failure {
    pub fn new(owner: &NameRef, rtype: u16, code: Code, message: impl Into<String>) -> Self {
        Self { owner: owner.to_owned(), rtype, code, message: message.into() }
    }
}

/// Seconds since 1970 as RFC 3339 writes them, in UTC.
pub fn date(seconds: u32) -> String {
    let plain = rdata::time_text(seconds);
    let (day, time) = plain.split_at(8);
    format!(
        "{}-{}-{}T{}:{}:{}Z",
        &day[..4],
        &day[4..6],
        &day[6..],
        &time[..2],
        &time[2..4],
        &time[4..]
    )
}
