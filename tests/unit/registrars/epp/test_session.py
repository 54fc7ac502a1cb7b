"""One session, kept: TLS in both directions, greeting and login, what is done when it dies."""

import threading
from pathlib import Path

import dns.name
import eppserver
import pytest
from eppcerts import Authority
from eppscene import ZONE, Scene, key, line
from eppxml import DOMAIN, SECDNS

from registrars import registry
from registrars.epp.session import IDLE
from registrars.protocol import Context, Plan, Progress, RegistrarError

PLAN = Plan(ZONE, add=(key(2),))


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


# --- one connection, kept -----------------------------------------------------------------


def test_calls_share_a_connection(scene: Scene) -> None:
    registrar = scene.open()
    registrar.list(ZONE)
    registrar.apply(PLAN)
    registrar.list(ZONE)
    assert scene.server.connections == 1
    assert scene.server.log.count("login") == 1


def test_nobody_is_asked_before_the_first_call(scene: Scene) -> None:
    scene.open()
    assert scene.server.connections == 0


def test_zones_in_threads_share_it_too(scene: Scene) -> None:
    zones = [dns.name.from_text(f"zone{number}.example.") for number in range(8)]
    for zone in zones:
        scene.server.registry.add(zone.to_text(omit_final_dot=True))
        scene.put(key(1, zone), zone=zone)
    registrar = scene.open()
    start, found = threading.Barrier(len(zones)), {}

    def ask(zone: dns.name.Name) -> None:
        start.wait()
        found[zone] = [one.ds for one in registrar.list(zone)]

    threads = [threading.Thread(target=ask, args=(zone,)) for zone in zones]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert found == {zone: [key(1, zone).ds] for zone in zones}
    assert scene.server.connections == 1


def test_a_session_that_expired_is_begun_anew(scene: Scene) -> None:
    registrar = scene.open()
    registrar.list(ZONE)
    scene.server.expire()
    assert registrar.apply(PLAN).progress is Progress.ACCEPTED
    assert scene.server.connections == 2
    assert scene.server.registry.writes == 1


def test_a_server_that_forgot_the_login_is_told_again(scene: Scene) -> None:
    registrar = scene.open()
    registrar.list(ZONE)
    scene.server.forget()
    assert registrar.apply(PLAN).progress is Progress.ACCEPTED
    assert scene.server.log.count("login") == 2


def test_a_server_is_greeted_after_a_while(scene: Scene) -> None:
    clock = Clock()
    registrar = scene.timed(clock)
    registrar.list(ZONE)
    clock.now += IDLE - 1
    registrar.list(ZONE)
    assert "hello" not in scene.server.log
    clock.now += IDLE
    registrar.list(ZONE)
    assert scene.server.log == ["login", *["info example.org"] * 2, "hello", "info example.org"]
    assert scene.server.connections == 1


def test_a_greeting_that_is_not_returned_costs_the_connection_only(scene: Scene) -> None:
    clock = Clock()
    registrar = scene.timed(clock)
    registrar.list(ZONE)
    scene.server.expire()
    clock.now += IDLE
    assert registrar.list(ZONE) == ()
    assert scene.server.connections == 2


def test_closing_logs_out(scene: Scene) -> None:
    registrar = scene.open()
    registrar.list(ZONE)
    registrar.close()
    registrar.close()
    assert scene.server.log.count("logout") == 1


def test_closing_what_is_dead_is_no_error(scene: Scene) -> None:
    registrar = scene.open()
    registrar.list(ZONE)
    scene.server.expire()
    registrar.close()


# --- greeting and login -------------------------------------------------------------------


def test_only_what_is_needed_is_logged_in_with(scene: Scene) -> None:
    host, fee = "urn:ietf:params:xml:ns:host-1.0", "urn:ietf:params:xml:ns:epp:fee-1.0"
    scene.server.objects, scene.server.extensions = (DOMAIN, host), (SECDNS, fee)
    scene.open().list(ZONE)
    assert [one.services for one in scene.server.peers] == [frozenset({DOMAIN, SECDNS})]


def test_more_is_logged_in_with_where_a_registry_asks_for_it(scene: Scene) -> None:
    host, fee = "urn:ietf:params:xml:ns:host-1.0", "urn:ietf:params:xml:ns:epp:fee-1.0"
    scene.server.objects, scene.server.extensions = (DOMAIN, host), (SECDNS, fee)
    scene.open(f"objects {DOMAIN} {host}", f"extensions {fee}").list(ZONE)
    assert [one.services for one in scene.server.peers] == [frozenset({DOMAIN, SECDNS, host, fee})]


@pytest.mark.parametrize("missing", [DOMAIN, SECDNS])
def test_a_server_without_what_is_needed(scene: Scene, missing: str) -> None:
    scene.server.objects = tuple({DOMAIN, "urn:x"} - {missing})
    scene.server.extensions = tuple({SECDNS} - {missing})
    with pytest.raises(RegistrarError, match=f"the server doesn't offer {missing}") as caught:
        scene.open().list(ZONE)
    assert not caught.value.passing
    assert "login" not in scene.server.log


def test_a_server_that_speaks_no_english(scene: Scene) -> None:
    scene.server.languages = ("fr",)
    assert scene.open().list(ZONE) == ()


def test_too_many_sessions(scene: Scene) -> None:
    scene.server.most_sessions = 1
    first, second = scene.open(), scene.open()
    first.list(ZONE)
    with pytest.raises(RegistrarError, match="2502 Session limit exceeded") as caught:
        second.list(ZONE)
    assert caught.value.passing
    first.close()
    assert second.list(ZONE) == ()


def test_a_password_that_is_not_there(scene: Scene) -> None:
    with pytest.raises(RegistrarError, match="the password can't be had: file:nowhere"):
        scene.open("login ClientX file:nowhere")


@pytest.mark.parametrize(
    ("secret", "what"), [(b"\xff\xfe", "is not UTF-8"), (b"", "env:EPP is empty")]
)
def test_a_password_that_is_none(secret: bytes, what: str) -> None:
    config = registry.read(line("registrar epp 127.0.0.1", "login me env:EPP", "wants ds"))
    with pytest.raises(RegistrarError, match=what):
        registry.open(config, Context(lambda at: secret, Path("/")))


def test_a_password_that_xml_cannot_hold(scene: Scene) -> None:
    (scene.directory / "password").write_bytes(b"pass\0word")
    with pytest.raises(RegistrarError, match="a character that XML can't hold; see to login"):
        scene.open().list(ZONE)


# --- TLS ------------------------------------------------------------------------------------


def test_a_client_certificate_of_nobody_that_the_server_knows(scene: Scene) -> None:
    folder = scene.directory / "elsewhere"
    folder.mkdir()
    Authority(folder, "another-ca").client("client")
    with pytest.raises(RegistrarError, match="the server refuses our certificate") as caught:
        scene.open("certificate elsewhere/client.pem elsewhere/client.key").list(ZONE)
    assert not caught.value.passing


def test_a_server_that_nobody_vouches_for(scene: Scene) -> None:
    folder = scene.directory / "elsewhere"
    folder.mkdir()
    Authority(folder, "another-ca")
    with pytest.raises(RegistrarError, match="the server's certificate is not believed") as caught:
        scene.open("ca elsewhere/another-ca.pem").list(ZONE)
    assert not caught.value.passing
    assert scene.server.log == []


def test_the_systems_authorities_do_not_know_the_suites(scene: Scene) -> None:
    config = registry.read(
        line(f"registrar epp 127.0.0.1:{scene.server.port}", "login me file:password", "wants ds")
    )
    registrar = registry.open(config, Context(lambda at: b"secret", scene.directory))
    with pytest.raises(RegistrarError, match="the server's certificate is not believed"):
        registrar.list(ZONE)


def test_a_server_by_another_name(scene: Scene) -> None:
    with pytest.raises(RegistrarError, match="the server's certificate is not believed"):
        scene.open(host="localhost").list(ZONE)
    assert scene.server.log == []


@pytest.mark.parametrize(
    ("option", "what"),
    [
        ("certificate nowhere.pem client.key", "certificate .*nowhere.pem .*client.key can't be"),
        ("certificate password client.key", "can't be used"),
        ("certificate client.pem locked.key", "can't be used .*passphrase"),
        ("ca nowhere.pem", "ca .*nowhere.pem can't be used"),
        ("ca password", "ca .*password can't be used"),
    ],
)
def test_files_that_cannot_be_used(scene: Scene, option: str, what: str) -> None:
    locked = scene.authority.client("locked", b"a passphrase")
    assert locked.key.name == "locked.key"
    with pytest.raises(RegistrarError, match=what) as caught:
        scene.open(option).list(ZONE)
    assert not caught.value.passing
    assert eppserver.PASSWORD not in str(caught.value)
    assert scene.server.connections == 0


def test_nobody_listens(scene: Scene) -> None:
    config = registry.read(line("registrar epp 127.0.0.1:1", *scene.options()))
    registrar = registry.open(config, Context(lambda at: b"secret", scene.directory))
    with pytest.raises(RegistrarError, match=r"epp 127\.0\.0\.1:1: Connection refused") as caught:
        registrar.list(ZONE)
    assert caught.value.passing
