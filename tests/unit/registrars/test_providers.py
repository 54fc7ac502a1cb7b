"""What one provider has and the others don't."""

import base64
import logging
import types
from collections.abc import Iterator
from contextlib import contextmanager

import dns.name
import pytest
from providers.cloudflare import Cloudflare
from providers.desec import DeSEC
from providers.godaddy import GoDaddy
from providers.inwx import INWX, INWXLater
from providers.namecom import NameCom
from providers.ovh import OVH
from providers.porkbun import Porkbun
from providers.powerdns import PowerDNS
from providers.transip import TransIP
from providers.web import Fault, LocalServer, Provider, Reply
from registrarcases import ZONE, ask, bring_about, directive, key, opened, planned, twins

from registrars import registry
from registrars.inwx import totp
from registrars.protocol import Entry, Plan, Progress, Registrar, RegistrarError

CHILD = dns.name.from_text("child.example.org.")


@contextmanager
def running(provider: Provider, **secrets: str) -> Iterator[tuple[LocalServer, Registrar]]:
    with LocalServer(provider) as server:
        given = {**provider.secrets, **secrets}
        driver = opened(provider.corefile(server.endpoint), given)
        yield server, driver
        driver.close()
    assert server.complaints == []


def methods(server: LocalServer) -> list[str]:
    return [str(one.json().get("method")) for one in server.requests]


# RFC 6238 appendix B, the last six of the eight digits.
@pytest.mark.parametrize(
    ("now", "digits"),
    [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_the_second_factor(now: int, digits: str) -> None:
    assert totp(b"12345678901234567890", now) == digits


def test_inwx_logs_in_with_a_second_factor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registrars.inwx.time", types.SimpleNamespace(time=lambda: 59.0))
    provider = INWX()
    provider.options = "user alice\ntotp env:totp"
    provider.tan = "287082"
    secret = base64.b32encode(b"12345678901234567890").decode().lower()
    with running(provider, totp=secret) as (server, driver):
        assert driver.list(ZONE) == ()
        assert driver.list(ZONE) == ()
        # One login serves for both.
        assert methods(server) == ["account.login", "account.unlock", *2 * ["dnssec.listkeys"]]
        provider.sessions.clear()
        assert driver.list(ZONE) == ()


def test_inwx_lacks_the_second_factor() -> None:
    provider = INWX()
    provider.tan = "287082"
    with (
        running(provider) as (_, driver),
        pytest.raises(RegistrarError, match="wants a second factor; set totp"),
    ):
        driver.list(ZONE)


def test_inwx_logs_in_anew_when_the_session_is_over() -> None:
    with running(INWX()) as (server, driver):
        bring_about(driver, ZONE, (key(1),), (key(1),))
        assert isinstance(server.provider, INWX)
        server.provider.sessions.clear()
        assert len(driver.list(ZONE)) == 1


@pytest.mark.parametrize(
    ("code", "passing"), [(2302, False), (2306, False), (2400, True), (2502, True)]
)
def test_inwx_codes(code: int, passing: bool) -> None:
    with running(INWX()) as (server, driver):
        plan = planned(driver, ZONE, (key(1),), (key(1),))
        reply = Reply(200, {"code": code, "msg": "no", "reason": "because"})
        server.faults = [Fault(reply, server.provider.is_change)]
        with pytest.raises(RegistrarError, match=rf"{code} \(no; because\)") as caught:
            driver.apply(plan)
        assert caught.value.passing == passing


def test_inwx_does_not_remove_while_what_is_new_is_pending() -> None:
    provider = INWXLater()
    with running(provider) as (server, driver):
        bring_about(driver, ZONE, (key(1),), (key(1),))
        plan = planned(driver, ZONE, (key(2),), (key(1), key(2)))
        server.requests.clear()
        assert driver.apply(plan).progress is Progress.PENDING
        assert "dnssec.deletednskey" not in methods(server)
        assert provider.holds(key(1))


def test_ovh_signs_by_their_clock() -> None:
    """The stand-in's is years ahead of this machine's, and it was asked for once."""
    with running(OVH()) as (server, driver):
        driver.list(ZONE)
        driver.list(ZONE)
        assert [one.path for one in server.requests].count("/1.0/auth/time") == 1


@pytest.mark.parametrize(
    ("status", "progress"), [("error", Progress.REFUSED), ("done", Progress.ACCEPTED)]
)
def test_an_ovh_task_ends(status: str, progress: Progress) -> None:
    provider = OVH()
    provider.fails = status == "error"
    with running(provider) as (_, driver):
        plan = planned(driver, ZONE, (key(1),), (key(1),))
        last = ask(driver, ZONE, driver.apply(plan))[-1]
        assert last.progress is progress
        assert status in last.text
        assert provider.holds(key(1)) == (progress is Progress.ACCEPTED)


def test_ovh_keeps_what_a_lagging_list_lacks() -> None:
    """A task that nobody knows of is under way; its key stays although it is not listed yet."""
    provider = OVH()
    with running(provider) as (_, driver):
        waiting = planned(driver, ZONE, (key(1),), (key(1),))
        driver.apply(waiting)
        plan = Plan(ZONE, add=(key(2),), keep=(key(1),))
        ask(driver, ZONE, driver.apply(plan))
        assert provider.holds(key(1))
        assert provider.holds(key(2))


def test_a_godaddy_action_that_fails() -> None:
    provider = GoDaddy()
    provider.fails = True
    with running(provider) as (_, driver):
        plan = planned(driver, ZONE, (key(1),), (key(1),))
        last = ask(driver, ZONE, driver.apply(plan))[-1]
        assert last.progress is Progress.REFUSED
        assert "FAILED X the registry" in last.text


def test_godaddy_has_no_name_for_it() -> None:
    unnamed = Entry(bytes((0, 1, 13, 3)) + bytes(32), None)
    with (
        running(GoDaddy()) as (server, driver),
        pytest.raises(RegistrarError, match="no name for algorithm 13 or digest type 3"),
    ):
        driver.apply(Plan(ZONE, add=(unnamed,)))
    assert not [one for one in server.requests if one.method != "GET"]


def test_transip_takes_a_new_token_when_the_old_one_is_over() -> None:
    provider = TransIP()
    with running(provider) as (server, driver):
        bring_about(driver, ZONE, (key(1),), (key(1),))
        assert len(provider.tokens) == 1
        provider.tokens.clear()
        assert len(driver.list(ZONE)) == 1
        (token,) = provider.tokens
        server.faults = [Fault(Reply(406, {"error": f"not with {token}"}))]
        with pytest.raises(RegistrarError, match=r"not with \*\*\*"):
            driver.list(ZONE)


@pytest.mark.parametrize(("line", "anywhere"), [("", False), ("\nanywhere", True)])
def test_transip_tokens_hold_where_they_are_to(line: str, anywhere: bool) -> None:
    provider = TransIP()
    provider.options = "login alice" + line
    with running(provider) as (server, driver):
        driver.list(ZONE)
        assert server.requests[0].json()["global_key"] is anywhere


def test_porkbun_deletes_no_twin_that_its_list_hides() -> None:
    """Its table shows one row for a tag; the plan knows of the other."""
    one, other = twins()
    provider = Porkbun()
    with running(provider) as (_, driver):
        bring_about(driver, ZONE, (one,), (one,))
        plan = Plan(ZONE, remove=driver.list(ZONE), keep=(Entry(other.ds, None),))
        with pytest.raises(RegistrarError, match="one key tag"):
            driver.apply(plan)
        assert provider.holds(one)


def test_powerdns_keeps_the_ttl() -> None:
    provider = PowerDNS()
    provider.ttl = 300
    with running(provider) as (_, driver):
        bring_about(driver, CHILD, (key(1, CHILD),), ())
        provider.ttl = 77
        bring_about(driver, CHILD, (key(1, CHILD), key(2, CHILD)), ())
        assert provider.ttl == 77


def test_powerdns_has_a_ttl_of_its_own() -> None:
    provider = PowerDNS()
    provider.options += "\nttl 5m"
    with running(provider) as (_, driver):
        bring_about(driver, CHILD, (key(1, CHILD),), ())
        assert provider.ttl == 300


@pytest.mark.parametrize("count", [0, 2])
def test_cloudflare_has_to_find_one_zone(count: int) -> None:
    zones = [{"id": str(number), "name": "example.org"} for number in range(count)]
    reply = {"success": True, "errors": [], "messages": [], "result": zones}
    with running(Cloudflare()) as (server, driver):
        server.faults = [Fault(Reply(200, reply))]
        with pytest.raises(RegistrarError, match=f"sees {count} zones named example.org"):
            driver.list(CHILD)


def test_cloudflare_says_no_within_a_200() -> None:
    reply = {"success": False, "errors": [{"message": "later"}], "messages": [], "result": []}
    with running(Cloudflare()) as (server, driver):
        server.faults = [Fault(Reply(200, reply))]
        with pytest.raises(RegistrarError, match="later"):
            driver.list(CHILD)


def test_a_parent_further_up() -> None:
    provider = DeSEC()
    provider.options = "zone example.org"
    with running(provider) as (server, driver):
        assert driver.list(CHILD) == ()
        assert server.requests[0].query["subname"] == "child"


@pytest.mark.parametrize(
    ("name", "message"),
    [("example.org.", "no parent of"), ("example.net.", "no parent of"), (".", "has no parent")],
)
def test_a_parent_has_to_be_one(name: str, message: str) -> None:
    provider = DeSEC()
    provider.options = "zone example.org"
    with (
        running(provider) as (server, driver),
        pytest.raises(RegistrarError, match=message),
    ):
        driver.list(dns.name.from_text(name))
    assert server.requests == []


@pytest.mark.parametrize(
    "record",
    [
        {"keyTag": 70000, "algorithm": 13, "digestType": 2, "digest": "AB" * 32},
        {"keyTag": 1, "algorithm": 300, "digestType": 2, "digest": "AB" * 32},
        {"keyTag": 1, "algorithm": 13, "digestType": 2, "digest": "no digest"},
        {"keyTag": 1, "algorithm": 13, "digestType": 2, "digest": ""},
        {"keyTag": -1, "algorithm": 13, "digestType": 2, "digest": "AB" * 32},
    ],
)
def test_a_list_of_what_is_no_ds(record: dict[str, object]) -> None:
    with running(NameCom()) as (server, driver):
        server.faults = [Fault(Reply(200, {"dnssec": [record]}))]
        with pytest.raises(RegistrarError, match="listed what is no DS or DNSKEY"):
            driver.list(ZONE)


@pytest.mark.parametrize(("provider", "token"), [(INWX, "session-"), (TransIP, "token-of-alice")])
def test_what_a_login_gave_is_not_logged(
    provider: type[Provider], token: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with running(provider()) as (_, driver):
        bring_about(driver, ZONE, (key(1),), (key(1),))
    assert token not in caplog.text


def test_settings_are_values() -> None:
    """What a Corefile that was read again is compared by; no secret is in them."""
    text = "registrar gandi {\n token env:T\n}"
    one, other = (registry.read(directive(text)) for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
    assert one != registry.read(directive(text.replace("env:T", "env:U")))
