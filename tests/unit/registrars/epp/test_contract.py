"""What every driver has to keep, with a registry that has DS and one that has keys."""

import threading

import pytest
from eppscene import OTHER, ZONE, Scene, key, row

from registrars.plan import difference, same
from registrars.protocol import (
    Capabilities,
    Deletes,
    Entry,
    Plan,
    Progress,
    Receipt,
    Registrar,
    RegistrarError,
    Wants,
)

OLD, NEW, STRANGE = key(1), key(2), key(9)
FORMS = {"ds": "dsData", "dnskey": "keyData"}


@pytest.fixture(params=["ds", "dnskey"])
def wants(request: pytest.FixtureRequest, scene: Scene) -> str:
    scene.server.registry.form = FORMS[request.param]
    return str(request.param)


def has(scene: Scene, *entries: Entry) -> bool:
    return scene.rows() == [row(one, scene.server.registry.form) for one in entries]


def test_capabilities(scene: Scene) -> None:
    assert scene.open().capabilities == Capabilities(
        Wants.DS, frozenset({2}), Deletes.VALUE, lists=True, polls=True, automatic=True
    )
    found = scene.open("digests 2 4", wants="dnskey").capabilities
    assert (found.wants, found.digests) == (Wants.DNSKEY, frozenset({2, 4}))


def test_a_domain_without_dnssec_lists_nothing(scene: Scene, wants: str) -> None:
    assert scene.open(wants=wants).list(ZONE) == ()


def test_what_is_there_is_listed(scene: Scene, wants: str) -> None:
    scene.put(OLD, STRANGE)
    listed = scene.open(wants=wants).list(ZONE)
    assert [one.ds for one in listed] == [OLD.ds, STRANGE.ds]
    assert [one.dnskey for one in listed] == (
        [None, None] if wants == "ds" else [OLD.dnskey, STRANGE.dnskey]
    )
    assert all(same(one, other) for one, other in zip(listed, (OLD, STRANGE), strict=True))


def test_adding_and_adding_again(scene: Scene, wants: str) -> None:
    registrar = scene.open(wants=wants)
    plan = Plan(ZONE, add=(OLD,))
    assert registrar.apply(plan) == Receipt(Progress.ACCEPTED, "Command completed")
    assert has(scene, OLD)
    assert registrar.apply(plan).progress is Progress.ACCEPTED
    assert scene.server.registry.writes == 1


def test_removing_leaves_the_others_and_removing_again_is_no_error(
    scene: Scene, wants: str
) -> None:
    scene.put(STRANGE, OLD, NEW)
    registrar = scene.open(wants=wants)
    plan = Plan(ZONE, remove=(OLD,), keep=(STRANGE, NEW))
    assert registrar.apply(plan).progress is Progress.ACCEPTED
    assert has(scene, STRANGE, NEW)
    assert registrar.apply(plan).progress is Progress.ACCEPTED
    assert scene.server.registry.writes == 1


def test_the_last_goes_by_its_value_too(scene: Scene, wants: str) -> None:
    scene.put(OLD)
    scene.open(wants=wants).apply(Plan(ZONE, remove=(OLD,)))
    assert has(scene)
    assert not any(one.everything for one in scene.server.registry.updates)


def test_a_rollover_by_what_is_listed(scene: Scene, wants: str) -> None:
    registrar = scene.open(wants=wants)
    for wanted in ((OLD,), (OLD, NEW), (NEW,)):
        plan = difference(ZONE, registrar.list(ZONE), wanted, (OLD, NEW))
        assert registrar.apply(plan).progress is Progress.ACCEPTED
        assert has(scene, *wanted)
    assert scene.rows(OTHER) == []


def test_adding_and_removing_is_one_command(scene: Scene, wants: str) -> None:
    scene.put(OLD, STRANGE)
    scene.open(wants=wants).apply(Plan(ZONE, (NEW,), (OLD,), (STRANGE,)))
    assert has(scene, STRANGE, NEW)
    assert scene.server.registry.writes == 1


@pytest.mark.parametrize("done_before", [(), (NEW,), (NEW, OLD)])
def test_what_was_half_done_is_finished(
    scene: Scene, wants: str, done_before: tuple[Entry, ...]
) -> None:
    scene.put(*{STRANGE: 0, OLD: 0, **dict.fromkeys(done_before, 0)})
    plan = Plan(ZONE, (NEW,), (OLD,), (STRANGE,))
    assert scene.open(wants=wants).apply(plan).progress is Progress.ACCEPTED
    assert sorted(scene.rows()) == sorted(
        row(one, scene.server.registry.form) for one in (STRANGE, NEW)
    )


def test_a_registry_that_does_half_and_fails(scene: Scene, wants: str) -> None:
    scene.put(OLD)
    scene.server.faults.extend(["", "half", "2400"])
    registrar = scene.open(wants=wants)
    plan = Plan(ZONE, (NEW,), (OLD,))
    with pytest.raises(RegistrarError, match="2400") as caught:
        registrar.apply(plan)
    assert caught.value.passing
    assert has(scene, OLD, NEW)
    assert registrar.apply(plan).progress is Progress.ACCEPTED
    assert has(scene, NEW)


@pytest.mark.parametrize(
    ("case", "fault", "writes_before"),
    [
        ("the answer is lost", "lost", 1),
        ("the answer does not come in time", "late", 1),
        ("the command is lost", "closed", 0),
        ("the command is not answered", "silent", 0),
    ],
)
def test_nothing_is_lost_and_nothing_done_twice(
    scene: Scene, wants: str, case: str, fault: str, writes_before: int
) -> None:
    scene.server.faults.extend(["", fault])
    registrar = scene.open(wants=wants, timeout=2.0 if fault in ("late", "silent") else 20.0)
    plan = Plan(ZONE, add=(OLD,))
    with pytest.raises(RegistrarError) as caught:
        registrar.apply(plan)
    assert caught.value.passing, case
    assert scene.server.registry.writes == writes_before
    assert scene.open(wants=wants).apply(plan).progress is Progress.ACCEPTED
    assert has(scene, OLD)
    assert scene.server.registry.writes == 1


def test_somebody_else_did_it_between_our_list_and_our_update(scene: Scene, wants: str) -> None:
    scene.put(OLD)
    scene.server.faults.extend(["", "raced"])
    receipt = scene.open(wants=wants).apply(Plan(ZONE, (NEW,), (OLD,)))
    assert receipt.progress is Progress.ACCEPTED
    assert has(scene, NEW)


def test_two_managers_at_once(scene: Scene, wants: str) -> None:
    scene.put(OLD)
    start = threading.Barrier(2)
    receipts: list[Receipt] = []

    def manage(registrar: Registrar) -> None:
        start.wait()
        receipts.append(registrar.apply(Plan(ZONE, (NEW,), (OLD,))))

    managers = [threading.Thread(target=manage, args=(scene.open(wants=wants),)) for _ in range(2)]
    for one in managers:
        one.start()
    for one in managers:
        one.join()
    assert [one.progress for one in receipts] == [Progress.ACCEPTED] * 2
    assert has(scene, NEW)
    assert scene.server.registry.writes == 1


def test_each_digest_that_the_registry_takes(scene: Scene) -> None:
    both = (key(1), key(1, digest=4))
    scene.put(key(1))
    scene.open("digests 2 4").apply(Plan(ZONE, add=both))
    assert scene.rows() == [row(one) for one in both]


def test_a_registry_that_lists_ds_where_it_was_to_want_keys(scene: Scene) -> None:
    scene.put(OLD, NEW)
    registrar = scene.open(wants="dnskey")
    with pytest.raises(RegistrarError, match="see to wants") as caught:
        registrar.apply(Plan(ZONE, (), registrar.list(ZONE)[:1]))
    assert not caught.value.passing


def test_how_long_signatures_may_be_and_that_it_is_urgent(scene: Scene, wants: str) -> None:
    registrar = scene.open("max-sig-life 30d", "urgent", wants=wants)
    registrar.apply(Plan(ZONE, add=(OLD,)))
    assert scene.server.registry.domains["example.org"].max_sig_life == 30 * 86400
    registrar.apply(Plan(ZONE, add=(NEW,), keep=(OLD,)))
    registrar.apply(Plan(ZONE, remove=(OLD,), keep=(NEW,)))
    updates = scene.server.registry.updates
    assert [one.max_sig_life for one in updates] == [30 * 86400, None, None]
    assert all(one.urgent for one in updates)


def test_what_only_takes_away_says_nothing_of_signatures(scene: Scene) -> None:
    scene.put(OLD, NEW)
    scene.server.registry.domains["example.org"].max_sig_life = 604800
    scene.open("max-sig-life 30d").apply(Plan(ZONE, remove=(OLD,), keep=(NEW,)))
    assert scene.server.registry.domains["example.org"].max_sig_life == 604800


def test_a_registry_without_these_options(scene: Scene) -> None:
    scene.server.registry.options = False
    with pytest.raises(RegistrarError, match=r"2102 .*; leave out what the registry lacks"):
        scene.open("urgent").apply(Plan(ZONE, add=(OLD,)))
    assert has(scene)
