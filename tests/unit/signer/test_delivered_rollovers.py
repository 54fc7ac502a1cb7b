"""Whole rollovers whose DS a registrar brings: it fails, is late, half-applies, refuses and lies,
and the zone is valid at each step."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import pytest
from fakeregistrar import FakeRegistrar
from rollworld import BRIEF, ORIGIN, World, live

from registrars.protocol import Entry
from signer.keyset import Role
from signer.policy import HOUR, DsMode, KeyLayout, Policy
from signer.requests import GoInsecure, Request, Roll, RollAlgorithm

SINGLE = attrs.evolve(BRIEF, cds=())
SPLIT = attrs.evolve(BRIEF, keys=KeyLayout.KSK_ZSK)
FAULTS = ("timeout", "late", "half", "refuse", "lie", "", "", "")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ThreadPoolExecutor(2) as executor:
        found = World(tmp_path, executor, SINGLE, registrar=FakeRegistrar(), ds_ttl=HOUR)
        yield found
        found.database.close()


def registrar(world: World) -> FakeRegistrar:
    assert world.registrar is not None
    return world.registrar


@pytest.mark.parametrize("faulty", [False, True], ids=["prompt", "faulty"])
@pytest.mark.parametrize("slow", [0, 3], ids=["at once", "asynchronous"])
@pytest.mark.parametrize(
    ("policy", "wanted"),
    [
        (SPLIT, Roll(frozenset({Role.KSK}))),
        (SINGLE, Roll()),
        (SINGLE, RollAlgorithm(15)),
        (attrs.evolve(BRIEF, ds=DsMode.DOUBLE_DS), Roll()),
    ],
    ids=["ksk", "csk", "algorithm", "double ds"],
)
def test_a_roll_goes_through_the_registrar_by_itself(
    world: World, policy: Policy, wanted: Request, slow: int, faulty: bool
) -> None:
    async def story(world: World) -> None:
        luck = random.Random(f"{wanted} {slow}")
        world.policy, office = policy, registrar(world)
        office.slow = slow
        if faulty:
            office.faults.extend(luck.choices(FAULTS, k=20))
        await world.start()
        await world.until(world.everywhere)
        old = {entry.ds for entry in office.has}
        if faulty:
            office.faults.extend(luck.choices(FAULTS, k=30))
        await world.signer.request(wanted)
        await world.until(lambda: world.everywhere() and not old & world.ds, days=90)
        assert world.ds == {entry.ds for entry in office.has}
        assert len(office.has) == 1
        # Each DS was brought once and taken away once, whatever failed between.
        assert office.writes == 3
        status = world.signer.status()
        assert status.registrar is not None
        assert (status.registrar.state, status.todo) == ("idle", ())

    live(world, story)


def test_the_last_ds_goes_only_when_going_insecure_was_asked_for(world: World) -> None:
    async def story(world: World) -> None:
        await world.start()
        await world.until(world.everywhere)
        await world.signer.request(GoInsecure())
        await world.until(lambda: not registrar(world).has)
        await world.until(lambda: world.zone is not None and not world.zone.signature_count)

    live(world, story)


def test_a_strange_ds_beside_ours_keeps_the_zone_signed(world: World) -> None:
    """Who goes insecure while somebody else's DS stays leaves the zone bogus."""

    async def story(world: World) -> None:
        await world.start()
        await world.until(world.everywhere)
        office = registrar(world)
        strange = Entry.of_dnskey(ORIGIN, bytes((1, 1, 3, 13)) + bytes([9]) * 64, id="id-9")
        office.has.append(strange)
        await world.until(lambda: strange.ds in world.ds)
        # The next look at the parent comes in its own time.
        await world.until(lambda: "ds-mismatch" in world.signer.status().alarm_kinds)
        await world.signer.request(GoInsecure())
        for _ in range(30):
            await world.step()
        assert len(office.has) == 2
        assert world.zone is not None
        assert world.zone.signature_count > 0
        (wait,) = [one for one in world.signer.status().waits if "have that one" in one.evidence]
        assert "ds check" in wait.remedy
        office.has.remove(strange)
        await world.until(lambda: world.zone is not None and not world.zone.signature_count)

    live(world, story)


def test_a_registrar_that_fails_for_long_is_an_alarm_and_the_zone_stays_valid(world: World) -> None:
    async def story(world: World) -> None:
        await world.start()
        await world.until(world.everywhere)
        office = registrar(world)
        office.faults.extend(["timeout"] * 200)
        await world.signer.request(Roll())
        await world.until(lambda: "registrar" in world.signer.status().alarm_kinds)
        (line,) = [one for one in world.signer.status().alarms if "does not get" in one]
        assert "no answer within 20 s" in line
        office.faults.clear()
        await world.until(world.everywhere, days=90)
        assert "registrar" not in world.signer.status().alarm_kinds

    live(world, story)
