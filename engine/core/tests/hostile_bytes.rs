//! Hostile bytes for every parser: mutations of well-formed input, for as many seconds as
//! ZONEWARD_FUZZ_SECONDS says (two by default, a minute in `make test`). Nothing may panic,
//! overflow or answer more than it was allowed to. A failure prints the seed that repeats it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use zoneward_core::name::Name;
use zoneward_core::query::Query;
use zoneward_core::rdata;
use zoneward_core::scan::{Options, scan_text};
use zoneward_core::server::cache::entry::{self, Bounds, Entry, Key};
use zoneward_core::server::forward::message::{Asked, Verdict, for_client};
use zoneward_core::server::reply::Reply;
use zoneward_core::zone::Zone;
use zoneward_core::{answer, disk, xfr};

const ZONE: &str = r#"$ORIGIN example.org.
$TTL 1h
@ SOA ns hostmaster ( 7 2h 15m 2w ; refresh, retry, expire
      300 )
@ NS ns
@ MX 10 mail.sub
@ TXT "one \"two\" \065" three
ns A 192.0.2.1
   AAAA 2001:db8::1
*.wild A 192.0.2.2
alias CNAME ns
loop CNAME loop
tree DNAME example.com.
sub NS ns.sub
ns.sub A 192.0.2.3
$GENERATE 1-3 host$ A 192.0.2.${10,0,d}
x TYPE65280 \# 3 010203
y CAA 0 issue "ca.example"
z NAPTR 1 2 "u" "E2U+sip" "!^.*$!sip:a@b!" .
@ NSEC3PARAM 1 0 0 -
@ DNSKEY 257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==
"#;

/// xorshift64*: the same seed, the same run.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn one_mutated(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let chosen = self.below(seeds.len());
        self.mutated(&seeds[chosen])
    }

    fn mutated(&mut self, seed: &[u8]) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..=self.below(6) {
            let at = self.below(bytes.len() + 1);
            match self.below(8) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, self.next() as u8),
                2 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                3 if at < bytes.len() => bytes[at] = [0, 0xff, 0xc0, 0x3f, 0x7f][self.below(5)],
                4 if at < bytes.len() => bytes[at] = self.next() as u8,
                5 => {
                    // A piece of itself in another place.
                    let from = self.below(bytes.len() + 1);
                    let piece = bytes[from..bytes.len().min(from + self.below(40))].to_vec();
                    bytes.splice(at..at, piece);
                }
                6 => {
                    let end = bytes.len().min(at + self.below(30));
                    bytes.drain(at..end);
                }
                _ => bytes.extend((0..self.below(20)).map(|_| b" \n\"\\();$@\t\0a."[at % 13])),
            }
        }
        bytes
    }
}

/// Names the seed when a round panics.
struct Announce(&'static str, u64);

impl Drop for Announce {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("hostile bytes: target {}, seed {}", self.0, self.1);
        }
    }
}

fn budget() -> Duration {
    let seconds = std::env::var("ZONEWARD_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs_f64(seconds.unwrap_or(2.0) / 7.0)
}

fn rounds(target: &'static str, mut round: impl FnMut(&mut Chance)) {
    let began = Instant::now();
    let start = std::process::id() as u64 ^ began.elapsed().as_nanos() as u64;
    let fixed = std::env::var("ZONEWARD_FUZZ_SEED").ok().and_then(|text| text.parse().ok());
    let mut seed: u64 = fixed.unwrap_or(start.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut count = 0u64;
    while began.elapsed() < budget() || count < 100 {
        let announce = Announce(target, seed);
        round(&mut Chance(seed));
        drop(announce);
        count += 1;
        if fixed.is_some() {
            break;
        }
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15) | 1;
    }
    eprintln!("hostile bytes: {target}: {count} rounds");
}

fn origin() -> Name {
    Name::from_text("example.org.", None).unwrap()
}

fn zone() -> Arc<Zone> {
    let Ok(zone) = scan_text(ZONE.as_bytes(), "zone", &origin(), &Options::default(), None) else {
        panic!("the seed is a good zone");
    };
    Arc::new(zone)
}

fn query(name: &str, qtype: u16) -> Vec<u8> {
    let name = Name::from_text(name, None).unwrap();
    let mut wire = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    wire.extend_from_slice(name.wire());
    wire.extend_from_slice(&qtype.to_be_bytes());
    wire.extend_from_slice(&[0, 1, 0, 0, 41, 4, 208, 0, 0, 128, 0, 0, 0]);
    wire
}

#[test]
fn zone_files() {
    rounds("zone file", |chance| {
        let text = chance.mutated(ZONE.as_bytes());
        if let Ok(zone) = scan_text(&text, "zone", &origin(), &Options::default(), None) {
            let printed = zoneward_core::text::zone_text(&zone, None).unwrap();
            let again =
                scan_text(printed.as_bytes(), "again", &origin(), &Options::default(), None);
            let again = match again {
                Ok(again) => again,
                Err(why) => panic!("what was printed can't be read: {why:?}\n{printed}"),
            };
            assert!(zone.difference(&again).is_empty(), "printing loses something");
        }
    });
}

#[test]
fn rdata_of_every_type() {
    let zone = zone();
    let mut seeds = vec![(rdata::rtype::A, vec![1, 2, 3, 4])];
    for node in zone.all_nodes() {
        for rrset in node.rrsets() {
            seeds.extend(rrset.rdatas().map(|rdata| (rrset.rtype, rdata.to_vec())));
        }
    }
    rounds("rdata", |chance| {
        let (rtype, seed) = &seeds[chance.below(seeds.len())];
        let rtype = if chance.below(3) == 0 { chance.below(300) as u16 } else { *rtype };
        let wire = chance.mutated(seed);
        let at = chance.below(wire.len() + 1);
        let length = chance.below(wire.len() + 3);
        if let Ok(plain) = rdata::decompress(rtype, &wire, at, length) {
            assert_eq!(rdata::validate(rtype, &plain), Ok(()));
        }
        if rdata::validate(rtype, &wire).is_ok() {
            let canonical = rdata::canonical(rtype, &wire).into_owned();
            assert_eq!(rdata::validate(rtype, &canonical), Ok(()));
            assert!(rdata::compressible_names(rtype, &wire).count() < 3);
            rdata::to_text(rtype, &wire);
        }
    });
}

#[test]
fn queries_and_their_answers() {
    let zone = zone();
    let names =
        ["example.org.", "a.b.wild.example.org.", "q.tree.example.org.", "w.sub.example.org."];
    let seeds: Vec<_> = names
        .iter()
        .chain(&["loop.example.org.", "nx.example.org.", "alias.example.org."])
        .flat_map(|name| [1u16, 2, 6, 15, 43, 46, 255].map(|qtype| query(name, qtype)))
        .collect();
    let mut out = vec![0u8; 65_535];
    rounds("query", |chance| {
        let wire = chance.one_mutated(&seeds);
        let Ok(query) = Query::parse(&wire) else { return };
        if !query.name().is_under(zone.origin()) {
            return;
        }
        let size = query.udp_limit(1232);
        let outcome = answer::answer(&zone, &query, size, false, &mut out);
        assert!(outcome.length <= size, "{} octets where {size} are allowed", outcome.length);
        assert_eq!(out[..2], wire[..2]);
        assert!(out[2] & 0x80 != 0);
    });
}

#[test]
fn replies_of_upstreams() {
    let zone = zone();
    let mut seeds = vec![];
    for name in ["example.org.", "a.b.wild.example.org.", "nx.example.org.", "alias.example.org."] {
        for qtype in [1u16, 2, 6, 15, 48, 255] {
            let wire = query(name, qtype);
            let mut out = vec![0; 1232];
            let query = Query::parse(&wire).ok().unwrap();
            let length = answer::answer(&zone, &query, 1232, false, &mut out).length;
            seeds.push((wire, out[..length].to_vec()));
        }
    }
    rounds("reply of an upstream", |chance| {
        let (wire, seed) = &seeds[chance.below(seeds.len())];
        let query = Query::parse(wire).ok().unwrap();
        let mut asked = Asked::new(&query);
        asked.set_id(0x1234);
        let came = chance.mutated(seed);
        let (Verdict::Reply(reply) | Verdict::OtherCase(reply)) = asked.judge(&came) else {
            return;
        };
        assert_eq!(came[..2], [0x12, 0x34]);
        assert!(reply.name().eq_ignore_ascii_case(asked.name()));
        let sent = for_client(&reply, &query);
        let again = Reply::read(&sent).expect("what is sent on can be read");
        assert_eq!(again.question(), query.question());
        assert_eq!(again.counts(), reply.counts());
        assert_eq!(again.rcode(), reply.rcode());
        kept_and_given_out(chance, &sent, &query);
    });
}

/// A reply, in the cache and out of it again, at any age and for any size.
fn kept_and_given_out(chance: &mut Chance, wire: &[u8], query: &Query<'_>) {
    let reply = Reply::read(wire).expect("it was read before");
    let Some(kind) = entry::kind(&reply, query.qtype) else { return };
    let bounds = Bounds { least: chance.below(9) as u32, most: 10 + chance.below(90_000) as u32 };
    let Some(lifetime) = entry::lifetime(&reply, kind, bounds) else { return };
    assert!((bounds.least..=bounds.most).contains(&lifetime));
    let key = Key::of(query);
    let entry = Entry::new(&key, &reply, kind, bounds, lifetime, 0);
    assert!(entry.is(&key));
    let size = 512 + chance.below(1000);
    let age = chance.next() as u32 >> chance.below(32);
    let mut out = vec![0; size];
    let length = entry.render(query, age, size, &mut out);
    let again = Reply::read(&out[..length]).expect("what is given out can be read");
    assert_eq!(again.question(), query.question());
    if !again.is_truncated() {
        assert_eq!(again.counts(), reply.counts());
        assert!(again.records.iter().all(|record| record.ttl <= bounds.most));
    }
}

#[test]
fn transfer_requests() {
    let server = xfr::Server::new(vec![]);
    let zone = zone();
    let mut ixfr =
        xfr::Client::new(&origin(), Some(zone.clone()), None, xfr::DEFAULT_LIMIT).unwrap();
    let seeds = [
        query("example.org.", 252),
        query("example.org.", 6),
        ixfr.request(1, 0).unwrap(),
        xfr::notify(&origin(), 7, None, 9, 0),
    ];
    rounds("transfer request", |chance| {
        let wire = chance.one_mutated(&seeds);
        let Ok(request) = server.parse(&wire, 0) else { return };
        let acknowledged = request.acknowledge(0);
        assert!(acknowledged.len() >= 12);
        if let Ok(mut answer) = xfr::Answer::new(request, zone.clone(), None, 0) {
            while answer.next_message().unwrap().is_some() {}
        }
    });
}

#[test]
fn transfer_answers() {
    let server = xfr::Server::new(vec![]);
    let zone = zone();
    let request = server.parse(&query("example.org.", 252), 0).ok().unwrap();
    let mut answer = xfr::Answer::new(request, zone.clone(), None, 0).unwrap();
    let mut seeds = vec![];
    while let Some(message) = answer.next_message().unwrap() {
        seeds.push(message);
    }
    rounds("transfer answer", |chance| {
        let base = (chance.below(2) == 0).then(|| zone.clone());
        let mut client = xfr::Client::new(&origin(), base, None, 1 << 20).unwrap();
        client.request(0x1234, 0).unwrap();
        for _ in 0..3 {
            match client.feed(&chance.one_mutated(&seeds), 0) {
                Ok(false) => {}
                Ok(true) => {
                    assert!(client.zone().is_ok());
                    break;
                }
                Err(_) => break,
            }
        }
    });
}

#[test]
fn snapshots() {
    let folder = std::env::temp_dir().join(format!("zoneward-hostile-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("snapshot");
    disk::save(&zone(), &path).unwrap();
    let seed = std::fs::read(&path).unwrap();
    rounds("snapshot", |chance| {
        let damaged = chance.mutated(&seed);
        if damaged != seed {
            std::fs::write(&path, &damaged).unwrap();
            assert!(disk::load(&path).is_err(), "a damaged snapshot was taken");
        }
    });
    std::fs::remove_dir_all(&folder).unwrap();
}
