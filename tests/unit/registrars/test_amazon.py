"""Both Route 53 drivers against moto as a real HTTP server, as strict as Amazon where it is not."""

import logging
from collections.abc import Iterator

import amazon
import dns.name
import pytest
from amazon import CREDENTIALS, REGISTRY, ZONES, Amazon
from amazonfaults import CALLS, CHANGES, FAULTS, documented
from amazonfaults import Fault as AmazonFault
from providers.web import Fault, LocalServer, Provider, Reply
from registrarcases import ask, bring_about, key, opened, planned, twins

from registrars.protocol import Entry, Progress, Registrar, RegistrarError

DOMAIN = dns.name.from_text("example.org.")
CHILD = dns.name.from_text("child.example.net.")


@pytest.fixture(scope="module")
def server() -> Iterator[Amazon]:
    with Amazon() as running:
        yield running


@pytest.fixture
def cloud(server: Amazon, caplog: pytest.LogCaptureFixture) -> Iterator[Amazon]:
    caplog.set_level(logging.DEBUG)
    server.begin()
    server.register("example.org")
    server.zone("example.net.")
    yield server
    assert CREDENTIALS["secret-key"] not in caplog.text


def lines(endpoint: str, *more: str) -> str:
    given = [f"    {name} env:{name}\n" for name in CREDENTIALS]
    given += [f"    {line}\n" for line in (f"endpoint {endpoint}", *more)]
    return "".join(given)


@pytest.fixture(scope="module")
def drivers(server: Amazon) -> Iterator[dict[str, Registrar]]:
    names = ("route53domains", "route53")
    made = {
        name: opened(f"registrar {name} {{\n{lines(server.endpoint)}}}", CREDENTIALS)
        for name in names
    }
    yield made
    for driver in made.values():
        driver.close()


@pytest.fixture
def domains(cloud: Amazon, drivers: dict[str, Registrar]) -> Registrar:
    return drivers["route53domains"]


@pytest.fixture
def zones(cloud: Amazon, drivers: dict[str, Registrar]) -> Registrar:
    return drivers["route53"]


@pytest.fixture(params=["route53domains", "route53"])
def both(request: pytest.FixtureRequest) -> tuple[Registrar, dns.name.Name]:
    if request.param == "route53":
        return request.getfixturevalue("zones"), CHILD
    return request.getfixturevalue("domains"), DOMAIN


def listed(driver: Registrar, zone: dns.name.Name) -> set[bytes]:
    return {entry.ds for entry in driver.list(zone)}


def test_a_rollover(both: tuple[Registrar, dns.name.Name]) -> None:
    driver, zone = both
    one, two = key(1, zone), key(2, zone)
    assert driver.list(zone) == ()
    receipts = bring_about(driver, zone, (one,), (one, two))
    assert {one.progress for one in receipts} == {Progress.PENDING, Progress.ACCEPTED}
    assert listed(driver, zone) == {one.ds}
    bring_about(driver, zone, (one, two), (one, two))
    assert listed(driver, zone) == {one.ds, two.ds}
    bring_about(driver, zone, (two,), (one, two))
    assert listed(driver, zone) == {two.ds}
    bring_about(driver, zone, (), (one, two))
    assert driver.list(zone) == ()


def test_an_algorithm_rollover(both: tuple[Registrar, dns.name.Name]) -> None:
    driver, zone = both
    old = key(1, zone)
    new = Entry.of_dnskey(zone, bytes((1, 1, 3, 15)) + bytes([9]) * 32)
    bring_about(driver, zone, (old,), (old, new))
    bring_about(driver, zone, (old, new), (old, new))
    bring_about(driver, zone, (new,), (old, new))
    assert listed(driver, zone) == {new.ds}


def test_the_same_plan_again_changes_nothing(both: tuple[Registrar, dns.name.Name]) -> None:
    driver, zone = both
    plan = planned(driver, zone, (key(1, zone),), (key(1, zone),))
    ask(driver, zone, driver.apply(plan))
    FAULTS.calls.clear()
    assert driver.apply(plan).progress is Progress.ACCEPTED
    assert not CHANGES & set(FAULTS.calls)


def test_twins(both: tuple[Registrar, dns.name.Name]) -> None:
    driver, zone = both
    pair = twins(zone)
    bring_about(driver, zone, pair, pair)
    assert listed(driver, zone) == {one.ds for one in pair}
    bring_about(driver, zone, pair[:1], pair)
    assert listed(driver, zone) == {pair[0].ds}


def test_what_is_of_nobodys_keys_stays(both: tuple[Registrar, dns.name.Name]) -> None:
    driver, zone = both
    stranger, ours = key(77, zone), key(1, zone)
    bring_about(driver, zone, (stranger,), (stranger,))
    bring_about(driver, zone, (ours,), (ours,))
    bring_about(driver, zone, (), (ours,))
    assert listed(driver, zone) == {stranger.ds}


def test_an_operation_is_asked_after_by_another_driver(
    cloud: Amazon, both: tuple[Registrar, dns.name.Name]
) -> None:
    driver, zone = both
    receipt = driver.apply(planned(driver, zone, (key(1, zone),), (key(1, zone),)))
    assert receipt.progress is Progress.PENDING
    text = f"registrar {driver.name} {{\n{lines(cloud.endpoint)}}}"
    other = opened(text, CREDENTIALS)
    assert ask(other, zone, receipt)[-1].progress is Progress.ACCEPTED
    assert listed(other, zone) == {key(1, zone).ds}
    other.close()


def test_an_operation_that_nobody_knows_any_more(both: tuple[Registrar, dns.name.Name]) -> None:
    driver, zone = both
    receipt = driver.poll(zone, "C0123456789")
    assert receipt.progress is Progress.ACCEPTED
    assert "no longer known" in receipt.text


def error_of(driver: Registrar, zone: dns.name.Name) -> RegistrarError:
    plan = planned(driver, zone, (key(1, zone),), (key(1, zone),))
    with pytest.raises(RegistrarError) as caught:
        driver.apply(plan)
    return one_line(driver, caught.value)


def one_line(driver: Registrar, error: RegistrarError) -> RegistrarError:
    """Where, what, what to do, and no secret."""
    assert "\n" not in str(error)
    assert error.place.startswith(driver.name)
    assert error.__cause__ is None
    for secret in CREDENTIALS.values():
        assert secret not in f"{error}{error!r}"
    return error


# Of the documented errors those after which the same call may succeed; all others wait for a
# person.
PASSING = frozenset(
    {
        "DuplicateRequest",
        "InternalError",
        "InternalFailure",
        "OperationLimitExceeded",
        "PriorRequestNotComplete",
        "RequestAbortedException",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
POLLS = ("GetOperationDetail", "GetChange")
# What is no error: nothing is under way that could be asked after.
FORGOTTEN = {("GetOperationDetail", "InvalidInput"), ("GetChange", "NoSuchChange")}


@pytest.mark.parametrize(
    ("driver", "call"), [(driver, call) for driver, calls in CALLS.items() for call in calls]
)
def test_each_documented_error_of_each_call(
    request: pytest.FixtureRequest, driver: str, call: str
) -> None:
    """One line, and one try: who calls backs off. Afterwards it goes on."""
    office: Registrar = request.getfixturevalue("zones" if driver == "route53" else "domains")
    zone = CHILD if driver == "route53" else DOMAIN
    here = (key(1, zone),)
    bring_about(office, zone, here, here)
    leaving = planned(office, zone, (), here)
    coming = planned(office, zone, (*here, key(2, zone)), here)
    plan = leaving if call.startswith("Disassociate") else coming
    for fault in documented(driver, call):
        FAULTS.planned, FAULTS.calls = [(call, fault)], []
        if (call, fault.code) in FORGOTTEN:
            assert office.poll(zone, "C1").progress is Progress.ACCEPTED
            continue
        with pytest.raises(RegistrarError) as caught:
            office.poll(zone, "C1") if call in POLLS else office.apply(plan)
        error = one_line(office, caught.value)
        assert fault.code in error.message
        assert error.passing is (fault.code in PASSING), fault.code
        assert error.after == (7.0 if fault.headers else None)
        assert FAULTS.calls.count(call) == 1
    bring_about(office, zone, (), here)
    assert office.list(zone) == ()


def test_one_operation_at_a_time(domains: Registrar) -> None:
    """Both are to be added and none is refused: the second waits for the first."""
    wanted = (key(1), key(2))
    receipts = bring_about(domains, DOMAIN, wanted, wanted)
    assert sum(one.progress is Progress.ACCEPTED for one in receipts) == 2
    assert [call for call in FAULTS.calls if call in CHANGES] == [
        "AssociateDelegationSignerToDomain",
        "AssociateDelegationSignerToDomain",
    ]


def test_an_operation_of_another_manager_is_waited_for(cloud: Amazon, domains: Registrar) -> None:
    domains.apply(planned(domains, DOMAIN, (key(1),), (key(1),)))
    error = error_of(domains, DOMAIN)
    assert "DuplicateRequest" in error.message
    assert error.passing


def test_the_registrars_limit_on_keys(domains: Registrar) -> None:
    REGISTRY.most = 1
    bring_about(domains, DOMAIN, (key(2),), (key(2),))
    error = error_of(domains, DOMAIN)
    assert "DnssecLimitExceeded" in error.message
    assert "taken away" in error.remedy
    assert listed(domains, DOMAIN) == {key(2).ds}


@pytest.mark.parametrize("ends", ["ERROR", "FAILED"])
def test_an_operation_that_fails_is_told(domains: Registrar, ends: str) -> None:
    REGISTRY.ends = ends
    last = ask(domains, DOMAIN, domains.apply(planned(domains, DOMAIN, (key(1),), (key(1),))))[-1]
    assert last.progress is Progress.REFUSED
    assert ends in last.text
    assert domains.list(DOMAIN) == ()


def test_a_domain_that_the_account_lacks(domains: Registrar) -> None:
    with pytest.raises(RegistrarError, match="InvalidInput") as caught:
        domains.list(dns.name.from_text("unknown.org."))
    assert not caught.value.passing


def test_a_change_that_was_done_but_not_answered(both: tuple[Registrar, dns.name.Name]) -> None:
    driver, zone = both
    FAULTS.planned = [
        (call, AmazonFault(503, "ServiceUnavailable", after=True)) for call in CHANGES
    ]
    assert error_of(driver, zone).passing
    FAULTS.planned.clear()
    for id_ in REGISTRY.operations:
        ask(driver, zone, driver.poll(zone, id_))
    assert listed(driver, zone) == {key(1, zone).ds}
    assert bring_about(driver, zone, (key(1, zone),), (key(1, zone),)) == []


def test_two_managers_at_once_lose_nothing(cloud: Amazon, zones: Registrar) -> None:
    """Another changes the record set between our reading and our writing."""
    first, second, ours = key(1, CHILD), key(2, CHILD), key(3, CHILD)
    bring_about(zones, CHILD, (first,), (first,))
    plan = planned(zones, CHILD, (ours,), (ours,))
    found = amazon.record_set("child.example.net.")
    text = " ".join(map(str, amazon_ds(second)))
    ZONES.between = [lambda: found.records.append(text)]
    with pytest.raises(RegistrarError, match="somebody else changed") as caught:
        zones.apply(plan)
    assert caught.value.passing
    bring_about(zones, CHILD, (ours,), (ours,))
    assert listed(zones, CHILD) == {first.ds, second.ds, ours.ds}


def amazon_ds(entry: Entry) -> tuple[int, int, int, str]:
    return entry.tag, entry.algorithm, entry.digest_type, entry.digest.hex().upper()


def test_a_batch_that_does_not_fit_is_refused_whole(zones: Registrar, cloud: Amazon) -> None:
    """What moto takes and Amazon does not."""
    bring_about(zones, CHILD, (key(1, CHILD),), (key(1, CHILD),))
    client = cloud.client("route53")
    zone_id = amazon.zone_id("example.net.")
    for action, value in [
        ("DELETE", "1 13 2 " + "AB" * 32),
        ("CREATE", "1 13 2 " + "AB" * 32),
        ("UPSERT", "1 13 2 " + "AB" * 31),
        ("UPSERT", "garbage"),
    ]:
        record_set = {
            "Name": "child.example.net.",
            "Type": "DS",
            "TTL": 3600,
            "ResourceRecords": [{"Value": value}],
        }
        change = {"Action": action, "ResourceRecordSet": record_set}
        with pytest.raises(client.exceptions.InvalidChangeBatch):
            client.change_resource_record_sets(
                HostedZoneId=zone_id, ChangeBatch={"Changes": [change]}
            )
    assert listed(zones, CHILD) == {key(1, CHILD).ds}


def test_the_ttl_stays_as_it_was(zones: Registrar) -> None:
    bring_about(zones, CHILD, (key(1, CHILD),), (key(1, CHILD),))
    amazon.record_set("child.example.net.").ttl = 300
    bring_about(zones, CHILD, (key(1, CHILD), key(2, CHILD)), ())
    assert int(amazon.record_set("child.example.net.").ttl) == 300


def test_a_ttl_of_its_own(cloud: Amazon, zones: Registrar) -> None:
    bring_about(zones, CHILD, (key(1, CHILD),), (key(1, CHILD),))
    text = f"registrar route53 {{\n{lines(cloud.endpoint, 'ttl 5m')}}}"
    quick = opened(text, CREDENTIALS)
    bring_about(quick, CHILD, (key(1, CHILD), key(2, CHILD)), ())
    assert int(amazon.record_set("child.example.net.").ttl) == 300
    quick.close()


def test_two_zones_of_one_name_need_an_id(cloud: Amazon, zones: Registrar) -> None:
    second = cloud.zone("example.net.")
    with pytest.raises(RegistrarError, match="2 public zones") as caught:
        zones.list(CHILD)
    assert "zone-id" in caught.value.remedy
    text = f"registrar route53 {{\n{lines(cloud.endpoint, f'zone-id {second}')}}}"
    named = opened(text, CREDENTIALS)
    bring_about(named, CHILD, (key(1, CHILD),), (key(1, CHILD),))
    assert listed(named, CHILD) == {key(1, CHILD).ds}
    named.close()


def test_a_private_zone_is_not_the_parent(cloud: Amazon, zones: Registrar) -> None:
    cloud.zone("example.net.", private=True)
    assert zones.list(CHILD) == ()


def test_a_parent_further_up(cloud: Amazon, zones: Registrar) -> None:
    deep = dns.name.from_text("a.b.example.net.")
    with pytest.raises(RegistrarError, match="0 public zones"):
        zones.list(deep)
    text = f"registrar route53 {{\n{lines(cloud.endpoint, 'zone example.net')}}}"
    named = opened(text, CREDENTIALS)
    bring_about(named, deep, (key(1, deep),), (key(1, deep),))
    assert listed(named, deep) == {key(1, deep).ds}
    named.close()


def test_nobody_answers(both: tuple[Registrar, dns.name.Name]) -> None:
    driver, zone = both
    text = f"registrar {driver.name} {{\n{lines('http://127.0.0.1:9')}}}"
    lonely = opened(text, CREDENTIALS)
    with pytest.raises(RegistrarError) as caught:
        lonely.list(zone)
    assert caught.value.passing
    lonely.close()


def test_credentials_come_together() -> None:
    text = "registrar route53 {\n    access-key env:access-key\n}"
    with pytest.raises(Exception, match="lacks 'secret-key'"):
        opened(text, CREDENTIALS)


def test_no_driver_shows_a_secret(domains: Registrar, zones: Registrar) -> None:
    for driver in (domains, zones):
        shown = f"{driver!r}{vars(driver)!r}"
        assert all(secret not in shown for secret in CREDENTIALS.values())


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"<html>", b'{"OperationId"', b"<?xml version='1.0'?>"]
)
def test_an_answer_that_is_none(both: tuple[Registrar, dns.name.Name], body: bytes) -> None:
    driver, zone = both
    with LocalServer(Provider()) as broken:
        broken.faults = [Fault(Reply(200, body)) for _ in range(4)]
        endpoint = broken.endpoint
        text = f"registrar {driver.name} {{\n{lines(endpoint)}}}"
        other = opened(text, CREDENTIALS)
        plan = planned(driver, zone, (key(1, zone),), (key(1, zone),))
        with pytest.raises(RegistrarError) as caught:
            other.apply(plan)
        assert caught.value.passing
        other.close()
