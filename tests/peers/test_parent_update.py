"""The driver of dynamic updates against real parents: BIND, Knot and PowerDNS."""

from collections.abc import Iterator
from pathlib import Path

import attrs
import dns.name
import parents
import pytest
from parents import CHILD, KEY_NAME, SECRET, Parent
from ports import free_port

from corefile.arguments import SecretReference
from registrars.plan import difference
from registrars.protocol import Context, Entry, Plan, Progress, RegistrarError
from registrars.update import Settings, TsigConfig, Update
from registrars.update import open as open_update

pytestmark = pytest.mark.peers
ZONE = dns.name.from_text(CHILD)


def key(number: int) -> Entry:
    return Entry.of_dnskey(ZONE, bytes((1, 1, 3, 13)) + bytes([number]) * 64)


OLD, NEW = key(1), key(2)
OURS = (OLD, NEW)


@pytest.fixture(scope="module", params=parents.KINDS)
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Parent]:
    kind = str(request.param)
    address = "127.0.0.1" if kind == "bind" else "127.77.9.1"
    directory = tmp_path_factory.mktemp(kind) / "parent"
    with parents.running(kind, directory, address, free_port(address), free_port(address)) as found:
        yield found


def update(
    parent: Parent, *, name: str = KEY_NAME, secret: str = SECRET, **settings: object
) -> Update:
    tsig = TsigConfig(name, SecretReference("env", "KEY"))
    config = Settings(((parent.address, parent.port),), tsig, **settings)  # type: ignore[arg-type]
    return open_update(config, Context(lambda _: secret.encode(), Path(), timeout=5))


@pytest.fixture
def parent(running: Parent) -> Parent:
    """Without a DS of the child."""
    office = update(running)
    has = office.list(ZONE)
    if has:
        office.apply(Plan(ZONE, (), has))
    assert running.ds() == []
    return running


def text(*entries: Entry) -> list[str]:
    return sorted(
        f"{one.tag} {one.algorithm} {one.digest_type} {one.digest.hex()}" for one in entries
    )


def test_a_rollover_of_the_ds(parent: Parent) -> None:
    office = update(parent)
    for wanted in ((OLD,), (OLD, NEW), (NEW,), ()):
        plan = difference(ZONE, office.list(ZONE), wanted, OURS)
        assert office.apply(plan).progress is Progress.ACCEPTED
        assert parent.ds() == text(*wanted)
        assert {entry.ds for entry in office.list(ZONE)} == {entry.ds for entry in wanted}


def test_the_parent_signs_what_it_got(parent: Parent) -> None:
    update(parent).apply(Plan(ZONE, (OLD,)))
    signed = parent.records(CHILD, "DS", dnssec=True)
    assert any(one.startswith("DS 13 3 ") for one in signed)


def test_what_another_has_put_there_meanwhile_is_not_overwritten(parent: Parent) -> None:
    office = update(parent)
    stale = difference(ZONE, office.list(ZONE), (OLD,), OURS)
    update(parent).apply(Plan(ZONE, (NEW,)))
    with pytest.raises(RegistrarError, match="changed meanwhile") as refused:
        office.apply(stale)
    assert refused.value.passing
    assert parent.ds() == text(NEW)
    office.apply(difference(ZONE, office.list(ZONE), (OLD, NEW), OURS))
    assert parent.ds() == text(OLD, NEW)


def test_what_is_of_nobodys_keys_stays(parent: Parent) -> None:
    office = update(parent)
    office.apply(Plan(ZONE, (key(9),)))
    office.apply(difference(ZONE, office.list(ZONE), (OLD,), OURS))
    assert parent.ds() == text(OLD, key(9))


def test_a_ttl_of_its_own_or_the_one_that_is_there(parent: Parent) -> None:
    update(parent, ttl=77).apply(Plan(ZONE, (OLD,)))
    office = update(parent)
    office.apply(difference(ZONE, office.list(ZONE), (OLD, NEW), OURS))
    rrset = office._listed(ZONE)
    assert rrset is not None
    assert rrset.ttl == 77


@pytest.mark.parametrize(
    ("case", "settings"),
    [
        ("another secret", {"secret": "YW5vdGhlciBzZWNyZXQgb2YgdGhpcnR5LXR3byBvIQ=="}),
        ("another name", {"name": "nobody."}),
    ],
)
def test_a_key_that_is_not_known(parent: Parent, case: str, settings: dict[str, str]) -> None:
    with pytest.raises(RegistrarError) as refused:
        update(parent, **settings).apply(Plan(ZONE, (OLD,)))
    # PowerDNS says no in an answer without TSIG, which anybody could have sent.
    assert refused.value.passing == (parent.kind == "powerdns"), case
    assert "key" in str(refused.value)
    assert SECRET not in str(refused.value)
    assert parent.ds() == []


def test_another_name_than_the_keys(running: Parent) -> None:
    """BIND and Knot let the key change the DS of one name; PowerDNS knows no such limit."""
    other = dns.name.from_text("other.parent.test.")
    plan = Plan(other, (Entry.of_dnskey(other, bytes((1, 1, 3, 13)) + bytes(64)),))
    if running.kind == "powerdns":
        assert update(running).apply(plan).progress is Progress.ACCEPTED
        return
    with pytest.raises(RegistrarError, match=r"REFUSED|does not take the key"):
        update(running).apply(plan)


def test_who_is_not_the_primary_is_passed_over(parent: Parent) -> None:
    """The first address is nobody's."""
    office = update(parent)
    silent = (parent.address, free_port(parent.address))
    settings = attrs.evolve(office._settings, servers=(silent, *office._settings.servers))
    patient = Update(settings, office._key, 5)
    patient.apply(Plan(ZONE, (OLD,)))
    assert parent.ds() == text(OLD)
    with pytest.raises(RegistrarError, match="see that it is reached") as refused:
        Update(attrs.evolve(settings, servers=(silent,)), office._key, 1).list(ZONE)
    assert refused.value.passing
