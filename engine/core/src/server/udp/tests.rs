use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;

use super::*;
use crate::name::Name;
use crate::query::bits;
use crate::server::callers::Callers;
use crate::server::chain::{Chain, Enter, Exchange, Stage};
use crate::server::config::Timeouts;
use crate::server::hub::{Hub, SHARED_SHARD};
use crate::server::routes::{Route, Routes};

type Stages = Vec<Box<dyn Stage>>;

/// Gives REFUSED, and wants something newer.
struct Stale;

impl Stage for Stale {
    fn enter(&self, exchange: &mut Exchange<'_>, out: &mut [u8]) -> Enter {
        exchange.refresh = true;
        Enter::Answer(crate::answer::error(exchange.query, rcode::REFUSED, None, 512, out))
    }
}

struct Parks;

impl Stage for Parks {
    fn enter(&self, _: &mut Exchange<'_>, _: &mut [u8]) -> Enter {
        Enter::Park
    }
}

struct Panics {
    enters: bool,
}

impl Stage for Panics {
    fn enter(&self, _: &mut Exchange<'_>, _: &mut [u8]) -> Enter {
        assert!(!self.enters, "on the way in");
        Enter::Next
    }

    fn leave(&self, _: &Exchange<'_>, _: &mut Vec<u8>) {
        panic!("on the way out");
    }

    fn has_leave(&self) -> bool {
        true
    }
}

fn worker() -> Worker {
    let hub = Arc::new(Hub::new().unwrap());
    hub.open_inboxes(1).unwrap();
    let forwarder = Forwarder::new(hub.inbox(0).unwrap(), 1).unwrap();
    let shared = Arc::new(Shared {
        state: ArcSwap::default(),
        hub,
        closing: AtomicBool::new(false),
        callers: Callers::default(),
        stream_shard: SHARED_SHARD,
    });
    Worker { shared, index: 0, wake: Arc::new(wake::event().unwrap()), forwarder, most: 1 }
}

#[test]
fn a_panic_behind_a_parked_query_costs_that_query_alone() {
    let cases: [(&str, Stages, u16); 2] = [
        ("parked", vec![Box::new(Panics { enters: false }), Box::new(Parks)], rcode::SERVFAIL),
        ("refreshed", vec![Box::new(Stale), Box::new(Panics { enters: true })], rcode::REFUSED),
    ];
    for (what, stages, expected) in cases {
        let worker = worker();
        if what == "parked" {
            // Then it fails at once.
            worker.shared.hub.close();
        }
        let chain = Arc::new(Chain::new(String::new(), String::new(), stages, vec![]));
        let mut routes = Routes::default();
        let root = Name::from_text(".", None).unwrap();
        routes.insert(root, Arc::new(Route { chain, ..Route::for_tests() }));
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
        let address = socket.local_addr().unwrap();
        let listener = Listener {
            door: (address.ip(), address.port()),
            udp: vec![],
            tcp: None,
            timeouts: Timeouts::default(),
            routes,
            unrouted: None,
        };
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        client.connect(address).unwrap();
        client.send(b"\x12\x34\0\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01").unwrap();
        worker.serve(&listener, &socket, &mut Batch::new());
        let mut reply = [0; 512];
        client.recv(&mut reply).unwrap();
        assert_eq!(reply[..2], [0x12, 0x34], "{what}");
        assert_eq!(u16::from(reply[3]) & bits::RCODE, expected, "{what}");
        assert_eq!(worker.shared.hub.panics.load(Ordering::Relaxed), 1, "{what}");
    }
}
