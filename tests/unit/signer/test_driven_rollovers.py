"""Whole rollovers through the drivers, each at its provider's stand-in over HTTP: what the
stand-in has is what the parent gets, and the zone is valid at each step."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import amazon
import pytest
from amazon import CREDENTIALS, REGISTRY, ZONES, Amazon
from providers.dnsimple import DNSimple
from providers.gandi import Gandi
from providers.godaddy import GoDaddy
from providers.inwx import INWXLater
from providers.ovh import OVH
from providers.porkbun import Porkbun
from providers.transip import TransIP
from providers.web import Fault, LocalServer, Provider, Reply
from registrarcases import opened
from rollworld import ORIGIN, World, live
from wiredregistrar import Wired

from registrars.formats import ds_from_text
from signer.keyset import Role
from signer.policy import DAY, KeyLayout, Policy
from signer.requests import GoInsecure, Request, Roll, RollAlgorithm

SPLIT = Policy(keys=KeyLayout.KSK_ZSK, purge=3 * DAY)
SINGLE = Policy(purge=3 * DAY, cds=())
ROLLS = [(SPLIT, Roll(frozenset({Role.KSK}))), (SINGLE, Roll()), (SINGLE, RollAlgorithm(15))]


@pytest.fixture(scope="module")
def server() -> Iterator[Amazon]:
    with Amazon() as running:
        yield running


@contextmanager
def world_of(directory: Path, policy: Policy, wired: Wired) -> Iterator[World]:
    with ThreadPoolExecutor(2) as executor:
        found = World(directory, executor, policy, registrar=wired)  # type: ignore[arg-type]
        yield found
        found.database.close()
        wired.close()


def rolled(world: World, wired: Wired, wanted: Request) -> None:
    """A first DS, the roll, and in the end one other DS; then none."""

    async def story(world: World) -> None:
        await world.start()
        await world.until(world.everywhere)
        old = {entry.ds for entry in wired.has}
        assert len(old) == 1
        await world.signer.request(wanted)
        await world.until(lambda: world.everywhere() and not old & world.ds, days=90)
        assert len(wired.has) == 1
        assert world.ds == {entry.ds for entry in wired.has}
        await world.signer.request(GoInsecure())
        await world.until(lambda: not wired.has)
        await world.until(lambda: world.zone is not None and not world.zone.signature_count)

    live(world, story)


@pytest.mark.parametrize(("policy", "wanted"), ROLLS, ids=["ksk", "csk", "algorithm"])
@pytest.mark.parametrize("driver", ["route53domains", "route53"])
def test_through_amazon(
    server: Amazon, tmp_path: Path, driver: str, policy: Policy, wanted: Request
) -> None:
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
    with world_of(tmp_path, policy, wired) as world:
        rolled(world, wired, wanted)


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
