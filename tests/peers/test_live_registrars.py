"""Whole rollovers with TTLs of seconds whose DS a driver moves: by dynamic update at BIND, Knot
and PowerDNS, and by PowerDNS's API. Unbound validates and is asked many times a second, and not
one answer may be less than it should be.

Each test is one Zoneward with a zone for each story, and they roll side by side.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from drivenscene import DrivenScene, Move, Stage, Way
from house import House, until
from livescene import goes_insecure_and_comes_back, in_use, keys_are

from signer.status import KeyStatus

pytestmark = pytest.mark.peers

Story = Callable[[DrivenScene], None]

WAYS = (Way("bind"), Way("knot"), Way("powerdns"), Way("powerdns", "powerdns"))
P256, ED25519 = "ECDSAP256SHA256", "ED25519"


@pytest.fixture
def stage(house: House, request: pytest.FixtureRequest) -> Iterator[Stage]:
    found = Stage(house, request.param)
    yield found
    found.end()


def tag_at_parent(keys: list[KeyStatus]) -> int:
    (key,) = (one for one in in_use(keys) if one.role != "ZSK")
    return key.tag


def brought_and_taken(scene: DrivenScene, before: list[KeyStatus]) -> None:
    """The driver brought the first DS and the new one, then took the first away; no more."""
    old, new = tag_at_parent(before), tag_at_parent(scene.keys())
    assert scene.moves() == [Move("add", old), Move("add", new), Move("remove", old)]
    assert {ds.key_tag for ds in scene.parent.ds()} == {new}


def a_ksk_rolls(scene: DrivenScene) -> None:
    with scene.rolling() as before:
        scene.roll("--ksk")
    old = [key for key in before if key.role == "KSK"]
    keys_are(scene, {("KSK", P256), ("ZSK", P256)}, old)
    brought_and_taken(scene, before)
    scene.conclude("during")


def a_csk_rolls(scene: DrivenScene) -> None:
    with scene.rolling() as before:
        scene.roll("--csk")
    keys_are(scene, {("CSK", P256)}, before)
    brought_and_taken(scene, before)
    scene.conclude("during")


def the_algorithm_rolls(scene: DrivenScene) -> None:
    with scene.rolling() as before:
        scene.roll("--algorithm", ED25519)
    keys_are(scene, {("KSK", ED25519), ("ZSK", ED25519)}, before)
    brought_and_taken(scene, before)
    scene.conclude("during")


def insecure_and_back(scene: DrivenScene) -> None:
    first = tag_at_parent(scene.keys())
    goes_insecure_and_comes_back(scene)
    last = tag_at_parent(scene.keys())
    assert scene.moves() == [Move("add", first), Move("remove", first), Move("add", last)]
    scene.conclude("going", "insecure", "coming back")


def a_parent_refuses(scene: DrivenScene) -> None:
    """What the driver may not do is not done, and is said; the zone waits and stays valid. As
    soon as it may, it goes on where it was."""
    stage, first = scene.stage, tag_at_parent(scene.keys())
    stage.parent.allow(stage.children(but=scene))
    scene.expects.phase = "refused"
    before = scene.keys()
    scene.roll("--ksk")

    def alarms() -> list[str]:
        return [line for line in scene.status().alarms if "does not get to the parent" in line]

    scene.wait(lambda: bool(alarms()), "an alarm")
    status, (alarm,) = scene.status(), alarms()
    assert status.registrar is not None
    assert status.registrar.state == "failing"
    assert status.registrar.text in alarm
    assert "rfc2136" in alarm
    assert "key updates." in alarm
    new = next(key.tag for key in status.keys if key.tag not in {one.tag for one in before})
    assert f"DS of KSK {new} to be omnipresent" in [wait.what for wait in status.waits]
    scene.enough("refused")
    assert scene.moves() == [Move("add", first)]
    assert {ds.key_tag for ds in scene.parent.ds()} == {first}
    assert tag_at_parent(scene.keys()) == first
    stage.parent.allow(stage.children())
    with scene.rolling("allowed"):
        pushed = ("ds", "push", scene.zone)
        until(lambda: scene.house.command(*pushed).returncode == 0, 30, "the DS is taken")
    assert set(scene.alarms) <= {alarm}
    scene.alarms.clear()
    brought_and_taken(scene, before)
    scene.conclude("refused", "allowed")


STORIES: dict[str, tuple[str, Story]] = {
    "ksk": ("keys ksk+zsk", a_ksk_rolls),
    "double-ds": ("keys ksk+zsk\nds double-ds\nnsec3", a_ksk_rolls),
    "csk": ("keys csk", a_csk_rolls),
    "algorithm": ("keys ksk+zsk", the_algorithm_rolls),
    "insecure": ("keys csk", insecure_and_back),
}
# PowerDNS knows no limit to what a key may change.
LIMITED = {"refused": ("keys ksk+zsk\nregistrar-patience 2s", a_parent_refuses)}


@pytest.mark.parametrize("stage", WAYS, ids=str, indirect=True)
def test_the_ds_moves_without_a_person(stage: Stage) -> None:
    stories = STORIES | ({} if stage.way.parent == "powerdns" else LIMITED)
    stage.start({name: policy for name, (policy, _) in stories.items()})

    def live(name: str) -> None:
        scene = stage.scenes[name]
        scene.begin()
        stories[name][1](scene)

    with ThreadPoolExecutor(len(stories)) as pool:
        for done in [pool.submit(live, name) for name in stories]:
            done.result()
