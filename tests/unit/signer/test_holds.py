"""When a zone stops before anything is made, what of it goes on, and how it goes on with keys
that are there."""

import asyncio

import pytest
from signhouse import DNSKEY, ORIGIN, RECORDS, START, House, scan, scenario

import engine
from signer import tables
from signer.ds import ds_rdata
from signer.outcome import Held, Published, Refused
from signer.parent import Seen, Unknown
from signer.policy import DAY, KeyLayout, Policy
from signer.state import StateDatabase


def foreign_ds() -> Seen:
    records = frozenset({b"\x12\x34\x0d\x02" + bytes(32)})
    return Seen(records, records, DAY, ("192.0.2.53:53",))


@scenario
async def test_a_ds_that_is_not_ours_stops_a_new_zone(house: House) -> None:
    house.parent.answer = foreign_ds()
    await house.start()
    outcome = await house.sign(scan())
    assert isinstance(outcome, Held)
    assert "DS 4660" in outcome.hold.reason
    assert house.keystore.list() == (), "no key was made"
    house.parent.answer = Seen(frozenset(), frozenset(), 300, ("192.0.2.53:53",))
    house.clock.now += 60
    assert await house.signer.tick(), "the cause is gone"
    assert house.signer.held is None
    # Caches may hold the DS that was withdrawn, and would refuse what is signed now.
    outcome = await house.sign(scan())
    assert isinstance(outcome, Refused)
    assert "key 4660" in outcome.lines[0]
    house.clock.now += DAY
    assert isinstance(await house.sign(scan()), Published)
    log = house.read(lambda db: [entry.action for entry in tables.audit_log(db)])
    assert log[:2] == ["hold", "resume"] or log[:3] == ["hold", "generate", "resume"]


@scenario
async def test_a_foreign_ds_found_later_leaves_signing_alone(house: House) -> None:
    await house.start()
    await house.sign(scan())
    house.parent.answer = foreign_ds()
    await house.start()
    await house.signer.tick()
    assert house.signer.held is not None
    assert house.signer.held.signing
    house.clock.now += 10 * DAY
    assert isinstance(await house.sign(None, "expiring"), Published)


@scenario
async def test_a_parent_that_is_silent_does_not_stop_a_zone_that_runs(house: House) -> None:
    await house.start()
    await house.sign(scan())
    house.parent.answer = Unknown("no route")
    await house.start()
    assert house.signer.held is None


@scenario
async def test_an_answer_that_is_bogus_is_an_alarm_and_no_answer(house: House) -> None:
    await house.start()
    await house.sign(scan())
    house.parent.answer = Unknown("ns.org.: DS of example.org. has expired", bogus=True)
    await house.start()
    await house.signer.tick()
    status = house.signer.status()
    assert house.signer.held is None
    assert status.alarm_kinds == ("parent-bogus",)
    assert status.parent == "the parent's answer is bogus: ns.org.: DS of example.org. has expired"


@scenario
async def test_status_says_on_what_the_parent_is_believed(house: House) -> None:
    house.parent.answer = Seen(frozenset(), frozenset(), 0, ("ns.org.",), why="org. has no DNSKEY")
    await house.start()
    assert house.signer.status().parent == "asked: ns.org. (unvalidated: org. has no DNSKEY)"


@scenario
async def test_a_wrong_passphrase_holds_and_says_so(house: House) -> None:
    await house.start()
    await house.sign(scan())
    house.passphrase = b"wrong"
    await house.start()
    hold = house.signer.held
    assert hold is not None
    assert "the passphrase is not the one" in hold.reason
    assert "\n" not in str(hold)
    assert isinstance(await house.sign(scan(RECORDS + "new A 192.0.2.9\n")), Held)
    house.passphrase = b"correct horse"
    await house.start()
    assert house.signer.held is None


@scenario
async def test_a_key_that_is_gone_is_never_replaced(house: House) -> None:
    await house.start()
    await house.sign(scan())
    (key,) = house.keystore.list()
    house.keystore.delete(ORIGIN, key.fingerprint)
    await house.start()
    assert house.signer.held is not None
    assert "a new key is never made in its place" in house.signer.held.remedy
    assert house.keystore.list() == ()


@scenario
async def test_lost_state_with_the_keys_in_place_goes_on_with_them(house: House) -> None:
    await house.start()
    await house.sign(scan())
    house.database.close()
    for path in house.directory.glob("state.db*"):
        path.unlink()
    house.database = StateDatabase(house.directory / "state.db")
    await house.start()
    assert house.signer.held is None
    outcome = await house.sign(scan(RECORDS + "new 300 A 192.0.2.9\n"))
    assert isinstance(outcome, Published)
    assert outcome.zone.serial == 2026010101
    assert len(house.keystore.list()) == 1


@scenario
async def test_lost_keys_and_state_stop_before_anything_is_made(house: House) -> None:
    await house.start()
    await house.sign(scan())
    house.database.close()
    for path in [*house.directory.glob("state.db*"), *(house.directory / "keys").rglob("*.json")]:
        path.unlink()
    house.database = StateDatabase(house.directory / "state.db")
    await house.start()
    assert house.signer.held is not None
    assert "its state was lost" in house.signer.held.reason
    assert house.keystore.list() == ()


@scenario
async def test_a_key_that_a_crash_left_in_the_store_is_taken(house: House) -> None:
    """Killed between the key on disk and its row."""
    made = house.keystore.generate(ORIGIN, 13, 257)
    await house.start()
    await house.sign(scan())
    assert house.rdatas(DNSKEY) == [made.dnskey]
    assert len(house.keystore.list()) == 1


@scenario
async def test_half_a_key_set_is_completed(house: House) -> None:
    """Killed between the KSK and the ZSK."""
    house.policy = Policy(keys=KeyLayout.KSK_ZSK)
    house.read(lambda db: tables.begin(db, ORIGIN, "generate", "KSK ZSK", START))
    made = house.keystore.generate(ORIGIN, 13, 257)
    await house.start()
    rows = {row.fingerprint: row.role for row in house.signer.key_rows()}
    assert rows[made.fingerprint] == "KSK"
    assert sorted(rows.values()) == ["KSK", "ZSK"]


@pytest.mark.parametrize("first", [256, 257], ids=["zsk first", "ksk first"])
def test_two_keys_imported_after_lost_state_are_what_they_were(house: House, first: int) -> None:
    """Whichever comes first: it is the zone's only key until the other comes."""

    async def story(house: House) -> None:
        house.policy = Policy(keys=KeyLayout.KSK_ZSK)
        keys = {flags: house.keystore.generate(ORIGIN, 13, flags) for flags in (256, 257)}
        pairs = {
            flags: (key.dnskey, house.keystore.export(ORIGIN, key.fingerprint))
            for flags, key in keys.items()
        }
        for key in keys.values():
            house.keystore.delete(ORIGIN, key.fingerprint)
        ds = frozenset({ds_rdata(ORIGIN, keys[257].dnskey)})
        house.parent.answer = Seen(ds, ds, 300, ("192.0.2.53:53",))
        await house.start()
        assert house.signer.held is not None
        for flags in (first, 513 - first):
            key = house.keystore.import_(ORIGIN, *pairs[flags])
            await house.signer.add_key(key)
        assert house.signer.held is None
        assert {row.fingerprint: row.role for row in house.signer.key_rows()} == {
            keys[256].fingerprint: "ZSK",
            keys[257].fingerprint: "KSK",
        }
        outcome = await house.sign(scan())
        assert isinstance(outcome, Published)
        assert len(house.rdatas(DNSKEY)) == 2
        at = house.clock.wall()
        assert engine.verify(outcome.zone, at=at, ds=[sorted(ds)]).failure_count == 0

    asyncio.run(asyncio.wait_for(story(house), 60))
