"""Whole rollovers, executed: by the real signer on a real database, with the engine's
signatures, in a world whose clock runs from one due time to the next."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from rollworld import CDS, DNSKEY, NSEC3PARAM, WIRE, Crash, World, live

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


def test_lifetimes_roll_by_themselves_for_a_year(world: World) -> None:
    async def story(world: World) -> None:
        world.policy = Policy(
            keys=KeyLayout.KSK_ZSK, ksk_lifetime=180 * DAY, zsk_lifetime=60 * DAY, purge=3 * DAY
        )
        await bootstrapped(world)
        tags = world.signer.keyset.tags_used
        end = world.clock.now + 370 * DAY
        while world.clock.now < end:
            await world.step()
        used = len(world.signer.keyset.tags_used - tags) // 2
        assert used >= 6 + 2 - 1, "six ZSKs and two KSKs in a year"

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


async def crashing_roll(world: World, wanted: Roll | RollAlgorithm, fatal: int) -> bool:
    """Roll, dying after the `fatal`-th commit; then come up again and finish. False when
    there were not so many."""
    old = await bootstrapped(world)
    world.crashing.commits, world.crashing.fatal = 0, fatal
    died = False
    try:
        await world.signer.request(wanted)
        await world.until(lambda: fresh(world, old, len(old)))
    except Crash:
        died = True
    world.crashing.fatal = None
    world.database.close()
    world.open()
    keys = {key.fingerprint for key in world.signer.keyset.keys}
    await world.start()
    assert keys <= {key.fingerprint for key in world.signer.keyset.keys}, "a key was lost"
    if died and not any(key.retire or key.successor for key in world.signer.keyset.keys):
        # Killed before the wish was on disk: nobody was told that it was.
        await world.signer.request(wanted)
    await world.until(lambda: fresh(world, old, len(old)))
    assert len(world.signer.keyset.keys) == 2 * len(old), "each successor was made once"
    return died


def commits_of(tmp_path: Path, policy: Policy, wanted: Roll | RollAlgorithm) -> list[int]:
    """The commits of a roll in which something other than the clock is written: asked of a
    run without a crash."""
    with ThreadPoolExecutor(2) as executor:
        world = World(tmp_path, executor, policy)
        found: list[int] = []

        async def story(world: World) -> None:
            old = await bootstrapped(world)
            world.crashing.commits = 0
            last = -1
            await world.signer.request(wanted)
            while not fresh(world, old, len(old)):
                now = world.database.run_blocking(lambda db: _rows(db))
                if now != last:
                    found.append(world.crashing.commits)
                    last = now
                await world.step()

        live(world, story)
        world.database.close()
    return found


def _rows(db: object) -> int:
    (changes,) = db.execute("SELECT count(*) FROM audit").fetchone()  # type: ignore[attr-defined]
    return int(changes)


@pytest.mark.parametrize("kind", ["csk", "algorithm"])
def test_a_crash_after_any_commit_loses_nothing(tmp_path: Path, kind: str) -> None:
    """Each commit around a change of the keys is the last one once."""
    policy = Policy(purge=90 * DAY)
    wanted = Roll() if kind == "csk" else RollAlgorithm(15)
    places = commits_of(tmp_path / "counting", policy, wanted)
    tried = sorted({at for place in places for at in range(max(1, place - 4), place + 5)})
    assert len(tried) > 20
    with ThreadPoolExecutor(2) as executor:
        for at in tried:
            world = World(tmp_path / str(at), executor, policy)
            live(world, lambda world, at=at: _crashed(world, wanted, at))  # type: ignore[misc]
            world.database.close()


async def _crashed(world: World, wanted: Roll | RollAlgorithm, at: int) -> None:
    await crashing_roll(world, wanted, at)


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
