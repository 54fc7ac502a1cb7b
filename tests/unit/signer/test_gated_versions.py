"""Which versions of a signed zone get through, and under which serials."""

import asyncio
from collections.abc import Callable
from typing import Any

import dns.name
import pytest
from signhouse import BLOCK, ORIGIN, RECORDS, START, House, scan, scenario

import engine
from signer import candidate, keytables
from signer.operations import OperationError
from signer.outcome import Held, Published, Refused, Unchanged
from signer.parent import Seen
from signer.policy import DAY
from signer.requests import Roll

# What a half-written file may be without.
HOSTS = "".join(f"h{number} 300 A 192.0.2.9\n" for number in range(12))


@scenario
async def test_a_version_that_loses_names_waits_for_a_person(house: House) -> None:
    await house.start()
    await house.sign(scan(RECORDS + HOSTS))
    fewer = scan()
    outcome = await house.sign(fewer)
    assert isinstance(outcome, Held)
    assert "the new version has 4 names and the old one 16: 75 % are gone" in outcome.hold.reason
    assert house.signer.status().state == "held"
    assert await house.sign(None, "expiring") == Unchanged(), "re-signing goes on"
    assert isinstance(await house.sign(fewer), Held)
    assert await house.signer.accept(BLOCK) == outcome.hold.token
    accepted = await house.sign(fewer)
    assert isinstance(accepted, Published)
    assert accepted.zone.serial == 2026010101, "what was held used no serial"
    assert house.signer.held is None
    assert await house.signer.accept(BLOCK) is None


@scenario
async def test_accepting_one_version_is_not_accepting_another(house: House) -> None:
    await house.start()
    await house.sign(scan(RECORDS + HOSTS))
    await house.sign(scan())
    await house.signer.accept(BLOCK)
    other = await house.sign(scan(RECORDS.replace("www 300 A 192.0.2.2\n", "")))
    assert isinstance(other, Held)


@scenario
async def test_a_small_zone_may_lose_a_name(house: House) -> None:
    await house.start()
    await house.sign(scan())
    fewer = await house.sign(scan(RECORDS.replace("mail 300 A 192.0.2.3\n", "")))
    assert isinstance(fewer, Published)


@scenario
async def test_a_ttl_that_outlives_the_refresh_is_refused(house: House) -> None:
    await house.start()
    await house.sign(scan())
    outcome = await house.sign(scan(RECORDS + "slow 600000 A 192.0.2.9\n"))
    assert isinstance(outcome, Refused)
    assert "6d22h40m + propagation 5m" in outcome.lines[0]
    assert house.signer.status().alarms == outcome.lines


@scenario
async def test_foreign_dnskeys_in_a_source_are_refused(house: House) -> None:
    await house.start()
    foreign = "@ 3600 DNSKEY 257 3 13 " + "A" * 86 + "==\n"
    outcome = await house.sign(scan(RECORDS + foreign))
    assert isinstance(outcome, Refused)
    assert "of keys that are not ours" in outcome.lines[0]


@scenario
async def test_a_version_that_validators_would_refuse_is_not_published(house: House) -> None:
    """Signed with a clock ten years ahead: nothing of it is valid yet."""
    await house.start()
    first = await house.sign(scan())
    assert isinstance(first, Published)
    before = house.zones[BLOCK].digest()
    house.clock.shift = 3650 * DAY
    ahead = house.signer
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidate, "verify", at_true_time(candidate.verify))
        outcome = await ahead.sign(
            BLOCK,
            house.zones[BLOCK],
            engine.source_changes(
                house.zones[BLOCK].source(), scan(RECORDS + "new 300 A 192.0.2.9\n")
            ),
            source_serial=1,
        )
    assert isinstance(outcome, Refused)
    assert any("not-yet-valid" in line for line in outcome.lines)
    assert house.zones[BLOCK].digest() == before
    status = ahead.status()
    assert (status.state, status.variants[0].gate_refusals) == ("refused", 1)


def at_true_time(verify: Callable[..., candidate.Verified]) -> Callable[..., candidate.Verified]:
    """What a validator with the right time sees."""

    def verified(zone: engine.Zone, at: int, *rest: Any) -> candidate.Verified:
        return verify(zone, START, *rest)

    return verified


@scenario
async def test_a_serial_is_never_used_for_two_contents(house: House) -> None:
    """The disk was full: the version passed the gate and never got on disk."""
    await house.start()
    first = await house.sign(scan())
    assert isinstance(first, Published)
    base = house.zones[BLOCK]
    second = await house.sign(scan(RECORDS + "a 300 A 192.0.2.9\n"))
    house.zones[BLOCK] = base
    third = await house.sign(scan(RECORDS + "b 300 A 192.0.2.9\n"))
    assert isinstance(second, Published)
    assert isinstance(third, Published)
    assert second.zone.serial != third.zone.serial


@scenario
async def test_after_lost_state_the_serial_is_above_what_servers_hold(house: House) -> None:
    await house.start()
    await house.signer.observed(BLOCK, 2026123199)
    outcome = await house.sign(scan())
    assert isinstance(outcome, Published)
    assert outcome.zone.serial == 2026123200
    assert await house.signer.observed(BLOCK, 2026123205), "a server is ahead of us"
    again = await house.sign(None)
    assert isinstance(again, Published)
    assert again.zone.serial == 2026123206
    assert again.zone.source().name_count == outcome.zone.source().name_count
    assert await house.sign(None) == Unchanged()


@pytest.mark.parametrize("scope", ["changes", "anew"])
def test_an_edit_is_in_a_version_that_is_signed_anew(house: House, scope: str) -> None:
    """Whatever serial the source has it under."""

    async def story(house: House) -> None:
        await house.start()
        assert isinstance(await house.sign(scan()), Published)
        if scope == "changes":
            assert await house.signer.observed(BLOCK, 2026010105), "a server is ahead of us"
        edited = scan(RECORDS + "new 300 A 192.0.2.9\n", serial=1)
        outcome = await house.sign(edited, scope)
        assert isinstance(outcome, Published)
        assert outcome.zone.serial == (2026010106 if scope == "changes" else 2026010101)
        new = dns.name.from_text("new.example.org.").to_wire()
        assert outcome.zone.rrset(new, 1) is not None

    asyncio.run(asyncio.wait_for(story(house), 60))


@scenario
async def test_what_is_heard_before_the_start_touches_no_key(house: House) -> None:
    await house.start()
    assert isinstance(await house.sign(scan()), Published)
    before = house.read(lambda db: keytables.load_keyset(db, ORIGIN))
    signer = house.before_start()
    await signer.observed(BLOCK, 2026010100)
    with pytest.raises(OperationError, match="has not started yet"):
        await signer.request(Roll())
    with pytest.raises(OperationError, match="has not started yet"):
        signer.preview()
    with pytest.raises(OperationError, match="has not started yet"):
        await signer.add_key(house.keystore.list(ORIGIN)[0])
    assert house.read(lambda db: keytables.load_keyset(db, ORIGIN)) == before
    assert len(house.keystore.list(ORIGIN)) == 1


@scenario
async def test_after_lost_state_the_same_serial_is_not_the_same_version(house: House) -> None:
    house.parent.answer = Seen(frozenset(), frozenset(), 300, ("192.0.2.53:53",))
    await house.start()
    outcome = await house.sign(scan())
    assert isinstance(outcome, Published)
    serial = outcome.zone.serial
    assert await house.signer.observed(BLOCK, serial, foreign=True)
    again = await house.sign(None)
    assert isinstance(again, Published)
    assert (again.zone.serial, again.diff) == (serial + 1, None), "no difference leads there"
    # Nor did it show that our key is published.
    house.clock.now += 7 * DAY
    await house.signer.tick()
    assert house.states() == "rrrh"
    assert not await house.signer.observed(BLOCK, serial + 1)
    house.clock.now += 7 * DAY
    await house.signer.tick()
    assert house.states()[0] == "o"
