"""Transfers and stores carry any zone through any changes; any octets are survived."""

import tempfile
from collections.abc import Callable
from itertools import pairwise

import dns.name
from hypothesis import given, settings
from hypothesis import strategies as st

import engine

NOW = 1_700_000_000
ORIGIN = dns.name.from_text("example.org.").to_wire()
KEY = engine.TsigKey(b"\1k\0", "hmac-sha512", b"secret")

LABELS = st.sampled_from(["a", "b", "C", "*", "_tcp", "x-y", r"\000", r"sp\032ace", "n" * 63])
OWNERS = st.lists(LABELS, min_size=1, max_size=3).map(".".join)
DATA = st.one_of(
    st.integers(0, 255).map(lambda n: f"A 192.0.2.{n}"),
    st.sampled_from(["ns", "Mail.a", "b.c.example.com.", "."]).map(lambda n: f"MX 5 {n}"),
    st.binary(max_size=300).map(lambda b: rf"TYPE65280 \# {len(b)} {b.hex()}"),
    st.sampled_from(["TXT a", 'TXT "" "b c"', "NS ns.x", "SRV 1 2 3 T", "AAAA 2001:db8::1"]),
)
RECORDS = st.tuples(OWNERS, st.sampled_from([0, 60, 3600]), DATA)
CONTENTS = st.lists(RECORDS, max_size=25)
HISTORIES = st.lists(CONTENTS, min_size=2, max_size=5)
STARTS = st.sampled_from([1, 2**31 - 2, 2**32 - 2])


def zone(serial: int, content: list[tuple[str, int, str]]) -> engine.Zone:
    lines = [f"@ 60 SOA ns host {serial % 2**32} 1 1 1 1"]
    lines += [f"{owner} {ttl} {data}" for owner, ttl, data in content]
    return engine.scan_text(("\n".join(lines) + "\n").encode(), ORIGIN)


def transferred(
    base: engine.Zone | None, served: engine.Zone, history: list[engine.Diff] | None
) -> engine.TransferClient:
    client = engine.TransferClient(ORIGIN, base, KEY)
    server = engine.TransferServer([KEY])
    request = server.parse(client.request(1, NOW), NOW)
    replies = list(server.answer(request, served, history, NOW))
    assert [client.feed(reply, NOW) for reply in replies][-1]
    return client


@given(HISTORIES, STARTS)
@settings(max_examples=60, deadline=None)
def test_every_way_of_transfer_and_the_store_reach_the_same(
    contents: list[list[tuple[str, int, str]]], start: int
) -> None:
    versions = [zone(start + number, content) for number, content in enumerate(contents)]
    diffs = [a.difference(b) for a, b in pairwise(versions)]
    newest = versions[-1]
    whole = transferred(None, newest, None).zone()
    assert whole is not None
    assert whole.digest() == newest.digest()
    for number, version in enumerate(versions[:-1]):
        reached = transferred(version, newest, diffs[number:]).zone()
        assert reached is not None
        assert not reached.difference(newest)
    with tempfile.TemporaryDirectory() as directory:
        store = engine.ZoneStore(directory)
        store.replace(versions[0])
        for number, diff in enumerate(diffs):
            store.append(diff)
            loaded = engine.ZoneStore(directory).load()
            assert loaded is not None
            assert not loaded.difference(versions[number + 1])
            if number == 1:
                store.replace(versions[number + 1])
        history = engine.ZoneStore(directory).history(versions[0].serial)
        assert history is not None
        assert [diff.to_serial for diff in history] == [zone.serial for zone in versions[1:]]


def survives(work: Callable[[], object], codes: set[str]) -> None:
    try:
        work()
    except engine.EngineError as error:
        if error.code not in codes:
            raise


@given(st.binary(max_size=200))
def test_any_octets_asked_are_survived(octets: bytes) -> None:
    server = engine.TransferServer([KEY])
    survives(lambda: server.parse(octets, NOW), {"malformed", "tsig"})


BASE = zone(1, [("a", 60, "A 192.0.2.1")])
NEXT = zone(2, [("a", 60, "MX 1 a"), ("b", 60, "NS c")])


def real(base: engine.Zone | None) -> bytes:
    server = engine.TransferServer([])
    request = server.parse(engine.TransferClient(ORIGIN, base, None).request(1, NOW), NOW)
    [reply] = server.answer(request, NEXT, [BASE.difference(NEXT)], NOW)
    return reply


REAL = [real(None), real(BASE), engine.TransferClient(ORIGIN, BASE, KEY).request(1, NOW)]
EDITS = st.lists(
    st.tuples(st.integers(0, 400), st.binary(max_size=6), st.integers(0, 6)), max_size=4
)


@given(st.sampled_from(REAL), EDITS, st.sampled_from([None, BASE]))
@settings(max_examples=400, deadline=None)
def test_any_edit_of_a_real_message_is_survived(
    message: bytes, edits: list[tuple[int, bytes, int]], base: engine.Zone | None
) -> None:
    for at, octets, length in edits:
        at %= len(message)
        message = message[:at] + octets + message[at + length :]
    server = engine.TransferServer([KEY])
    survives(lambda: server.parse(message, NOW), {"malformed", "tsig"})
    client = engine.TransferClient(ORIGIN, base, None)
    client.request(1, NOW)
    survives(lambda: client.feed(message, NOW), {"transfer", "difference"})


@given(st.binary(max_size=400), st.integers(0, 3))
def test_any_octets_on_disk_are_survived(octets: bytes, which: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        store = engine.ZoneStore(directory)
        store.replace(BASE)
        name = "snapshot" if which == 0 else "journal"
        with open(f"{directory}/{name}", "wb" if which < 2 else "ab") as file:  # noqa: PTH123
            file.write(octets)
        survives(engine.ZoneStore(directory).load, {"store"})
