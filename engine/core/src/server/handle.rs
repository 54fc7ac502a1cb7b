//! One packet: read, routed, run through its chain.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::answer::{self, UDP_SIZE};
use crate::query::{HEADER, Query, Unreadable, bare_error, bits, rcode};
use crate::server::chain::{Chain, Clock, Exchange, Peer, Run};
use crate::server::held::Stop;
use crate::server::routes::{Listener, Route};
use crate::server::stages::observation;

/// Replies over UDP and the largest DNS message (RFC 1035 section 4.2.2).
pub const UDP_BUFFER: usize = UDP_SIZE;
pub const STREAM_BUFFER: usize = 65_535;

pub enum Handled {
    /// A reply of this length is in the buffer.
    Reply(usize),
    /// A reply too, and the stage that it stopped at wants a newer one.
    Stale(usize, Arc<Route>, Stop),
    Silence,
    Parked(Arc<Route>, Stop),
}

/// What a client takes and we give: over UDP `udp_size` at most.
pub fn limit(query: &Query<'_>, stream: bool, udp_size: usize) -> usize {
    if stream { STREAM_BUFFER } else { query.udp_limit(udp_size) }
}

/// Do work for a query. None: it panicked, which is counted.
pub fn guarded<T>(panics: &AtomicU64, work: impl FnOnce() -> T) -> Option<T> {
    let done = catch_unwind(AssertUnwindSafe(work)).ok();
    if done.is_none() {
        panics.fetch_add(1, Ordering::Relaxed);
    }
    done
}

/// Answer a packet into `out`, which takes `UDP_BUFFER` or `STREAM_BUFFER` octets. A panic
/// becomes SERVFAIL and is counted.
pub fn handle(
    listener: &Listener,
    packet: &[u8],
    peer: Peer,
    clock: Clock,
    shard: usize,
    panics: &AtomicU64,
    out: &mut [u8],
) -> Handled {
    let done = guarded(panics, || attempt(listener, packet, peer, clock, shard, out));
    match done {
        Some(handled) => handled,
        None if packet.len() < HEADER => Handled::Silence,
        None => Handled::Reply(bare_error(packet, rcode::SERVFAIL, out)),
    }
}

fn attempt(
    listener: &Listener,
    packet: &[u8],
    peer: Peer,
    clock: Clock,
    shard: usize,
    out: &mut [u8],
) -> Handled {
    let query = match Query::parse(packet) {
        Ok(query) => query,
        Err(Unreadable::Silence) => return Handled::Silence,
        Err(Unreadable::Error(code)) => return Handled::Reply(bare_error(packet, code, out)),
    };
    let route = match (query.refusal(), listener.routes.find(&query, &peer)) {
        (None, Some(route)) => route,
        (refused, _) => {
            let code = refused.unwrap_or(rcode::REFUSED);
            return Handled::Reply(unrouted(listener, &query, peer, clock, shard, code, out));
        }
    };
    let chain = &*route.chain;
    let mut exchange = Exchange::new(&query, peer, clock, route, shard);
    let (length, stale) = match chain.pass(0, &mut exchange, out) {
        Run::Reply { length, stale, .. } => (length, stale),
        Run::Parked(stop) => return Handled::Parked(route.clone(), stop),
        Run::Dropped => {
            chain.dropped(&exchange);
            return Handled::Silence;
        }
    };
    chain.sent(&exchange, &out[..length]);
    match stale {
        Some(stop) => Handled::Stale(length, route.clone(), stop),
        None => Handled::Reply(length),
    }
}

fn unrouted(
    listener: &Listener,
    query: &Query<'_>,
    peer: Peer,
    clock: Clock,
    shard: usize,
    code: u16,
    out: &mut [u8],
) -> usize {
    let size = limit(query, peer.stream, UDP_BUFFER);
    let length = answer::error(query, code, None, size, out);
    if let Some(series) = &listener.unrouted {
        let route = Route { chain: Arc::new(Chain::default()), series: series.clone() };
        let exchange = Exchange::new(query, peer, clock, &route, shard);
        let mut seen = observation(&exchange, &out[..length]);
        seen.rcode = code;
        series.record(shard, &seen);
    }
    length
}

/// Put a reply that somebody else made into `out`, under the query's ID and cut to what the
/// client takes. What is no reply becomes SERVFAIL.
pub fn fit(query: &Query<'_>, reply: &[u8], size: usize, out: &mut [u8]) -> usize {
    let flags = reply.get(2..4).map_or(0, |octets| u16::from_be_bytes([octets[0], octets[1]]));
    if reply.len() < HEADER || flags & bits::QR == 0 {
        return answer::error(query, rcode::SERVFAIL, None, size, out);
    }
    if reply.len() > size {
        return answer::truncated(query, flags & bits::RCODE, size, out);
    }
    out[..reply.len()].copy_from_slice(reply);
    out[..2].copy_from_slice(&query.id().to_be_bytes());
    reply.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_as_long_as_the_client_takes_and_we_give() {
        let plain = b"\0\0\0\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01".to_vec();
        let with_edns = |size: u16| {
            let mut wire = plain.clone();
            wire[11] = 1;
            let [high, low] = size.to_be_bytes();
            wire.extend_from_slice(&[0, 0, 41, high, low, 0, 0, 0, 0, 0, 0]);
            wire
        };
        let cases = [
            (plain.clone(), false, UDP_BUFFER, 512),
            (with_edns(4096), false, UDP_BUFFER, UDP_BUFFER),
            (with_edns(4096), false, 1000, 1000),
            (with_edns(800), false, 1000, 800),
            (with_edns(0), false, 1000, 512),
            (plain.clone(), true, 1000, STREAM_BUFFER),
        ];
        for (wire, stream, udp_size, expected) in cases {
            let query = Query::parse(&wire).ok().unwrap();
            assert_eq!(limit(&query, stream, udp_size), expected, "{wire:02x?}");
        }
    }
}
