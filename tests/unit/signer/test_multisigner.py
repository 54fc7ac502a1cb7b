"""Several signers of one zone (RFC 8901, model 2): whose keys are shown beside ours, and which are
refused."""

from pathlib import Path

import attrs
import pytest
from rollworld import ORIGIN
from severalsigners import dnskey, text

from signer import multisigner
from signer.keyset import ForeignKey, Goal, Key, KeySet, Record, RecordKind, Role, State
from signer.policy import Policy
from signer.times import shares


@pytest.mark.parametrize(
    ("scenario", "content", "found"),
    [
        ("nothing", "", set()),
        ("a comment", "; nobody\n", set()),
        ("a pair of keys", text(dnskey(1), dnskey(2, 256)), {dnskey(1), dnskey(2, 256)}),
        ("relative to the zone", text(dnskey(1), owner="@"), {dnskey(1)}),
        ("with a TTL", text(dnskey(1)).replace(" IN", " 300 IN"), {dnskey(1)}),
        (
            "another zone's beside it",
            text(dnskey(1)) + text(dnskey(2), owner="a.test."),
            {dnskey(1)},
        ),
        ("upper case", text(dnskey(1), owner="EXAMPLE.ORG."), {dnskey(1)}),
    ],
)
def test_a_file_names_keys(scenario: str, content: str, found: set[bytes], tmp_path: Path) -> None:
    path = tmp_path / "others"
    path.write_text(content)
    wanted = multisigner.from_files((path,), ORIGIN, KeySet(ORIGIN))
    assert wanted.problem is None, scenario
    assert wanted.named is not None
    assert wanted.named.dnskeys == found
    assert wanted.named.announced == {key for key in found if key[1] & 1}


def test_cdnskey_say_which_keys_the_parent_is_to_have(tmp_path: Path) -> None:
    """As in a rollover of a key that is both: one is shown still, and its DS is gone."""
    path = tmp_path / "others"
    path.write_text(
        text(dnskey(1), dnskey(2))
        + text(dnskey(2), dnskey(3), rtype="CDNSKEY")
        + "@ CDNSKEY 0 3 0 AA==\n"
    )
    wanted = multisigner.from_files((path,), ORIGIN, KeySet(ORIGIN))
    assert wanted.named == multisigner.Named(
        frozenset({dnskey(1), dnskey(2), dnskey(3)}), frozenset({dnskey(2), dnskey(3)})
    )


def shown(*keys: bytes) -> KeySet:
    return KeySet(ORIGIN, foreign=tuple(ForeignKey(key, Record(State.OMNIPRESENT)) for key in keys))


@pytest.mark.parametrize(
    ("scenario", "content", "why"),
    [
        ("no such file", None, "No such file or directory; put it back, or empty it"),
        ("no records", "what?\n", ": Text input is malformed.; write DNSKEY records as in a"),
        (
            "other records",
            "example.org. 60 IN A 192.0.2.1\n",
            "has A records; it is for DNSKEY and",
        ),
        ("no text", b"\xff\xfe", "is no text"),
        ("the zone misspelt", text(dnskey(1), owner="example.og."), "holds no DNSKEY of example"),
    ],
)
def test_a_file_that_says_nothing_takes_nothing_away(
    scenario: str, content: str | bytes | None, why: str, tmp_path: Path
) -> None:
    path = tmp_path / "others"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    wanted = multisigner.from_files((path,), ORIGIN, shown(dnskey(1)))
    assert wanted.named is None, scenario
    assert wanted.problem is not None
    assert str(path) in wanted.problem
    assert why in wanted.problem
    assert "\n" not in wanted.problem


def test_sources_count_once_all_of_them_were_read() -> None:
    one, two = frozenset({dnskey(1)}), frozenset({dnskey(2)})
    assert multisigner.from_sources({}) == multisigner.Wanted()
    assert multisigner.from_sources({"a": one, "b": None}) == multisigner.Wanted()
    both = multisigner.Named(one | two, one | two)
    assert multisigner.from_sources({"a": one, "b": two}).named == both
    assert multisigner.from_sources({"a": frozenset()}).named == multisigner.Named()


def ours(algorithm: int = 13) -> KeySet:
    records = tuple((kind, Record(State.OMNIPRESENT)) for kind in RecordKind)
    return KeySet(ORIGIN, (Key("0a", Role.CSK, dnskey(9, algorithm=algorithm), 0, records),))


@pytest.mark.parametrize(
    ("scenario", "keys", "keyset", "why"),
    [
        ("a KSK and a ZSK", (dnskey(1), dnskey(2, 256)), ours(), None),
        ("only ours", (dnskey(9),), ours(), None),
        ("nobody", (), ours(), None),
        ("an algorithm that a rollover leaves", (dnskey(1, algorithm=8),), ours(8), None),
        ("another algorithm", (dnskey(1, algorithm=15),), ours(), "of ED25519, and the zone is"),
        ("one that nobody knows", (dnskey(1, algorithm=200),), ours(), "is of algorithm 200"),
        ("no KSK", (dnskey(2, 256),), ours(), "names no KSK"),
        ("no zone key", (dnskey(1, 1),), ours(), "is no zone key"),
        ("a revoked key", (dnskey(1, 0x0181),), ours(), "or revoked"),
        ("no key", (b"\x01\x01\x03\x0d" + bytes(64),), ours(), "is broken"),
        ("far too many", tuple(map(dnskey, range(20, 40))), ours(), "16 is the most"),
    ],
)
def test_what_may_not_be_shown_beside_ours_is_refused_in_a_line(
    scenario: str, keys: tuple[bytes, ...], keyset: KeySet, why: str | None
) -> None:
    problem = multisigner.refused(multisigner.Named.of(frozenset(keys)), keyset, Policy(), "others")
    if why is None:
        assert problem is None, scenario
    else:
        assert problem is not None, scenario
        assert problem.startswith("others: ")
        assert why in problem


@pytest.mark.parametrize(
    ("role", "goal", "expected"),
    [
        (Role.CSK, Goal.OMNIPRESENT, True),
        (Role.ZSK, Goal.OMNIPRESENT, True),
        (Role.KSK, Goal.OMNIPRESENT, False),
        (Role.CSK, Goal.HIDDEN, False),
    ],
)
def test_whose_dnskey_the_others_have_to_show(role: Role, goal: Goal, expected: bool) -> None:
    key = Key.hidden("0a", role, dnskey(9), 0, 0.0)
    keyset = KeySet(ORIGIN, (key,), foreign=(ForeignKey(dnskey(1), goal=goal),))
    assert shares(keyset, key, RecordKind.DNSKEY) is expected
    assert not shares(attrs.evolve(keyset, foreign=()), key, RecordKind.DNSKEY)
