//! Zone files (RFC 1035 section 5) read into zones: one pass over the octets, no allocation
//! per token. Everything wrong with a file is told, each with file, line and column.

mod build;
mod directives;
mod generate;
mod head;
mod lexer;
mod reader;

use std::fmt;

pub use build::{Failure, scan_file, scan_text};
pub use reader::Reader;

use crate::name::NameRef;

/// One error of a zone file; line and column (in octets) count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub file: String,
    pub line: u32,
    pub column: u32,
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

/// Where a record stands; `file` counts the files of a scan in the order of their opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub file: u32,
    pub line: u32,
    pub column: u32,
}

#[derive(Clone, Debug)]
pub struct Options {
    /// As if the file began with `$TTL`.
    pub default_ttl: Option<u32>,
    /// Reading ends after so many problems.
    pub max_problems: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { default_ttl: None, max_problems: 20 }
    }
}

/// Takes the records of a file, in its order; an Err becomes a problem at the record's place.
pub trait Sink {
    fn record(
        &mut self,
        owner: &NameRef,
        rtype: u16,
        ttl: u32,
        rdata: &[u8],
        place: Place,
    ) -> Result<(), String>;
}

/// Knows the types that `rdata` does not.
pub trait Foreign {
    /// Wire rdata of zone-file text.
    fn parse(&mut self, rtype: u16, text: &str, origin: &NameRef) -> Result<Vec<u8>, String>;
    /// Zone-file text; None: write it in the generic form of RFC 3597.
    fn print(&mut self, rtype: u16, rdata: &[u8]) -> Option<String>;
}

#[cfg(test)]
mod tests;
