"""A zone that several sign (RFC 8901, model 2) goes from one signer to another without a bogus
moment; what may not be shown beside a key changes nothing."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dns.name
import pytest
from rollworld import BLOCK, DS_TTL, ORIGIN, WIRE, WorldClock
from severalsigners import CDNSKEY, CDS, DNSKEY, SOA, TEXT, Signer, World, dnskey, piece, text

import engine
from keystore.dnskey import key_tag
from keystore.files import FileKeyStore
from signer.config import MultiSigner, SignConfig
from signer.ds import ds_rdata
from signer.keyset import Role
from signer.operations import OperationError
from signer.outcome import Outcome, Published, Refused
from signer.parent import NoParent, ParentAnswer
from signer.policy import DAY, HOUR, KeyLayout, Policy
from signer.requests import GoInsecure, Roll
from signer.service import ZoneSigner
from signer.state import StateDatabase


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.mark.parametrize("layout", list(KeyLayout))
def test_a_zone_goes_from_one_signer_to_another_and_no_mix_of_their_answers_is_bogus(
    layout: KeyLayout, tmp_path: Path, executor: ThreadPoolExecutor
) -> None:
    policy = Policy(keys=layout, max_zone_ttl=HOUR)

    async def story() -> None:
        world = World(executor)
        first = Signer(tmp_path / "first", world, policy)
        world.signers.append(first)
        first.published = True
        await first.start()
        await world.settle()
        assert len(world.ds) == 1

        # The second signs beside it, with nothing but the first's keys to go by: not held.
        second = Signer(tmp_path / "second", world, policy)
        await second.start(*first.own_keys())
        world.signers.append(second)
        assert set(first.own_keys()) < second.dnskeys()
        assert not second.rdatas(CDS)
        assert not [kind for kind in second.signer.status().alarm_kinds if kind == "ds-mismatch"]
        await world.run(6 * HOUR)
        waits = [wait.evidence for wait in second.signer.status().waits]
        assert any("the other signers' servers don't all show it" in wait for wait in waits)

        # The first shows the second's keys; its CDS names both, and the parent follows.
        first.name_others(*second.own_keys())
        await first.reload()
        assert set(second.own_keys()) < first.dnskeys()
        await world.settle()
        assert len(world.ds) == 2
        assert first.rdatas(CDS) == second.rdatas(CDS) == world.ds
        assert first.rdatas(CDNSKEY) == second.rdatas(CDNSKEY)
        assert {entry.ds for entry in first.signer.wanted_ds().entries} == world.ds
        assert [*map(frozenset, (first.signer.ds_records(), second.signer.ds_records()))] == (
            [world.ds] * 2
        )
        rows = [(row.tag, row.role) for row in second.signer.key_rows() if row.role == "foreign"]
        assert sorted(rows) == sorted((key_tag(key), "foreign") for key in first.own_keys())

        # Now both answer.
        second.published = True
        await world.run(2 * DAY)
        with pytest.raises(OperationError, match="has other signers"):
            await second.signer.request(GoInsecure())
        await second.restart()

        # A zone key of one is used once the other shows it, however long that takes.
        role = Role.CSK if layout is KeyLayout.CSK else Role.ZSK
        old = set(first.own_keys(role))
        await first.signer.request(Roll(frozenset({role})))
        await world.run(5 * DAY)
        assert old < set(first.own_keys(role))
        assert first.zone is not None
        (signature,) = piece(first.zone, WIRE, SOA).signatures
        assert int.from_bytes(signature[16:18]) in map(key_tag, old)
        for _ in range(400):
            await second.copy_from(first)
            if not old & set(first.own_keys(role)) and first.settled():
                break
            await world.step()
        await world.settle()
        assert not old & (first.dnskeys() | second.dnskeys())

        # The first leaves: no longer asked, then forgotten.
        first.published = False
        await world.run(DS_TTL)
        second.name_others()
        await second.reload()
        world.signers.remove(first)
        await world.settle()
        await world.run(5 * HOUR)
        assert second.dnskeys() == set(second.own_keys())
        assert len(world.ds) == 1
        assert world.ds == second.rdatas(CDS)
        assert not second.signer.keyset.foreign
        assert not second.signer.status().alarms
        assert world.mixes > 1000

    asyncio.run(asyncio.wait_for(story(), 300))


def test_a_key_used_before_the_others_show_it_is_bogus_in_this_world(
    tmp_path: Path, executor: ThreadPoolExecutor
) -> None:
    """The check itself is checked: without that wait it finds the mix."""

    async def story() -> None:
        policy = Policy(keys=KeyLayout.KSK_ZSK, max_zone_ttl=HOUR)
        world = World(executor)
        first, second = (Signer(tmp_path / name, world, policy) for name in ("first", "second"))
        world.signers.append(first)
        first.published = True
        await first.start()
        await world.settle()
        await second.start(*first.own_keys())
        world.signers.append(second)
        first.name_others(*second.own_keys())
        await first.reload()
        await world.settle()
        second.published = True
        first.name_others()
        await first.reload()
        with pytest.raises(AssertionError, match="signed by"):
            await world.settle()

    asyncio.run(asyncio.wait_for(story(), 120))


@pytest.mark.parametrize(
    ("scenario", "at_parent", "others", "held"),
    [
        ("the other signer's DS alone", (1,), (1,), None),
        ("a DS of nobody that is named", (1, 5), (1,), "there is no key here"),
        ("nobody named", (1,), (), "there is no key here"),
    ],
)
def test_a_first_start_beside_another_signers_ds(
    scenario: str,
    at_parent: tuple[int, ...],
    others: tuple[int, ...],
    held: str | None,
    tmp_path: Path,
    executor: ThreadPoolExecutor,
) -> None:
    async def story() -> None:
        world = World(executor, ds=frozenset(ds_rdata(ORIGIN, dnskey(one)) for one in at_parent))
        signer = Signer(tmp_path / "own", world, Policy())
        if held is None:
            await signer.start(*map(dnskey, others))
            assert set(map(dnskey, others)) < signer.dnskeys()
        else:
            with pytest.raises(AssertionError, match=held):
                await signer.start(*map(dnskey, others))

    asyncio.run(asyncio.wait_for(story(), 60))


def test_keys_that_are_refused_change_nothing_and_are_an_alarm(
    tmp_path: Path, executor: ThreadPoolExecutor
) -> None:
    async def story() -> None:
        world = World(executor)
        signer = Signer(tmp_path / "own", world, Policy())
        signer.published = True
        await signer.start(dnskey(1))
        assert dnskey(1) in signer.dnskeys()
        signer.name_others(dnskey(1), dnskey(2, algorithm=15))
        await signer.reload()
        (row,) = [row for row in signer.signer.key_rows() if row.role == "foreign"]
        assert row.tag == key_tag(dnskey(1))
        status = signer.signer.status()
        assert "foreign-keys" in status.alarm_kinds
        assert any("RFC 8901 section 4" in alarm for alarm in status.alarms)
        signer.file.unlink()
        await signer.reload()
        assert dnskey(1) in signer.dnskeys()
        assert any("put it back" in alarm for alarm in signer.signer.status().alarms)

    asyncio.run(asyncio.wait_for(story(), 60))


def test_keys_in_the_source_count_with_multi_signer_alone(
    tmp_path: Path, executor: ThreadPoolExecutor
) -> None:
    async def story() -> None:
        class Island:
            async def ds(self, zone: dns.name.Name) -> ParentAnswer:
                return NoParent()

        database = StateDatabase(tmp_path / "state.db")
        store = FileKeyStore(
            tmp_path / "keys", lambda: bytearray(b"x"), memory_kib=64, iterations=1, lanes=1
        )
        zone: engine.Zone | None = None

        async def start(config: SignConfig, *keys: bytes) -> tuple[ZoneSigner, Outcome]:
            nonlocal zone
            signer = ZoneSigner(ORIGIN, config, store, database, WorldClock(), Island(), executor)
            read = engine.scan_text((TEXT + text(*keys)).encode(), WIRE)
            base = None if zone is None else zone.source()
            changes = engine.source_changes(base, read.source(keep_dnskey=True))
            sources = {BLOCK: frozenset(keys)} if config.multi_signer else None
            await signer.start({} if zone is None else {BLOCK: zone}, (), sources)
            assert signer.held is None
            outcome = await signer.sign(
                BLOCK, zone, changes, "all", source_serial=1, dnskeys=frozenset(keys)
            )
            if isinstance(outcome, Published):
                zone = outcome.zone
            return signer, outcome

        plain, shared = SignConfig(), SignConfig(multi_signer=MultiSigner())
        _, outcome = await start(plain, dnskey(1))
        assert isinstance(outcome, Refused)
        assert "multi-signer" in outcome.lines[0]
        signer, outcome = await start(shared, dnskey(1))
        assert isinstance(outcome, Published)
        found = outcome.zone.rrset(WIRE, DNSKEY)
        assert found is not None
        assert dnskey(1) in found.rdatas
        assert [key.dnskey for key in signer.keyset.foreign] == [dnskey(1)]
        _, outcome = await start(shared, dnskey(1), dnskey(2, 256, 15))
        assert isinstance(outcome, Refused)
        assert "RFC 8901 section 4" in outcome.lines[0]
        signer, outcome = await start(shared)
        assert isinstance(outcome, Published)
        found = outcome.zone.rrset(WIRE, DNSKEY)
        assert found is not None
        assert dnskey(1) not in found.rdatas

    asyncio.run(asyncio.wait_for(story(), 60))
