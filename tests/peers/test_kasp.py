"""Our plans beside BIND's `dnssec-policy`: the same policy, the same clock, a parent and servers
that do at once what they are asked.

Each story is a table: which records get to which state, when by our plan, and when in BIND where
that differs, with the name of the difference. Both sides do all that the table says and nothing
else. H, R, O, U: hidden, rumoured, omnipresent, unretentive.
"""

from collections.abc import Iterator
from pathlib import Path

import attrs
import dns.name
import pytest
from kasp import Story, Timeline, walk

from signer.advance import advance
from signer.keyset import KeySet, RecordKind, State
from signer.observations import Observations
from signer.planner import Plan, plan
from signer.policy import DAY, HOUR, MINUTE, KeyLayout, Policy

pytestmark = pytest.mark.peers

ORIGIN = dns.name.from_text("example.org.")
PAGE = Path(__file__).parents[2] / "docs" / "rollover.md"
#: BIND's dates are whole seconds, and each look at the keys takes a part of one.
TOLERANCE = 5 * MINUTE
#: Not `unlimited`, beside a key with a lifetime: named then forgets when that key's is over,
#: and looks once an hour.
EVER = 3000 * DAY
LIFE = 90 * DAY
#: Until after the second successors have begun.
TWO_LIVES = 2 * LIFE + HOUR

SPLIT = Policy(
    keys=KeyLayout.KSK_ZSK,
    dnskey_ttl=HOUR,
    max_zone_ttl=6 * HOUR,
    propagation=10 * MINUTE,
    publish_safety=2 * HOUR,
    retire_safety=2 * DAY,
    parent_ds_ttl=12 * HOUR,
    parent_propagation=100 * MINUTE,
)
SINGLE = attrs.evolve(SPLIT, keys=KeyLayout.CSK)
# What BIND's own policy "insecure" has; with max-zone-ttl 0 it counts with a week.
BUILT_IN = Policy(
    keys=KeyLayout.KSK_ZSK,
    dnskey_ttl=HOUR,
    max_zone_ttl=7 * DAY,
    refresh=8 * DAY,
    propagation=5 * MINUTE,
    publish_safety=HOUR,
    retire_safety=HOUR,
    parent_ds_ttl=DAY,
    parent_propagation=HOUR,
)
BUILT_IN_SINGLE = attrs.evolve(BUILT_IN, keys=KeyLayout.CSK)

ONE_DS = "one DS after the other"
ALL_SIGNATURES = "all signatures at once"
SIGNED_FIRST = "a new algorithm signs first"
SIGNED_LAST = "an old algorithm signs last"
LAST_DS = "after the last DS"
KSK_LIFE = "a KSK's lifetime"
STAYS = "a key stays with its DS"
DIFFERENCES = (ONE_DS, STAYS, ALL_SIGNATURES, SIGNED_FIRST, SIGNED_LAST, LAST_DS, KSK_LIFE)


@attrs.frozen
class Row:
    """`moves` get to their states together. `ours` and `bind` are sums of the waits that
    `seconds` knows; `bind` None is the same as ours."""

    moves: str
    ours: str
    bind: str | None = None
    why: tuple[str, ...] = ()


FIRST_KEYS = (
    Row("KSK1 DNSKEY+KRRSIG R, ZSK1 DNSKEY+ZRRSIG R", "0"),
    Row("KSK1 DNSKEY+KRRSIG O, ZSK1 DNSKEY O", "key"),
    Row("ZSK1 ZRRSIG O, KSK1 DS R", "zone"),
    Row("KSK1 DS O", "zone ds"),
)
FIRST_CSK = (
    Row("CSK1 DNSKEY+KRRSIG+ZRRSIG R", "0"),
    Row("CSK1 DNSKEY+KRRSIG O", "key"),
    Row("CSK1 ZRRSIG O, CSK1 DS R", "zone"),
    Row("CSK1 DS O", "zone ds"),
)
TABLES: dict[str, tuple[Story, tuple[Row, ...]]] = {
    story.name: (story, rows)
    for story, rows in (
        (
            Story("zsk", attrs.evolve(SPLIT, ksk_lifetime=EVER, zsk_lifetime=LIFE), TWO_LIVES),
            (
                *FIRST_KEYS,
                Row("ZSK2 DNSKEY R", "life -key"),
                Row("ZSK2 DNSKEY O, ZSK1 ZRRSIG U, ZSK2 ZRRSIG R", "life"),
                Row(
                    "ZSK1 ZRRSIG H, ZSK1 DNSKEY U, ZSK2 ZRRSIG O",
                    "life zone",
                    "life zone resign",
                    (ALL_SIGNATURES,),
                ),
                Row("ZSK1 DNSKEY H", "life zone gone", "life zone resign gone", (ALL_SIGNATURES,)),
                Row("ZSK3 DNSKEY R", "life life -key"),
                Row("ZSK3 DNSKEY O, ZSK2 ZRRSIG U, ZSK3 ZRRSIG R", "life life"),
            ),
        ),
        (
            Story("ksk", attrs.evolve(SPLIT, ksk_lifetime=LIFE, zsk_lifetime=EVER), TWO_LIVES),
            (
                *FIRST_KEYS,
                Row("KSK2 DNSKEY+KRRSIG R", "life -key"),
                Row("KSK2 DNSKEY+KRRSIG O, KSK2 DS R", "life"),
                Row("KSK2 DS O", "life ds"),
                Row("KSK1 DS U", "life ds", "life", (ONE_DS,)),
                Row("KSK1 DS H, KSK1 DNSKEY+KRRSIG U", "life ds ds", "life ds", (ONE_DS,)),
                Row("KSK1 DNSKEY+KRRSIG H", "life ds ds gone", "life ds gone", (ONE_DS,)),
                Row("KSK3 DNSKEY+KRRSIG R", "life -key life -key", "life life -key", (KSK_LIFE,)),
                Row("KSK3 DNSKEY+KRRSIG O, KSK3 DS R", "life life -key", "life life", (KSK_LIFE,)),
                Row("KSK2 DS U", "life life -key ds", "life life", (KSK_LIFE, ONE_DS)),
            ),
        ),
        (
            Story("csk", attrs.evolve(SINGLE, csk_lifetime=LIFE), TWO_LIVES),
            (
                *FIRST_CSK,
                Row("CSK2 DNSKEY+KRRSIG R", "life -key"),
                Row("CSK2 DNSKEY+KRRSIG O, CSK1 ZRRSIG U, CSK2 ZRRSIG R, CSK2 DS R", "life"),
                Row(
                    "CSK1 ZRRSIG H, CSK2 ZRRSIG O",
                    "life zone",
                    "life zone resign",
                    (ALL_SIGNATURES,),
                ),
                Row("CSK2 DS O", "life ds"),
                Row("CSK1 DS U", "life ds", "life", (ONE_DS,)),
                Row("CSK1 DS H, CSK1 KRRSIG U", "life ds ds", "life ds", (ONE_DS,)),
                Row("CSK1 KRRSIG H", "life ds ds gone", "life ds gone", (ONE_DS,)),
                Row("CSK1 DNSKEY U", "life ds ds", "life zone resign", (ONE_DS, ALL_SIGNATURES)),
                Row(
                    "CSK1 DNSKEY H",
                    "life ds ds gone",
                    "life zone resign gone",
                    (ONE_DS, ALL_SIGNATURES),
                ),
                Row("CSK3 DNSKEY+KRRSIG R", "life life -key"),
                Row("CSK3 DNSKEY+KRRSIG O, CSK2 ZRRSIG U, CSK3 ZRRSIG R, CSK3 DS R", "life life"),
                Row("CSK2 DS U", "life life ds", "life life", (ONE_DS,)),
            ),
        ),
        (
            Story("algorithm", SPLIT, 30 * DAY, attrs.evolve(SPLIT, algorithm=15)),
            (
                Row("ZSK2 ZRRSIG R", "0"),
                Row("ZSK2 ZRRSIG O", "zone"),
                Row("KSK2 DNSKEY+KRRSIG R, ZSK2 DNSKEY R", "zone", "0", (SIGNED_FIRST,)),
                Row("KSK2 DNSKEY+KRRSIG O, ZSK2 DNSKEY O", "zone key", "key", (SIGNED_FIRST,)),
                Row("KSK2 DS R", "zone key", "zone", (SIGNED_FIRST,)),
                Row("KSK2 DS O", "zone key ds", "zone ds", (SIGNED_FIRST,)),
                Row("KSK1 DS U", "zone key ds", "zone", (SIGNED_FIRST, ONE_DS)),
                Row(
                    "KSK1 DS H, KSK1 DNSKEY+KRRSIG U, ZSK1 DNSKEY U",
                    "zone key ds ds",
                    "zone ds",
                    (SIGNED_FIRST, ONE_DS),
                ),
                Row(
                    "KSK1 DNSKEY+KRRSIG H, ZSK1 DNSKEY H",
                    "zone key ds ds gone",
                    "zone ds gone",
                    (SIGNED_FIRST, ONE_DS),
                ),
                Row(
                    "ZSK1 ZRRSIG U",
                    "zone key ds ds gone",
                    "zone ds",
                    (SIGNED_FIRST, ONE_DS, SIGNED_LAST),
                ),
                Row(
                    "ZSK1 ZRRSIG H",
                    "zone key ds ds gone zone",
                    "zone ds zone",
                    (SIGNED_FIRST, ONE_DS, SIGNED_LAST),
                ),
            ),
        ),
        (
            Story("algorithm-csk", SINGLE, 30 * DAY, attrs.evolve(SINGLE, algorithm=15)),
            (
                Row("CSK2 ZRRSIG R", "0"),
                Row("CSK2 ZRRSIG O", "zone"),
                Row("CSK2 DNSKEY+KRRSIG R", "zone", "0", (SIGNED_FIRST,)),
                Row("CSK2 DNSKEY+KRRSIG O", "zone key", "key", (SIGNED_FIRST,)),
                Row("CSK2 DS R", "zone key", "zone", (SIGNED_FIRST,)),
                Row("CSK2 DS O", "zone key ds", "zone ds", (SIGNED_FIRST,)),
                Row("CSK1 DS U", "zone key ds", "zone", (SIGNED_FIRST, ONE_DS)),
                Row(
                    "CSK1 DS H, CSK1 DNSKEY+KRRSIG U",
                    "zone key ds ds",
                    "zone ds",
                    (SIGNED_FIRST, ONE_DS),
                ),
                Row(
                    "CSK1 DNSKEY+KRRSIG H",
                    "zone key ds ds gone",
                    "zone ds gone",
                    (SIGNED_FIRST, ONE_DS),
                ),
                Row(
                    "CSK1 ZRRSIG U",
                    "zone key ds ds gone",
                    "zone ds",
                    (SIGNED_FIRST, ONE_DS, SIGNED_LAST),
                ),
                Row(
                    "CSK1 ZRRSIG H",
                    "zone key ds ds gone zone",
                    "zone ds zone",
                    (SIGNED_FIRST, ONE_DS, SIGNED_LAST),
                ),
            ),
        ),
        (
            Story("insecure", BUILT_IN, 30 * DAY, attrs.evolve(BUILT_IN, secure=False)),
            (
                Row("KSK1 DS U", "0"),
                Row(
                    "KSK1 DS H, KSK1 DNSKEY+KRRSIG U, ZSK1 DNSKEY+ZRRSIG U",
                    "ds dnskey-ttl",
                    "ds",
                    (LAST_DS,),
                ),
                Row(
                    "KSK1 DNSKEY+KRRSIG H, ZSK1 DNSKEY H",
                    "ds dnskey-ttl gone",
                    "ds gone",
                    (LAST_DS,),
                ),
                Row("ZSK1 ZRRSIG H", "ds dnskey-ttl zone", "ds zone", (LAST_DS,)),
            ),
        ),
        (
            Story(
                "insecure-csk",
                BUILT_IN_SINGLE,
                30 * DAY,
                attrs.evolve(BUILT_IN_SINGLE, secure=False),
            ),
            (
                Row("CSK1 DS U", "0"),
                Row(
                    "CSK1 DS H, CSK1 DNSKEY+KRRSIG+ZRRSIG U",
                    "ds dnskey-ttl",
                    "ds",
                    (LAST_DS,),
                ),
                Row("CSK1 DNSKEY+KRRSIG H", "ds dnskey-ttl gone", "ds gone", (LAST_DS,)),
                Row("CSK1 ZRRSIG H", "ds dnskey-ttl zone", "ds zone", (LAST_DS,)),
            ),
        ),
    )
}

# A parent that brings the new DS and never takes the old one away.
KEPT = Story(
    "kept",
    attrs.evolve(
        SPLIT,
        ksk_lifetime=LIFE,
        zsk_lifetime=EVER,
        parent_ds_ttl=HOUR,
        retire_safety=HOUR,
    ),
    LIFE + 8 * HOUR,
    drops=False,
)


def seconds(waits: str, policy: Policy) -> int:
    known = {
        "0": 0,
        "life": LIFE,
        "dnskey-ttl": policy.dnskey_ttl,
        "key": policy.dnskey_ttl + policy.propagation + policy.publish_safety,
        "gone": policy.dnskey_ttl + policy.propagation,
        "zone": policy.max_zone_ttl + policy.propagation + policy.retire_safety,
        "ds": policy.parent_ds_ttl + policy.parent_propagation + policy.retire_safety,
        "resign": policy.validity - policy.refresh,
    }
    return sum(
        -known[wait[1:]] if wait.startswith("-") else known[wait] for wait in waits.split(" ")
    )


def expected(story: Story, rows: tuple[Row, ...], *, bind: bool) -> Timeline:
    """As far as the story goes."""
    found: Timeline = {}
    for row in rows:
        waits = row.bind if bind and row.bind is not None else row.ours
        at = float(seconds(waits, story.policy))
        for move in row.moves.split(", "):
            key, records, letter = move.split(" ")
            for record in records.split("+"):
                if at <= story.until:
                    found[key, RecordKind(record), letter] = at
    return found


# --- our side -------------------------------------------------------------------------------


def ours(story: Story) -> Timeline:
    names: dict[str, str] = {}
    first = plan(KeySet(ORIGIN), story.policy, Observations(), 0.0, story.until)
    found = timeline(first, names)
    if story.change is None:
        return found
    assert first.ended, "settled under the first policy"
    keyset = first.steps[-1].keyset
    change = first.steps[-1].at + DAY
    second = plan(keyset, story.change, Observations(), change, change + story.until)
    return timeline(second, names)


def timeline(plan: Plan, names: dict[str, str]) -> Timeline:
    """`names` are by fingerprint, as the walk through BIND's keys gives them."""
    found: Timeline = {}
    for step in plan.steps:
        for key in step.keyset.keys:
            if key.fingerprint not in names:
                count = sum(name.startswith(key.role.value) for name in names.values())
                names[key.fingerprint] = f"{key.role.value}{count + 1}"
        for move in step.moves:
            found[names[move.key], move.record, move.to.letter] = step.at - plan.begin
    return found


# --- the comparison -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bind(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Timeline]:
    """All stories in one walk."""
    return walk(tmp_path_factory.mktemp("kasp"), [*(story for story, _ in TABLES.values()), KEPT])


@pytest.mark.parametrize("name", TABLES)
def test_our_plan_is_what_the_table_says(name: str) -> None:
    story, rows = TABLES[name]
    agree(ours(story), expected(story, rows, bind=False))


@pytest.mark.parametrize("name", TABLES)
def test_bind_does_what_the_table_says(bind: dict[str, Timeline], name: str) -> None:
    story, rows = TABLES[name]
    agree(bind[name], expected(story, rows, bind=True))


def agree(found: Timeline, wanted: Timeline) -> None:
    def told(moves: Timeline) -> Iterator[str]:
        for (key, kind, letter), at in sorted(moves.items(), key=lambda item: item[1]):
            other = wanted.get((key, kind, letter))
            near = other is not None and abs(at - other) <= TOLERANCE
            yield f"{other if near else at:>10.0f} {key} {kind.value} {letter}"

    assert sorted(told(found)) == sorted(told(wanted))


def test_a_key_stays_with_its_ds_which_a_parent_keeps(bind: dict[str, Timeline]) -> None:
    theirs = bind[KEPT.name]
    assert ("KSK1", RecordKind.DS, "H") not in theirs
    gone = theirs["KSK1", RecordKind.DNSKEY, "U"]
    assert abs(gone - seconds("life ds", KEPT.policy)) <= TOLERANCE

    ahead = plan(KeySet(ORIGIN), KEPT.policy, Observations(), 0.0, TWO_LIVES)
    step = next(
        step
        for step in ahead.steps
        for move in step.moves
        if (move.record, move.to) == (RecordKind.DS, State.UNRETENTIVE)
    )
    old, new = (key for key in step.keyset.keys if key.record(RecordKind.DS) is not None)
    since = {(key.fingerprint, kind): step.at for key in (old, new) for kind, _ in key.records}
    kept = Observations(
        shown=since,
        ds_anywhere=frozenset({old.fingerprint, new.fingerprint}),
        parent_looked=step.at + 30 * DAY,
    )
    later = advance(step.keyset, KEPT.policy, kept, step.at + 30 * DAY)
    assert later.keyset.key(old.fingerprint) == old
    refused = {(no.record, no.rule) for no in later.blockers if no.fingerprint == old.fingerprint}
    assert (RecordKind.DNSKEY, "DNSKEY after DS") in refused


def test_each_difference_has_its_name_and_a_reason_on_the_page() -> None:
    rows = [row for _, table in TABLES.values() for row in table]
    assert all((row.bind is None) == (not row.why) for row in rows)
    assert {why for row in rows for why in row.why} == set(DIFFERENCES) - {STAYS}
    section = PAGE.read_text().split("## Beside BIND's dnssec-policy\n")[1].split("\n## ")[0]
    told = [line.split("|")[1].strip() for line in section.splitlines() if line.startswith("| ")]
    assert told[2:] == list(DIFFERENCES), "after the head of the table"
