use proptest::prelude::*;

use super::*;
use crate::name::Name;
use crate::query::{HEADER, class};
use crate::scan::{Options, scan_text};

const ZONE: &str = r#"$TTL 300
@ SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
@ NS ns.sub
@ MX 10 mail
ns A 192.0.2.1
mail A 192.0.2.2
*.w TXT "a wildcard"
loop CNAME loop
round CNAME about
about CNAME round
*.spin CNAME a.spin
alias CNAME x.y.z
sub NS ns.sub
sub NS ns.elsewhere.test.
ns.sub A 192.0.2.3
long DNAME aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.e
d DNAME e
a.e A 192.0.2.4
x.y.z AAAA 2001:db8::1
many NS ns01.many
many NS ns02.many
$GENERATE 1-40 many NS a-name-server-with-a-long-name-$.many
$GENERATE 1-40 a-name-server-with-a-long-name-$.many A 192.0.2.$
$GENERATE 1-60 big TXT "one of many strings in an RRset of some size $"
"#;

fn zone() -> Zone {
    let origin = Name::from_text("example.org.", None).unwrap();
    scan_text(ZONE.as_bytes(), "zone", &origin, &Options::default(), None)
        .unwrap_or_else(|_| panic!("the zone above is right"))
}

fn message(name: &Name, qtype: u16, edns: Option<u16>) -> Vec<u8> {
    let mut wire = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns.is_some())];
    wire.extend_from_slice(name.wire());
    wire.extend_from_slice(&qtype.to_be_bytes());
    wire.extend_from_slice(&class::IN.to_be_bytes());
    if let Some(size) = edns {
        wire.extend_from_slice(&[0, 0, 41]);
        wire.extend_from_slice(&size.to_be_bytes());
        wire.extend_from_slice(&[0, 0, 0x80, 0, 0, 0]);
    }
    wire
}

fn ask(zone: &Zone, name: &str, qtype: u16, size: usize) -> (Outcome, [u16; 3], bool) {
    let name = Name::from_text(name, Some(zone.origin())).unwrap();
    let wire = message(&name, qtype, None);
    let query = Query::parse(&wire).ok().unwrap();
    let mut out = vec![0; 65_535];
    let outcome = answer(zone, &query, size, true, &mut out);
    walk(&out[..outcome.length]).unwrap();
    let count = |at: usize| u16::from_be_bytes([out[at], out[at + 1]]);
    (outcome, [count(6), count(8), count(10)], out[2] & 4 != 0)
}

/// The whole message read as a client would, pointers followed backwards only.
fn walk(wire: &[u8]) -> Option<()> {
    let count = |at: usize| usize::from(u16::from_be_bytes([wire[at], wire[at + 1]]));
    let mut at = HEADER;
    let mut name = vec![];
    for _ in 0..count(4) {
        at = crate::rdata::expand_name(wire, at, &mut name).ok()? + 4;
    }
    for _ in 0..count(6) + count(8) + count(10) {
        at = crate::rdata::expand_name(wire, at, &mut name).ok()?;
        let fixed = wire.get(at..at + 10)?;
        let rtype = u16::from_be_bytes([fixed[0], fixed[1]]);
        let length = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        if rtype != rtype::OPT {
            crate::rdata::decompress(rtype, wire, at + 10, length).ok()?;
        }
        at += 10 + length;
    }
    (at == wire.len()).then_some(())
}

#[test]
fn aliases_end_where_they_turn_in_circles() {
    let zone = zone();
    for (name, answers) in [("loop", 1), ("round", 2), ("x.spin", 2), ("a.spin", 1)] {
        let (outcome, counts, _) = ask(&zone, name, rtype::A, 65_535);
        assert_eq!((outcome.rcode, counts[0]), (rcode::NOERROR, answers), "{name}");
    }
}

#[test]
fn a_name_that_a_dname_makes_too_long_is_yxdomain() {
    let zone = zone();
    let label = "b".repeat(62);
    let name = format!("{label}.{label}.{label}.long");
    let (outcome, counts, _) = ask(&zone, &name, rtype::A, 65_535);
    assert_eq!((outcome.rcode, counts), (rcode::YXDOMAIN, [1, 0, 0]));
}

#[test]
fn what_does_not_fit_truncates_but_for_what_is_additional() {
    let zone = zone();
    // An RRset that does not fit is left out whole (RFC 2181 section 9).
    let (outcome, counts, _) = ask(&zone, "big", rtype::TXT, 512);
    assert_eq!((outcome.truncated, counts), (true, [0, 0, 0]));
    // A referral without all of its in-domain glue (RFC 9471 section 3.1).
    let (outcome, ..) = ask(&zone, "x.many", rtype::A, 1232);
    assert!(outcome.truncated);
    let (outcome, counts, authoritative) = ask(&zone, "x.many", rtype::A, 65_535);
    assert!(!outcome.truncated && !authoritative);
    assert_eq!(counts, [0, 42, 40]);
    let (outcome, counts, _) = ask(&zone, "@", rtype::MX, 60);
    assert_eq!((outcome.truncated, counts), (false, [1, 0, 0]));
}

proptest! {
    #[test]
    fn any_octets_are_survived(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(query) = Query::parse(&octets) {
            prop_assert_eq!(query.name().wire().len(), query.name_as_sent().len());
        }
    }

    #[test]
    fn a_damaged_query_is_read_or_refused(
        at in 2usize..50, octet: u8, cut in 0usize..60, edns: bool,
    ) {
        let name = Name::from_text("www.w.example.org.", None).unwrap();
        let mut wire = message(&name, rtype::A, edns.then_some(1400));
        let at = at.min(wire.len() - 1);
        wire[at] = octet;
        wire.truncate(wire.len().saturating_sub(cut));
        if let Ok(query) = Query::parse(&wire) {
            prop_assert!(query.udp_limit(UDP_SIZE) >= 512);
        }
    }

    #[test]
    fn every_answer_can_be_read_and_keeps_its_limit(
        labels in prop::collection::vec("[a-z*]{1,3}|sub|many|spin|loop|big|d|e|long", 0..4),
        qtype in prop::sample::select(vec![1u16, 2, 5, 6, 15, 16, 28, 39, 43, 46, 47, 255]),
        edns in prop::option::of(any::<u16>()),
        stream: bool,
    ) {
        let zone = zone();
        let text = [labels.join("."), "example.org.".into()].join(".");
        let name = Name::from_text(text.trim_start_matches('.'), None).unwrap();
        let wire = message(&name, qtype, edns);
        let query = Query::parse(&wire).ok().unwrap();
        let size = if stream { 65_535 } else { query.udp_limit(UDP_SIZE) };
        let mut out = vec![0; 65_535];
        let outcome = answer(&zone, &query, size, stream, &mut out);
        prop_assert!(outcome.length <= size);
        prop_assert!(walk(&out[..outcome.length]).is_some());
    }
}
