"""What every driver has to do, each against a strict local stand-in for its provider."""

import logging
from collections.abc import Iterator

import attrs
import dns.name
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from providers.cloudflare import Cloudflare
from providers.desec import DeSEC
from providers.dnsimple import DNSimple, DNSimpleKeys
from providers.gandi import Gandi
from providers.godaddy import GoDaddy
from providers.inwx import INWX, INWXLater
from providers.namecom import NameCom, NameComV4
from providers.ovh import OVH
from providers.porkbun import Porkbun
from providers.powerdns import PowerDNS
from providers.transip import TransIP
from providers.web import Fault, LocalServer, Provider, Reply, Request
from registrarcases import ask, bring_about, key, opened, planned, twins

from registrars.http import LARGEST
from registrars.protocol import Deletes, Entry, Progress, Registrar, RegistrarError

PROVIDERS: tuple[type[Provider], ...] = (
    Cloudflare,
    DNSimple,
    DNSimpleKeys,
    DeSEC,
    Gandi,
    GoDaddy,
    INWX,
    INWXLater,
    NameCom,
    NameComV4,
    OVH,
    Porkbun,
    PowerDNS,
    TransIP,
)


@attrs.define
class Case:
    """A provider's stand-in, its driver, and keys of the zone."""

    server: LocalServer
    driver: Registrar
    zone: dns.name.Name

    @property
    def provider(self) -> Provider:
        return self.server.provider

    def key(self, number: int) -> Entry:
        return key(number, self.zone)

    def have(self, *wanted: Entry) -> None:
        """Bring it about that these of ours are there."""
        bring_about(self.driver, self.zone, wanted, self.ours)

    @property
    def ours(self) -> tuple[Entry, ...]:
        return (*(self.key(number) for number in range(1, 6)), *twins(self.zone))

    def listed(self) -> set[bytes]:
        """The DS of what is listed."""
        return {entry.ds for entry in self.driver.list(self.zone)}

    def changes(self) -> list[Request]:
        return [one for one in self.server.requests if self.provider.is_change(one)]

    def reopened(self, timeout: float = 20.0, **secrets: str) -> Registrar:
        given = {**self.provider.secrets, **secrets}
        return opened(self.provider.corefile(self.server.endpoint), given, timeout)


@pytest.fixture(params=PROVIDERS, ids=lambda kind: kind.__name__)
def case(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[Case]:
    caplog.set_level(logging.DEBUG)
    provider = request.param()
    with LocalServer(provider) as server:
        driver = opened(provider.corefile(server.endpoint), provider.secrets)
        yield Case(server, driver, dns.name.from_text(provider.zone))
        driver.close()
        driver.close()
    assert server.complaints == []
    assert leaks(provider, caplog.text + repr(driver)) == []


def leaks(provider: Provider, text: str) -> list[str]:
    """The secrets that a text has in it."""
    parts = [line for secret in provider.secrets.values() for line in secret.splitlines()]
    return [part for part in parts if not part.startswith("-----") and part in text]


def refused(case: Case, driver: Registrar | None = None) -> RegistrarError:
    """The error of a list, which has to be one line with nothing secret."""
    with pytest.raises(RegistrarError) as caught:
        (driver or case.driver).list(case.zone)
    return checked(case, caught.value)


def checked(case: Case, error: RegistrarError) -> RegistrarError:
    assert "\n" not in str(error)
    assert error.place.startswith(case.driver.name)
    assert leaks(case.provider, f"{error}{error!r}{error.args}") == []
    assert error.__cause__ is None
    return error


def test_an_account_without_ds_lists_none(case: Case) -> None:
    assert case.driver.list(case.zone) == ()


def test_what_was_added_is_listed_and_there(case: Case) -> None:
    first = case.key(1)
    case.have(first)
    assert case.provider.holds(first)
    assert case.listed() == {first.ds}


def test_adding_again_is_no_error_and_no_change(case: Case) -> None:
    plan = planned(case.driver, case.zone, (case.key(1),), case.ours)
    case.have(case.key(1))
    before = len(case.changes())
    assert case.driver.apply(plan).progress is Progress.ACCEPTED
    assert len(case.changes()) == before
    assert case.listed() == {case.key(1).ds}


def test_a_rollover_adds_the_second_and_takes_the_first_away(case: Case) -> None:
    first, second = case.key(1), case.key(2)
    case.have(first)
    case.have(first, second)
    assert case.listed() == {first.ds, second.ds}
    case.have(second)
    assert case.listed() == {second.ds}
    assert case.provider.holds(second)
    assert not case.provider.holds(first)


def test_removing_again_is_no_error_and_no_change(case: Case) -> None:
    case.have(case.key(1), case.key(2))
    plan = planned(case.driver, case.zone, (case.key(2),), case.ours)
    assert plan.remove
    case.have(case.key(2))
    before = len(case.changes())
    assert case.driver.apply(plan).progress is Progress.ACCEPTED
    assert len(case.changes()) == before


def test_going_insecure_takes_all_of_ours_away(case: Case) -> None:
    case.have(case.key(1), case.key(2))
    case.have()
    assert case.listed() == set()
    assert not case.provider.stored


def test_what_is_of_nobodys_keys_stays(case: Case) -> None:
    stranger = case.key(77)
    bring_about(case.driver, case.zone, (stranger,), (stranger,))
    case.have(case.key(1))
    case.have(case.key(2))
    case.have()
    assert case.listed() == {stranger.ds}


def test_what_came_after_the_plan_was_made_stays(case: Case) -> None:
    plan = planned(case.driver, case.zone, (case.key(1),), case.ours)
    other = case.reopened()
    bring_about(other, case.zone, (case.key(2),), case.ours)
    receipts = ask(case.driver, case.zone, case.driver.apply(plan))
    assert receipts[-1].progress is Progress.ACCEPTED
    assert {case.key(1).ds, case.key(2).ds} <= case.listed()


def test_added_before_removed(case: Case) -> None:
    """At no moment is there nothing."""
    case.have(case.key(1))
    plan = planned(case.driver, case.zone, (case.key(2),), case.ours)
    assert plan.add
    assert plan.remove
    case.server.faults = [Fault(Reply(500), case.provider.is_change)]
    with pytest.raises(RegistrarError):
        case.driver.apply(plan)
    assert case.listed() == {case.key(1).ds}
    case.have(case.key(2))
    assert case.listed() == {case.key(2).ds}


def test_half_of_a_change_is_completed_by_the_second_try(case: Case) -> None:
    """The second changing call fails, where there is a second."""
    wanted = (case.key(1), case.key(2), case.key(3))
    plan = planned(case.driver, case.zone, wanted, case.ours)
    seen: list[Request] = []

    def second(request: Request) -> bool:
        if case.provider.is_change(request):
            seen.append(request)
        return len(seen) == 2

    case.server.faults = [Fault(case.provider.error(503, "later"), second)]
    if case.driver.capabilities.deletes in (Deletes.REPLACE, Deletes.VALUE):
        # One call adds them all.
        case.driver.apply(plan)
    else:
        with pytest.raises(RegistrarError) as caught:
            case.driver.apply(plan)
        assert checked(case, caught.value).passing
        assert len(case.provider.stored) == 1
    case.server.faults = []
    case.have(*wanted)
    assert case.listed() == {one.ds for one in wanted}
    assert len(case.provider.stored) == 3


@pytest.mark.parametrize("reply", [None, Reply(504)], ids=["connection cut", "504"])
def test_a_change_that_was_done_but_not_answered_is_not_done_twice(
    case: Case, reply: Reply | None
) -> None:
    plan = planned(case.driver, case.zone, (case.key(1),), case.ours)
    case.server.faults = [Fault(reply, case.provider.is_change, after=True)]
    with pytest.raises(RegistrarError) as caught:
        case.driver.apply(plan)
    assert checked(case, caught.value).passing
    while not case.listed():
        # Who works later is asked by whoever asks: another manager, or this one.
        if isinstance(case.provider, OVH):
            case.driver.poll(case.zone, next(iter(case.provider.tasks)))
        else:
            case.driver.poll(case.zone, "DNSSEC_CREATE")
    assert case.driver.apply(plan).progress in (Progress.ACCEPTED, Progress.PENDING)
    case.have(case.key(1))
    assert len(case.provider.stored) == 1


def test_of_two_with_one_tag_the_right_one_goes(case: Case) -> None:
    one, other = twins(case.zone)
    if case.driver.capabilities.deletes is Deletes.TAG:
        case.have(one)
        plan = planned(case.driver, case.zone, (one, other), case.ours)
        with pytest.raises(RegistrarError, match="one key tag") as caught:
            case.driver.apply(plan)
        assert not checked(case, caught.value).passing
        plan = planned(case.driver, case.zone, (other,), case.ours)
        with pytest.raises(RegistrarError, match="one key tag"):
            case.driver.apply(plan)
        assert case.provider.holds(one)
        return
    case.have(one, other)
    assert case.listed() == {one.ds, other.ds}
    case.have(other)
    assert case.listed() == {other.ds}


def test_an_operation_survives_its_driver(case: Case) -> None:
    """The reference is all that is needed after a crash."""
    plan = planned(case.driver, case.zone, (case.key(1),), case.ours)
    receipt = case.driver.apply(plan)
    case.driver.close()
    case.driver = case.reopened()
    for _ in range(10):
        if receipt.progress is not Progress.PENDING:
            break
        assert case.driver.capabilities.polls
        receipt = case.driver.poll(case.zone, receipt.reference)
    assert receipt.progress is Progress.ACCEPTED
    assert case.listed() == {case.key(1).ds}


def test_who_answers_at_once_has_nothing_under_way(case: Case) -> None:
    case.have(case.key(1))
    assert case.driver.poll(case.zone, "999").progress is Progress.ACCEPTED


def other_secret(name: str) -> str:
    if name == "private-key":
        pem = rsa.generate_private_key(65537, 2048).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        return pem.decode()
    return "not-the-right-one"


def test_wrong_credentials_are_told_once_and_for_all(case: Case) -> None:
    for name in case.provider.secrets:
        driver = case.reopened(**{name: other_secret(name)})
        error = refused(case, driver)
        assert not error.passing, name
        driver.close()


def test_a_domain_that_the_account_lacks(case: Case) -> None:
    with pytest.raises(RegistrarError) as caught:
        case.driver.list(dns.name.from_text(case.provider.unknown))
    assert not checked(case, caught.value).passing


@pytest.mark.parametrize("status", [400, 422])
def test_a_change_that_is_refused_says_the_providers_words(case: Case, status: int) -> None:
    plan = planned(case.driver, case.zone, (case.key(1),), case.ours)
    secret = next(iter(case.provider.secrets.values()))
    reply = case.provider.error(status, f"DNSSEC is\nnot offered for .org {secret}")
    case.server.faults = [Fault(reply, case.provider.is_change)]
    with pytest.raises(RegistrarError, match="is not offered for") as caught:
        case.driver.apply(plan)
    assert not checked(case, caught.value).passing


@pytest.mark.parametrize(
    ("headers", "after"),
    [({"retry-after": "17"}, 17.0), ({}, None), ({"retry-after": "soon"}, None)],
)
def test_too_many_calls(case: Case, headers: dict[str, str], after: float | None) -> None:
    told = case.provider.error(429, "slow down")
    case.server.faults = [Fault(Reply(429, told.body, headers))]
    error = refused(case)
    assert error.passing
    assert error.after == after
    assert case.driver.list(case.zone) == ()


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_fault_of_the_provider_passes(case: Case, status: int) -> None:
    case.server.faults = [Fault(Reply(status, b"<html>oops</html>"))]
    error = refused(case)
    assert error.passing
    assert str(status) in error.message
    assert case.driver.list(case.zone) == ()


def test_no_answer_in_time(case: Case) -> None:
    case.server.hanging = True
    driver = case.reopened(timeout=0.2)
    error = refused(case, driver)
    case.server.hanging = False
    case.server.hang.set()
    assert error.passing
    assert "no answer within 0.2 s" in error.message
    driver.close()


def test_nobody_listens(case: Case) -> None:
    with LocalServer(case.provider) as gone:
        endpoint = gone.endpoint
    driver = opened(case.provider.corefile(endpoint), case.provider.secrets)
    error = refused(case, driver)
    assert error.passing
    assert "can't be reached" in error.message
    driver.close()


@pytest.mark.parametrize("content", [b'{"cut', b"<html>", b"[true]", b"\xff\xfe", b""])
def test_an_answer_that_is_none(case: Case, content: bytes) -> None:
    case.server.faults = [Fault(Reply(200, content))]
    error = refused(case)
    assert "no answer" in error.message
    assert error.passing
    assert case.driver.list(case.zone) == ()


def test_an_answer_without_end(case: Case) -> None:
    case.server.faults = [Fault(Reply(200, b" " * (LARGEST + 1)))]
    assert "more than 1048576 octets" in refused(case).message


def test_a_redirect_is_not_followed(case: Case) -> None:
    with LocalServer(type(case.provider)()) as elsewhere:
        moved = {"location": elsewhere.endpoint + "/"}
        case.server.faults = [Fault(Reply(307, b"", moved))]
        error = refused(case)
        assert elsewhere.requests == []
    assert "redirect" in error.message
    assert not error.passing


def test_what_a_provider_says_has_no_secret_left_in_it(case: Case) -> None:
    secrets = " ".join(case.provider.secrets.values())
    case.server.faults = [Fault(case.provider.error(500, f"bad login with {secrets}"))]
    assert "***" in refused(case).message
