use std::time::Duration;

use super::*;
use crate::query::Query;
use crate::server::reply::Reply;
use crate::server::reply::tests::{A, OPT, reply};

const SOA: &[u8] = b"\xc0\x10\x00\x06\x00\x01\x00\x00\x02\x58\x00\x18\x00\x00\
    \x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x04\x00\x00\x00\x78\x00\x00";

fn soa() -> Vec<u8> {
    // 22 octets of rdata: two root names and five numbers, the last of them 120.
    let mut record = SOA[..34].to_vec();
    record[11] = 22;
    record
}

fn with_ttl(record: &[u8], ttl: u32) -> Vec<u8> {
    let mut record = record.to_vec();
    record[6..10].copy_from_slice(&ttl.to_be_bytes());
    record
}

fn config() -> config::Cache {
    serde_json::from_value(serde_json::json!({
        "zones": ["."],
        "success": {"capacity": 1024, "most_ttl": 3600, "least_ttl": 5, "disabled": []},
        "denial": {"capacity": 1024, "most_ttl": 1800, "least_ttl": 5, "disabled": []},
        "servfail_seconds": 5,
        "prefetch": {"amount": 0, "duration_ms": 60000, "percentage": 10},
        "serve_stale_seconds": 0, "serve_stale_verify": false, "keep_ttl": false,
    }))
    .unwrap()
}

fn query(flags: u16, edns: Option<u8>) -> Vec<u8> {
    let mut wire = vec![0xab, 0xcd];
    wire.extend_from_slice(&flags.to_be_bytes());
    wire.extend_from_slice(&[0, 1, 0, 0, 0, 0, 0, u8::from(edns.is_some())]);
    wire.extend_from_slice(b"\x03wWW\x07Example\x00\x00\x01\x00\x01");
    if let Some(flags) = edns {
        wire.extend_from_slice(&[0, 0, 41, 16, 0, 0, 0, flags, 0, 0, 0]);
    }
    wire
}

const BOUNDS: Bounds = Bounds { least: 5, most: 3600 };

fn classified(wire: &[u8]) -> Option<(Kind, Option<u32>)> {
    let read = Reply::read(wire).unwrap();
    let kind = entry::kind(&read, 1)?;
    Some((kind, entry::lifetime(&read, kind, BOUNDS)))
}

#[test]
fn what_a_reply_is_and_how_long_it_is_good() {
    let soa = soa();
    let cname = b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x1e\x00\x02\xc0\x10";
    let ns = b"\xc0\x10\x00\x02\x00\x01\x00\x00\x00\x50\x00\x02\xc0\x10";
    let success = |ttl| Some((Kind::Success, Some(ttl)));
    let denial = |ttl| Some((Kind::Denial, Some(ttl)));
    let cases = [
        ("an answer", reply(0x8180, [1, 0, 0], &[A]), success(60)),
        ("its shortest TTL", reply(0x8180, [2, 0, 0], &[A, &with_ttl(A, 30)]), success(30)),
        ("not below the least", reply(0x8180, [1, 0, 0], &[&with_ttl(A, 0)]), success(5)),
        ("not above the most", reply(0x8180, [1, 0, 0], &[&with_ttl(A, 86400)]), success(3600)),
        ("NXDOMAIN", reply(0x8183, [0, 1, 0], &[&soa]), denial(120)),
        ("the SOA's own TTL", reply(0x8183, [0, 1, 0], &[&with_ttl(&soa, 60)]), denial(60)),
        ("NODATA", reply(0x8180, [0, 1, 0], &[&soa]), denial(120)),
        ("an alias to nothing", reply(0x8180, [1, 1, 0], &[cname, &soa]), denial(30)),
        ("an alias alone", reply(0x8180, [1, 0, 0], &[cname]), success(30)),
        ("a referral", reply(0x8100, [0, 1, 0], &[ns]), success(80)),
        ("SERVFAIL", reply(0x8182, [0, 0, 0], &[]), Some((Kind::Failure, Some(3600)))),
        ("NXDOMAIN without SOA", reply(0x8183, [0, 0, 0], &[]), None),
        ("nothing at all", reply(0x8180, [0, 0, 0], &[]), None),
        ("truncated", reply(0x8380, [1, 0, 0], &[A]), None),
        ("REFUSED", reply(0x8185, [0, 0, 0], &[]), None),
        ("BADVERS", reply(0x8180, [1, 0, 1], &[A, b"\0\0\x29\x04\xd0\x01\0\0\0\0\0"]), None),
    ];
    for (what, wire, expected) in cases {
        assert_eq!(classified(&wire), expected, "{what}");
    }
}

struct World {
    cache: Cache,
}

impl World {
    fn new(change: impl Fn(&mut config::Cache)) -> Self {
        let mut config = config();
        change(&mut config);
        Self { cache: Cache::new(&config, Counts::default()) }
    }

    fn at(&self, seconds: f64) -> Instant {
        self.cache.epoch + Duration::from_secs_f64(seconds)
    }

    fn store(&self, seconds: f64, asked: &[u8], wire: &[u8]) {
        let query = Query::parse(asked).ok().unwrap();
        let key = Key::of(&query);
        let read = Reply::read(wire).unwrap();
        let kind = entry::kind(&read, 1).unwrap();
        let bounds = self.cache.bounds(query.name(), kind).unwrap();
        let lifetime = entry::lifetime(&read, kind, bounds).unwrap();
        let now = self.cache.now(self.at(seconds));
        self.cache.store(&key, Entry::new(&key, &read, kind, bounds, lifetime, now), kind);
    }

    /// The state, and whether it is to be refreshed.
    fn state(&self, seconds: f64, asked: &[u8]) -> (&'static str, bool) {
        let query = Query::parse(asked).ok().unwrap();
        let (found, refreshes) = self.cache.find(&Key::of(&query), self.at(seconds));
        let state = match found {
            Found::Fresh(_) => "fresh",
            Found::Stale(_) => "stale",
            Found::Nothing => "nothing",
        };
        (state, refreshes)
    }

    fn reply(&self, seconds: f64, asked: &[u8]) -> Vec<u8> {
        let query = Query::parse(asked).ok().unwrap();
        let at = self.at(seconds);
        let (Found::Fresh(entry), _) = self.cache.find(&Key::of(&query), at) else {
            panic!("not there")
        };
        let mut out = vec![0; 1232];
        let length = entry.render(&query, entry.age(self.cache.now(at)), 1232, &mut out);
        out.truncate(length);
        out
    }
}

#[test]
fn ttls_count_down_by_whole_seconds_and_an_entry_ends_with_its_shortest() {
    let world = World::new(|_| {});
    let asked = query(0x0100, None);
    let long = with_ttl(A, 90);
    world.store(10.0, &asked, &reply(0x8180, [2, 0, 0], &[A, &long]));
    for (seconds, ttls) in [(10.0, [60, 90]), (10.9, [60, 90]), (11.0, [59, 89]), (69.9, [1, 31])] {
        let wire = world.reply(seconds, &asked);
        let read = Reply::read(&wire).unwrap();
        let found: Vec<u32> = read.records.iter().map(|record| record.ttl).collect();
        assert_eq!(found, ttls, "at {seconds}");
    }
    assert_eq!(world.state(70.0, &asked), ("nothing", false));
}

#[test]
fn a_client_gets_its_id_its_spelling_and_its_edns() {
    let world = World::new(|_| {});
    world.store(0.0, &query(0x0100, Some(0)), &reply(0x8580, [1, 0, 1], &[A, OPT]));
    let plain = world.reply(1.0, &query(0x0100, None));
    assert_eq!(&plain[..12], b"\xab\xcd\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00");
    assert_eq!(&plain[12..29], b"\x03wWW\x07Example\x00\x00\x01\x00\x01");
    let extended = world.reply(1.0, &query(0x0100, Some(0)));
    let read = Reply::read(&extended).unwrap();
    assert_eq!(read.extended_error(), Some(&[0, 22][..]));
    assert!(extended.starts_with(&plain[..10]));
}

#[test]
fn queries_that_want_another_answer_have_another_entry() {
    let world = World::new(|_| {});
    let kinds = [
        query(0x0100, None),
        query(0x0000, None),
        query(0x0110, None),
        query(0x0120, None),
        query(0x0100, Some(0x80)),
    ];
    for (index, asked) in kinds.iter().enumerate() {
        assert_eq!(world.state(0.0, asked).0, "nothing", "{index}");
        world.store(0.0, asked, &reply(0x8180, [1, 0, 0], &[A]));
        assert_eq!(world.state(0.0, asked).0, "fresh", "{index}");
    }
    // DO says all that AD says (RFC 6840 section 5.7).
    assert_eq!(world.state(0.0, &query(0x0120, Some(0x80))).0, "fresh");
    // EDNS alone changes nothing.
    assert_eq!(world.state(0.0, &query(0x0100, Some(0))).0, "fresh");
}

#[test]
fn what_is_newly_denied_is_no_longer_there_and_the_other_way_round() {
    let world = World::new(|_| {});
    let asked = query(0x0100, None);
    let (yes, no) = (reply(0x8180, [1, 0, 0], &[A]), reply(0x8183, [0, 1, 0], &[&soa()]));
    for (wire, flags) in [(&yes, 0x80), (&no, 0x83), (&yes, 0x80)] {
        world.store(0.0, &asked, wire);
        assert_eq!(world.reply(0.0, &asked)[3], flags);
    }
    let stats = serde_json::to_value(world.cache.stats("x")).unwrap();
    assert_eq!((&stats["success_entries"], &stats["denial_entries"]), (&1.into(), &0.into()));
}

#[test]
fn stale_replies_are_given_out_for_a_while_and_one_client_has_them_refreshed() {
    let world = World::new(|config| config.serve_stale_seconds = 3600);
    let asked = query(0x0100, None);
    world.store(0.0, &asked, &reply(0x8180, [1, 0, 0], &[A]));
    assert_eq!(world.state(59.0, &asked), ("fresh", false));
    assert_eq!(world.state(60.5, &asked), ("stale", true));
    assert_eq!(world.state(61.0, &asked), ("stale", false));
    assert_eq!(world.state(67.0, &asked), ("stale", true));
    // A failure does not push it out.
    world.store(68.0, &asked, &reply(0x8182, [0, 0, 0], &[]));
    assert_eq!(world.state(69.0, &asked).0, "stale");
    assert_eq!(world.state(3659.0, &asked).0, "stale");
    assert_eq!(world.state(3661.0, &asked).0, "nothing");
    // Without anything better it is kept, and never stale.
    world.store(3662.0, &asked, &reply(0x8182, [0, 0, 0], &[]));
    assert_eq!(world.state(3664.0, &asked).0, "fresh");
    assert_eq!(world.state(3668.0, &asked).0, "nothing");
}

#[test]
fn with_verify_a_stale_reply_stands_behind_a_failure_only() {
    let world = World::new(|config| {
        config.serve_stale_seconds = 3600;
        config.serve_stale_verify = true;
    });
    let asked = query(0x0100, None);
    world.store(0.0, &asked, &reply(0x8180, [1, 0, 0], &[A]));
    assert_eq!(world.state(61.0, &asked), ("nothing", false));
    let query = Query::parse(&asked).ok().unwrap();
    assert!(world.cache.find_stale(&Key::of(&query), world.at(30.0)).is_none());
    assert!(world.cache.find_stale(&Key::of(&query), world.at(61.0)).is_some());
    assert!(world.cache.find_stale(&Key::of(&query), world.at(3661.0)).is_none());
}

#[test]
fn what_is_asked_for_often_is_fetched_before_it_ends() {
    let world = World::new(|config| config.prefetch.amount = 3);
    let asked = query(0x0100, None);
    world.store(0.0, &asked, &reply(0x8180, [1, 0, 0], &[A]));
    // Ten per cent of sixty seconds are left from the 54th on.
    let seen = [10.0, 11.0, 12.0, 53.0, 54.5, 55.0].map(|at| world.state(at, &asked).1);
    assert_eq!(seen, [false, false, false, false, true, false]);
    // Seldom asked for.
    world.store(100.0, &asked, &reply(0x8180, [1, 0, 0], &[&with_ttl(A, 600)]));
    let seen = [110.0, 300.0, 690.0, 695.0].map(|at| world.state(at, &asked).1);
    assert_eq!(seen, [false; 4]);
}

#[test]
fn a_failure_leaves_what_is_still_good() {
    let asked = query(0x0100, None);
    let kinds =
        [reply(0x8180, [1, 0, 0], &[A]), reply(0x8183, [0, 1, 0], &[&with_ttl(&soa(), 60)])];
    for stale in [0, 3600] {
        for good in &kinds {
            let world = World::new(|config| config.serve_stale_seconds = stale);
            world.store(0.0, &asked, good);
            world.store(55.0, &asked, &reply(0x8182, [0, 0, 0], &[]));
            assert_eq!(world.reply(59.0, &asked)[3], good[3], "serve_stale {stale}");
        }
    }
    let world = World::new(|_| {});
    world.store(0.0, &asked, &kinds[0]);
    world.store(61.0, &asked, &reply(0x8182, [0, 0, 0], &[]));
    assert_eq!(world.reply(62.0, &asked)[3], 0x82, "what is too old gives way");
}

#[test]
fn queries_below_the_zones_are_taken() {
    let names = (0..100).map(|number| format!("z{number}.example."));
    let zones = names.map(|name| config::Origin::try_from(name).unwrap()).collect::<Vec<_>>();
    let world = World::new(|config| config.zones.clone_from(&zones));
    let cache = Arc::new(world.cache);
    let stage = Caching { label: 1, cache, local: vec![], zones: None };
    let taken = |name: &[u8], qtype: u8| {
        let header = b"\0\0\0\0\0\x01\0\0\0\0\0\0";
        let wire = [&header[..], name, &[0, qtype, 0, 1]].concat();
        stage.takes(&Query::parse(&wire).ok().unwrap())
    };
    assert!(taken(b"\x02z0\x07example\0", 1));
    assert!(taken(b"\x01a\x01b\x03Z99\x07EXAMPLE\0", 1));
    assert!(!taken(b"\x04z100\x07example\0", 1));
    assert!(!taken(b"\x07example\0", 1) && !taken(b"\0", 1));
    assert!(!taken(b"\x02z0\x07example\0", 252), "AXFR");
}

#[test]
fn bounds_are_of_a_kind_and_a_name() {
    let world = World::new(|config| {
        config.servfail_seconds = 0;
        config.success.disabled = vec![config::Origin::try_from("example.".to_owned()).unwrap()];
    });
    let name = |text: &str| crate::name::Name::from_text(text, None).unwrap();
    assert_eq!(world.cache.bounds(&name("www.example."), Kind::Success), None);
    assert!(world.cache.bounds(&name("www.example."), Kind::Denial).is_some());
    assert_eq!(world.cache.bounds(&name("www.test."), Kind::Success), Some(BOUNDS));
    assert_eq!(world.cache.bounds(&name("www.test."), Kind::Failure), None);
}
