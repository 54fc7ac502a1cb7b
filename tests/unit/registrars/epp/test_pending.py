"""Updates that a registry has yet to do, and what its queue of messages tells of them."""

import attrs
import pytest
from eppscene import OTHER, ZONE, Scene, key, row

from registrars.protocol import Plan, Progress, Receipt, Registrar, RegistrarError

NEW = key(2)
PLAN = Plan(ZONE, add=(NEW,))


@pytest.fixture(autouse=True)
def slow(scene: Scene) -> None:
    scene.server.registry.slow = True


def begun(registrar: Registrar, plan: Plan = PLAN) -> str:
    receipt = registrar.apply(plan)
    assert receipt.progress is Progress.PENDING
    assert receipt.reference.startswith("ZW-")
    assert " SRV-" in receipt.reference
    return receipt.reference


def test_pending_until_it_is_done(scene: Scene) -> None:
    registrar = scene.open()
    reference = begun(registrar)
    assert registrar.poll(ZONE, reference) == Receipt(
        Progress.PENDING, "the registry has yet to do it", reference
    )
    assert registrar.list(ZONE) == ()
    scene.server.registry.decide("example.org")
    assert registrar.poll(ZONE, reference) == Receipt(
        Progress.ACCEPTED, "Pending action completed."
    )
    assert scene.rows() == [row(NEW)]
    assert not scene.server.registry.queue


def test_refused_after_all(scene: Scene) -> None:
    registrar = scene.open()
    reference = begun(registrar)
    scene.server.registry.decide("example.org", done=False, words="The key is not in the zone.")
    assert registrar.poll(ZONE, reference) == Receipt(
        Progress.REFUSED, "The key is not in the zone."
    )
    assert not scene.server.registry.queue
    assert scene.rows() == []


def test_meanwhile_the_same_plan_changes_nothing(scene: Scene) -> None:
    registrar = scene.open()
    begun(registrar)
    receipt = registrar.apply(PLAN)
    assert (receipt.progress, receipt.reference) == (Progress.PENDING, "")
    assert len(scene.server.registry.updates) == 1
    assert registrar.poll(ZONE, receipt.reference).progress is Progress.PENDING
    scene.server.registry.decide("example.org")
    assert registrar.poll(ZONE, receipt.reference).progress is Progress.ACCEPTED


def test_a_start_asks_after_what_was_begun_before(scene: Scene) -> None:
    first = scene.open()
    reference = begun(first)
    first.close()
    scene.server.registry.decide("example.org", done=False)
    assert scene.open().poll(ZONE, reference).progress is Progress.REFUSED


def test_the_answer_that_it_is_pending_gets_lost(scene: Scene) -> None:
    registrar = scene.open()
    scene.server.faults.extend(["", "lost"])
    with pytest.raises(RegistrarError):
        registrar.apply(PLAN)
    receipt = registrar.apply(PLAN)
    assert receipt.progress is Progress.PENDING
    assert len(scene.server.registry.updates) == 1
    scene.server.registry.decide("example.org")
    assert registrar.poll(ZONE, receipt.reference).progress is Progress.ACCEPTED
    # Its message is ours, though nobody told us so.
    assert not scene.server.registry.queue


def test_a_registry_that_sends_no_word(scene: Scene) -> None:
    registrar = scene.open()
    reference = begun(registrar)
    scene.server.registry.decide("example.org", told=False)
    receipt = registrar.poll(ZONE, reference)
    assert receipt.progress is Progress.ACCEPTED
    assert "sent no word" in receipt.text


def test_messages_for_others_are_left_where_they_are(scene: Scene) -> None:
    registry = scene.server.registry
    registrar = scene.open()
    reference = begun(registrar)
    registry.tell_of_transfer("example.net")
    assert registrar.poll(ZONE, reference).progress is Progress.PENDING
    registry.decide("example.org")
    assert registrar.poll(ZONE, reference).progress is Progress.ACCEPTED
    assert len(registry.queue) == 2
    assert not any(one.startswith("poll ack") for one in scene.server.log)


def test_messages_for_others_are_acknowledged_where_that_is_asked_for(scene: Scene) -> None:
    registry = scene.server.registry
    registrar = scene.open("messages acknowledge")
    reference = begun(registrar)
    for number in range(3):
        registry.tell_of_transfer(f"example{number}.net")
    registry.tell("A notice without data.", "")
    registry.decide("example.org", done=False, words="No.")
    assert registrar.poll(ZONE, reference) == Receipt(Progress.REFUSED, "No.")
    assert not registry.queue


def test_another_managers_message_is_for_others(scene: Scene) -> None:
    ours, theirs = scene.open(), scene.open()
    reference, other = begun(ours), begun(theirs, Plan(OTHER, add=(key(3, OTHER),)))
    scene.server.registry.decide("other.example", done=False)
    assert ours.poll(ZONE, reference).progress is Progress.PENDING
    assert theirs.poll(OTHER, other).progress is Progress.REFUSED


def test_word_of_another_zone_of_ours_is_kept_until_it_is_asked_for(scene: Scene) -> None:
    registrar = scene.open()
    reference = begun(registrar)
    other = begun(registrar, Plan(OTHER, add=(key(3, OTHER),)))
    scene.server.registry.decide("other.example", done=False, words="Not that one.")
    scene.server.registry.decide("example.org")
    assert registrar.poll(ZONE, reference).progress is Progress.ACCEPTED
    assert registrar.poll(OTHER, other) == Receipt(Progress.REFUSED, "Not that one.")


def test_a_message_that_names_the_server_s_id_only(scene: Scene) -> None:
    registrar = scene.open()
    reference = begun(registrar)
    domain = scene.server.registry.domains["example.org"]
    assert domain.waiting is not None
    domain.waiting = attrs.evolve(domain.waiting, client_id=None)
    scene.server.registry.decide("example.org", done=False)
    assert registrar.poll(ZONE, reference).progress is Progress.REFUSED


def test_answers_that_come_together_and_in_another_order(scene: Scene) -> None:
    registrar = scene.open()
    reference = begun(registrar)
    scene.server.registry.decide("example.org", done=False, words="No.")
    scene.server.faults.extend(["reversed", ""])
    assert registrar.poll(ZONE, reference) == Receipt(Progress.REFUSED, "No.")
    assert scene.server.connections == 1


@pytest.mark.parametrize("code", ["2101", "2201"])
def test_a_registry_without_a_queue(scene: Scene, code: str) -> None:
    registrar = scene.open()
    reference = begun(registrar)
    scene.server.faults.extend(["", code])
    assert registrar.poll(ZONE, reference).progress is Progress.PENDING


def test_somebody_else_acknowledges_at_the_same_time(scene: Scene) -> None:
    registrar = scene.open()
    reference = begun(registrar)
    scene.server.registry.decide("example.org", done=False)
    scene.server.faults.extend(["", "", "2303"])
    assert registrar.poll(ZONE, reference).progress is Progress.REFUSED


def test_word_that_was_heard_survives_a_fault(scene: Scene) -> None:
    registrar = scene.open()
    reference = begun(registrar)
    scene.server.registry.decide("example.org", done=False, words="No.")
    scene.server.faults.extend(["", "", "lost"])
    with pytest.raises(RegistrarError):
        registrar.poll(ZONE, reference)
    assert registrar.poll(ZONE, reference) == Receipt(Progress.REFUSED, "No.")


def test_an_update_while_another_is_pending_is_not_refused_for_good(scene: Scene) -> None:
    first, second = scene.open(), scene.open()
    begun(first)
    receipt = second.apply(Plan(ZONE, add=(key(4),)))
    assert receipt.progress is Progress.PENDING
    assert len(scene.server.registry.updates) == 1
