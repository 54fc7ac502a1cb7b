"""Keys move by evidence and time alone: what a zone's signer takes for either."""

import asyncio

import dns.name
import pytest
from signhouse import BLOCK, CDS, DNSKEY, ORIGIN, RECORDS, House, scan, scenario

import engine
from keystore import KeystoreError
from signer.keyset import Role
from signer.operations import OperationError
from signer.outcome import Published
from signer.parent import ParentAnswer, Seen, Unknown
from signer.policy import DAY, HOUR, KeyLayout, Policy
from signer.requests import Roll


@scenario
async def test_keys_move_when_timer_and_observation_agree(house: House) -> None:
    house.parent.answer = Seen(frozenset(), frozenset(), 300, ("192.0.2.53:53",))
    await house.start()
    outcome = await house.sign(scan())
    assert isinstance(outcome, Published)
    house.clock.now += 7 * DAY
    await house.signer.tick()
    assert house.states() == "rrrh", "nobody has seen it published"
    await house.signer.observed(BLOCK, outcome.zone.serial)
    house.clock.now += 2 * DAY
    assert await house.signer.tick(), "CDS is to be published"
    assert house.states() == "ooor"
    await house.sign(None)
    assert house.rdatas(CDS) == list(house.signer.ds_records())
    ds = frozenset(house.signer.ds_records())
    house.parent.answer = Seen(ds, ds, DAY, ("192.0.2.53:53",))
    for _ in range(2):
        house.clock.now += DAY + 3 * HOUR
        await house.signer.tick()
    assert house.states() == "oooo"
    await house.start()
    assert house.states() == "oooo", "and it is remembered"


@pytest.mark.parametrize(
    ("parent", "refusal"),
    [
        (Unknown("no route"), None),
        (Unknown("DS of example.org. has expired", bogus=True), "the parent's answer is bogus: DS"),
        (Seen(frozenset(), frozenset(), 300, ("192.0.2.53:53",)), "don't all show the DS of key"),
    ],
)
def test_a_persons_word_about_the_ds_stands_where_nobody_can_be_asked(
    house: House, parent: ParentAnswer, refusal: str | None
) -> None:
    async def story(house: House) -> None:
        house.parent.answer = Seen(frozenset(), frozenset(), 300, ("192.0.2.53:53",))
        await house.start()
        outcome = await house.sign(scan())
        assert isinstance(outcome, Published)
        await house.signer.observed(BLOCK, outcome.zone.serial)
        house.clock.now += 2 * DAY
        await house.signer.tick()
        assert house.states() == "ooor"
        house.parent.answer = parent
        if refusal is not None:
            with pytest.raises(OperationError, match=refusal):
                await house.signer.confirm_ds(seen=True)
        else:
            assert await house.signer.confirm_ds(seen=True) == house.signer.keyset.keys
        said = [entry.detail for entry in await house.signer.audit() if entry.actor == "operator"]
        assert len(said) == (0 if refusal else 1)

    asyncio.run(asyncio.wait_for(story(house), 60))


@scenario
async def test_an_edit_between_a_move_and_its_signatures_does_not_count_as_them(
    house: House,
) -> None:
    """Our server takes a version, keys move upon that, an edit is signed before anything else:
    what is written down of that version has to be true of all its RRsets."""
    house.policy = Policy(keys=KeyLayout.KSK_ZSK)
    await house.start()
    await house.sign(scan())
    await house.signer.observed(BLOCK, house.zones[BLOCK].serial)
    house.clock.now += 2 * DAY
    await house.signer.tick()
    await house.sign(None, scope="all")
    await house.signer.request(Roll(frozenset({Role.ZSK})))
    await house.sign(None, scope="all")
    await house.signer.observed(BLOCK, house.zones[BLOCK].serial)
    house.clock.now += 2 * DAY
    edits = (
        scan(RECORDS + f"new 300 A 192.0.2.{number}\n", serial=2026010200 + number)
        for number in range(1, 4)
    )
    await house.sign(next(edits))
    due = house.signer.next_due()
    assert due is not None
    assert due.timestamp() <= house.clock.wall(), "it is to be signed now"
    assert await house.signer.tick(), "all of it"
    old, new = [key for key in house.signer.keyset.keys if key.role is Role.ZSK]
    assert [old.letters(), new.letters()] == ["OU--", "OR--"]
    outcome = await house.sign(next(edits))
    assert isinstance(outcome, Published)
    for name in ("www", "mail", "ns", "new"):
        assert signing_tags(outcome.zone, f"{name}.example.org.", 1) == {new.tag}
    assert not await house.signer.tick(), "and nothing more"
    made = await house.sign(next(edits))
    assert isinstance(made, Published)
    assert made.made == 2, "the A and the SOA"


def signing_tags(zone: engine.Zone, name: str, rtype: int) -> set[int]:
    found = zone.rrset(dns.name.from_text(name).to_wire(), rtype)
    assert found is not None
    return {int.from_bytes(signature[16:18], "big") for signature in found.signatures}


@scenario
async def test_a_jump_of_the_wall_clock_moves_no_key(house: House) -> None:
    house.parent.answer = Seen(frozenset(), frozenset(), 300, ("192.0.2.53:53",))
    await house.start()
    outcome = await house.sign(scan())
    assert isinstance(outcome, Published)
    await house.signer.observed(BLOCK, outcome.zone.serial)
    house.clock.shift = 400 * DAY
    house.clock.now += 60
    await house.signer.tick()
    assert house.states() == "rrrh"


@scenario
async def test_a_key_is_published_when_every_variant_is(house: House) -> None:
    await house.start()
    for variant in ("inside", "outside"):
        assert isinstance(await house.sign(scan(), variant=variant), Published)
    await house.signer.observed("inside", 2026010100)
    house.clock.now += 7 * DAY
    await house.signer.tick()
    assert house.states()[0] == "r"
    await house.signer.observed("outside", 2026010101)
    house.clock.now += 7 * DAY
    await house.signer.tick()
    assert house.states()[0] == "o"


@scenario
async def test_a_block_that_gets_another_name_goes_on_with_the_serial(house: House) -> None:
    await house.start()
    assert isinstance(await house.sign(scan(), variant="before"), Published)
    again = await house.sign(scan(RECORDS + "a 300 A 192.0.2.9\n"), variant="before")
    assert isinstance(again, Published)
    house.zones.clear()
    await house.start()
    renamed = await house.sign(scan(), variant="after")
    assert isinstance(renamed, Published)
    assert renamed.zone.serial == again.zone.serial + 1


@scenario
async def test_an_imported_key_joins_the_set(
    house: House,
) -> None:
    await house.start()
    await house.sign(scan())
    key = house.keystore.generate(ORIGIN, 13, 257, avoid_tags=house.signer.keyset.tags_used)
    await house.signer.add_key(key)
    await house.sign(None, "all")
    assert key.dnskey in house.rdatas(DNSKEY)
    other = house.keystore.generate(ORIGIN, 15, 257)
    with pytest.raises(KeystoreError, match="that is a rollover"):
        await house.signer.add_key(other)
