"""A thousand zone-years without a bogus moment: everything that may happen, at random.

Each world is one zone for two years, then everybody does what he is asked until every
rollover has ended. `--zone-years N` asks for more of them.
"""

import random

import pytest
import zoneworld

# Worlds of two years, in as many tests as can run side by side.
_SHARES = 10
_YEARS = 2


@pytest.mark.parametrize("share", range(_SHARES))
def test_no_moment_of_a_thousand_zone_years_is_bogus(
    share: int, request: pytest.FixtureRequest
) -> None:
    wanted = int(request.config.getoption("--zone-years"))
    worlds = range(share, wanted // _YEARS, _SHARES)
    assert worlds, "fewer zone-years than shares"
    rolls = moments = 0
    for seed in worlds:
        world = zoneworld.some_world(random.Random(seed))
        world.run(_YEARS * 365 * zoneworld.DAY)
        world.settle()
        rolls += world.rolls
        moments += world.moments
    assert rolls >= len(worlds), "nothing was rolled"
    assert moments >= 20 * len(worlds), "nothing was judged"
