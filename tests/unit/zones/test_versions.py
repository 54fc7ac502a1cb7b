"""Versions: what is written is what a restart has; content decides; serials only go on."""

from pathlib import Path

import dns.name
import pytest

import engine
from corefile.names import name_wire
from zones import catalog
from zones.plain import content_loss, next_version
from zones.serial import following, newer, renumbered
from zones.source import SourceError
from zones.versions import VersionKeeper

ORIGIN = name_wire("example.org.")
APEX = "@ 300 SOA ns hostmaster {serial} 3600 900 86400 300\n@ 300 NS ns\nns 300 A 192.0.2.1\n"


def zone(serial: int, *lines: str) -> engine.Zone:
    text = APEX.format(serial=serial) + "".join(line + "\n" for line in lines)
    return engine.scan_text(text.encode(), ORIGIN)


def test_serials_wrap_around() -> None:
    assert newer(0, 0xFFFFFFFF)
    assert not newer(0xFFFFFFFF, 0)
    assert not newer(5, 5)
    assert following(0xFFFFFFFF) == 0
    assert following(7, at_least=100) == 100
    assert following(100, at_least=7) == 101


def test_renumbering_changes_the_serial_and_nothing_else() -> None:
    before = zone(7, "www 300 A 192.0.2.2", 'txt 300 TXT "IN SOA ns hostmaster 7"')
    after = renumbered(before, 42)
    assert after.serial == 42
    assert not engine.source_changes(before, after)


def test_a_restart_has_what_was_written(tmp_path: Path) -> None:
    first, second = zone(1), zone(2, "www 300 A 192.0.2.2")
    keeper = VersionKeeper(tmp_path / "zone")
    assert keeper.open() is None
    keeper.write(first, None)
    keeper.write(second, first.difference(second))
    again = VersionKeeper(tmp_path / "zone")
    found = again.open()
    assert found is not None
    assert found.digest() == second.digest()
    transfer = again.transfer(1)
    assert transfer is not None
    assert transfer[1] is not None
    assert [(diff.from_serial, diff.to_serial) for diff in transfer[1]] == [(1, 2)]


def test_what_could_not_be_written_is_not_served(tmp_path: Path) -> None:
    keeper = VersionKeeper(tmp_path / "zone")
    keeper.open()
    first = zone(1)
    keeper.write(first, None)
    missing = zone(2, "www 300 A 192.0.2.2")
    keeper.directory.rename(tmp_path / "elsewhere")
    with pytest.raises(engine.EngineError):
        keeper.write(missing, None)
    assert keeper.current is first


def test_the_first_reading_is_served_as_it_is() -> None:
    read = zone(7)
    version = next_version(None, read, "db")
    assert version is not None
    assert version.zone is read
    assert version.diff is None


def test_content_decides_and_not_the_serial() -> None:
    current = zone(7)
    assert next_version(current, zone(7), "db") is None
    assert next_version(current, zone(6), "db") is None
    version = next_version(current, zone(7, "www 300 A 192.0.2.2"), "db")
    assert version is not None
    assert version.zone.serial == 8
    assert version.diff is not None
    assert (version.diff.from_serial, version.diff.to_serial) == (7, 8)


def test_a_newer_serial_is_kept() -> None:
    version = next_version(zone(7), zone(20), "db")
    assert version is not None
    assert version.zone.serial == 20


def test_a_presigned_zone_is_never_renumbered() -> None:
    signature = "@ 300 RRSIG SOA 13 2 300 20300101000000 20200101000000 1 example.org. AAAA"
    with pytest.raises(SourceError, match="it can't be renumbered here"):
        next_version(zone(7, signature), zone(7, signature, "www 300 A 192.0.2.2"), "db")


def test_losing_the_apex_ns_or_a_tenth_of_the_names_is_a_loss() -> None:
    hosts = [f"h{i} 300 A 192.0.2.{i}" for i in range(30)]
    current = zone(1, *hosts)
    assert content_loss(None, current) is None
    assert content_loss(current, zone(2, *hosts[1:])) is None
    assert content_loss(current, zone(2, *hosts[9:])) is None, "under ten names are a decision"
    loss = content_loss(current, zone(2, *hosts[10:]))
    assert loss is not None
    assert loss.startswith("it loses 10 of 32 names")
    many = [f"h{i} 300 A 192.0.2.1" for i in range(100)]
    assert content_loss(zone(1, *many), zone(2, *many[10:])) is None, "not more than a tenth"
    assert content_loss(zone(1, *many), zone(2, *many[11:])) is not None
    bare = engine.scan_text(b"@ 300 SOA ns h 2 3600 900 86400 300\n", ORIGIN)
    assert content_loss(zone(1), bare) == "it has no NS records at the apex any more"


def test_a_catalog_lists_its_members_under_stable_labels() -> None:
    name = dns.name.from_text("block.catalog.zoneward.")
    a, b = dns.name.from_text("a.test."), dns.name.from_text("B.test.")
    first = catalog.build(name, [a], None, 1000)
    assert first is not None
    assert first.serial == 1000
    both = catalog.build(name, [b, a], first, 500)
    assert both is not None
    assert both.serial == 1001
    assert set(catalog.members(both)) == {a, b.canonicalize()}
    label = catalog.member_label(a)
    assert label == catalog.member_label(dns.name.from_text("A.TEST."))
    version = both.rrset(name_wire(f"version.{name}"), 16)
    assert version is not None
    assert version.rdatas == [b"\x012"]
    assert catalog.build(name, [a, b], both, 2000) is None


def test_after_lost_state_the_version_passes_what_servers_hold() -> None:
    for current in (None, zone(7)):
        version = next_version(current, zone(7), "db", above=9)
        assert version is not None
        assert (version.zone.serial, version.diff) == (10, None)
    same = next_version(zone(7), zone(7), "db", above=7)
    assert same is not None
    assert same.zone.serial == 8
    newer = next_version(zone(7), zone(20), "db", above=9)
    assert newer is not None
    assert (newer.zone.serial, newer.diff) == (20, None)


def test_a_presigned_version_can_not_pass_what_servers_hold() -> None:
    signature = "@ 300 RRSIG NS 13 2 300 20300101000000 20200101000000 1 @ AAAA"
    with pytest.raises(SourceError, match="servers hold serial 9"):
        next_version(zone(7, signature), zone(7, signature), "db", above=9)


def test_a_zone_is_not_unsigned_without_a_word() -> None:
    signature = "@ 300 RRSIG NS 13 2 300 20300101000000 20200101000000 1 @ AAAA"
    loss = content_loss(zone(7, signature), zone(8))
    assert loss is not None
    assert "withdraw the DS first" in loss
    assert content_loss(zone(7, signature), zone(8, signature)) is None
    assert content_loss(zone(7), zone(8, signature)) is None
