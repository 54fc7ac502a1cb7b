"""Worlds of `zoneworld` in which much happens, and what goes wrong in one."""

import random

import attrs
import zoneworld
from zoneworld import DAY, World

_BROKEN = (
    zoneworld.BogusMoment,
    zoneworld.Unsound,
    zoneworld.Unsecured,
    zoneworld.Stalled,
    ValueError,
)


def busy(seed: int) -> World:
    """Somebody asks for something every few days."""
    world = zoneworld.some_world(random.Random(seed))
    world.setting = attrs.evolve(world.setting, pause=5 * DAY)
    return world


def wrong(world: World) -> Exception | None:
    try:
        world.run(200 * DAY)
        world.settle()
    except _BROKEN as error:
        return error
    return None
