"""What has broken real zones, beside what `test_incidents` has of caches: with real keys and
signatures, the way it was done there first, then ours."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dns.rdata
import pytest
from keymaker import NOW, key, new_pair, pkcs8, sign_new
from keymaker import plan as sign_plan
from rollworld import BLOCK, ORIGIN, TEXT, WIRE, World, live

import engine
from engine import SIGNS_KEYS
from keystore.dnskey import key_tag
from keystore.files import FileKeyStore
from signer import operations, planner, times
from signer.actions import Generate
from signer.advance import advance
from signer.cachemodel import Delegation, KeyRRset, Verdict, chain
from signer.firststart import OurKey, decide
from signer.hold import Hold
from signer.keyset import Key, KeySet, RecordKind, Role
from signer.observations import Observations
from signer.outcome import Refused
from signer.parent import NoParent
from signer.policy import DAY, HOUR, KeyLayout, Policy

DNSKEY, ZRRSIG, KRRSIG, DS = RecordKind
NSEC = 47
SPLIT = Policy(keys=KeyLayout.KSK_ZSK)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ThreadPoolExecutor(2) as executor:
        found = World(tmp_path, executor, Policy())
        yield found
        found.database.close()


def unsigned() -> engine.Zone:
    return engine.scan_text(TEXT.encode(), WIRE)


def faults(signed: engine.Zone, at: int = NOW) -> set[str]:
    return {failure.code for failure in engine.verify(signed, at=at).failures}


def established() -> KeySet:
    made = planner.plan(KeySet(ORIGIN), SPLIT, Observations(), 0.0, 5.0 * DAY)
    assert made.ended
    return made.steps[-1].keyset


def pair() -> tuple[bytes, Any]:
    return new_pair(15)


def test_de_2026_a_device_that_signs_with_another_key_than_the_published_one() -> None:
    (published, _), (hidden, other) = pair(), pair()
    naive = sign_new(
        unsigned(), sign_plan(engine.SigningKey(hidden, pkcs8(other)), dnskeys=[hidden])
    )
    text = naive.zone.to_text().replace(_shown(hidden), _shown(published))
    assert "unknown-key" in faults(engine.scan_text(text.encode(), WIRE))
    with pytest.raises(engine.EngineError) as refused:
        engine.SigningKey(published, pkcs8(other))
    assert refused.value.code == "key"
    device = engine.SigningKey.external(published, lambda texts: [other.sign(one) for one in texts])
    with pytest.raises(engine.EngineError, match="does not verify") as refused:
        sign_new(unsigned(), sign_plan(device))
    assert refused.value.code == "key"


def _shown(dnskey: bytes) -> str:
    rdata = dns.rdata.from_wire("IN", "DNSKEY", dnskey, 0, len(dnskey))
    return rdata.to_text(chunksize=0)


def twins() -> tuple[tuple[bytes, Any], tuple[bytes, Any]]:
    """Two keys with one tag: among some hundred there are two."""
    seen: dict[int, tuple[bytes, Any]] = {}
    while True:
        one = pair()
        if (tag := key_tag(one[0])) in seen:
            return seen[tag], one
        seen[tag] = one


def test_ru_2024_two_keys_with_one_tag(tmp_path: Path) -> None:
    first, second = twins()
    tag = key_tag(first[0])
    by_tag = {key_tag(dnskey): private for dnskey, private in (first, second)}
    with pytest.raises(engine.EngineError):
        engine.SigningKey(first[0], pkcs8(by_tag[tag]))
    # Imported ones are told apart by what they are, and both sign.
    keys = [engine.SigningKey(dnskey, pkcs8(private)) for dnskey, private in (first, second)]
    signed = sign_new(unsigned(), sign_plan(*keys)).zone
    assert faults(signed) == set()
    store = FileKeyStore(tmp_path / "keys", lambda: bytearray(b"x"), memory_kib=64, iterations=1)
    stored = [store.import_(ORIGIN, dnskey, pkcs8(private)) for dnskey, private in (first, second)]
    assert [store.load(ORIGIN, one.fingerprint).dnskey for one in stored] == [first[0], second[0]]
    # A key made here never has a tag that the zone has used, with or without REVOKE.
    used = random.Random(1).sample(range(65536), 60000)
    made = store.generate(ORIGIN, 15, 257, avoid_tags=used)
    assert made.tag not in used
    keyset = KeySet(ORIGIN).with_key(Key.hidden("a", Role.CSK, first[0], 0, 0.0), made_here=True)
    with pytest.raises(ValueError, match="has used the key tag"):
        keyset.with_key(Key.hidden("b", Role.CSK, second[0], 0, 0.0), made_here=True)


def test_nl_2012_timers_ran_on_while_the_zone_was_not_published(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rolled = operations.roll(established(), SPLIT)
    later = 5.0 * DAY + 3650 * DAY

    def ten_years_unpublished() -> KeySet:
        """Keys are made; nothing that is signed with them reaches a server."""
        keyset = rolled
        for at in (5.0 * DAY, 5.0 * DAY + HOUR, later, later + DAY, later + 2 * DAY):
            step = advance(keyset, SPLIT, Observations(parent_looked=at), at)
            keyset = step.keyset
            for action in step.actions:
                if isinstance(action, Generate):
                    new = Key.hidden(
                        f"new {action.role.value}",
                        action.role,
                        bytes((1, 1, 3, 13)) + action.role.value.encode(),
                        0,
                        at,
                        predecessor=action.predecessor,
                    )
                    keyset = keyset.with_key(new, made_here=False)
        return keyset

    ours = ten_years_unpublished()
    assert [key.letters() for key in ours.keys] == ["O-OO", "OO--", "R-RH", "RH--"]
    with monkeypatch.context() as patch:
        patch.setattr(times, "observed", lambda key, kind, to, seen: key.record(kind).since)
        naive = ten_years_unpublished()
    served = KeyRRset(
        frozenset((key.fingerprint, 13) for key in rolled.published()),
        frozenset((key.fingerprint, 13) for key, duty in rolled.signers() if duty & SIGNS_KEYS),
    )
    at_parent = Delegation(frozenset((key.fingerprint, 13) for key in naive.announced()))
    assert chain(at_parent, served)[0] is Verdict.BOGUS
    assert (
        chain(Delegation(frozenset((key.fingerprint, 13) for key in ours.announced())), served)[0]
        is Verdict.SECURE
    )


def test_se_2022_signatures_that_were_taken_over_unseen(world: World) -> None:
    """A signature that was wrong is kept by each later version, unless somebody looks."""

    async def story(world: World) -> None:
        await world.start()
        assert world.zone is not None
        good = world.zone
        wrong = engine.scan_text(good.to_text().replace("192.0.2.2", "192.0.2.9").encode(), WIRE)
        naive = engine.sign(
            wrong,
            wrong.difference(wrong),
            sign_plan(
                *world.signer._ring.private.values(),
                serial=good.serial + 1,
                now=world.clock.wall(),
            ),
            scope="expiring",
        )
        assert faults(naive.zone, world.clock.wall()) == {"bad-signature"}
        # Ours looks: at a start, and daily, at what is served; at each version, at what it keeps.
        assert any("bad-signature" in line for line in await world.signer.reverify(BLOCK, wrong))
        changes = engine.source_changes(
            good.source(), engine.scan_text((TEXT + "new 300 A 192.0.2.8\n").encode(), WIRE)
        )
        outcome = await world.signer.sign(BLOCK, wrong, changes, source_serial=1)
        assert any("bad-signature" in line for line in outcome.alarms)
        assert "fault" in world.signer.status().alarm_kinds

    live(world, story)


def test_apnic_2012_a_standby_signer_with_other_zone_keys() -> None:
    ksk, zsk, other = (new_pair(13, flags)[0] for flags in (257, 256, 256))
    published = frozenset({ksk, zsk})
    naive = sign_new(
        unsigned(),
        sign_plan(key(13, 257), key(13, 256), keys=[(key(13, 257), 1), (key(13, 256), 2)]),
    ).zone
    resolver_has = engine.scan_text(
        naive.to_text().replace(_shown(key(13, 256).dnskey), _shown(zsk)).encode(), WIRE
    )
    assert "unknown-key" in faults(resolver_has)
    standby = (OurKey(ksk, omnipresent=True), OurKey(other, omnipresent=True))
    hold = decide(ORIGIN, standby, published, NoParent(), NOW)
    assert isinstance(hold, Hold)
    assert not hold.signing
    assert str(key_tag(zsk)) in hold.reason
    same = (OurKey(ksk, omnipresent=True), OurKey(zsk, omnipresent=True))
    assert not isinstance(decide(ORIGIN, same, published, NoParent(), NOW), Hold)


def test_slack_2021_a_wildcard_whose_bitmap_lies() -> None:
    """The NSEC at the wildcard left types out, so that resolvers denied what existed."""
    signed = sign_new(unsigned(), sign_plan(key(13))).zone
    owner = b"\x01*\x04wild" + WIRE
    nsec = signed.rrset(owner, NSEC)
    assert nsec is not None
    assert faults(signed) == set()
    (rdata,) = nsec.rdatas
    shown = dns.rdata.from_wire("IN", "NSEC", rdata, 0, len(rdata)).to_text()
    assert " A " in shown
    lying = engine.scan_text(
        signed.to_text().replace(shown, shown.replace(" A ", " TXT ")).encode(), WIRE
    )
    assert "denial-bitmap" in faults(lying)


def test_mm_2016_and_dnsops_gov_2018_signatures_that_end_while_nobody_looks(world: World) -> None:
    async def story(world: World) -> None:
        await world.start()
        assert world.zone is not None
        end = world.zone.earliest_expiration()
        assert end is not None
        # The manager is up, and for some reason no pass is made.
        world.clock.now = end - 2 * DAY
        await world.signer.tick()
        status = world.signer.status()
        assert status.least_validity == 2 * DAY
        assert "signatures" in status.alarm_kinds
        assert any("end in 2d" in line for line in status.alarms)
        assert "expired" in faults(world.zone, end + 1)
        # One pass mends it.
        await world.sign("expiring")
        assert "signatures" not in world.signer.status().alarm_kinds

    live(world, story)


def test_eu_org_2020_stuck_for_days_and_then_repaired_by_hand(world: World) -> None:
    async def story(world: World) -> None:
        world.parent_works = False
        await world.start()
        await world.until(lambda: "stuck" in world.signer.status().alarm_kinds)
        assert any(
            wait.remedy.startswith("bring what `zoneward ds show example.org.`")
            for wait in world.signer.status().waits
        )
        # The repair: somebody else's key in the zone's text. It is no way past the gate.
        strange = f"@ 3600 DNSKEY {_shown(pair()[0])}\n"
        assert world.zone is not None
        repaired = engine.scan_text((TEXT + strange).encode(), WIRE).source(keep_dnskey=True)
        changes = engine.source_changes(world.zone.source(), repaired)
        outcome = await world.signer.sign(BLOCK, world.zone, changes, source_serial=1)
        assert isinstance(outcome, Refused)
        assert "not ours" in outcome.lines[0]
        world.verify()
        # Nor is a person's word that contradicts what the parent's servers show.
        with pytest.raises(operations.OperationError, match="don't all show the DS"):
            await world.signer.confirm_ds(seen=True)
        world.parent_works = True
        await world.until(world.everywhere)
        assert "stuck" not in world.signer.status().alarm_kinds

    live(world, story)
