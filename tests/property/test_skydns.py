"""Laws of SkyDNS's layout: a change touches all that it changes, and what comes out is a zone."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

import engine
from corefile.names import name_wire
from zones.etcd import skydns
from zones.etcd.rrsets import Records, zone_text
from zones.etcd.skydns import Refused
from zones.etcd.tree import Tree

ZONE = "example.org."
PREFIX = b"/skydns/org/example/"

labels = st.sampled_from(["a", "b", "C", "any", "*", "dns", "ns", "apex", "x-1"])
paths = st.lists(labels, min_size=1, max_size=4).map("/".join)
hosts = st.sampled_from(
    ["192.0.2.1", "192.0.2.2", "2001:db8::1", "out.test", ""]
    + [f"{name}.example.org" for name in ("a", "b.a", "c", "any.a", "a.b.c")]
    + ["example.org"]
)
values = st.fixed_dictionaries(
    {"host": hosts},
    optional={
        "port": st.sampled_from([0, 80]),
        "priority": st.integers(0, 3),
        "weight": st.integers(0, 200),
        "text": st.sampled_from(["", "some text", "x" * 300]),
        "mail": st.booleans(),
        "ttl": st.integers(0, 400),
        "targetstrip": st.integers(0, 5),
        "group": st.sampled_from(["", "g", "h"]),
    },
)
# None takes the key away.
changes = st.lists(st.tuples(paths, st.none() | values), max_size=25)


def rendered(tree: Tree) -> dict[str, Records]:
    found = {path: tree.records(path) for path in tree.paths()}
    return {path: records for path, records in found.items() if records}


@settings(max_examples=100, deadline=None)
@given(changes)
def test_what_is_touched_is_all_that_changes(
    steps: list[tuple[str, dict[str, object] | None]],
) -> None:
    tree = Tree(ZONE)
    known = rendered(tree)
    entries = {}
    for path, value in steps:
        key = PREFIX + path.encode()
        touched = tree.remove(key)
        entries.pop(key, None)
        if value is not None:
            try:
                entry = skydns.read(key, json.dumps(value).encode(), 0, PREFIX, tree.room)
            except Refused:
                pass
            else:
                entries[key] = entry
                touched |= tree.put(entry)
        for one in touched:
            records = tree.records(one)
            known.pop(one, None)
            if records:
                known[one] = records
        anew = Tree(ZONE)
        for entry in entries.values():
            anew.put(entry)
        assert {path: in_order(one) for path, one in known.items()} == {
            path: in_order(one) for path, one in rendered(anew).items()
        }
    text = "".join(zone_text(tree.name(path), records) for path, records in known.items())
    zone = engine.scan_text(text.encode(), name_wire(ZONE))
    # It can be signed: no alias beside other data, no name outside.
    bare = engine.SignPlan(
        keys=[],
        dnskeys=[],
        dnskey_ttl=0,
        serial=2,
        inception=0,
        expiration=1,
        refresh_before=0,
    )
    engine.sign(None, engine.source_changes(None, zone), bare)


def in_order(records: Records) -> dict[str, tuple[int, tuple[str, ...]]]:
    """RRsets are sets."""
    return {rtype: (ttl, tuple(sorted(rdatas))) for rtype, (ttl, rdatas) in records.items()}


@settings(max_examples=300)
@given(st.binary(max_size=80), st.binary(max_size=80) | st.text().map(str.encode))
def test_whatever_is_in_etcd_is_an_entry_or_refused(key: bytes, value: bytes) -> None:
    tree = Tree(ZONE)
    try:
        entry = skydns.read(PREFIX + key, value, 0, PREFIX, tree.room)
    except Refused:
        return
    tree.put(entry)
    text = "".join(zone_text(tree.name(path), tree.records(path)) for path in tree.paths())
    engine.scan_text(text.encode(), name_wire(ZONE))
