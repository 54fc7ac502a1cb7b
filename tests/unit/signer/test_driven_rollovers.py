"""Whole rollovers through the drivers, each at its provider's stand-in over HTTP: what the
stand-in has is what the parent gets, and the zone is valid at each step."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import amazon
import attrs
import pytest
from amazon import CREDENTIALS, REGISTRY, ZONES, Amazon
from amazonfaults import CALLS, CHANGES, FAULTS, documented
from amazonfaults import Fault as AmazonFault
from providers.dnsimple import DNSimple
from providers.gandi import Gandi
from providers.godaddy import GoDaddy
from providers.inwx import INWXLater
from providers.ovh import OVH
from providers.porkbun import Porkbun
from providers.transip import TransIP
from providers.web import Fault, LocalServer, Provider, Reply
from registrarcases import opened
from rollworld import BRIEF, ORIGIN, World, live
from wiredregistrar import Wired

from registrars.formats import ds_from_text
from signer.keyset import Role
from signer.policy import HOUR, KeyLayout, Policy
from signer.requests import GoInsecure, Request, Roll, RollAlgorithm

SINGLE = attrs.evolve(BRIEF, cds=())
SPLIT = attrs.evolve(SINGLE, keys=KeyLayout.KSK_ZSK)
ROLLS = [(SPLIT, Roll(frozenset({Role.KSK}))), (SINGLE, Roll()), (SINGLE, RollAlgorithm(15))]


@pytest.fixture(scope="module")
def server() -> Iterator[Amazon]:
    with Amazon() as running:
        yield running


@contextmanager
def world_of(directory: Path, policy: Policy, wired: Wired) -> Iterator[World]:
    with ThreadPoolExecutor(2) as executor:
        found = World(directory, executor, policy, registrar=wired, ds_ttl=HOUR)  # type: ignore[arg-type]
        yield found
        found.database.close()
        wired.close()


def rolled(world: World, wired: Wired, wanted: Request) -> set[str]:
    """A first DS, the roll, and in the end one other DS; then none. What status says of the
    registrar meanwhile."""
    said: set[str] = set()

    def everywhere() -> bool:
        status = world.signer.status()
        assert status.registrar is not None
        said.add(status.registrar.text)
        return world.everywhere()

    async def story(world: World) -> None:
        await world.start()
        await world.until(everywhere)
        old = {entry.ds for entry in wired.has}
        assert len(old) == 1
        await world.signer.request(wanted)
        await world.until(lambda: everywhere() and not old & world.ds, days=90)
        assert len(wired.has) == 1
        assert world.ds == {entry.ds for entry in wired.has}
        await world.signer.request(GoInsecure())
        await world.until(lambda: not wired.has)
        await world.until(lambda: world.zone is not None and not world.zone.signature_count)

    live(world, story)
    return said


@contextmanager
def at_amazon(
    server: Amazon, directory: Path, driver: str, policy: Policy
) -> Iterator[tuple[World, Wired]]:
    """A domain there, and the zone above it; each change takes some polls."""
    server.begin()
    server.register("example.org")
    server.zone("org.")
    REGISTRY.delay = ZONES.delay = 2
    lines = [f"    {name} env:{name}\n" for name in CREDENTIALS]
    text = f"registrar {driver} {{\n{''.join(lines)}    endpoint {server.endpoint}\n}}"

    def keys() -> list[tuple[object, ...]]:
        return [
            (key["Flags"], key["Algorithm"], key["PublicKey"])
            for key in REGISTRY.keys["example.org"].values()
        ]

    def records() -> list[tuple[object, ...]]:
        entries = [ds_from_text(text) for text in amazon.ds_of("example.org.")]
        return [
            (one.tag, one.algorithm, one.digest_type, one.digest.hex().upper()) for one in entries
        ]

    wired = Wired(opened(text, CREDENTIALS), ORIGIN, keys if driver != "route53" else records)
    with world_of(directory, policy, wired) as world:
        yield world, wired


@pytest.mark.parametrize(("policy", "wanted"), ROLLS, ids=["ksk", "csk", "algorithm"])
@pytest.mark.parametrize("driver", CALLS)
def test_through_amazon(
    server: Amazon, tmp_path: Path, driver: str, policy: Policy, wanted: Request
) -> None:
    with at_amazon(server, tmp_path, driver, policy) as (world, wired):
        said = rolled(world, wired, wanted)
    assert any("PENDING" in one or "under way" in one for one in said)


@pytest.mark.parametrize("driver", CALLS)
def test_amazon_answers_with_each_documented_error(
    server: Amazon, tmp_path: Path, driver: str
) -> None:
    """Each call gets its errors one after the other before it is answered. Each is said, and in
    the end all is as without them."""
    with at_amazon(server, tmp_path, driver, SINGLE) as (world, wired):
        FAULTS.planned = [(call, one) for call in CALLS[driver] for one in documented(driver, call)]
        # Who knows of no change is believed.
        codes = {one.code for _, one in FAULTS.planned} - {"NoSuchChange"}
        world.impatient = True
        said = rolled(world, wired, Roll())
        assert not FAULTS.planned
        assert {code for code in codes if any(f": {code} (" in one for one in said)} == codes


@pytest.mark.parametrize("driver", CALLS)
def test_amazon_throttles(server: Amazon, tmp_path: Path, driver: str) -> None:
    """A fifth of all calls is throttled, and some that were done are not answered."""
    luck = random.Random(driver)

    def chance(call: str) -> AmazonFault | None:
        if call in CHANGES and luck.random() < 0.3:
            return AmazonFault(503, "ServiceUnavailable", after=True)
        code = "Throttling" if driver == "route53" else "ThrottlingException"
        return AmazonFault(400, code) if luck.random() < 0.2 else None

    with at_amazon(server, tmp_path, driver, SINGLE) as (world, wired):
        FAULTS.chance = chance
        said = rolled(world, wired, Roll())
    assert any("Throttling" in one for one in said)


@pytest.mark.parametrize("faulty", [False, True], ids=["prompt", "faulty"])
@pytest.mark.parametrize(
    "kind", [DNSimple, Gandi, GoDaddy, INWXLater, OVH, Porkbun, TransIP], ids=lambda one: one.name
)
def test_through_a_registrar(tmp_path: Path, kind: type[Provider], faulty: bool) -> None:
    """Faulty: every fifth call or so fails, with or without having been done."""
    provider = kind()
    luck = random.Random(kind.__name__)
    with LocalServer(provider) as running:
        if faulty:
            replies = [Reply(503), Reply(502, b"<html>"), Reply(429), None]
            running.chance = lambda: (
                Fault(luck.choice(replies), after=luck.random() < 0.5)
                if luck.random() < 0.2
                else None
            )
        driver = opened(provider.corefile(running.endpoint), provider.secrets)
        wired = Wired(driver, ORIGIN, lambda: list(provider.stored.values()))
        with world_of(tmp_path, SINGLE, wired) as world:
            rolled(world, wired, Roll())
    assert running.complaints == []
