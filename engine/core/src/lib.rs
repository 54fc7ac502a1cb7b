//! The carrying half of Zoneward: zones, signatures, answers. No Python in it.

pub mod disk;
pub mod dnssec;
pub mod error;
pub mod name;
pub mod rdata;
pub mod scan;
pub mod text;
pub mod tsig;
pub mod xfr;
pub mod zone;
