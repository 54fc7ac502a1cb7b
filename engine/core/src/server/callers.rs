//! How many TCP connections there are, in all and from one place (RFC 7766 section 6.2.2).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Connections at one time; further ones are closed at once.
pub const CONNECTIONS: usize = 2048;
/// Of these from one IPv4 address or one IPv6 network, so that no single peer can take them all.
pub const FROM_ONE_PLACE: usize = 256;

#[derive(Default)]
struct Counts {
    all: usize,
    places: HashMap<IpAddr, usize>,
}

#[derive(Clone, Default)]
pub struct Callers(Arc<Mutex<Counts>>);

/// A connection that counts until this is dropped.
pub struct Caller {
    callers: Callers,
    place: IpAddr,
}

impl Callers {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// None when there is no room for one more.
    pub fn admit(&self, client: IpAddr) -> Option<Caller> {
        let place = place(client);
        let mut counts = self.counts();
        if counts.all >= CONNECTIONS {
            return None;
        }
        let here = counts.places.entry(place).or_default();
        if *here >= FROM_ONE_PLACE {
            return None;
        }
        *here += 1;
        counts.all += 1;
        Some(Caller { callers: self.clone(), place })
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        let mut counts = self.callers.counts();
        counts.all -= 1;
        if let Some(here) = counts.places.get_mut(&self.place) {
            *here -= 1;
            if *here == 0 {
                counts.places.remove(&self.place);
            }
        }
    }
}

/// Whoever has one address of an IPv6 /64 has all of it.
fn place(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (!0 << 64))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_leaves_room_for_others_and_gives_it_back() {
        let callers = Callers::default();
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let mut held: Vec<_> = (0..FROM_ONE_PLACE)
            .map(|low| callers.admit(address(&format!("2001:db8::{low:x}"))).unwrap())
            .collect();
        assert!(callers.admit(address("2001:db8::ffff")).is_none());
        assert!(callers.admit(address("2001:db8:0:1::1")).is_some());
        held.pop();
        assert!(callers.admit(address("2001:db8::ffff")).is_some());
        held.clear();
        let counts = callers.counts();
        assert_eq!((counts.all, counts.places.len()), (0, 0));
    }

    #[test]
    fn there_is_an_end_to_all_of_them() {
        let callers = Callers::default();
        let held: Vec<_> = (0..u32::MAX)
            .map_while(|number| callers.admit(IpAddr::from(number.to_be_bytes())))
            .collect();
        assert_eq!(held.len(), CONNECTIONS);
    }
}
