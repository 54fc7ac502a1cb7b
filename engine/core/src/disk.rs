//! Zones on disk: a snapshot, a journal of the differences since, and the two together.
//!
//! A version belongs to a *line*: a random number that a snapshot starts and the journal
//! beside it carries, so that a journal is never taken for that of another history. Within
//! a line differences are numbered; a snapshot says the last one that it contains. So a crash
//! between writing one file and the other leaves a directory that says what it is.

mod checksum;
pub(crate) mod files;
mod journal;
mod record;
mod snapshot;
mod store;

pub use snapshot::{load, save};
pub use store::Store;
