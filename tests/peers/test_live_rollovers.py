"""Whole rollovers with TTLs of a second: BIND is the parent, Unbound validates and is asked many
times a second, and not one answer may be less than it should be.

Each scenario ends when the rollover has: what `zoneward status` and `zoneward keys list` say.
"""

from collections.abc import Callable, Iterator

import dns.rdatatype
import pytest
from carriedscene import CarriedScene, carried
from house import House, until
from livescene import goes_insecure_and_comes_back, keys_are
from registrar import ds_record, published

from signer.status import KeyStatus

pytestmark = pytest.mark.peers

Start = Callable[..., CarriedScene]

CDS, CDNSKEY = dns.rdatatype.CDS, dns.rdatatype.CDNSKEY


@pytest.fixture
def start(house: House) -> Iterator[Start]:
    """A scene by name and policy, at the point where every answer is authenticated. The
    registrar reads CDS, or CDNSKEY, or, with None, is a person."""
    scenes: list[CarriedScene] = []

    def begin(
        name: str, policy: str, reads: dns.rdatatype.RdataType | None = CDS, **options: str
    ) -> CarriedScene:
        scene = CarriedScene(house, name, **options)
        scenes.append(scene)
        scene.start(policy)
        wish = carried(scene) if reads is None else published(house, scene.parent, reads)
        scene.carry(wish)
        return scene

    yield begin
    for scene in scenes:
        scene.end()


def role(keys: list[KeyStatus], name: str) -> list[KeyStatus]:
    return [key for key in keys if key.role == name]


P256, ED25519, RSA = "ECDSAP256SHA256", "ED25519", "RSASHA256"


def test_a_zsk_rolls(start: Start) -> None:
    scene = start("zsk", "keys ksk+zsk\nnsec3")
    with scene.rolling() as before:
        scene.roll("--zsk")
    keys_are(scene, {("KSK", P256), ("ZSK", P256)}, role(before, "ZSK"))
    assert len(scene.changes()) == 1
    scene.conclude("during")


def test_a_ksk_rolls_its_dnskey_first(start: Start) -> None:
    scene = start("ksk", "keys ksk+zsk", CDNSKEY)
    with scene.rolling() as before:
        scene.roll("--ksk")
    keys_are(scene, {("KSK", P256), ("ZSK", P256)}, role(before, "KSK"))
    assert [len(tags) for _, tags in scene.changes()] == [1, 2, 1]
    scene.conclude("during")


def test_a_ksk_rolls_its_ds_first_carried_by_a_person(start: Start) -> None:
    scene = start("double-ds", "keys ksk+zsk\nds double-ds", None)
    with scene.rolling() as before:
        scene.roll("--ksk")
    keys_are(scene, {("KSK", P256), ("ZSK", P256)}, role(before, "KSK"))
    assert [len(tags) for _, tags in scene.changes()] == [1, 2, 1]
    scene.conclude("during")


def test_a_csk_rolls_on_our_own_servers_word(start: Start) -> None:
    scene = start("csk", "keys csk", observe="own")
    with scene.rolling() as before:
        scene.roll("--csk")
    keys_are(scene, {("CSK", P256)}, before)
    assert [len(tags) for _, tags in scene.changes()] == [1, 2, 1]
    scene.conclude("during")


def test_the_policy_gets_another_algorithm(start: Start) -> None:
    scene = start("algorithm", "keys csk")
    with scene.rolling() as before:
        scene.policy("keys csk\nalgorithm ED25519")
        until(lambda: len(scene.keys()) == 2, 60, "a key of the new algorithm")
    keys_are(scene, {("CSK", ED25519)}, before)
    scene.conclude("during")


def test_a_person_rolls_to_rsa(start: Start) -> None:
    scene = start("rsa", "keys ksk+zsk\nnsec3", CDNSKEY)
    with scene.rolling() as before:
        scene.roll("--algorithm", "RSASHA256")
    keys_are(scene, {("KSK", RSA), ("ZSK", RSA)}, before)
    scene.conclude("during")


def test_the_policy_splits_the_csk(start: Start) -> None:
    scene = start("split", "keys csk\nnsec3")
    with scene.rolling() as before:
        scene.policy("keys ksk+zsk\nnsec3")
        until(lambda: len(scene.keys()) == 3, 60, "a key in each role")
    keys_are(scene, {("KSK", P256), ("ZSK", P256)}, before)
    scene.conclude("during")


def test_nsec_becomes_nsec3_and_nsec_again(start: Start) -> None:
    scene = start("denial", "keys csk")
    assert not scene.house.answer(scene.zone, "NSEC3PARAM")
    with scene.rolling("to NSEC3") as before:
        scene.policy("keys csk\nnsec3")
        until(lambda: scene.house.answer(scene.zone, "NSEC3PARAM"), 60, "NSEC3")
    with scene.rolling("to NSEC"):
        scene.policy("keys csk\nnsec")
        until(lambda: not scene.house.answer(scene.zone, "NSEC3PARAM"), 60, "NSEC")
    assert scene.keys() == before
    scene.conclude("to NSEC3", "to NSEC")


def test_a_zone_goes_insecure_and_comes_back(start: Start) -> None:
    scene = start("insecure", "keys csk")
    goes_insecure_and_comes_back(scene)
    assert [len(tags) for _, tags in scene.changes()] == [1, 0, 1]
    scene.conclude("going", "insecure", "coming back")


def test_what_a_naive_operator_does_is_noticed(start: Start) -> None:
    """The tests above can fail."""
    scene = start("naive", "keys csk")
    scene.refuse_wrong()
    (good,) = scene.parent.ds()
    scene.stop_registrar()
    scene.expects.phase = "without a DS"
    scene.parent.replace_ds([])
    until(lambda: any("not authenticated" in one.said for one in scene.wrong()), 30, "no AD")
    scene.expects.phase = "the DS of a key that is not published"
    scene.parent.replace_ds([ds_record(f"{good.key_tag ^ 1} 13 2 {'ab' * 32}")])
    until(lambda: any("SERVFAIL" in one.said for one in scene.wrong()), 30, "SERVFAIL")
    until(lambda: all(one.complaints() for one in scene.resolvers), 30, "and why")
    # And the operator is told.
    alarm = f"the parent has DS {good.key_tag ^ 1}, of no key of this zone"
    until(lambda: alarm in scene.status().alarms, 60, alarm)
