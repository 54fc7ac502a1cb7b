"""A zone's signer: first keys and versions, and what is said of it."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from signhouse import BLOCK, DNSKEY, NSEC3PARAM, ORIGIN, RECORDS, START, House, scan, scenario

import engine
from keystore import algorithms, bind
from signer.ds import ds_rdata
from signer.metrics import SignerCollector
from signer.outcome import Outcome, Published, Unchanged
from signer.parent import Seen
from signer.policy import ALGORITHM_NAMES, DAY, KeyLayout, Nsec3, Policy

# --- first keys and first version -----------------------------------------------------------


@scenario
async def test_a_new_zone_gets_its_key_and_is_signed(house: House) -> None:
    await house.start()
    outcome = await house.sign(scan())
    assert isinstance(outcome, Published)
    assert (outcome.zone.serial, outcome.kept, outcome.alarms) == (2026010100, 0, ())
    (key,) = house.keystore.list(ORIGIN)
    assert house.rdatas(DNSKEY) == [key.dnskey]
    assert list(house.signer.ds_records()) == [ds_rdata(ORIGIN, key.dnskey)]
    report = engine.verify(
        outcome.zone, at=house.clock.wall(), ds=[list(house.signer.ds_records())]
    )
    assert report.failure_count == 0


@scenario
async def test_a_split_key_set(house: House) -> None:
    house.policy = Policy(keys=KeyLayout.KSK_ZSK, algorithm=15)
    await house.start()
    assert isinstance(await house.sign(scan()), Published)
    assert sorted(row.role for row in house.signer.key_rows()) == ["KSK", "ZSK"]
    assert len(house.rdatas(DNSKEY)) == 2
    assert len(house.signer.ds_records()) == 1


@pytest.mark.parametrize("algorithm", [8, 10, 13, 14, 15, 16])
def test_every_algorithm_signs_what_verifies(house: House, algorithm: int) -> None:
    async def run() -> Outcome:
        house.policy = Policy(algorithm=algorithm)
        await house.start()
        return await house.sign(scan())

    outcome = asyncio.run(run())
    assert isinstance(outcome, Published)
    assert [row.algorithm for row in house.signer.key_rows()] == [ALGORITHM_NAMES[algorithm]]
    report = engine.verify(outcome.zone, at=START, ds=[list(house.signer.ds_records())])
    assert (report.failure_count, report.verified > 0) == (0, True)


@scenario
async def test_keys_of_a_corefile_for_coredns_are_imported_and_kept(house: House) -> None:
    """`key file K…` names a pair that dnssec-keygen made; its DS is at the parent."""
    pair = algorithms.make(13, None)
    dnskey = algorithms.dnskey(pair, 13, 257)
    base = bind.save(house.directory, ORIGIN, dnskey, algorithms.to_pkcs8(pair))
    house.key_files = (base,)
    ds = frozenset({ds_rdata(ORIGIN, dnskey)})
    house.parent.answer = Seen(ds, ds, DAY, ("192.0.2.53:53",))
    await house.start()
    assert isinstance(await house.sign(scan()), Published)
    assert house.rdatas(DNSKEY) == [dnskey]
    base.with_name(base.name + ".private").unlink()
    house.key_files = ()
    await house.start()
    assert house.signer.held is None
    assert [row.role for row in house.signer.key_rows()] == ["CSK"]


@scenario
async def test_a_key_file_that_is_gone_holds_and_names_it(house: House) -> None:
    house.key_files = (house.directory / "Kexample.org.+013+00001",)
    await house.start()
    assert house.signer.held is not None
    assert "Kexample.org.+013+00001.key" in house.signer.held.reason
    assert house.keystore.list() == ()


@scenario
async def test_a_restart_without_a_change_makes_nothing(house: House) -> None:
    await house.start()
    await house.sign(scan())
    digest = house.zones[BLOCK].digest()
    versions = house.read(lambda db: db.execute("SELECT * FROM versions").fetchall())
    serials = house.read(lambda db: db.execute("SELECT * FROM serials").fetchall())
    await house.start()
    assert house.signer.held is None
    assert await house.sign(scan()) == Unchanged()
    assert await house.sign(None, "expiring") == Unchanged()
    assert house.zones[BLOCK].digest() == digest
    assert len(house.keystore.list()) == 1
    assert house.read(lambda db: db.execute("SELECT * FROM versions").fetchall()) == versions
    assert house.read(lambda db: db.execute("SELECT * FROM serials").fetchall()) == serials


@scenario
async def test_an_edit_signs_what_changed_and_nothing_else(house: House) -> None:
    await house.start()
    await house.sign(scan())
    outcome = await house.sign(scan(RECORDS.replace("192.0.2.2", "192.0.2.99")))
    assert isinstance(outcome, Published)
    assert outcome.zone.serial == 2026010101, "the source's serial need not move"
    assert outcome.made == 2, "the A RRset and the SOA"
    assert outcome.diff is not None
    assert outcome.diff.from_serial == 2026010100


@scenario
async def test_the_sources_serial_is_taken_where_it_is_ahead(house: House) -> None:
    await house.start()
    await house.sign(scan())
    outcome = await house.sign(scan(RECORDS.replace("192.0.2.2", "192.0.2.9"), serial=2026020100))
    assert isinstance(outcome, Published)
    assert outcome.zone.serial == 2026020100


@scenario
async def test_signatures_are_renewed_before_they_end(house: House) -> None:
    await house.start()
    await house.sign(scan())
    due = house.signer.next_due()
    assert due is not None
    house.clock.now = int(due.timestamp())
    assert house.signer.expiring() == (BLOCK,)
    assert house.clock.now <= START + 9 * DAY, "five days before the end of fourteen"
    outcome = await house.sign(None, "expiring")
    assert isinstance(outcome, Published)
    assert outcome.made > 0
    left = outcome.zone.earliest_expiration()
    assert left is not None
    assert left - house.clock.now > house.policy.refresh
    assert house.signer.expiring() == ()


@scenario
async def test_a_late_start_mends_what_has_ended(house: House) -> None:
    await house.start()
    await house.sign(scan())
    house.clock.now += 30 * DAY
    await house.start()
    outcome = await house.sign(None, "expiring")
    assert isinstance(outcome, Published)
    assert outcome.alarms == ()


@scenario
async def test_another_kind_of_denial_re_signs_the_zone(house: House) -> None:
    await house.start()
    await house.sign(scan())
    house.policy = Policy(nsec3=Nsec3())
    await house.start()
    assert await house.sign(None) == Unchanged(), "the first kind is not everywhere yet"
    await house.signer.observed(BLOCK, 2026010100)
    house.clock.now += 2 * DAY
    assert await house.signer.tick()
    outcome = await house.sign(None, "all")
    assert isinstance(outcome, Published)
    assert house.rdatas(NSEC3PARAM)
    trail = "\n".join(entry.detail for entry in await house.signer.audit())
    for line in (
        "NSEC: hidden -> rumoured",
        "NSEC: rumoured -> unretentive",
        "NSEC3 0 - 0: hidden -> rumoured",
    ):
        assert line in trail


# --- what is said ---------------------------------------------------------------------------------


@scenario
async def test_the_status_says_what_is_waited_for(house: House) -> None:
    house.parent.answer = Seen(frozenset(), frozenset(), 300, ("192.0.2.53:53",))
    await house.start()
    await house.sign(scan())
    status = house.signer.status()
    assert (status.zone, status.state, status.hold) == ("example.org.", "signed", None)
    assert any("our servers don't all show" in wait.evidence for wait in status.waits)
    await house.signer.observed(BLOCK, 2026010100)
    waits = house.signer.status().waits
    dnskey = next(wait for wait in waits if wait.what.startswith("DNSKEY"))
    assert dnskey.until == "2027-01-15T10:05:00Z", "a TTL, propagation and safety after START"
    assert status.least_validity is not None
    assert 13 * DAY < status.least_validity <= 14 * DAY


@scenario
async def test_metrics_of_a_zone(house: House) -> None:
    await house.start()
    outcome = await house.sign(scan())
    assert isinstance(outcome, Published)
    registry = CollectorRegistry()
    registry.register(SignerCollector(lambda: [house.signer.status()]))
    text = generate_latest(registry).decode()
    ends = outcome.zone.earliest_expiration()
    labels = f'{{variant="{BLOCK}",zone="example.org."}}'
    name = "zoneward_zone_earliest_rrsig_expiration_timestamp_seconds"
    assert f"{name}{labels} {float(ends or 0)!r}"[:60] in text
    assert 'zoneward_zone_alarms{zone="example.org."} 0.0' in text
    assert 'record="DNSKEY",role="CSK",state="rumoured"' in text


@scenario
async def test_a_whole_version_can_be_verified_again(house: House) -> None:
    await house.start()
    await house.sign(scan())
    assert await house.signer.reverify(BLOCK, house.zones[BLOCK]) == ()
    house.clock.now += 20 * DAY
    assert any("expired" in line for line in await house.signer.reverify(BLOCK, house.zones[BLOCK]))


@scenario
async def test_verified_signatures_are_remembered_over_a_restart(house: House) -> None:
    await house.start()
    await house.sign(scan())
    await house.signer.close()
    memory = engine.VerifyMemory(str(house.directory / "verified"))
    assert len(memory) >= 10
