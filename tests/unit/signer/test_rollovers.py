"""Whole rollovers, executed: by the real signer on a real database, with the engine's
signatures, in a world whose clock runs from one due time to the next."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import attrs
import pytest
from rollworld import CDNSKEY, CDS, DNSKEY, NSEC3PARAM, WIRE, Crash, World, live

from signer import conditions, rules
from signer.keyset import RecordKind, Role
from signer.operations import OperationError
from signer.outcome import Held
from signer.policy import DAY, HOUR, DsMode, KeyLayout, Nsec3, Policy
from signer.requests import (
    GoInsecure,
    GoSecure,
    HoldKeys,
    Lose,
    ResumeKeys,
    Roll,
    RollAlgorithm,
)
from signer.rules import Alternative

SPLIT = Policy(keys=KeyLayout.KSK_ZSK, purge=3 * DAY)
SINGLE = Policy(purge=3 * DAY)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ThreadPoolExecutor(2) as executor:
        found = World(tmp_path, executor, SPLIT)
        yield found
        found.database.close()


async def bootstrapped(world: World) -> list[str]:
    await world.start()
    await world.until(world.everywhere)
    return world.in_use()


def fresh(world: World, old: list[str], count: int) -> bool:
    """Whether so many keys are new and everywhere, and what they replaced is gone."""
    now = world.in_use()
    return world.settled() and len(set(now) - set(old)) == count and len(now) == len(old)


def test_first_keys_come_up_by_themselves(world: World) -> None:
    async def story(world: World) -> None:
        await bootstrapped(world)
        assert sorted(world.letters().values()) == ["O-OO", "OO--"]

    live(world, story)


@pytest.mark.parametrize("digests", [(), (2,), (2, 4)])
def test_cds_have_the_digests_that_are_asked_for(world: World, digests: tuple[int, ...]) -> None:
    async def story(world: World) -> None:
        world.policy = attrs.evolve(SINGLE, cds=digests)
        await world.start()
        await world.until(lambda: "R" in world.letters().popitem()[1][3:])
        assert world.zone is not None
        cds, cdnskey = world.zone.rrset(WIRE, CDS), world.zone.rrset(WIRE, CDNSKEY)
        found = [] if cds is None else [one[3] for one in cds.rdatas]
        assert sorted(found) == list(digests)
        assert (cdnskey is not None) == bool(digests)

    live(world, story)


@pytest.mark.parametrize(
    ("policy", "wanted", "count"),
    [
        (SPLIT, frozenset({Role.ZSK}), 1),
        (SPLIT, frozenset({Role.KSK}), 1),
        (SPLIT, None, 2),
        (SINGLE, None, 1),
        (Policy(ds=DsMode.DOUBLE_DS, purge=3 * DAY), None, 1),
    ],
    ids=["zsk", "ksk", "both", "csk", "csk double ds"],
)
def test_a_roll_runs_to_its_end(
    world: World, policy: Policy, wanted: frozenset[Role] | None, count: int
) -> None:
    async def story(world: World) -> None:
        world.policy = policy
        old = await bootstrapped(world)
        await world.signer.request(Roll(wanted))
        await world.until(lambda: fresh(world, old, count))
        await world.until(lambda: len(world.signer.keyset.keys) == len(old))
        assert world.zone is not None
        found = world.zone.rrset(WIRE, DNSKEY)
        assert found is not None
        assert len(found.rdatas) == len(old), "and the keys that were replaced are purged"

    live(world, story)


@pytest.mark.parametrize("policy", [SPLIT, SINGLE], ids=["ksk+zsk", "csk"])
def test_an_algorithm_roll_runs_to_its_end(world: World, policy: Policy) -> None:
    async def story(world: World) -> None:
        world.policy = policy
        old = await bootstrapped(world)
        await world.signer.request(RollAlgorithm(15))
        await world.until(lambda: fresh(world, old, len(old)))
        assert {key.algorithm for key in world.signer.keyset.keys if key.everywhere()} == {15}
        assert all(ds[2] == 15 for ds in world.ds)
        with pytest.raises(OperationError, match="on ED25519 already"):
            await world.signer.request(RollAlgorithm(15))

    live(world, story)


def test_lifetimes_roll_by_themselves(world: World) -> None:
    async def story(world: World) -> None:
        world.policy = Policy(
            keys=KeyLayout.KSK_ZSK, ksk_lifetime=50 * DAY, zsk_lifetime=20 * DAY, purge=3 * DAY
        )
        await bootstrapped(world)
        tags = world.signer.keyset.tags_used
        end = world.clock.now + 105 * DAY
        while world.clock.now < end:
            await world.step()
        used = len(world.signer.keyset.tags_used - tags) // 2
        assert used >= 5 + 2, "of ZSKs one in 20 days, of KSKs one in 50"

    live(world, story)


def test_insecure_and_back(world: World) -> None:
    async def story(world: World) -> None:
        await bootstrapped(world)
        await world.signer.request(GoInsecure())
        shown: list[frozenset[bytes]] = []
        while world.zone is None or world.zone.signature_count:
            await world.step()
            assert world.zone is not None
            found = world.zone.rrset(WIRE, CDS)
            shown.append(frozenset() if found is None else frozenset(found.rdatas))
        assert frozenset({bytes(5)}) in shown, "the delete record (RFC 8078 section 4)"
        assert world.zone.rrset(WIRE, DNSKEY) is None
        assert world.ds == frozenset()
        assert world.signer.status().state == "insecure"
        with pytest.raises(OperationError, match="already"):
            await world.signer.request(GoInsecure())
        await world.signer.request(GoSecure())
        await world.sign("all")
        await world.until(world.everywhere)
        assert len(world.ds) == 1

    live(world, story)


def test_nsec_to_nsec3_and_back(world: World) -> None:
    async def story(world: World) -> None:
        await bootstrapped(world)
        for policy, there in ((Policy(keys=SPLIT.keys, nsec3=Nsec3()), True), (SPLIT, False)):
            world.policy = policy
            await world.start()

            def switched(there: bool = there) -> bool:
                assert world.zone is not None
                return (world.zone.rrset(WIRE, NSEC3PARAM) is not None) == there

            await world.until(switched)
            await world.until(lambda: len(world.signer.keyset.denials) == 1)

    live(world, story)


def test_a_lost_key_is_replaced_ds_first(world: World) -> None:
    async def story(world: World) -> None:
        world.policy = SINGLE
        old = await bootstrapped(world)
        tag = str(world.signer.keyset.keys[0].tag)
        await world.signer.request(Lose(tag))
        assert any("is lost" in line for line in world.signer.status().alarms)
        await world.until(lambda: fresh(world, old, 1))

    live(world, story)


def test_the_brake_holds_and_what_it_held_goes_on(world: World) -> None:
    async def story(world: World) -> None:
        old = await bootstrapped(world)
        await world.signer.request(Roll(frozenset({Role.ZSK})))
        await world.signer.request(HoldKeys("a change window"))
        before = world.letters()
        await world.start()
        for _ in range(20):
            world.clock.now += DAY
            await world.signer.tick()
            await world.sign("expiring")
        assert world.letters() == before
        status = world.signer.status()
        assert status.brake == "a change window"
        assert any("keys resume" in wait.remedy for wait in status.waits)
        await world.signer.request(ResumeKeys())
        await world.until(lambda: fresh(world, old, 1))

    live(world, story)


def test_a_parent_that_does_nothing_is_waited_for_and_a_person_told(world: World) -> None:
    async def story(world: World) -> None:
        old = await bootstrapped(world)
        world.parent_works = False
        await world.signer.request(Roll(frozenset({Role.KSK})))
        for _ in range(300):
            await world.step()
        status = world.signer.status()
        assert any("bring the DS of key" in line for line in status.todo)
        assert any(wait.what.startswith("DS of KSK") and wait.since for wait in status.waits)
        with pytest.raises(OperationError, match="don't all show the DS"):
            await world.signer.confirm_ds(seen=True)
        with pytest.raises(OperationError, match="waits for no DS to go"):
            await world.signer.confirm_ds(seen=False)
        world.clock.now += 3 * DAY
        await world.step()
        assert "stuck" in world.signer.status().alarm_kinds
        world.parent_works = True
        await world.until(lambda: fresh(world, old, 1))

    live(world, story)


def test_a_step_that_the_rules_let_through_by_mistake_is_not_taken(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model of caches, which knows no rule, has the last word."""

    async def story(world: World) -> None:
        await bootstrapped(world)
        always = (Alternative("always", lambda keys: True),)
        monkeypatch.setattr(conditions, "CONDITIONS", ())
        for name in ("R1", "R2", "R3"):
            rule = getattr(rules, name)
            monkeypatch.setattr(rules, name, attrs.evolve(rule, alternatives=always))
        before = world.signer.keyset
        await world.signer.request(Roll())
        await world.until(lambda: "bogus-step" in world.signer.status().alarm_kinds)
        assert any("a resolver could then hold DS" in line for line in world.signer.status().alarms)
        for key in before.keys:
            after = world.signer.keyset.key(key.fingerprint)
            assert after is not None
            assert after.everywhere()
        await world.step()

    live(world, story)


def test_a_second_roll_waits_unless_it_is_asked_for_now(world: World) -> None:
    async def story(world: World) -> None:
        world.policy = SINGLE
        old = await bootstrapped(world)
        await world.signer.request(Roll())
        for _ in range(3):
            await world.step()
        with pytest.raises(OperationError, match="has not ended"):
            await world.signer.request(Roll())
        await world.signer.request(Roll(now=True))
        await world.until(lambda: fresh(world, old, 1))

    live(world, story)


def test_a_jump_of_the_wall_clock_ends_no_wait(world: World) -> None:
    async def story(world: World) -> None:
        await bootstrapped(world)
        await world.signer.request(Roll(frozenset({Role.ZSK})))
        await world.step()
        before = world.letters()
        world.clock.shift = 300 * DAY
        await world.signer.tick()
        assert world.letters() == before
        world.clock.shift = -300 * DAY
        await world.signer.tick()
        assert world.letters() == before

    live(world, story)


# --- crashes ------------------------------------------------------------------------------------


def places(world: World, wanted: Roll | RollAlgorithm) -> list[int]:
    """The steps of a roll that are on disk, counted from the request, around which something
    other than the clock was written: asked of a run without a crash."""
    found: list[int] = []

    async def story(world: World) -> None:
        await world.start()
        old = world.in_use()
        world.crashing.commits, last = 0, -1
        await world.signer.request(wanted)
        while not fresh(world, old, len(old)):
            now = world.database.run_blocking(_entries)
            if now != last:
                found.append(world.crashing.commits)
                last = now
            await world.step()

    live(world, story)
    return found


def _entries(db: sqlite3.Connection) -> int:
    (count,) = db.execute("SELECT count(*) FROM audit").fetchone()
    return int(count)


async def crashing_roll(world: World, wanted: Roll | RollAlgorithm, fatal: int) -> None:
    """Roll, dying after the `fatal`-th step on disk; then come up again and finish."""
    await world.start()
    old = world.in_use()
    world.crashing.commits, world.crashing.fatal = 0, fatal

    async def roll() -> None:
        await world.signer.request(wanted)
        await world.until(lambda: fresh(world, old, len(old)))

    with pytest.raises(Crash):
        await roll()
    world.database.close()
    keys = {key.fingerprint for key in world.signer.keyset.keys}
    world.open()
    await world.start()
    assert keys <= {key.fingerprint for key in world.signer.keyset.keys}, "a key was lost"
    assert world.signer.held is None
    begun = world.signer.keyset.algorithm is not None or any(
        key.retire or key.successor for key in world.signer.keyset.keys
    )
    if not begun and fatal <= 1:
        # Killed before the wish was on disk: nobody was told that it was.
        await world.signer.request(wanted)
    await world.until(lambda: fresh(world, old, len(old)))
    assert len(world.signer.keyset.keys) == 2 * len(old), "each successor was made once"


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("kind", ["csk", "algorithm"])
def test_a_crash_after_any_step_on_disk_loses_nothing(tmp_path: Path, kind: str, part: int) -> None:
    """Each step around a change of the keys is the last one once."""
    policy = Policy(purge=90 * DAY)
    wanted = Roll() if kind == "csk" else RollAlgorithm(15)
    with ThreadPoolExecutor(2) as executor:
        first = World(tmp_path / "first", executor, policy)
        live(first, lambda world: _bootstrap(world))
        counted = first.copied(tmp_path / "counted")
        around = places(counted, wanted)
        counted.database.close()
        tried = sorted({at for place in around for at in range(max(1, place - 1), place + 4)})
        assert len(tried) > 16
        for at in tried[part::4]:
            world = first.copied(tmp_path / str(at))
            live(world, partial(crashing_roll, wanted=wanted, fatal=at))
            world.database.close()
        first.database.close()


async def _bootstrap(world: World) -> None:
    await bootstrapped(world)


# --- lost and old state -------------------------------------------------------------------------


def test_a_key_set_that_is_older_than_the_parents_ds_stops(world: World) -> None:
    """A backup from before a rollover, restored after it."""

    async def story(world: World) -> None:
        world.policy = SINGLE
        old = await bootstrapped(world)
        backup = world.directory / "backup.db"
        world.database.copy_to(backup)
        zone = world.zone
        await world.signer.request(Roll())
        await world.until(lambda: fresh(world, old, 1))
        world.database.close()
        for path in world.directory.glob("state.db*"):
            path.unlink()
        backup.rename(world.directory / "state.db")
        world.zone = zone
        new = [key for key in world.signer.keyset.keys if key.everywhere()]
        (world.directory / "keys").rename(world.directory / "newer keys")
        (world.directory / "keys").mkdir()
        for path in (world.directory / "newer keys").rglob("*"):
            if path.is_file() and new[0].fingerprint not in path.name:
                target = world.directory / "keys" / path.relative_to(world.directory / "newer keys")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(path.read_bytes())
        world.open()
        await world.start()
        assert isinstance(await world.sign("all"), Held)
        hold = world.signer.held
        assert hold is not None
        assert "are not ours" in hold.reason or "is not ours" in hold.reason
        assert "zoneward keys import" in hold.remedy
        assert "restore the newest" in hold.remedy

    live(world, story)


def test_an_empty_state_beside_a_live_ds_makes_no_key(world: World, tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await bootstrapped(world)
        world.database.close()
        world.directory = tmp_path / "elsewhere"
        world.served = None
        world.zone = None
        world.open()
        await world.start()
        assert world.signer.held is not None
        assert "there is no key here" in world.signer.held.reason
        assert "import" in world.signer.held.remedy
        assert world.signer.keyset.keys == ()

    live(world, story)


def test_what_is_waited_for_is_said_with_its_end(world: World) -> None:
    async def story(world: World) -> None:
        await bootstrapped(world)
        await world.signer.request(Roll(frozenset({Role.ZSK})))
        await world.step()
        waits = world.signer.status().waits
        new = world.signer.keyset.keys[-1]
        dnskey = next(wait for wait in waits if wait.what.startswith(f"DNSKEY of ZSK {new.tag}"))
        assert dnskey.until is not None
        assert dnskey.since is not None
        assert dnskey.who == "time"
        record = new.record(RecordKind.DNSKEY)
        assert record is not None
        assert record.ttl == HOUR

    live(world, story)
