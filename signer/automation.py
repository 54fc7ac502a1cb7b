"""One zone's keys as they go on by themselves: started, moved along, or held.

    examine ──▶ hold ──▶ examine …          what holds is gone, or a person has seen to it
        └─────▶ advance ──▶ look ──▶ advance …

What it decides is in `firststart` and `advance`; what it learns comes from the lookout.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor as ThreadExecutor
from typing import TypeVar

import attrs
import dns.name

from keystore.protocol import KeystoreError
from signer import goals, multisigner, tables
from signer.actions import Advance
from signer.adoption import Served
from signer.clock import Clock
from signer.config import SignConfig
from signer.evidence import Evidence
from signer.executor import Executor
from signer.firststart import Proceed, decide, half_imported
from signer.hold import Hold
from signer.keyring import KeyRing
from signer.keyset import KeySet, Role
from signer.lookout import Lookout
from signer.messengers import Messengers
from signer.multisigner import Others
from signer.observations import Observations
from signer.parent import ParentAnswer, Seen
from signer.policy import KeyLayout
from signer.served import seen_of_key
from signer.signing import announcements
from signer.state import StateDatabase
from signer.variants import Variants

T = TypeVar("T")
_log = logging.getLogger(__name__)


@attrs.define
class Automation:
    """Of one zone; its caller does one thing at a time. `held`: why it has stopped. `step` is
    the last one taken. Methods that touch the database raise StateError."""

    origin: dns.name.Name
    config: SignConfig
    database: StateDatabase
    clock: Clock
    executor: ThreadExecutor
    ring: KeyRing
    evidence: Evidence
    others: Others
    variants: Variants
    lookout: Lookout
    messengers: Messengers
    started: bool = attrs.field(init=False, default=False)
    copies: tuple[int, ...] = attrs.field(init=False, default=())
    held: Hold | None = attrs.field(init=False, default=None)
    step: Advance = attrs.field(init=False)
    _steps: Executor = attrs.field(init=False)
    _asked: tuple[KeySet | None, tuple[object, ...]] = attrs.field(init=False, default=(None, ()))

    def __attrs_post_init__(self) -> None:
        self.step = Advance(KeySet(self.origin), (), (), None)
        self._steps = Executor(self.ring, self.evidence, self.config.policy)

    async def _blocking(self, step: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.executor, step)

    @property
    def keyset(self) -> KeySet:
        return self.ring.keyset

    @property
    def parent_is_due(self) -> bool:
        return self.started and self.held is None and self.lookout.parent_is_due

    @property
    def meant_insecure(self) -> bool:
        return goals.insecure(self.keyset, self.config.policy)

    def asks(self) -> tuple[object, ...]:
        """What the keys ask of a version. Asked for often: key sets are values, so that what
        one asks for is computed once."""
        keyset = self.keyset
        if self._asked[0] is not keyset:
            denial = keyset.denial()
            wanted = (
                keyset.dnskeys(),
                [(key.fingerprint, duty) for key, duty in keyset.signers()],
                announcements(keyset, self.config.policy),
                None if denial is None else keyset.nsec3(self.config.policy),
            )
            self._asked = (keyset, wanted)
        return self._asked[1]

    # --- start, or hold -------------------------------------------------------------------

    async def examine(self, *, ask: bool) -> None:
        """Read keys, ask the parent and our servers, decide, and go on or hold."""
        lived = await self.evidence.lived()
        now = self.clock.wall()
        if ask:
            self.lookout.parent = await self.lookout.ask_parent()
            held = self.held is not None
            self.lookout.parent_asked(self.clock.boot(), self.keyset, self.step, held=held)
        try:
            await self.ring.load(self.config, lived, self.facts)
        except KeystoreError as error:
            await self._hold(Hold(f"{error.place}: {error.message}", error.remedy, now, False))
            return
        await self.read_others()
        if ask:
            await self.lookout.note_parent(self.keyset)
        served = self.variants.dnskeys() | await self.lookout.shown_elsewhere()
        decision = self._decide(served, now, self.copies)
        if not isinstance(decision, Hold) and await self._lacks_half():
            decision = half_imported(self.origin, [key.tag for key in self.keyset.keys], now)
        if isinstance(decision, Hold):
            await self._hold(decision)
            return
        await self._hold(None)
        await self.advance()

    def _decide(
        self, served: frozenset[bytes], now: int, copies: tuple[int, ...] = ()
    ) -> Proceed | Hold:
        ours, others = self.ring.ours(), self.others.known(self.keyset)
        return decide(self.origin, ours, served, self.lookout.parent, now, copies, others)

    async def _lacks_half(self) -> bool:
        """Whether one key was imported where two are to be, beside a live DS and before anything
        was signed here: caches may hold what the other has signed."""
        parent = self.lookout.parent
        return (
            self.config.policy.keys is KeyLayout.KSK_ZSK
            and {key.role for key in self.keyset.keys} == {Role.CSK}
            and isinstance(parent, Seen)
            and bool(parent.any)
            and not self.variants.bases
            and not await self.ring.has_signed()
        )

    def facts(self, dnskey: bytes) -> Served:
        """What is seen of a key that is new to the database."""
        return seen_of_key(self.origin, dnskey, self.variants.bases, self.lookout.parent)

    async def _hold(self, hold: Hold | None) -> None:
        old = self.held
        if hold is not None:
            self.lookout.was_held()
        if hold is not None and old is not None and old.reason == hold.reason:
            self.held = attrs.evolve(hold, since=old.since)
            return
        self.held = hold
        if hold is None and old is None:
            return
        action, line = ("hold", str(hold)) if hold is not None else ("resume", str(old))
        if hold is not None:
            _log.error("%s is held: %s", self.origin, line)
        else:
            _log.info("%s goes on: what held it is gone (%s)", self.origin, line)
        await self.database.run(
            lambda db: tables.audit(db, self.clock.wall(), self.origin, "manager", action, line)
        )

    # --- going on -------------------------------------------------------------------------

    async def look(self, says: ParentAnswer | None) -> None:
        """Take in what the parent says, if it was asked; ask servers if a step waits for them."""
        boot = self.clock.boot()
        if says is not None:
            self.lookout.parent = says
            await self.lookout.note_parent(self.keyset)
            held = self.held is not None
            self.lookout.parent_asked(boot, self.keyset, self.step, held=held)
            await self.reconsider()
        await self.lookout.look_at_servers(self.keyset, self.step)
        await self.lookout.acknowledge(self.keyset)

    async def reconsider(self) -> None:
        """Whether the zone is to be held now, with its keys as they are."""
        decision = self._decide(self.variants.dnskeys(), self.clock.wall())
        await self._hold(decision if isinstance(decision, Hold) else None)

    async def advance(self) -> None:
        """Take the steps that may be taken, unless the zone is held."""
        if self.held is not None:
            return
        await self._take_others()
        try:
            self.step = await self._steps.run(await self.observations())
        except KeystoreError as error:
            now = self.clock.wall()
            await self._hold(Hold(f"{error.place}: {error.message}", error.remedy, now, True))
            return
        self.lookout.step_taken(self.keyset, self.step)
        self.messengers.send(self.keyset, self.step, self.lookout.parent, self.variants)

    async def observations(self) -> Observations:
        """Everything that was seen."""
        return await self.evidence.gather(
            self.keyset,
            self.config.policy,
            island=self.lookout.island,
            dnskey_expires=self.variants.dnskey_expiration(),
        )

    async def read_others(self) -> None:
        """Read again which keys of other signers the zone is to show."""
        keyset = self.keyset
        if self.config.multi_signer is None:
            self.others.read(keyset)
        else:
            await self._blocking(lambda: self.others.read(keyset))

    async def _take_others(self) -> None:
        """Have the key set follow what is named; nothing moves by it yet."""
        keyset = self.others.taken(self.keyset)
        if keyset != self.keyset:
            lines = multisigner.changes(self.keyset, keyset)
            await self.ring.save(keyset, lines, action="multi-signer")
            for line in lines:
                _log.info("%s: %s", self.origin, line)
