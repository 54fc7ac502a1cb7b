//! The carrying half of Zoneward: zones, signatures, answers. No Python in it.

pub mod answer;
pub mod disk;
pub mod dnssec;
pub mod error;
pub mod name;
pub mod process;
pub mod query;
pub mod rdata;
pub mod scan;
pub mod server;
pub mod text;
pub mod tsig;
pub mod verify;
pub mod xfr;
pub mod zone;
