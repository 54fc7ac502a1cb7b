use serde_json::{Value, json};

use super::*;
use crate::rdata::rtype;
use crate::server::rules::question;

fn predicate(steps: &Value) -> Result<Predicate> {
    let steps: Vec<config::Step> = serde_json::from_value(steps.clone()).unwrap();
    Predicate::new(&steps)
}

/// Of a query for `name` from 10.1.2.3 port 4711 to 192.0.2.1, over UDP.
fn holds(steps: &Value, name: &str, qtype: u16) -> bool {
    let wire = question(name, qtype);
    let query = Query::parse(&wire).ok().unwrap();
    let client = "10.1.2.3:4711".parse().unwrap();
    let peer = Peer { client, local: Some("192.0.2.1".parse().unwrap()), port: 53, stream: false };
    predicate(steps).unwrap().holds(&query, &peer)
}

fn one(test: &Value) -> Value {
    json!([{"test": test, "yes": 1, "no": 2}])
}

#[test]
fn tests_of_a_query() {
    let number = |of: &str, least: u32, most: u32| json!({"is": "number", "of": of, "ranges": [[least, most]]});
    let name = |how: &str, text: &str| json!({"is": "name", "how": how, "texts": ["-", text]});
    let address = |of: &str, net: &str| json!({"is": "address", "of": of, "networks": [net]});
    let cases = [
        (number("type", 1, 1), true),
        (number("type", 2, 65_535), false),
        (number("class", 1, 1), true),
        (number("protocol", UDP, UDP), true),
        (number("port", 4711, 4711), true),
        (number("server_port", 53, 53), true),
        (number("size", 33, 33), true),
        (number("bufsize", 512, 512), true),
        (number("id", 7, 7), true),
        (number("opcode", 0, 0), true),
        (number("do", 1, 1), false),
        (name("equals", "www.example.org."), true),
        (name("equals", "www.example.org"), false),
        (name("starts", "www."), true),
        (name("ends", ".org."), true),
        (name("contains", "example"), true),
        (name("contains", "www.org"), false),
        (name("matches", r"^w+\.[a-z]*\.org\.$"), true),
        (name("matches", "(?i)WWW"), true),
        (name("matches", r"\d"), false),
        (address("client", "10.0.0.0/8"), true),
        (address("client", "11.0.0.0/8"), false),
        (address("server", "192.0.2.1/32"), true),
    ];
    for (test, expected) in cases {
        assert_eq!(holds(&one(&test), "wWw.example.org.", rtype::A), expected, "{test}");
    }
}

#[test]
fn a_table_is_gone_through_forwards() {
    let is = |of: &str, value: u32| json!({"is": "number", "of": of, "ranges": [[value, value]]});
    // Type A of class IN, or ANY.
    let steps = json!([
        {"test": is("type", 1), "yes": 1, "no": 2},
        {"test": is("class", 1), "yes": 3, "no": 2},
        {"test": is("type", 255), "yes": 3, "no": 4},
    ]);
    for (qtype, expected) in [(rtype::A, true), (rtype::ANY, true), (rtype::AAAA, false)] {
        assert_eq!(holds(&steps, "a.", qtype), expected, "{qtype}");
    }
    assert!(holds(&json!([]), "a.", rtype::A));
}

#[test]
fn a_table_that_can_not_be_gone_through_is_refused() {
    let test = json!({"is": "name", "how": "matches", "texts": ["(a"]});
    let error = predicate(&one(&test)).err().unwrap();
    assert_eq!(error.to_string(), "(a: unclosed group");
    let test = json!({"is": "number", "of": "do", "ranges": [[1, 1]]});
    for (yes, no) in [(0, 1), (1, 3), (1, 0)] {
        let steps = json!([{"test": test, "yes": yes, "no": no}]);
        assert_eq!(predicate(&steps).err().unwrap().code, "config", "{yes} {no}");
    }
}
