"""The DS at the registrar: each fault leaves nothing lost, nothing doubled, and is said."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import dns.name
import pytest
from fakeregistrar import BY_ID, FakeRegistrar

from registrars.protocol import Deletes, Entry
from signer import tables
from signer.courier import Courier
from signer.delivery import Wanted
from signer.state import StateDatabase

ZONE = dns.name.from_text("example.org.")
HOUR = 3600


@attrs.define
class Clock:
    now: float = 1_800_000_000.0

    def wall(self) -> int:
        return int(self.now)

    def boot(self) -> float:
        return self.now - 1_700_000_000

    def boot_id(self) -> str:
        return "one"

    def synchronised(self) -> bool:
        return True


def key(number: int) -> Entry:
    return Entry.of_dnskey(ZONE, bytes((1, 1, 3, 13)) + bytes([number]) * 64)


OLD, NEW = key(1), key(2)
FIRST = Wanted((OLD,), (OLD,), (), (OLD,), insecure=False)
BOTH = Wanted((OLD, NEW), (OLD, NEW), (OLD,), (OLD, NEW), insecure=False)
END = Wanted((NEW,), (OLD, NEW), (OLD, NEW), (NEW,), insecure=False)
NONE = Wanted((), (OLD, NEW), (NEW,), (NEW,), insecure=True)


@attrs.define
class Office:
    """A courier and its surroundings; `again` is the manager after a crash."""

    database: StateDatabase
    pool: ThreadPoolExecutor
    registrar: FakeRegistrar = attrs.field(factory=FakeRegistrar)
    clock: Clock = attrs.field(factory=Clock)
    courier: Courier = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.again()

    def again(self) -> None:
        self.courier = Courier(ZONE, self.registrar, self.database, self.clock, self.pool)

    async def carry(self, wanted: Wanted, rounds: int = 1) -> None:
        """As often as it asks to be called, as the alarm clock does."""
        for _ in range(rounds):
            self.courier.carry(wanted)
            await self.courier.close()
            due = self.courier.due()
            assert due is not None
            self.clock.now += max(0.0, due - self.clock.boot())

    @property
    def tags(self) -> list[int]:
        return [one.tag for one in self.registrar.has]

    @property
    def state(self) -> str:
        return self.courier.delivery.state

    def trail(self) -> list[str]:
        entries = self.database.run_blocking(lambda db: tables.audit_log(db, ZONE))
        return [entry.detail for entry in entries]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with ThreadPoolExecutor(1) as pool:
        database = StateDatabase(tmp_path / "state.db")
        yield Office(database, pool)
        database.close()


def scenario(story: Callable[[Office], Awaitable[None]]) -> Callable[[Office], None]:
    def run(office: Office) -> None:
        asyncio.run(story(office))

    run.__name__ = story.__name__
    run.__doc__ = story.__doc__
    return run


@scenario
async def test_a_rollover_adds_and_then_takes_away(office: Office) -> None:
    await office.carry(FIRST)
    await office.carry(BOTH)
    assert office.tags == [OLD.tag, NEW.tag]
    await office.carry(END)
    assert office.tags == [NEW.tag]
    assert office.state == "done"
    office.courier.carry(None)
    assert (office.state, office.courier.due()) == ("idle", None)
    assert office.registrar.writes == 3
    assert office.trail() == [
        f"fake: add {OLD.tag}: begin",
        f"fake: add {OLD.tag}: accepted",
        f"fake: add {NEW.tag}: begin",
        f"fake: add {NEW.tag}: accepted",
        f"fake: remove {OLD.tag}: begin",
        f"fake: remove {OLD.tag}: accepted",
    ]


@scenario
async def test_what_is_done_is_only_compared_again(office: Office) -> None:
    await office.carry(FIRST, 4)
    assert office.registrar.calls == ["list", "apply", "list", "list", "list"]
    assert office.registrar.writes == 1


@scenario
async def test_going_insecure_takes_the_last_one_away(office: Office) -> None:
    office.registrar.has = [attrs.evolve(NEW, id="id-7")]
    await office.carry(NONE)
    assert office.tags == []


@pytest.mark.parametrize("fault", ["timeout", "late", "half"])
def test_whatever_was_done_of_a_call_that_failed_is_completed_once(
    office: Office, fault: str
) -> None:
    async def story() -> None:
        await office.carry(FIRST)
        office.registrar.faults.extend(["", fault])
        await office.carry(BOTH)
        assert office.state == "failing"
        assert "no answer within 20 s" in office.courier.delivery.text
        await office.carry(BOTH)
        assert office.tags == [OLD.tag, NEW.tag]
        assert office.registrar.writes == 2
        assert office.state == "done"

    asyncio.run(story())


@scenario
async def test_a_registrar_that_is_down_is_asked_ever_more_seldom(office: Office) -> None:
    office.registrar.faults.extend(["timeout"] * 12)
    times = []
    for _ in range(12):
        times.append(office.clock.now)
        await office.carry(FIRST)
    waits = [int(later - now) for now, later in itertools.pairwise(times)]
    assert waits[:4] == [15, 30, 60, 120]
    assert waits[-1] == HOUR
    assert office.courier.delivery.since == int(times[0])
    await office.carry(FIRST)
    assert office.tags == [OLD.tag]


@scenario
async def test_a_registrar_that_lies_is_found_out_by_the_next_comparison(office: Office) -> None:
    office.registrar.faults.extend(["", "lie"])
    await office.carry(FIRST)
    assert (office.state, office.tags) == ("done", [])
    await office.carry(FIRST)
    assert office.tags == [OLD.tag]


@scenario
async def test_a_refusal_is_said_and_tried_again_later(office: Office) -> None:
    office.registrar.faults.extend(["", "refuse"])
    await office.carry(FIRST)
    assert office.state == "refused"
    assert "the domain is locked" in office.courier.delivery.text
    await office.carry(FIRST)
    assert office.tags == [OLD.tag]


@scenario
async def test_an_operation_is_asked_after_until_it_ends(office: Office) -> None:
    office.registrar.slow = 3
    await office.carry(FIRST, 3)
    assert office.state == "pending"
    await office.carry(FIRST)
    assert office.tags == [OLD.tag]
    assert office.registrar.calls.count("apply") == 1


@scenario
async def test_a_start_asks_after_what_was_begun_before_it(office: Office) -> None:
    office.registrar.slow = 2
    await office.carry(FIRST)
    office.again()
    await office.carry(FIRST, 2)
    assert office.tags == [OLD.tag]
    assert office.registrar.calls.count("apply") == 1


@scenario
async def test_an_operation_that_is_refused_later_is_begun_anew(office: Office) -> None:
    office.registrar.slow = 2
    office.registrar.faults.extend(["", "", "refuse"])
    await office.carry(FIRST, 2)
    assert office.state == "refused"
    await office.carry(FIRST, 3)
    assert office.tags == [OLD.tag]
    assert office.registrar.calls.count("apply") == 2


@scenario
async def test_a_wish_that_changes_meanwhile_waits_for_what_is_under_way(office: Office) -> None:
    office.registrar.slow = 2
    await office.carry(FIRST)
    await office.carry(BOTH, 4)
    assert office.tags == [OLD.tag, NEW.tag]


@scenario
async def test_what_would_leave_no_ds_that_works_is_not_done(office: Office) -> None:
    """The registrar has lost the new DS, and the old one is to go."""
    office.registrar.has = [attrs.evolve(OLD, id="id-7")]
    await office.carry(END)
    assert office.state == "forbidden"
    assert "none that works" in office.courier.delivery.text
    assert office.tags == [OLD.tag]
    assert office.registrar.writes == 0


@scenario
async def test_the_ds_of_nobodys_key_here_is_left_alone(office: Office) -> None:
    office.registrar.has = [attrs.evolve(key(9), id="id-9"), attrs.evolve(OLD, id="id-1")]
    await office.carry(BOTH)
    await office.carry(END)
    assert office.tags == [key(9).tag, NEW.tag]


@scenario
async def test_a_registrar_that_lists_nothing_is_told_each_change_once(office: Office) -> None:
    office.registrar.capabilities = attrs.evolve(BY_ID, lists=False, deletes=Deletes.VALUE)
    await office.carry(FIRST, 2)
    await office.carry(BOTH, 2)
    await office.carry(END, 2)
    assert office.tags == [NEW.tag]
    assert office.registrar.calls == ["apply"] * 3


@scenario
async def test_a_driver_with_a_bug_stops_nothing(office: Office) -> None:
    office.registrar.has = None  # type: ignore[assignment]
    await office.carry(FIRST)
    assert office.state == "failing"
    assert "the driver failed" in office.courier.delivery.text


@scenario
async def test_two_managers_at_once_end_with_what_both_want(office: Office) -> None:
    """The second one took over after the first had listed."""
    other = Courier(ZONE, office.registrar, office.database, office.clock, office.pool)
    office.courier.carry(FIRST)
    other.carry(FIRST)
    await asyncio.gather(office.courier.close(), other.close())
    await office.carry(FIRST)
    assert office.tags == [OLD.tag]
