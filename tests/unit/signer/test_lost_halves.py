"""A key whose private half is really gone: nobody can sign with it, and no validator ever meets
a version, or the want of one, that it refuses."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import pytest
from fakeregistrar import FakeRegistrar
from rollworld import BRIEF, World, live

from signer.keyset import Key, Role
from signer.outcome import Held
from signer.policy import HOUR, KeyLayout
from signer.requests import GoInsecure, GoSecure, Lose


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ThreadPoolExecutor(2) as executor:
        found = World(tmp_path, executor, BRIEF, registrar=FakeRegistrar(), ds_ttl=HOUR)
        yield found
        found.database.close()


async def without_private_half(world: World, role: Role) -> Key:
    """A signed zone with a DS, that has lost the file of one of its keys, and was told so."""
    layout = KeyLayout.CSK if role is Role.CSK else KeyLayout.KSK_ZSK
    world.policy = attrs.evolve(BRIEF, keys=layout)
    await world.start()
    await world.until(world.everywhere)
    (key,) = (one for one in world.signer.keyset.keys if one.role is role)
    (file,) = world.directory.glob(f"keys/**/*{key.fingerprint}*")
    file.unlink()
    await world.start()
    assert world.signer.held is not None
    await world.signer.request(Lose(str(key.tag)))
    return key


async def signs_again(world: World) -> None:
    made = len(world.versions)
    await world.until(lambda: len(world.versions) > made)


def test_a_lost_ksk_is_replaced(world: World) -> None:
    async def story(world: World) -> None:
        lost = await without_private_half(world, Role.KSK)
        await world.until(lambda: world.everywhere() and lost.fingerprint not in world.in_use())
        assert len(world.in_use()) == 2
        await signs_again(world)

    live(world, story)


@pytest.mark.parametrize("role", [Role.ZSK, Role.CSK])
def test_where_the_zone_itself_was_signed_with_it_the_zone_goes_insecure_and_comes_back(
    world: World, role: Role
) -> None:
    async def story(world: World) -> None:
        lost = await without_private_half(world, role)
        outcome = await world.sign("all")
        assert isinstance(outcome, Held)
        assert "keys roll example.org. --insecure" in outcome.hold.remedy
        await world.signer.request(GoInsecure())
        await world.until(lambda: world.settled() and not world.ds)
        assert world.zone is not None
        assert world.zone.signature_count == 0
        await world.signer.request(GoSecure())
        await world.until(world.everywhere)
        assert lost.fingerprint not in world.in_use()
        await signs_again(world)

    live(world, story)
