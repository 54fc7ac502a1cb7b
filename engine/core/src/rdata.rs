//! Record data: one table says which fields each type has, and everything else (text to
//! wire, wire to text, validation, canonical form, embedded names) is read off that table.
//!
//! A type that is not in the table is *foreign*: its rdata is carried as it is, written in
//! the generic form of RFC 3597 section 5, or handed to somebody who knows it.

mod canonical;
mod encoding;
mod expect;
mod parse;
mod print;
mod table;
mod types;
mod wire;

pub use canonical::{canonical, compressible_names};
pub use encoding::{base32hex, period, push_base32hex, time_text};
pub use expect::shown;
pub use parse::{Token, Wrong, from_tokens, is_generic, push_name};
pub use print::{bitmap_types, generic_text, to_text, write_text};
pub use table::is_native;
pub use types::{rtype, type_from_text, type_name};
pub use wire::{decompress, expand_name, validate};

/// RFC 1035 section 3.2.1: RDLENGTH has 16 bits.
pub const MAX_RDATA: usize = 65_535;

#[cfg(test)]
mod tests;
