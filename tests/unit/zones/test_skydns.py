"""SkyDNS's layout: which keys make which records, and which make none."""

import dns.name
import pytest

from zones.etcd import skydns
from zones.etcd.rrsets import zone_text
from zones.etcd.skydns import Entry, LeaseTimes, Refused
from zones.etcd.tree import MOST_BELOW, Tree

ZONE = "example.org."
PREFIX = b"/skydns/org/example/"


def entry(path: str, value: str, *, lease: int = 0, tree: Tree | None = None) -> Entry:
    room = 255 - 13 if tree is None else tree.room
    return skydns.read(PREFIX + path.encode(), value.encode(), lease, PREFIX, room)


def planted(*keys: tuple[str, str], zone: str = ZONE, times: LeaseTimes | None = None) -> Tree:
    tree = Tree(zone, times)
    for path, value in keys:
        tree.put(entry(path, value, tree=tree))
    return tree


def lines(tree: Tree, name: str) -> set[str]:
    """A name's records without owner and class."""
    path = tree.path(name)
    assert path is not None
    text = zone_text("", tree.records(path))
    return {" ".join(line.split()).replace(" IN ", " ") for line in text.splitlines()}


def text(octets: bytes) -> str:
    wire = b"".join(
        bytes([len(part)]) + part
        for part in (octets[at : at + 255] for at in range(0, len(octets), 255))
    )
    return f"\\# {len(wire)} {wire.hex()}"


# What is in etcd, the name asked for, its records: SkyDNS's and CoreDNS's answers, as a zone.
CASES: dict[str, tuple[list[tuple[str, str]], str, set[str]]] = {
    "an address": ([("www", '{"host":"192.0.2.1"}')], "www", {"300 A 192.0.2.1"}),
    "an IPv6 address in canonical form": (
        [("www", '{"host":"2001:DB8:0::1","ttl":60}')],
        "www",
        {"60 AAAA 2001:db8::1"},
    ),
    "a name alone is an alias": (
        [("www", '{"host":"lb.example.net"}')],
        "www",
        {"300 CNAME lb.example.net."},
    ),
    "a name's text gives way to the alias": (
        [("www", '{"host":"lb.example.net","text":"heritage=external-dns"}')],
        "www",
        {"300 CNAME lb.example.net."},
    ),
    "a port makes SRV, and the key's own name its target": (
        [("web", '{"host":"192.0.2.1","port":80}')],
        "web",
        {"300 A 192.0.2.1", "300 SRV 10 100 80 web.example.org."},
    ),
    "everything below a name": (
        [
            ("web/a", '{"host":"192.0.2.1","port":80}'),
            ("web/b", '{"host":"192.0.2.2","port":81,"weight":300,"ttl":20}'),
        ],
        "web",
        {
            "20 A 192.0.2.1",
            "20 A 192.0.2.2",
            "20 SRV 10 25 80 a.web.example.org.",
            "20 SRV 10 75 81 b.web.example.org.",
        },
    ),
    "the key itself does not count where there are keys below": (
        [("web", '{"host":"192.0.2.9"}'), ("web/a", '{"host":"192.0.2.1"}')],
        "web",
        {"300 A 192.0.2.1"},
    ),
    "a name that only leads on": (
        [("a/b/c", '{"host":"192.0.2.1"}')],
        "a",
        {"300 A 192.0.2.1"},
    ),
    "weights are shares of a priority": (
        [
            ("s/a", '{"host":"a.test","port":1,"priority":1,"weight":1}'),
            ("s/b", '{"host":"b.test","port":1,"priority":1,"weight":999}'),
            ("s/c", '{"host":"c.test","port":1,"priority":2}'),
        ],
        "s",
        {"300 SRV 1 1 1 a.test.", "300 SRV 1 99 1 b.test.", "300 SRV 2 100 1 c.test."},
    ),
    "targetstrip takes labels off the target": (
        [("www/x1", '{"host":"192.0.2.1","port":80,"targetstrip":1}')],
        "www",
        {"300 A 192.0.2.1", "300 SRV 10 100 80 www.example.org."},
    ),
    "a targetstrip above the zone takes none": (
        [("www/x1", '{"host":"192.0.2.1","port":80,"targetstrip":9}')],
        "www",
        {"300 A 192.0.2.1", "300 SRV 10 100 80 x1.www.example.org."},
    ),
    "mail is asked for by MX": (
        [("mx/a", '{"host":"mail.test","mail":true,"priority":20}')],
        "mx",
        {"300 MX 20 mail.test."},
    ),
    "mail at an address goes to the key's own name": (
        [("mx/a", '{"host":"192.0.2.25","mail":true}')],
        "mx",
        {"300 A 192.0.2.25", "300 MX 10 a.mx.example.org."},
    ),
    "a text": ([("t", '{"text":"hello"}')], "t", {"300 TXT " + text(b"hello")}),
    "a long text in pieces": (
        [("t", '{"text":"' + "x" * 300 + '"}')],
        "t",
        {"300 TXT " + text(b"x" * 300)},
    ),
    "a name of this zone beside other data is followed": (
        [
            ("web", '{"host":"db.example.org","port":80}'),
            ("db", '{"host":"192.0.2.7","ttl":30}'),
        ],
        "web",
        {"30 A 192.0.2.7", "300 SRV 10 100 80 db.example.org."},
    ),
    "names of this zone are followed over several steps": (
        [
            ("web", '{"host":"b.example.org","port":80}'),
            ("b", '{"host":"c.example.org"}'),
            ("c", '{"host":"192.0.2.8"}'),
        ],
        "web",
        {"300 A 192.0.2.8", "300 SRV 10 100 80 b.example.org."},
    ),
    "a circle of names ends": (
        [
            ("a", '{"host":"b.example.org","port":1}'),
            ("b", '{"host":"a.example.org","port":1}'),
        ],
        "a",
        {"300 SRV 10 100 1 b.example.org."},
    ),
    "a name that is its own alias is none": ([("a", '{"host":"a.example.org"}')], "a", set()),
    "two names can't be one alias": (
        [("a/x", '{"host":"one.test"}'), ("a/y", '{"host":"two.test"}')],
        "a",
        set(),
    ),
    "any, for what is below a name": (
        [("web/a", '{"host":"192.0.2.1"}')],
        "any.web",
        {"300 CNAME web.example.org."},
    ),
    "any, where it is a key": (
        [("web/any", '{"host":"192.0.2.1"}')],
        "any.web",
        {"300 A 192.0.2.1"},
    ),
    "no any where nothing is below": ([("web", '{"host":"192.0.2.1"}')], "any.web", set()),
    "a wildcard is one of the DNS": ([("*", '{"host":"192.0.2.1"}')], "*", {"300 A 192.0.2.1"}),
    "a group wins by the shortest keys": (
        [
            ("g/a", '{"host":"192.0.2.1","group":"one"}'),
            ("g/b/c", '{"host":"192.0.2.2","group":"two"}'),
            ("g/b/d", '{"host":"192.0.2.3"}'),
        ],
        "g",
        {"300 A 192.0.2.1", "300 A 192.0.2.3"},
    ),
    "groups of equal length that disagree all count": (
        [
            ("g/a", '{"host":"192.0.2.1","group":"one"}'),
            ("g/b", '{"host":"192.0.2.2","group":"two"}'),
        ],
        "g",
        {"300 A 192.0.2.1", "300 A 192.0.2.2"},
    ),
    "the same address twice is one record": (
        [("w/a", '{"host":"192.0.2.1","ttl":9}'), ("w/b", '{"host":"192.0.2.1"}')],
        "w",
        {"9 A 192.0.2.1"},
    ),
    "a name in capitals": ([("WWW", '{"Host":"192.0.2.1"}')], "www", {"300 A 192.0.2.1"}),
    "a label with what is special in zone files": (
        [("a;b", '{"host":"192.0.2.1"}')],
        "a\\;b",
        {"300 A 192.0.2.1"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_name_has_the_records_that_skydns_answers(case: str) -> None:
    keys, name, records = CASES[case]
    assert lines(planted(*keys), f"{name}.{ZONE}") == records


SOA = "30 SOA ns.dns.example.org. hostmaster.example.org. 1 7200 1800 86400 30"


def test_the_apex_has_what_is_under_dns() -> None:
    tree = planted(
        ("dns/ns/ns1", '{"host":"192.0.2.53","ttl":3600}'),
        ("dns/ns/ns2", '{"host":"2001:db8::53"}'),
        ("dns/apex", '{"host":"192.0.2.80"}'),
        ("www", '{"host":"192.0.2.1"}'),
    )
    assert lines(tree, ZONE) == {
        SOA,
        "300 NS ns1.ns.dns.example.org.",
        "300 NS ns2.ns.dns.example.org.",
        "300 A 192.0.2.80",
    }
    assert lines(tree, "ns1.ns.dns.example.org.") == {"3600 A 192.0.2.53"}


def test_an_empty_zone_has_an_apex() -> None:
    assert lines(planted(), ZONE) == {SOA, "300 NS ns.dns.example.org."}


@pytest.mark.parametrize(("most", "ttls"), [(86400, {30, 300}), (200, {30, 200}), (20, {20})])
def test_no_ttl_of_a_zone_is_above_the_most(most: int, ttls: set[int]) -> None:
    """What no key says included: the SOA, NS, and aliases."""
    tree = planted(("a/b", '{"host":"192.0.2.1"}'), times=LeaseTimes(1, most))
    assert {ttl for path in tree.paths() for ttl, _ in tree.records(path).values()} == ttls


def test_a_reverse_zone_points_at_names_from_exact_keys() -> None:
    tree = planted(
        ("1", '{"host":"www.example.org","ttl":50}'),
        ("2/3", '{"host":"deep.example.org"}'),
        zone="2.0.192.in-addr.arpa.",
    )
    assert lines(tree, "1.2.0.192.in-addr.arpa.") == {"50 PTR www.example.org."}
    assert lines(tree, "2.2.0.192.in-addr.arpa.") == set()


def test_a_name_with_too_much_below_it_answers_for_none_of_it() -> None:
    keys = [(f"many/n{number}", '{"host":"192.0.2.1"}') for number in range(MOST_BELOW + 1)]
    tree = planted(*keys)
    assert lines(tree, "many.example.org.") == set()
    assert tree.crowded == {"many"}
    assert lines(tree, "n0.many.example.org.") == {"300 A 192.0.2.1"}
    tree.remove(PREFIX + b"many/n0")
    assert lines(tree, "many.example.org.") == {"300 A 192.0.2.1"}
    assert not tree.crowded


REFUSED = {
    "no JSON": ("a", "host=192.0.2.1", "no JSON object"),
    "JSON that is no object": ("a", '["192.0.2.1"]', "no JSON object"),
    "nothing of use": ("a", '{"port":80}', "neither host nor text"),
    "a host that is no name": ("a", '{"host":"not a name"}', "neither an address nor a name"),
    "a host with an empty label": ("a", '{"host":"a..b"}', "neither an address nor a name"),
    "an address that is none": ("a", '{"host":"192.0.2.300"}', "neither an address nor a name"),
    "an IPv6 address that is none": ("a", '{"host":"fe80::1%eth0"}', "neither an address"),
    "a host of another kind": ("a", '{"host":12}', "host is no string"),
    "a port out of range": ("a", '{"host":"192.0.2.1","port":70000}', "port is 70000"),
    "a port that is no number": ("a", '{"host":"192.0.2.1","port":"80"}', "port is no whole"),
    "a ttl below nothing": ("a", '{"host":"192.0.2.1","ttl":-1}', "ttl is -1"),
    "mail that is no truth": ("a", '{"host":"192.0.2.1","mail":1}', "mail is neither"),
    "a value that is too long": ("a", '{"text":"' + "x" * 40000 + '"}', "40011 octets"),
    "a key with an empty label": ("a//b", '{"host":"192.0.2.1"}', "'' is no label"),
    "a key with a dot in a label": ("a.b", '{"host":"192.0.2.1"}', "'a.b' is no label"),
    "a key with a space": ("a b", '{"host":"192.0.2.1"}', "'a b' is no label"),
    "a key with a line end": ("a\n", '{"host":"192.0.2.1"}', "'a\\x0a' is no label"),
    "a label that is too long": ("a" * 64, '{"host":"192.0.2.1"}', "is no label"),
    "a name that is too long": ("/".join(["a" * 60] * 4), '{"host":"192.0.2.1"}', "255 octets"),
    "a key that ends in a slash": ("a/", '{"host":"192.0.2.1"}', "'' is no label"),
    "a key that is not ASCII": ("bücher", '{"host":"192.0.2.1"}', "not ASCII"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_entries_are_refused_with_a_reason(case: str) -> None:
    path, value, reason = REFUSED[case]
    with pytest.raises(Refused) as caught:
        entry(path, value)
    assert reason in str(caught.value)


def test_a_name_may_have_255_octets_and_no_more() -> None:
    # 242 are left beside example.org's 13, the length of each label counted.
    full = "/".join(["a" * 60] * 3 + ["a" * 58])
    assert entry(full, '{"host":"192.0.2.1"}').path == full
    with pytest.raises(Refused):
        entry(full + "a", '{"host":"192.0.2.1"}')


@pytest.mark.parametrize(
    ("ttl", "lease", "granted", "times", "expected"),
    [
        (None, 0, None, LeaseTimes(), 300),
        (60, 0, None, LeaseTimes(), 60),
        (5, 0, None, LeaseTimes(), 5),
        (None, 7, 120, LeaseTimes(), 120),
        (60, 7, 120, LeaseTimes(), 60),
        (600, 7, 120, LeaseTimes(), 120),
        # The bounds are for what comes of a lease …
        (None, 7, 5, LeaseTimes(), 30),
        (None, 7, 10**6, LeaseTimes(), 86400),
        (10, 7, 5, LeaseTimes(), 10),
        # … and a lease that has ended leaves the least.
        (None, 7, None, LeaseTimes(), 30),
        (None, 7, 5, LeaseTimes(least=2), 5),
        # Nothing is above the most: the zone's keys are planned with it.
        (2**31 - 1, 0, None, LeaseTimes(), 86400),
        (None, 0, None, LeaseTimes(most=120), 120),
    ],
)
def test_a_ttl_is_the_lesser_of_the_values_and_the_leases(
    ttl: int | None, lease: int, granted: int | None, times: LeaseTimes, expected: int
) -> None:
    value = '{"host":"192.0.2.1"}' if ttl is None else f'{{"host":"192.0.2.1","ttl":{ttl}}}'
    assert times.ttl(entry("a", value, lease=lease), granted) == expected


@pytest.mark.parametrize(
    ("path", "zone", "prefix"),
    [
        ("skydns", "example.org.", b"/skydns/org/example/"),
        ("/skydns", "2.0.192.in-addr.arpa.", b"/skydns/arpa/in-addr/192/0/2/"),
        ("/a/b/", "org.", b"/a/b/org/"),
        ("", "example.org.", b"/org/example/"),
        ("skydns", ".", b"/skydns/"),
    ],
)
def test_a_zones_keys_begin_with_its_labels_in_reverse(path: str, zone: str, prefix: bytes) -> None:
    assert skydns.prefix(path, dns.name.from_text(zone)) == prefix


def test_a_change_names_all_whose_records_it_changes() -> None:
    tree = planted(
        ("web", '{"host":"db.example.org","port":80}'), ("db/one", '{"host":"192.0.2.7"}')
    )
    for path in tree.paths():
        tree.records(path)
    touched = tree.put(entry("db/two", '{"host":"192.0.2.8"}', tree=tree))
    assert {"db/two", "db", "web"} <= touched
    assert lines(tree, "web.example.org.") == {
        "300 A 192.0.2.7",
        "300 A 192.0.2.8",
        "300 SRV 10 100 80 db.example.org.",
    }
