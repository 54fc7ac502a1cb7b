"""Asks the parent, our servers and those of other signers, each as often as a step waits for
it, and has what they said last."""

import attrs
import dns.name

from signer import pauses
from signer.actions import OBSERVATION, Advance, ObserveServers
from signer.clock import Clock
from signer.config import SignConfig
from signer.evidence import Evidence
from signer.keyset import KeySet, RecordKind
from signer.multisigner import Others
from signer.observer import Nobody, ServersAnswer, ServersView, Shown
from signer.parent import NoParent, ParentAnswer, ParentView, Unknown
from signer.variants import Variants


@attrs.define
class Lookout:
    """Of one zone; its caller looks at one thing at a time. `parent` and `servers` are the last
    answers. Times are seconds of the boot clock: setting the wall clock back must not stop the
    asking. Methods that write down what was seen raise StateError."""

    origin: dns.name.Name
    config: SignConfig
    clock: Clock
    evidence: Evidence
    others: Others
    variants: Variants
    parent_view: ParentView
    servers_view: ServersView
    everybody_view: ServersView
    parent: ParentAnswer = attrs.field(init=False)
    servers: ServersAnswer = attrs.field(init=False, factory=Nobody)
    _next_parent: float = attrs.field(init=False, default=0.0)
    _last_parent: float = attrs.field(init=False, default=0.0)
    _next_servers: float = attrs.field(init=False, default=0.0)
    _next_everybody: float = attrs.field(init=False, default=0.0)

    def __attrs_post_init__(self) -> None:
        self.parent = NoParent() if self.config.parent.island else Unknown("not asked yet")

    # --- the parent -----------------------------------------------------------------------

    @property
    def has_parent(self) -> bool:
        return not isinstance(self.parent, NoParent)

    @property
    def island(self) -> bool:
        return self.config.parent.island or not self.has_parent

    @property
    def parent_is_due(self) -> bool:
        """Whether it is asked: where a step waits for it, and now and then anyway."""
        return self.has_parent and self.clock.boot() >= self._next_parent

    async def ask_parent(self) -> ParentAnswer:
        """What the parent's servers say now, for `parent` to become."""
        return await self.parent_view.ds(self.origin)

    async def note_parent(self, keyset: KeySet) -> None:
        """Write down what the parent said last."""
        watched = pauses.watched(self.config.policy)
        await self.evidence.parent(keyset, self.parent, watched)

    def parent_asked(self, at: float, keyset: KeySet, step: Advance, *, held: bool) -> None:
        """It was asked then; the next time is counted from it."""
        self._last_parent = at
        self._next_parent = at + self._parent_pause(keyset, step, held=held)

    def step_taken(self, keyset: KeySet, step: Advance) -> None:
        """What is waited for may have changed: then the next look is nearer."""
        soon = self._last_parent + self._parent_pause(keyset, step, held=False)
        self._next_parent = min(self._next_parent, soon)

    def was_held(self) -> None:
        """The zone is held until the parent says something else."""
        self._next_parent = self.clock.boot() + pauses.held(self.config.policy)

    def _parent_pause(self, keyset: KeySet, step: Advance, *, held: bool) -> float:
        policy = self.config.policy
        if held or isinstance(self.parent, Unknown):
            return pauses.held(policy)
        # While only time is waited for, the parent is looked at as at any other time; but for a
        # DS that may come to it yet.
        waiting = any(
            blocker.record is RecordKind.DS and blocker.who == OBSERVATION
            for blocker in step.blockers
        )
        late = any(
            record.partial
            for key in keyset.keys
            if (record := key.record(RecordKind.DS)) is not None
        )
        return pauses.parent(policy, waiting=waiting or late)

    # --- servers --------------------------------------------------------------------------

    async def shown_elsewhere(self) -> frozenset[bytes]:
        """The DNSKEY that our servers show, on disk here or not: more than we know where state
        was lost, or restored from before a rollover."""
        self.servers = await self.servers_view.look(self.origin, self.variants.published())
        shown = await self.servers_view.own(self.origin)
        if isinstance(self.servers, Shown):
            shown |= self.servers.anywhere
        return shown

    async def look_at_servers(self, keyset: KeySet, step: Advance) -> None:
        """Ask those that a step waits for, as often as they are asked."""
        policy, boot = self.config.policy, self.clock.boot()
        if boot >= self._next_servers and step.wants(ObserveServers):
            self.servers = await self.servers_view.look(self.origin, self.variants.published())
            self._next_servers = boot + pauses.servers(policy)
            if isinstance(self.servers, Shown):
                await self.evidence.servers(keyset, policy, self.servers, self.variants.names)
        if boot >= self._next_everybody and self.others.awaited(keyset):
            answer = await self.everybody_view.look(self.origin, self.variants.published())
            self._next_everybody = boot + pauses.servers(policy)
            if isinstance(answer, Shown):
                await self.evidence.shared(keyset, answer)

    async def acknowledge(self, keyset: KeySet) -> None:
        """What our own server has taken counts where nobody else is asked."""
        if isinstance(self.servers, Nobody):
            taken = self.variants.taken()
            await self.evidence.acknowledged(keyset, self.config.policy, taken)

    # --- when -----------------------------------------------------------------------------

    def dues(self, keyset: KeySet, step: Advance, *, held: bool) -> list[float]:
        """When to look again, of a zone that has started."""
        due = [self._next_parent] if held or self.has_parent else []
        if held:
            return due
        if not isinstance(self.servers, Nobody) and step.wants(ObserveServers):
            due.append(self._next_servers)
        if self.others.awaited(keyset):
            due.append(self._next_everybody)
        return due
