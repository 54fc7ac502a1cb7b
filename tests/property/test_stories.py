"""Hypothesis draws a policy and what happens, so that a failure shrinks to a small story."""

import random

import zoneworld
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signer.policy import DAY, HOUR, DsMode, KeyLayout, Nsec3, Policy

TTLS = st.sampled_from((60, HOUR, DAY))
POLICIES = st.builds(
    Policy,
    keys=st.sampled_from(KeyLayout),
    algorithm=st.sampled_from((8, 13)),
    nsec3=st.sampled_from((None, Nsec3())),
    dnskey_ttl=TTLS,
    max_zone_ttl=TTLS,
    validity=st.just(60 * DAY),
    refresh=st.just(20 * DAY),
    propagation=st.sampled_from((0, 2 * HOUR)),
    publish_safety=st.just(0),
    retire_safety=st.just(0),
    parent_propagation=st.sampled_from((0, HOUR)),
    ds=st.sampled_from(DsMode),
)
#: Days since the event before, and what happens then.
EVENTS = st.lists(
    st.tuples(
        st.sampled_from((0.0, 0.05, 0.5, 1.0, 2.0, 5.0, 30.0)),
        st.sampled_from(sorted(set(zoneworld.OPERATIONS))),
    ),
    min_size=1,
    max_size=8,
)


@settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
@given(
    policy=POLICIES,
    events=EVENTS,
    parent_ttl=TTLS,
    one_by_one=st.booleans(),
    calm=st.booleans(),
    seed=st.integers(0, 7),
)
def test_no_story_ends_badly(
    policy: Policy,
    events: list[tuple[float, str]],
    parent_ttl: int,
    one_by_one: bool,
    calm: bool,
    seed: int,
) -> None:
    setting = zoneworld.Setting(
        policy, parents=2, parent_ttl=parent_ttl, one_by_one=one_by_one, calm=calm
    )
    world = zoneworld.World(random.Random(seed), setting)
    for days, what in events:
        world.run(world.now + days * DAY)
        world.ask(what)
        world.wake()
    world.settle()
    assert world.moments
