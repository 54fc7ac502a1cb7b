"""What is held of etcd's keys: what waits to be served, what is left out, what goes to disk."""

import asyncio
import logging
from pathlib import Path

import dns.name
import pytest

import corefile
import engine
from corefile.names import name_wire
from zones.config import compile_block
from zones.etcd import rpc_pb2 as rpc
from zones.etcd.copy import CopiedItem, Copy, load, save
from zones.etcd.follower import Mark
from zones.etcd.following import Following
from zones.etcd.holding import Holding
from zones.etcd.refusals import Refusals
from zones.etcd.skydns import LeaseTimes
from zones.etcd.zonefile import ZoneTexts
from zones.increment import increment

PREFIX = b"/skydns/org/example/"
GOOD = b'{"host":"192.0.2.1"}'


def holding(most: int = 100) -> Holding:
    return Holding("example.org.", PREFIX, LeaseTimes(), most, Refusals("zone example.org."))


def item(path: str, value: bytes = GOOD, *, lease: int = 0) -> rpc.KeyValue:
    return rpc.KeyValue(key=PREFIX + path.encode(), value=value, lease=lease)


def put(path: str, value: bytes = GOOD) -> rpc.Event:
    return rpc.Event(type=rpc.Event.PUT, kv=item(path, value))


def delete(path: str) -> rpc.Event:
    return rpc.Event(type=rpc.Event.DELETE, kv=rpc.KeyValue(key=PREFIX + path.encode()))


def test_what_comes_while_a_version_is_made_waits_for_the_next() -> None:
    held = holding()
    held.change([put("a"), put("b")], {}, 1)
    offered = held.number
    held.change([put("b", b'{"host":"192.0.2.2"}'), put("c")], {}, 2)
    held.served(offered)
    assert {"b", "c"} <= held.dirty.keys()
    assert "a" not in held.dirty
    assert held.waiting_since is not None
    held.served(held.number)
    assert not held.dirty
    assert held.waiting_since is None


class Restless(Holding):
    """Something has come, each time that somebody looks; `rests` after so many looks."""

    def __init__(self, rests: int) -> None:
        self.looks, self.rests = 0, rests

    @property
    def number(self) -> int:
        self.looks += 1
        return min(self.looks, self.rests)


@pytest.mark.parametrize(("rests", "limit"), [(10**9, 0.05), (6, 60.0)])
def test_a_burst_is_gathered_until_its_end_or_the_limit(rests: int, limit: float) -> None:
    """One that never ends is not waited for, nor is the limit when it has ended."""
    held = Restless(rests)

    async def gather() -> None:
        following = Following(
            "zone example.org.",
            None,  # type: ignore[arg-type]
            PREFIX,
            held,
            Path("/nowhere"),
            None,  # type: ignore[arg-type]
        )
        await asyncio.wait_for(following.gather(limit), 30)

    asyncio.run(gather())
    assert held.looks >= min(rests, 4)


def test_a_listing_touches_only_what_differs() -> None:
    held = holding()
    held.replace([item("same"), item("other"), item("gone")], {}, 1)
    held.served(held.number)
    held.replace([item("same"), item("other", b'{"host":"192.0.2.9"}'), item("new")], {}, 9)
    touched = {path for path in held.dirty if not path.endswith("/any")}
    assert touched == {"other", "gone", "new"}
    assert held.revision == 9


def test_bad_entries_take_room_and_are_no_reason_to_list_again() -> None:
    held = holding(most=2)
    held.replace([item("a", b"bad"), item("b"), item("c")], {}, 1)
    assert len(held.tree) == 1
    assert held.keys == 3
    assert not held.wants_listing
    held.change([delete("a")], {}, 2)
    assert held.wants_listing


def test_a_copy_gives_back_what_was_held(tmp_path: Path) -> None:
    held = holding(most=3)
    held.replace([item("a", lease=7), item("b", b"bad"), item("c"), item("d")], {7: 50}, 1)
    mark = Mark(12, 34, PREFIX + b"a", 33)
    save(tmp_path / "copy", PREFIX, Copy(mark, held.copied()))
    found = load(tmp_path / "copy", PREFIX)
    assert found is not None
    assert found.mark == mark
    again = holding(most=3)
    again.restore(found.items, 1)
    assert again.keys == 4
    assert again.tree.records("a") == held.tree.records("a") == {"A": (50, ("192.0.2.1",))}
    assert again.unknown_leases([7, 8, 0]) == {8}
    assert load(tmp_path / "copy", b"/other/") is None


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("long", b"x" * 40_000, "the value has 40000 octets"),
        ("k" * 100_000, GOOD, "the key is no name"),
    ],
)
def test_what_is_too_long_is_kept_by_its_reason_alone(
    tmp_path: Path, path: str, value: bytes, reason: str
) -> None:
    """In memory and on disk; it counts, it is known again, and it goes."""
    before, after = Refusals("before"), Refusals("after")
    held = Holding("example.org.", PREFIX, LeaseTimes(), 100, before)
    held.change([put("a"), put(path, value)], {}, 1)
    save(tmp_path / "copy", PREFIX, Copy(Mark(1, 1, PREFIX, 0), held.copied()))
    assert (tmp_path / "copy").stat().st_size < 2000
    found = load(tmp_path / "copy", PREFIX)
    assert found is not None
    again = Holding("example.org.", PREFIX, LeaseTimes(), 100, after)
    again.restore(found.items, 1)
    assert after.examples() == before.examples()
    for each, refusals in ((held, before), (again, after)):
        each.replace([item("a"), item(path, value)], {}, 2)
        assert (each.keys, len(each.tree)) == (2, 1)
        (example,) = refusals.examples()
        assert reason in example
        each.change([delete(path)], {}, 3)
        assert each.keys == 1
        assert not refusals.examples()


def test_a_refused_zone_is_kept_without_its_text() -> None:
    held = texts()
    long = rpc.KeyValue(key=b"/zones/" + b"k" * 100_000, value=b"x" * 100_000)
    other = rpc.KeyValue(key=b"/zones/a.net", value=b"x" * 100_000)
    held.replace([long, other], {}, 1)
    assert sum(len(kept.key + kept.value) for kept in held.copied()) < 2000
    again = texts()
    again.restore(held.copied(), 1)
    for each in (held, again):
        each.replace([long, other], {}, 2)
        assert (each.keys, len(each.refusals)) == (2, 2)
        gone = [rpc.Event(type=rpc.Event.DELETE, kv=one) for one in (long, other)]
        each.change(gone, {}, 3)
        assert (each.keys, len(each.refusals)) == (0, 0)


def test_many_bad_entries_do_not_flood_the_log(caplog: pytest.LogCaptureFixture) -> None:
    refusals = Refusals("zone example.org.")
    with caplog.at_level(logging.WARNING):
        for number in range(1000):
            refusals.add(b"/k%d" % number, "no good")
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 11
    assert lines[-1] == "zone example.org.: more is left out; `zoneward status` counts it"
    assert len(refusals) == 1000


def test_what_the_engine_does_not_take_is_left_out_and_the_rest_is_not() -> None:
    soa = "example.org. 30 IN SOA a. b. 1 1 1 1 1\n"
    base = engine.scan_text((soa + "x.example.org. 1 IN A 192.0.2.1\n").encode(), ZONE)
    refused: list[str] = []
    found = increment(
        base,
        {
            "x.example.org.": "x.example.org. 1 IN A nonsense\n",
            "y.example.org.": "y.example.org. 1 IN A 192.0.2.2\n",
        },
        lambda name, _: refused.append(name),
    )
    assert refused == ["x.example.org."]
    version = found.version(base)
    assert version is not None
    zone, _ = version
    assert zone.rrset(name_wire("x.example.org."), 1) is None
    assert zone.rrset(name_wire("y.example.org."), 1) is not None
    assert zone.serial == 2


ZONE = name_wire("example.org.")


def test_an_increment_that_changes_nothing_is_no_version() -> None:
    text = "example.org. 30 IN SOA a. b. 1 1 1 1 1\nx.example.org. 1 IN TXT a b\n"
    base = engine.scan_text(text.encode(), ZONE)
    same = {"x.example.org.": 'x.example.org. 1 IN TXT "a" "b"\n', "z.example.org.": ""}
    assert increment(base, same, print).version(base) is None


def texts() -> ZoneTexts:
    text = "org {\n etcd org test {\n layout zonefile\n path /zones\n }\n}"
    parsed = corefile.parse(text, path="Corefile", environ={}, read=str)
    block = compile_block(parsed.blocks[0], Path("/"))
    assert block is not None
    return ZoneTexts(
        block.etcds[0],
        kept=Path("/nowhere"),
        executor=None,  # type: ignore[arg-type]
        changed=lambda: None,
    )


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("a.org.", "the key of a.org. ends in 'a.org'"),
        ("A.org", "the key of a.org. ends in 'a.org'"),
        ("a..org", "no zone's name"),
        ("", "no zone's name"),
        ("a.net", "a.net. is not at or below org. test."),
        ("bücher.org", "no zone's name"),
    ],
)
def test_a_key_that_is_no_zone_of_ours_is_left_out(key: str, reason: str) -> None:
    held = texts()
    held.replace([rpc.KeyValue(key=b"/zones/" + key.encode(), value=b"x")], {}, 1)
    (example,) = held.refusals.examples()
    assert reason in example


def test_a_zones_revision_is_that_of_its_own_last_change() -> None:
    held = texts()
    one = rpc.KeyValue(key=b"/zones/a.org", value=b"x", mod_revision=4)
    two = rpc.KeyValue(key=b"/zones/b.test", value=b"y", mod_revision=6)
    held.replace([one, two], {}, 9)
    a, b = dns.name.from_text("a.org."), dns.name.from_text("b.test.")
    assert [found.revision for name in (a, b) if (found := held.text(name))] == [4, 6]
    assert held.revision == 9
    gone = rpc.Event(type=rpc.Event.DELETE, kv=rpc.KeyValue(key=b"/zones/b.test", mod_revision=10))
    held.change([gone], {}, 10)
    assert held.text(b) is None
    assert CopiedItem(b"/zones/a.org", b"x", 0, None) in held.copied()
