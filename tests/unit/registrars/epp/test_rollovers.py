"""Whole rollovers whose DS goes to the registry by EPP: over TLS, done at once or pending, with a
server that fails in all its ways, and the zone is valid at each step."""

import base64
import random
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import attrs
import dns.name
import pytest
from eppscene import Scene
from rollworld import BRIEF, ORIGIN, World, live

from registrars.protocol import Capabilities, Entry, Plan, Receipt, Registrar
from signer.keyset import Role
from signer.policy import HOUR, KeyLayout, Policy
from signer.requests import Request, Roll, RollAlgorithm

SINGLE = attrs.evolve(BRIEF, cds=())
SPLIT = attrs.evolve(BRIEF, keys=KeyLayout.KSK_ZSK)
FAULTS = (
    *("closed", "lost", "cut", "short", "junk", "bomb", "nameless", "stranger", "twice"),
    *("2400", "2502", "2304", "2306", "2002"),
    *[""] * 14,
)
NAME = ORIGIN.to_text(omit_final_dot=True)


@attrs.define
class Office:
    """The driver, and the registry behind it: what is pending is decided at the third question,
    as `verdicts` say."""

    scene: Scene
    driver: Registrar
    verdicts: deque[bool] = attrs.field(factory=deque)
    asked: int = 0

    @property
    def name(self) -> str:
        return self.driver.name

    @property
    def capabilities(self) -> Capabilities:
        return self.driver.capabilities

    @property
    def has(self) -> list[Entry]:
        """What the parent's servers will show."""
        registry = self.scene.server.registry
        if registry.form == "keyData":
            keys = [dnskey(fields) for fields in self.scene.rows(ORIGIN)]
            return [Entry.of_dnskey(ORIGIN, one) for one in keys]
        return [ds(fields) for fields in self.scene.rows(ORIGIN)]

    def list(self, zone: dns.name.Name) -> tuple[Entry, ...]:
        return self.driver.list(zone)

    def apply(self, plan: Plan) -> Receipt:
        return self.driver.apply(plan)

    def poll(self, zone: dns.name.Name, reference: str) -> Receipt:
        self.asked += 1
        registry = self.scene.server.registry
        if self.asked % 3 == 0 and registry.domains[NAME].waiting is not None:
            registry.decide(NAME, done=self.verdicts.popleft() if self.verdicts else True)
        return self.driver.poll(zone, reference)

    def close(self) -> None:
        self.driver.close()


def ds(fields: tuple[str, ...]) -> Entry:
    tag, algorithm, digest_type = map(int, fields[:3])
    head = tag.to_bytes(2, "big") + bytes((algorithm, digest_type))
    return Entry(head + bytes.fromhex(fields[3]), None)


def dnskey(fields: tuple[str, ...]) -> bytes:
    flags, protocol, algorithm = map(int, fields[:3])
    return flags.to_bytes(2, "big") + bytes((protocol, algorithm)) + base64.b64decode(fields[3])


@pytest.fixture
def office(request: pytest.FixtureRequest, scene: Scene) -> Office:
    wants = request.getfixturevalue("wants")
    scene.server.registry.add(NAME)
    scene.server.registry.form = {"ds": "dsData", "dnskey": "keyData"}[wants]
    return Office(scene, scene.open(wants=wants))


@pytest.fixture
def world(office: Office, tmp_path: Path) -> Iterator[World]:
    with ThreadPoolExecutor(2) as executor:
        # The world asks it for no more than Office has.
        found = World(tmp_path, executor, SINGLE, registrar=cast(Any, office), ds_ttl=HOUR)
        yield found
        found.database.close()


@pytest.mark.parametrize(
    ("wants", "policy", "wanted", "slow", "faulty"),
    [
        ("ds", SPLIT, Roll(frozenset({Role.KSK})), True, True),
        ("ds", SINGLE, Roll(), False, True),
        ("ds", SINGLE, Roll(), True, False),
        ("dnskey", SINGLE, RollAlgorithm(15), True, True),
        ("dnskey", SPLIT, Roll(frozenset({Role.KSK})), False, True),
        ("dnskey", SINGLE, RollAlgorithm(15), False, False),
    ],
    ids=[
        "ksk, pending, faulty",
        "csk, at once, faulty",
        "csk, pending",
        "algorithm, keys, pending, faulty",
        "ksk, keys, at once, faulty",
        "algorithm, keys, at once",
    ],
)
def test_a_roll_goes_through_the_registry_by_itself(
    world: World,
    office: Office,
    wants: str,
    policy: Policy,
    wanted: Request,
    slow: bool,
    faulty: bool,
) -> None:
    async def story(world: World) -> None:
        luck = random.Random(f"{wanted} {slow}")
        server = office.scene.server
        world.policy, server.registry.slow = policy, slow
        world.impatient = faulty
        if faulty:
            server.faults.extend(luck.choices(FAULTS, k=20))
            office.verdicts.extend([False, True, False])
        await world.start()
        await world.until(world.everywhere)
        old = {entry.ds for entry in office.has}
        if faulty:
            server.faults.extend(luck.choices(FAULTS, k=30))
        await world.signer.request(wanted)
        await world.until(lambda: world.everywhere() and not old & world.ds, days=90)
        assert world.ds == {entry.ds for entry in office.has}
        assert len(office.has) == 1
        # Each was brought once and taken away once, whatever failed between.
        assert server.registry.writes == 3
        status = world.signer.status()
        assert status.registrar is not None
        assert (status.registrar.state, status.todo) == ("idle", ())
        assert len(server.faults) < (30 if faulty else 1), "no fault came up"
        assert not office.verdicts or not (slow and faulty)

    live(world, story)
