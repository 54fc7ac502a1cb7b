"""The whole product between a signed parent and validating resolvers, while keys roll."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

import dns.exception
import dns.name
import dns.rdatatype
import dns.rdtypes.ANY.DS
import msgspec
from house import House
from liveblock import TTL
from parentzone import PARENT
from validator import Validator
from watcher import KINDS, ZONE, Expectations, Watcher, Wrong

from signer.status import KeyStatus, ZoneStatus
from zoneward.api import Status, ZoneKeys
from zoneward.client import AdminClient
from zoneward.refusal import Refusal

# A rollover takes some half a minute; a machine that is busy gets its time.
PATIENCE = 120


class Parent(Protocol):
    """Who has the zone's DS."""

    def ds(self) -> frozenset[dns.rdtypes.ANY.DS.DS]: ...


class Scene:
    """`start` and `begin` bring it to the point where every answer is authenticated. Then comes
    the scenario, `conclude` and `end`."""

    parent: Parent
    # How many answers of each kind are to be seen in each phase of a rollover.
    answers = 100
    # In seconds: between two looks at how far it is, two looks at what status says, and at most
    # between two edits in a rollover.
    look, read, edit_within = 0.2, 0.5, 0.8

    def __init__(self, house: House, name: str) -> None:
        self.house = house
        self.zone = f"{name}.{PARENT.to_text(omit_final_dot=True)}"
        self.origin = dns.name.from_text(self.zone)
        self.expects = Expectations()
        self.edits = 0
        self.story: list[str] = []
        self.alarms: Counter[str] = Counter()
        self.untrue: list[str] = []
        self.watchers: list[Watcher] = []
        self.resolvers: list[Validator] = []
        self._random = random.Random(name)
        self._began = time.time()
        self._stop = threading.Event()
        self._telling = threading.Thread(target=self._tell, daemon=True)
        self._ends = ExitStack()

    @property
    def file(self) -> str:
        return f"db.{self.zone}"

    def watched_by(self, resolvers: Sequence[Validator], pause: float) -> None:
        """Zoneward runs. Those who ask are as slow as `pause`; the first forgets nothing."""
        self.client = AdminClient(self.house.directory / "state/run/admin.sock", patience=10)
        self._ends.callback(self.client.close)
        self.resolvers = list(resolvers)
        for number, resolver in enumerate(resolvers):
            watcher = Watcher(self.zone, resolver, self.expects, forgetful=number > 0, pause=pause)
            self.watchers.append(watcher)

    # --- what is done to it ---------------------------------------------------------------

    def edit(self) -> None:
        """The zone's owner changes it."""
        self.edits += 1
        text = ZONE.format(ttl=TTL, serial=self.edits, address=self.house.address)
        self.house.write(self.file, text)

    def roll(self, *how: str) -> None:
        done = self.house.command("keys", "roll", self.zone, *how, "--yes")
        assert done.returncode == 0, done.stderr
        self.note("asked", done.stdout)

    def begin(self) -> None:
        """First keys, first DS; until answers are authenticated and seen to be so."""
        self._telling.start()
        for watcher in self.watchers:
            watcher.start()
        self.anchored()
        self.enough("before")

    def anchored(self) -> None:
        """Wait until a DS is omnipresent: from here on nothing may be less than authenticated."""
        self.wait(
            lambda: any(_state(key, "DS") == "omnipresent" for key in self.keys()),
            "a DS in every cache",
        )
        # What a resolver took for insecure, as long as it knew of no DS, it gives as insecure until
        # its own TTL ends.
        known = time.monotonic() + TTL + 2
        self.wait(lambda: time.monotonic() > known, "the end of answers of before the DS")
        self.expects.authenticated = True
        self.note("from here on", "every answer is to be authenticated")

    def enough(self, phase: str) -> None:
        """Wait until each kind of answer was seen often in a phase."""
        self.expects.phase = phase
        self.wait(
            lambda: all(self.asked(phase, kind) >= self.answers for kind in KINDS),
            f"{self.answers} answers of each kind {phase}",
        )

    @contextmanager
    def rolling(self, phase: str = "during") -> Iterator[list[KeyStatus]]:
        """A rollover from its beginning to its end, with an edit of the zone meanwhile. Gives the
        keys of before."""
        self.expects.phase = phase
        self.note("phase", phase)
        before = self.keys()
        yield before
        self.settle()
        self.enough(phase)
        self.note("phase", f"{phase}: over")

    def settle(self) -> None:
        """Wait until nothing waits any more. Meanwhile the zone is edited at odd moments: a
        version may be made between any two steps."""
        edit_at = time.monotonic()

        def settled() -> bool:
            nonlocal edit_at
            if time.monotonic() > edit_at:
                self.edit()
                edit_at = time.monotonic() + self._random.uniform(0, self.edit_within)
            return self._settled()

        self.wait(settled, "the end of the rollover")
        self.wait(self._is_served, "the last edit")

    def wait(self, question: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not question():
            assert time.monotonic() < deadline, f"not in {PATIENCE} s: {what}\n{self.told()}"
            self.refuse_wrong()
            time.sleep(self.look)

    # --- what is seen of it ---------------------------------------------------------------

    def keys(self) -> list[KeyStatus]:
        found = self.client.get("/keys", list[ZoneKeys], zone=self.zone)
        return list(found[0].keys)

    def status(self) -> ZoneStatus:
        found = self.client.get("/status", Status, zone=self.zone).zones[0].signing
        assert found is not None
        return found

    def _settled(self) -> bool:
        status = self.status()
        at_rest = status.state in ("signed", "insecure") and not status.waits
        return at_rest and all(
            record.state in ("hidden", "omnipresent")
            for key in status.keys
            for record in key.records
        )

    def _is_served(self) -> bool:
        return self.house.answer(f"edited.{self.zone}", "TXT") == [f'"{self.edits}"']

    def signatures_made(self) -> int:
        return sum(one.signatures_made for one in self.status().variants)

    def asked(self, phase: str, kind: str) -> int:
        return sum(watcher.asked[phase, kind] for watcher in self.watchers)

    def wrong(self) -> list[Wrong]:
        return [one for watcher in self.watchers for one in watcher.wrong]

    def refuse_wrong(self) -> None:
        for watcher in self.watchers:
            assert watcher.fault is None, f"{watcher.fault!r}\n{self.told()}"
        assert not self.untrue, "\n".join([*self.untrue[:20], self.told()])
        wrong = self.wrong()
        assert not wrong, "\n".join([*map(str, wrong[:20]), self.told()])

    def note(self, what: str, text: str) -> None:
        for line in text.splitlines():
            self.story.append(f"{time.time() - self._began:6.2f} {what}: {line}")

    def _tell(self) -> None:
        """What `zoneward status` says all the while, each time that it says something else."""
        last: tuple[str, ...] = ()
        while not self._stop.wait(self.read):
            try:
                status = self.status()
                self._compare(status)
            except (Refusal, OSError, dns.exception.DNSException):
                continue
            self.alarms.update(status.alarms)
            waits = [(wait.what, wait.evidence.partition("; ")[0]) for wait in status.waits]
            said = (
                f"{status.state}: " + " ".join(f"{key.tag}={_letters(key)}" for key in status.keys),
                *(f"waits for {what}: {evidence}" for what, evidence in waits),
                *(f"to do: {line}" for line in status.todo),
                *(f"alarm: {line}" for line in status.alarms),
                *((f"hold: {status.hold.reason}",) if status.hold else ()),
            )
            if said != last:
                self.note("status", "\n".join(line for line in said if line not in last))
                last = said

    def _compare(self, status: ZoneStatus) -> None:
        """What is said to be in all versions, or in none, is so, in what was not edited."""
        signed = [set(self._signers(name, rtype)) for name, rtype in _UNTOUCHED]
        after = self.status()
        for now in _said_of_signatures(status) & _said_of_signatures(after):
            tag, there = now
            if any((tag in tags) is not there for tags in signed):
                said = "in every version" if there else "gone"
                self.untrue.append(f"signatures of {tag} are said to be {said}: {signed}")

    def _signers(self, name: str, rtype: str) -> Iterator[int]:
        reply = self.house.ask(f"{name}.{self.zone}", rtype)
        for rrset in reply.answer:
            if rrset.rdtype == dns.rdatatype.RRSIG:
                yield from (signature.key_tag for signature in rrset)

    def moves_told(self) -> list[str]:
        """When the DS was changed, and by whom."""
        raise NotImplementedError

    def told(self) -> str:
        """For a person who has to find out what went wrong."""
        parts = [
            *self.story[-60:],
            *self.moves_told(),
            *(line for one in self.resolvers for line in one.complaints()[-10:]),
            self.house.log[-4000:],
        ]
        return "\n".join(parts)

    # --- its end --------------------------------------------------------------------------

    def conclude(self, *phases: str) -> None:
        """Nothing was wrong at any moment, enough was asked in each phase, and at rest nothing
        is signed."""
        made, serial = self.signatures_made(), self.house.serial(self.zone)
        self.enough("after")
        assert (self.signatures_made(), self.house.serial(self.zone)) == (made, serial)
        for phase in ("before", *phases, "after"):
            for kind in KINDS:
                assert self.asked(phase, kind) >= self.answers
        self.refuse_wrong()
        assert sum(one.rcodes["SERVFAIL"] for one in self.watchers) == 0
        assert not self.alarms, self.alarms
        assert all(watcher.authenticated for watcher in self.watchers)
        assert any(watcher.forgotten for watcher in self.watchers)
        print(self.figures())

    def figures(self) -> str:
        asked = sum(sum(one.asked.values()) for one in self.watchers)
        authenticated = sum(one.authenticated for one in self.watchers)
        return (
            f"{self.zone}: {time.time() - self._began:.0f} s, {asked} answers, "
            f"{authenticated} of them authenticated, {len(self.wrong())} wrong; "
            f"{len(self.moves_told())} changes of DS, {self.edits} edits, serial "
            f"{self.house.serial(self.zone)}, {self.signatures_made()} signatures made; "
            f"caches emptied {sum(one.forgotten for one in self.watchers)} times"
        )

    def end(self) -> None:
        self._stop.set()
        if self._telling.is_alive():
            self._telling.join(20)
        for watcher in self.watchers:
            watcher.end()
        self._ends.close()
        (self.house.directory / f"story.{self.zone}").write_text("\n".join([*self.story, ""]))


# Of the zone's data: what no edit touches.
_UNTOUCHED = (("www", "A"), ("a.b.c", "TXT"), ("alias", "CNAME"))


def _said_of_signatures(status: ZoneStatus) -> set[tuple[int, bool]]:
    """By key tag, whether the zone's data is said to have its signatures everywhere by now (True)
    or nowhere any more (False)."""
    found = set()
    for key in status.keys:
        state = _state(key, "ZRRSIG")
        if state in ("omnipresent", "hidden"):
            found.add((key.tag, state == "omnipresent"))
        for to, there in (("omnipresent", True), ("hidden", False)):
            what = f"ZRRSIG of {key.role} {key.tag} to be {to}"
            if any(wait.what == what and wait.who == "time" for wait in status.waits):
                found.add((key.tag, there))
    return found


def _state(key: KeyStatus, record: str) -> str | None:
    return next((one.state for one in key.records if one.record == record), None)


def _letters(key: KeyStatus) -> str:
    return "".join(one.state[0].upper() for one in key.records)


def in_use(keys: list[KeyStatus]) -> list[KeyStatus]:
    """Those of which every record is in every cache."""
    return [key for key in keys if all(one.state == "omnipresent" for one in key.records)]


def out_of_use(keys: list[KeyStatus]) -> list[KeyStatus]:
    """Those of which no cache has a record."""
    return [key for key in keys if all(one.state == "hidden" for one in key.records)]


def keys_are(scene: Scene, new: set[tuple[str, str]], old: list[KeyStatus]) -> None:
    """In use are new keys of these roles and algorithms; the old ones, of which the others were
    in use before, are out of use everywhere: in the zone, at the parent, and for a person."""
    keys = scene.keys()
    used = {key.fingerprint for key in in_use(keys)}
    gone = {key.fingerprint for key in out_of_use(keys)}
    assert {(key.role, key.algorithm) for key in in_use(keys)} == new
    assert {key.fingerprint for key in old} == gone
    assert used | gone == {key.fingerprint for key in keys}
    (listed,) = shown(scene, "keys", "list")
    assert {key["fingerprint"] for key in listed["keys"] if key["signing"]} == used
    (row,) = shown(scene, "status")["zones"]
    assert (row["signing"]["state"], row["signing"]["waits"], row["signing"]["todo"]) == (
        "signed",
        [],
        [],
    )
    tags = {key.tag for key in in_use(keys)}
    assert {ds.key_tag for ds in scene.parent.ds()} <= tags
    assert len(scene.house.answer(scene.zone, "DNSKEY")) == len(tags)


def goes_insecure_and_comes_back(scene: Scene) -> None:
    """In between nothing of it is signed, and nobody says that it is."""
    with scene.rolling("going"):
        scene.expects.authenticated = None
        scene.roll("--insecure")
    assert scene.status().state == "insecure"
    assert not scene.parent.ds()
    assert not scene.house.answer(scene.zone, "DNSKEY")
    scene.expects.authenticated = False
    scene.enough("insecure")
    with scene.rolling("coming back"):
        scene.expects.authenticated = None
        scene.roll("--secure")
        scene.anchored()
    assert [key.role for key in in_use(scene.keys())] == ["CSK"]
    assert scene.status().state == "signed"


def shown(scene: Scene, *command: str) -> Any:
    """A command's JSON, as a person's script would read it."""
    done = scene.house.command(*command, scene.zone, "--json")
    assert done.returncode == 0, done.stderr
    return msgspec.json.decode(done.stdout)
