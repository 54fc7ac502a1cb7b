use super::*;
use crate::name::Name;

fn name(text: &str) -> Name {
    Name::from_text(text, Some(&Name::from_text("example.", None).unwrap())).unwrap()
}

fn soa(serial: u32) -> Vec<u8> {
    let mut rdata = [name("ns").wire(), name("hostmaster").wire()].concat();
    for number in [serial, 3600, 600, 86400, 300] {
        rdata.extend_from_slice(&number.to_be_bytes());
    }
    rdata
}

fn zone(serial: u32, records: &[(&str, u16, &[u8])]) -> Zone {
    let mut builder = Builder::new(&name("@"));
    builder.add(&name("@"), rtype::SOA, 3600, &soa(serial)).unwrap();
    for (owner, rtype, rdata) in records {
        builder.add(&name(owner), *rtype, 3600, rdata).unwrap();
    }
    builder.finish().unwrap()
}

const A: u16 = rtype::A;

fn listing(zone: &Zone) -> Vec<(String, u8, usize)> {
    zone.nodes().map(|n| (n.name().to_string(), n.flags(), n.rrset_count())).collect()
}

#[test]
fn the_builder_puts_in_empty_non_terminals_and_marks_what_is_occluded() {
    let target = name("ns.sub");
    let built = zone(
        7,
        &[
            ("b.c.d", A, &[1, 2, 3, 4]),
            ("sub", rtype::NS, target.wire()),
            ("x.ns.sub", A, &[1, 1, 1, 1]),
        ],
    );
    let expected = [
        ("example.", 0, 1),
        ("d.example.", 0, 0),
        ("c.d.example.", 0, 0),
        ("b.c.d.example.", 0, 1),
        ("sub.example.", node::flags::CUT, 1),
        ("ns.sub.example.", node::flags::BELOW_CUT, 0),
        ("x.ns.sub.example.", node::flags::BELOW_CUT, 1),
    ];
    assert_eq!(listing(&built), expected.map(|(n, f, c)| (n.to_owned(), f, c)));
    assert_eq!(built.serial(), 7);
    assert!(matches!(built.find(&name("q.c.d")), Lookup::Encloser(n) if n.name() == &*name("c.d")));
}

#[test]
fn editing_gives_what_building_gives() {
    let target = name("ns.sub");
    let all: [(&str, u16, &[u8]); 4] = [
        ("b.c.d", A, &[1, 2, 3, 4]),
        ("sub", rtype::NS, target.wire()),
        ("x.ns.sub", A, &[1, 1, 1, 1]),
        ("a", A, &[9, 9, 9, 9]),
    ];
    for with in 0..16u32 {
        for without in 0..16u32 {
            let pick = |mask: u32| -> Vec<_> {
                (0..4).filter(|bit| mask & 1 << bit != 0).map(|bit| all[bit]).collect()
            };
            let (from, to) = (zone(1, &pick(with)), zone(2, &pick(without)));
            let diff = from.difference(&to);
            let reached = from.apply(&diff).unwrap();
            assert_eq!(listing(&reached), listing(&to), "{with:b} -> {without:b}");
            assert_eq!(reached.counts(), to.counts());
            assert!(reached.difference(&to).is_empty());
        }
    }
}

#[test]
fn many_names_stay_in_order_through_splits_and_removals() {
    let mut grown = zone(1, &[]);
    let names: Vec<Name> = (0..2000u32).map(|i| name(&format!("n{}", i * 7919 % 2000))).collect();
    for owner in &names {
        let mut rrset = RrsetBuf::new(A, 60, false);
        rrset.push_rdata(&[1, 2, 3, 4]);
        grown.set(owner, rrset);
    }
    let listed: Vec<_> = grown.nodes().map(|n| n.name().to_owned()).collect();
    assert_eq!(listed.len(), 2001);
    assert!(listed.windows(2).all(|pair| pair[0] < pair[1]));
    let shared = grown.clone();
    for owner in &names[..1500] {
        grown.unset(owner, A);
    }
    assert_eq!(grown.node_count(), 501);
    assert_eq!(shared.node_count(), 2001);
    for owner in &names[..1500] {
        assert!(grown.get(owner).is_none() && shared.get(owner).is_some());
        let before = grown.backwards_from(owner).next().unwrap().name();
        assert!(before.canonical_cmp(owner).is_lt());
    }
    assert_eq!(shared.difference(&grown).removed.len(), 1500);
}

#[test]
fn a_serial_that_moves_alone_is_no_change_of_the_source() {
    let (a, b) = (zone(1, &[]), zone(2, &[]));
    assert!(diff::source_changes(Some(&a), &b).is_empty());
    assert_eq!(diff::source_changes(None, &b).added.len(), 1);
}

#[test]
fn what_cannot_stand_together_is_refused() {
    let target = name("t");
    let mut builder = Builder::new(&name("@"));
    builder.add(&name("@"), rtype::SOA, 60, &soa(1)).unwrap();
    builder.add(&name("a"), rtype::CNAME, 60, target.wire()).unwrap();
    builder.add(&name("a"), A, 60, &[1, 2, 3, 4]).unwrap();
    let error = builder.finish().err().unwrap();
    assert_eq!(error.to_string(), "a.example.: CNAME beside A: a CNAME stands alone");
    assert!(Builder::new(&name("@")).finish().is_err());
}

#[test]
fn the_earliest_expiration_follows_every_change() {
    let signed = |expiration: u32| {
        let mut rrset = RrsetBuf::new(A, 60, false);
        rrset.push_rdata(&[1, 2, 3, 4]);
        let mut rdata = vec![0; 18];
        rdata[8..12].copy_from_slice(&expiration.to_be_bytes());
        rdata.extend_from_slice(name("@").wire());
        rrset.push_signature(&rdata);
        rrset
    };
    let mut grown = zone(1, &[]);
    assert_eq!(grown.earliest_expiration(), None);
    let names: Vec<Name> = (0..1000).map(|i| name(&format!("n{i}"))).collect();
    for (owner, expiration) in names.iter().zip(5000u32..) {
        grown.set(owner, signed(expiration));
    }
    assert_eq!(grown.earliest_expiration(), Some(5000));
    let before = grown.clone();
    for (i, owner) in names.iter().enumerate() {
        match i % 3 {
            0 => grown.unset(owner, A),
            1 => grown.set(owner, signed(9000)),
            _ => continue,
        }
        let least = names.iter().zip(5000u32..).skip(i + 1).map(|(_, least)| least).next();
        let passed = if i > 2 { Some(5002) } else { None };
        assert_eq!(grown.earliest_expiration(), passed.or(least), "{i}");
    }
    assert_eq!(before.earliest_expiration(), Some(5000));
}
