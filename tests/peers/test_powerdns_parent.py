"""The driver for PowerDNS's HTTP API against PowerDNS from Debian as the parent."""

from collections.abc import Iterator
from pathlib import Path

import dns.name
import pdnsparent
import pytest
from pdnsparent import KEY, Parent
from registrarcases import bring_about, key, opened, planned, twins

from registrars.protocol import Registrar, RegistrarError

pytestmark = pytest.mark.peers

CHILD = dns.name.from_text("child.parent.test.")


@pytest.fixture
def parent(tmp_path: Path, address: str) -> Iterator[Parent]:
    with pdnsparent.running(tmp_path / "pdns", address) as running:
        running.add_zone("parent.test.")
        yield running


@pytest.fixture
def driver(parent: Parent) -> Iterator[Registrar]:
    made = driver_of(parent, KEY)
    yield made
    made.close()


def driver_of(parent: Parent, secret: str) -> Registrar:
    text = f"registrar powerdns {{\n    endpoint {parent.endpoint}\n    key env:KEY\n}}"
    return opened(text, {"KEY": secret})


def listed(driver: Registrar) -> set[bytes]:
    return {entry.ds for entry in driver.list(CHILD)}


def test_a_rollover_is_served_signed_at_each_step(parent: Parent, driver: Registrar) -> None:
    old, new = key(1, CHILD), key(2, CHILD)
    assert driver.list(CHILD) == ()
    for wanted in ((old,), (old, new), (new,)):
        bring_about(driver, CHILD, wanted, (old, new))
        expected = {entry.ds for entry in wanted}
        assert listed(driver) == expected
        assert parent.ds(CHILD) == (expected, True)
    bring_about(driver, CHILD, (), (old, new))
    assert parent.ds(CHILD) == (set(), False)
    # The delegation is still there.
    assert parent.api("GET", "/zones/parent.test.?rrset_name=child.parent.test.")["rrsets"]


def test_digests_of_both_kinds_and_twins(parent: Parent, driver: Registrar) -> None:
    wanted = (key(1, CHILD), key(1, CHILD, digest=4), *twins(CHILD))
    bring_about(driver, CHILD, wanted, wanted)
    assert parent.ds(CHILD)[0] == {entry.ds for entry in wanted}
    bring_about(driver, CHILD, wanted[:-1], wanted)
    assert parent.ds(CHILD)[0] == {entry.ds for entry in wanted[:-1]}


def test_a_strangers_ds_stays(parent: Parent, driver: Registrar) -> None:
    stranger, ours = key(77, CHILD), key(1, CHILD)
    bring_about(driver, CHILD, (stranger,), (stranger,))
    bring_about(driver, CHILD, (ours,), (ours,))
    bring_about(driver, CHILD, (), (ours,))
    assert parent.ds(CHILD)[0] == {stranger.ds}


def test_the_same_plan_again(parent: Parent, driver: Registrar) -> None:
    plan = planned(driver, CHILD, (key(1, CHILD),), (key(1, CHILD),))
    driver.apply(plan)
    driver.apply(plan)
    assert parent.ds(CHILD) == ({key(1, CHILD).ds}, True)


@pytest.mark.parametrize(
    ("zone", "message"),
    [
        ("child.elsewhere.test.", "not found: 404"),
        ("a.b.parent.test.", "not found: 404"),
    ],
)
def test_a_parent_that_it_lacks(driver: Registrar, zone: str, message: str) -> None:
    with pytest.raises(RegistrarError) as caught:
        driver.list(dns.name.from_text(zone))
    assert message in caught.value.message
    assert not caught.value.passing


def test_a_wrong_key(parent: Parent) -> None:
    other = driver_of(parent, "not-the-right-one")
    with pytest.raises(RegistrarError, match="credentials are refused: 401") as caught:
        other.list(CHILD)
    assert "not-the-right-one" not in str(caught.value)
    other.close()


def test_what_it_refuses_it_says(parent: Parent, driver: Registrar) -> None:
    """A DS beside a CNAME."""
    name = "alias.parent.test."
    alias = {
        "name": name,
        "type": "CNAME",
        "ttl": 60,
        "changetype": "REPLACE",
        "records": [{"content": "elsewhere.test.", "disabled": False}],
    }
    parent.api("PATCH", "/zones/parent.test.", {"rrsets": [alias]})
    zone = dns.name.from_text(name)
    plan = planned(driver, zone, (key(1, zone),), ())
    with pytest.raises(
        RegistrarError, match=r"refused: 422 \(RRset alias\.parent\.test\."
    ) as caught:
        driver.apply(plan)
    assert not caught.value.passing
    assert driver.list(zone) == ()


def test_a_label_with_a_slash(parent: Parent) -> None:
    """RFC 2317 names parts of a reverse zone so."""
    parent.api(
        "POST",
        "/zones",
        {"name": "0/25.2.0.192.in-addr.arpa.", "kind": "Native", "nameservers": ["ns.test."]},
    )
    child = dns.name.from_text("7.0/25.2.0.192.in-addr.arpa.")
    driver = driver_of(parent, KEY)
    bring_about(driver, child, (key(1, child),), (key(1, child),))
    assert parent.ds(child)[0] == {key(1, child).ds}
    driver.close()


def test_nobody_is_there(tmp_path: Path, address: str) -> None:
    driver = driver_of(Parent(address), KEY)
    with pytest.raises(RegistrarError, match="can't be reached") as caught:
        driver.list(CHILD)
    assert caught.value.passing
    driver.close()
