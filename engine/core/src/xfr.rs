//! Zone transfers without sockets: AXFR (RFC 5936), IXFR (RFC 1995), NOTIFY (RFC 1996).
//! Messages go in and come out without the two-octet length of a stream.

mod client;
pub mod message;
mod notify;
mod packer;
mod server;

pub use client::{Client, DEFAULT_LIMIT};
pub use notify::notify;
pub use server::{Answer, Kind, Request, Server};
