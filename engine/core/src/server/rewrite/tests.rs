use proptest::prelude::*;

use super::*;
use crate::server::reply::tests::{A, OPT, reply};

fn query(name: &str, qtype: u16) -> Vec<u8> {
    let mut wire = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    wire.extend_from_slice(Name::from_text(name, None).unwrap().wire());
    wire.extend_from_slice(&qtype.to_be_bytes());
    wire.extend_from_slice(&[0, 1]);
    wire
}

fn rewrite(rules: &serde_json::Value) -> Rewrite {
    let guard = Guard { zones: Default::default(), origins: Default::default() };
    Rewrite { rules: serde_json::from_value(rules.clone()).unwrap(), guard }
}

/// What is asked in place of the name; the type too where that changes.
fn asked(rules: &serde_json::Value, name: &str) -> Option<String> {
    let rewrite = rewrite(rules);
    let wire = query(name, 1);
    let query = Query::parse(&wire).ok().unwrap();
    match rewrite.plan(&query)? {
        Ok(plan) if plan.question.is_asked_by(&query) => Some("the same".to_owned()),
        Ok(plan) => {
            let packet = plan.packet(&query);
            let again = Query::parse(&packet).ok().unwrap();
            Some(format!("{} {}", again.name(), again.qtype))
        }
        Err(NoName) => Some("no name".to_owned()),
    }
}

#[test]
fn the_rules_are_followed_until_one_that_fits_ends_them() {
    let name = |names: serde_json::Value, to: &str, goes_on: bool| {
        serde_json::json!({
            "field": {"of": "name", "names": names, "to": to, "answers": []},
            "goes_on": goes_on,
        })
    };
    let rules = serde_json::json!([
        name(serde_json::json!({"match": "exact", "name": "a.test."}), "b.test.", true),
        {"field": {"of": "type", "from": 1, "to": 28}, "goes_on": true},
        name(serde_json::json!({"match": "prefix", "text": "b."}), "c.", false),
        name(serde_json::json!({"match": "suffix", "text": ".example.org."}), "-x.org.", false),
        name(serde_json::json!({"match": "substring", "text": "a."}), "", false),
        name(serde_json::json!({"match": "regex", "pattern": r"^(.*)-(\d)"}), "{2}.{1}.", false),
    ]);
    let cases = [
        ("A.test.", "c.test. 28"),
        ("b.b.test.", "c.b.test. 28"),
        ("a.example.org.", "a-x.org. 28"),
        ("a.a.b.", "b. 28"),
        ("a.a.", "no name"),
        ("x-2.net.", "2.x. 28"),
        ("other.", "other. 28"),
    ];
    for (from, expected) in cases {
        assert_eq!(asked(&rules, from).as_deref(), Some(expected), "{from}");
    }
    assert_eq!(asked(&serde_json::json!([rules[0]]), "x.test."), None);
    let ttl = serde_json::json!([{"field": {
        "of": "ttl", "names": {"match": "suffix", "text": "test."}, "least": 5, "most": 5,
    }}]);
    assert_eq!(asked(&ttl, "x.test.").as_deref(), Some("the same"));
}

fn rules() -> serde_json::Value {
    serde_json::json!([
        {"field": {
            "of": "name",
            "names": {"match": "exact", "name": "asked."},
            "to": "www.example.",
            "answers": [
                {"do": "auto"},
                {"do": "name", "pattern": "(.*)\\.example\\.", "to": "{1}.owner."},
                {"do": "value", "pattern": "(.*)\\.example\\.", "to": "{1}.value."},
            ],
        }, "goes_on": true},
        {"field": {
            "of": "ttl", "names": {"match": "substring", "text": "example"}, "least": 0, "most": 9,
        }, "goes_on": true},
        {"field": {
            "of": "rcode", "names": {"match": "prefix", "text": "www."}, "from": 0, "to": 3,
        }},
    ])
}

proptest! {
    #[test]
    fn whatever_comes_back_becomes_a_reply_to_what_was_asked_or_is_refused_as_a_whole(
        at in 0usize..140, octet: u8, cut in 0usize..20,
    ) {
        let mx = b"\xc0\x0c\x00\x0f\x00\x01\x00\x00\x00\x3c\x00\x08\x00\x0a\x03mx1\xc0\x10";
        let naptr = b"\xc0\x0c\x00\x23\x00\x01\x00\x00\x00\x3c\x00\x0c\x00\x01\x00\x01\x01a\x00\x00\x02xx\x00";
        let mut wire = reply(0x81a0, [3, 0, 1], &[A, mx, naptr, OPT]);
        if let Some(place) = wire.get_mut(at) {
            *place = octet;
        }
        wire.truncate(wire.len() - cut);
        let came = query("asked.", 1);
        let query = Query::parse(&came).ok().unwrap();
        let rewrite = rewrite(&rules());
        let Some(Ok(plan)) = rewrite.plan(&query) else { panic!("the first rule fits") };
        if let Some(undone) = plan.undo(&query, &wire) {
            let again = Reply::read(&undone).unwrap();
            prop_assert_eq!(again.question(), query.question());
            prop_assert!(again.records.iter().all(|record| record.ttl <= 9));
        }
    }
}
