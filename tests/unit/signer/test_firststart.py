"""First start, lost state, old backups: what is made, what is refused, and what a person reads."""

import hashlib

import dns.name
import pytest

from keystore.dnskey import key_tag
from signer.firststart import OurKey, Proceed, decide
from signer.hold import Hold
from signer.parent import NoParent, ParentAnswer, Seen, Unknown

ORIGIN = dns.name.from_text("example.org.")
NOW = 1_700_000_000


def dnskey(number: int) -> bytes:
    return b"\x01\x01\x03\x0d" + bytes([number]) * 64


def ds(number: int) -> bytes:
    """RFC 4034 section 5.1.4, by hand."""
    key = dnskey(number)
    digest = hashlib.sha256(ORIGIN.to_wire() + key).digest()
    return key_tag(key).to_bytes(2, "big") + b"\x0d\x02" + digest


def at_parent(*numbers: int) -> Seen:
    records = frozenset(ds(number) for number in numbers)
    return Seen(records, records, 86400, ("192.0.2.1:53",))


A, B = OurKey(dnskey(1)), OurKey(dnskey(2))
A_DONE = OurKey(dnskey(1), omnipresent=True)
A_LOST = OurKey(dnskey(1), unreadable="keys/a.json: does not decrypt")
NOTHING: frozenset[bytes] = frozenset()
ISLAND = NoParent()
SILENT = Unknown("192.0.2.1 port 53 does not answer")
BOGUS = Unknown("192.0.2.1:53: DS of example.org. carries no signature", bogus=True)


def served(*numbers: int) -> frozenset[bytes]:
    return frozenset(dnskey(number) for number in numbers)


@pytest.mark.parametrize(
    ("scenario", "ours", "shown", "parent", "generate"),
    [
        ("a new zone, and the parent knows no DS", (), NOTHING, at_parent(), True),
        ("a new island", (), NOTHING, ISLAND, True),
        ("an ordinary start", (A_DONE,), served(1), at_parent(1), False),
        ("an ordinary start, the parent silent", (A_DONE,), served(1), SILENT, False),
        ("an ordinary start, the parent bogus", (A_DONE,), served(1), BOGUS, False),
        ("killed between key and first version", (A,), NOTHING, at_parent(), False),
        ("killed between a further key and its version", (A_DONE, B), served(1), SILENT, False),
        ("keys imported from another signer", (A,), NOTHING, at_parent(1), False),
        ("a standby DS beside ours", (A_DONE,), served(1), at_parent(1, 9), False),
        ("an island goes on", (A_DONE,), served(1), ISLAND, False),
        ("the version on disk was lost, the keys were not", (A_DONE,), NOTHING, ISLAND, False),
    ],
)
def test_goes_on(
    scenario: str,
    ours: tuple[OurKey, ...],
    shown: frozenset[bytes],
    parent: ParentAnswer,
    generate: bool,
) -> None:
    assert decide(ORIGIN, ours, shown, parent, NOW) == Proceed(generate), scenario


@pytest.mark.parametrize(
    ("scenario", "ours", "shown", "parent", "reason", "remedy", "signing"),
    [
        (
            "no keys, but a DS at the parent",
            (),
            NOTHING,
            at_parent(7),
            "there is no key here",
            "zoneward keys import",
            False,
        ),
        (
            "no keys, but DNSKEY served",
            (),
            served(7),
            ISLAND,
            "in what is served, and there is no key here",
            "restore a backup (zoneward restore), or import",
            False,
        ),
        (
            "no keys and a parent that can't be asked",
            (),
            NOTHING,
            SILENT,
            "192.0.2.1 port 53 does not answer",
            "`parent none` for an island, or `parent ADDRESS…`",
            False,
        ),
        (
            "no keys and a parent whose answer is bogus",
            (),
            NOTHING,
            BOGUS,
            "DS of example.org. carries no signature",
            "see that the clock is right",
            False,
        ),
        (
            "keys never published, the parent can't be asked",
            (A,),
            NOTHING,
            SILENT,
            "can't be asked",
            "parent none",
            False,
        ),
        (
            "the DS is of none of our keys: what is served goes on being signed",
            (A_DONE,),
            served(1),
            at_parent(7),
            "of none of our keys",
            "keys import",
            True,
        ),
        (
            "the same, before anything was published",
            (A,),
            NOTHING,
            at_parent(7),
            "of none of our keys",
            "keys import",
            False,
        ),
        (
            "a private half that can't be read",
            (A_LOST, B),
            served(1, 2),
            at_parent(1),
            "keys/a.json: does not decrypt",
            "a new key is never made",
            False,
        ),
        (
            "a backup from before a rollover: a key is served that it does not know",
            (A_DONE,),
            served(1, 2),
            at_parent(1),
            "not ours",
            "restore the newest one",
            False,
        ),
        (
            "a backup from before a rollover's end: its key is served no more",
            (A_DONE, B),
            served(2),
            at_parent(2),
            "the database is older than the zone",
            "restore the newest backup",
            False,
        ),
    ],
)
def test_is_held(
    scenario: str,
    ours: tuple[OurKey, ...],
    shown: frozenset[bytes],
    parent: ParentAnswer,
    reason: str,
    remedy: str,
    signing: bool,
) -> None:
    found = decide(ORIGIN, ours, shown, parent, NOW)
    assert isinstance(found, Hold), scenario
    assert reason in found.reason
    assert remedy in found.remedy
    assert (found.signing, found.since) == (signing, NOW)
    assert "\n" not in str(found)


def test_a_zone_that_servers_know_and_nobody_else_gets_no_key() -> None:
    for parent in (ISLAND, at_parent(), SILENT):
        found = decide(ORIGIN, (), NOTHING, parent, NOW, copies=(7,))
        assert isinstance(found, Hold)
        assert not found.signing
        assert "servers hold serial 7 of it, and there is no key here" in found.reason
        assert "zoneward keys import" in found.remedy
    # Imported keys, or a version lost beside keys that were not, go on.
    assert decide(ORIGIN, (A,), NOTHING, ISLAND, NOW, copies=(7,)) == Proceed(False)


def test_a_revoked_key_is_still_the_same_key() -> None:
    revoked = b"\x01\x81" + dnskey(1)[2:]
    assert decide(ORIGIN, (A_DONE,), frozenset({revoked}), ISLAND, NOW) == Proceed(False)
