"""What a server, or what is between it and us, may say: each is one line, and costs no more than
its connection."""

import logging

import eppserver
import pytest
from eppscene import OTHER, ZONE, Scene, key, row

from registrars.epp import results
from registrars.protocol import Plan, Progress, RegistrarError

NEW = key(2)
PLAN = Plan(ZONE, add=(NEW,))
# Seconds; long enough for a busy machine to begin a session.
SOON, LATE = 2.0, 20.0
WAITED_FOR = {"silent", "drip"}


@pytest.mark.parametrize(
    ("code", "passing", "remedy"),
    [
        (2000, False, "report it"),
        (2001, False, "report it"),
        (2002, True, "tried again"),
        (2003, False, "report it"),
        (2004, False, "the registry's rules"),
        (2005, False, "the registry's rules"),
        (2100, False, "report it"),
        (2101, False, "report it"),
        (2102, False, "leave out what the registry lacks"),
        (2103, False, "whether the account may use DNSSEC"),
        (2104, False, "credit"),
        (2200, False, "see to login and certificate"),
        (2201, False, "the domain is this account's"),
        (2302, False, "see to the domain"),
        (2303, False, "the domain is at this registry"),
        (2304, False, "have the lock or the pending action taken off"),
        (2305, False, "see to the domain"),
        (2306, False, "the registry's rules"),
        (2307, False, "the registry's rules"),
        (2308, False, "the registry's rules"),
        (2400, True, "tried again"),
        (2500, True, "tried again"),
        (2501, False, "see to login and certificate"),
        (2502, True, "close sessions of this account elsewhere"),
    ],
)
def test_result_codes(scene: Scene, code: int, passing: bool, remedy: str) -> None:
    registrar = scene.open()
    scene.server.faults.append(str(code))
    with pytest.raises(RegistrarError) as caught:
        registrar.list(ZONE)
    text = str(caught.value)
    assert caught.value.passing == passing
    assert text.startswith(f"epp 127.0.0.1:{scene.server.port}: {code} As was asked for; ")
    assert remedy in text
    assert registrar.list(ZONE) == ()
    assert scene.server.connections == (2 if code in results.CLOSING else 1)


@pytest.mark.parametrize("code", [2201, 2303, 2304, 2306, 2400, 2502])
def test_an_update_that_is_refused_changes_nothing(scene: Scene, code: int) -> None:
    registrar = scene.open()
    scene.server.faults.extend(["", str(code)])
    with pytest.raises(RegistrarError, match=f"{code} As was asked for"):
        registrar.apply(PLAN)
    assert scene.rows() == []


def test_reasons_are_told(scene: Scene) -> None:
    scene.server.registry.domains["example.org"].statuses.add("serverUpdateProhibited")
    with pytest.raises(RegistrarError) as caught:
        scene.open().apply(PLAN)
    assert "2304 Object status prohibits operation: serverUpdateProhibited" in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        ("closed", "the connection was closed before an answer"),
        ("cut_header", "the connection was closed before an answer"),
        ("cut", "the connection was closed within a frame"),
        ("short", "a frame says it has 3 octets"),
        ("empty", "a frame says it has 4 octets"),
        ("huge", "a frame says it has 4294967295 octets, more than"),
        ("silent", "not done within 2 s"),
        ("drip", "not done within 2 s"),
        ("junk", "what came is not XML"),
        ("bomb", "what came has a document type"),
        ("deep", "what came has more than 32 levels"),
        ("wide", "what came has more than 32 levels or 20000 elements"),
        ("root", "what came is <html>, not <epp>"),
        ("charset", "what came is"),
        ("codeless", "a response has no result code"),
        ("nameless", "an answer (1000) doesn't say to what"),
        ("strangers", "the server answers what nobody asked"),
        ("bare", "the answer has no <infData> of a domain"),
        ("other", "the answer is about another domain than example.org"),
    ],
)
def test_what_is_no_answer_costs_the_connection(scene: Scene, fault: str, what: str) -> None:
    registrar = scene.open(timeout=SOON if fault in WAITED_FOR else LATE)
    scene.server.faults.append(fault)
    with pytest.raises(RegistrarError) as caught:
        registrar.list(ZONE)
    assert caught.value.passing
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)
    assert registrar.list(ZONE) == ()
    assert scene.server.connections == 2


@pytest.mark.parametrize("fault", ["cut", "junk", "bomb", "silent", "closed", "codeless"])
def test_an_update_without_an_answer_is_not_sent_twice(scene: Scene, fault: str) -> None:
    registrar = scene.open(timeout=SOON if fault in WAITED_FOR else LATE)
    registrar.list(ZONE)
    scene.server.faults.extend(["", fault])
    with pytest.raises(RegistrarError) as caught:
        registrar.apply(PLAN)
    assert caught.value.passing
    assert scene.server.log.count("update example.org") == 1


@pytest.mark.parametrize("fault", ["stranger", "twice"])
def test_answers_to_others_are_skipped(scene: Scene, fault: str) -> None:
    registrar = scene.open()
    scene.server.faults.extend(["", fault])
    assert registrar.apply(PLAN).progress is Progress.ACCEPTED
    assert registrar.list(OTHER) == ()
    assert scene.rows() == [row(NEW)]
    assert scene.server.connections == 1


def test_a_server_that_could_not_read_what_it_was_sent(scene: Scene) -> None:
    scene.server.faults.append("unread")
    with pytest.raises(RegistrarError, match="2001 Command syntax error; report it"):
        scene.open().list(ZONE)


def test_a_server_that_repeats_the_password(scene: Scene) -> None:
    scene.server.faults.append("echo")
    with pytest.raises(RegistrarError, match=r"no good: ClientX/\*\*\*") as caught:
        scene.open().list(ZONE)
    assert eppserver.PASSWORD not in str(caught.value)


def test_the_password_is_nowhere_to_be_read(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    registrar = scene.open()
    scene.server.password = "another-one"
    with pytest.raises(RegistrarError, match="2200 Authentication error") as caught:
        registrar.list(ZONE)
    assert not caught.value.passing
    words = [caplog.text, str(caught.value), repr(caught.value), repr(registrar)]
    words += [repr(vars(one)) for one in (registrar, vars(registrar)["_session"])]
    assert not [text for text in words if eppserver.PASSWORD in text]
