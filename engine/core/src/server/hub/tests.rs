use super::*;
use crate::server::chain::{Chain, Clock, Exchange, Peer, Stage};
use crate::server::held::{Back, Respond};
use crate::server::routes::Route;

struct Counting(Arc<AtomicUsize>);

impl Stage for Counting {
    fn sent(&self, exchange: &Exchange<'_>, _: &[u8]) {
        self.0.store(exchange.shard, Ordering::Relaxed);
    }

    fn has_sent(&self) -> bool {
        true
    }
}

struct Nobody;

impl Respond for Nobody {
    fn respond(self: Box<Self>, _: &[u8]) {}
}

/// Answered, it leaves in `counted` which thread did.
fn held(counted: &Arc<AtomicUsize>) -> Held {
    let stages: Vec<Box<dyn Stage>> = vec![Box::new(Counting(counted.clone()))];
    let chain = Arc::new(Chain::new(String::new(), String::new(), stages, vec![]));
    Held {
        packet: b"\0\0\0\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01"[..].into(),
        peer: Peer { client: "127.0.0.1:1".parse().unwrap(), local: None, port: 53, stream: false },
        clock: Clock { received: Instant::now(), wall: 0 },
        route: Arc::new(Route { chain, ..Route::for_tests() }),
        stage: 0,
        back: Back::Client(Box::new(Nobody)),
        alias: None,
    }
}

struct Panics;

impl Stage for Panics {
    fn leave(&self, _: &Exchange<'_>, _: &mut Vec<u8>) {
        panic!("on the way out");
    }

    fn has_leave(&self) -> bool {
        true
    }
}

#[test]
fn queries_that_a_panic_lets_go_of_may_panic_themselves() {
    let hub = Arc::new(Hub::new().unwrap());
    let handle = || {
        let stages: Vec<Box<dyn Stage>> = vec![Box::new(Panics)];
        let chain = Arc::new(Chain::new(String::new(), String::new(), stages, vec![]));
        let route = Arc::new(Route { chain, ..Route::for_tests() });
        let held = Held { route, stage: 1, ..held(&Arc::default()) };
        Handle(Arc::new(Parked::new(hub.clone(), None, held, 0)))
    };
    let held = vec![handle(), handle()];
    let done = guarded(&hub.panics, || {
        let _held = held;
        panic!("in the middle");
    });
    assert!(done.is_none());
    assert_eq!(hub.panics.load(Ordering::Relaxed), 3);
}

/// Whoever parks one found the hub open, and puts it in when it is closed.
#[test]
fn a_query_that_the_end_overtakes_fails_and_does_not_keep_the_hub() {
    for place in ["an inbox", "Python's queue"] {
        let hub = Arc::new(Hub::new().unwrap());
        hub.open_inboxes(1).unwrap();
        let counted = Arc::new(AtomicUsize::new(7));
        let parked = Arc::new(Parked::new(hub.clone(), None, held(&counted), 0));
        hub.close();
        if place == "an inbox" {
            hub.inbox(0).unwrap().put(Handle(parked), false);
        } else {
            hub.enqueue(parked);
        }
        assert_eq!(counted.load(Ordering::Relaxed), 0, "{place}");
        assert_eq!(Arc::strong_count(&hub), 1, "{place}");
    }
}

#[test]
fn the_thread_that_answers_counts() {
    let cases = [
        ("its own thread's inbox", 1, false, 1),
        ("from TCP, the first thread's turn", SHARED_SHARD, false, 0),
        ("refused on a query thread", 1, true, 1),
        ("refused on TCP's", SHARED_SHARD, true, SHARED_SHARD),
    ];
    for (what, shard, refused, expected) in cases {
        let hub = Arc::new(Hub::new().unwrap());
        hub.open_inboxes(2).unwrap();
        if refused {
            hub.close();
        }
        let counted = Arc::new(AtomicUsize::new(7));
        hub.park(held(&counted), shard);
        // Whoever has what is in an inbox and lets go of it answers it.
        let mut waiting = vec![];
        for thread in [0, 1] {
            hub.inbox(thread).unwrap().empty_into(&mut waiting);
            waiting.clear();
        }
        assert_eq!(counted.load(Ordering::Relaxed), expected, "{what}");
    }
}
