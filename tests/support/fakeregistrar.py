"""A registrar whose faults a scenario chooses: no real one can be had. It is strict about what
it is asked, keeps one DS RRset a zone, and may fail, half-apply, be late, refuse or lie."""

from collections import deque

import attrs
import dns.name

from registrars.plan import same
from registrars.protocol import (
    Capabilities,
    Deletes,
    Entry,
    Plan,
    Progress,
    Receipt,
    RegistrarError,
    Wants,
)

BY_ID = Capabilities(Wants.DS, deletes=Deletes.ID, lists=True, automatic=True)


def down(what: str = "no answer within 20 s") -> RegistrarError:
    return RegistrarError("fake", what, "wait", passing=True)


@attrs.define
class FakeRegistrar:
    """`faults` are used up one a call: "timeout" (nothing done), "late" (done, and told as a
    time-out), "half" (only the first change is done, told as a time-out), "refuse", "lie"
    (accepted, and nothing done), "" (as it should be). With `slow` a change is pending for so
    many polls. `writes` counts what was changed."""

    capabilities: Capabilities = BY_ID
    slow: int = 0
    name: str = "fake"
    has: list[Entry] = attrs.field(factory=list)
    faults: deque[str] = attrs.field(factory=deque)
    calls: list[str] = attrs.field(factory=list)
    writes: int = 0
    pending: dict[str, tuple[int, Plan]] = attrs.field(factory=dict)
    _ids: int = 0

    def _fault(self, call: str) -> str:
        self.calls.append(call)
        return self.faults.popleft() if self.faults else ""

    def list(self, zone: dns.name.Name) -> tuple[Entry, ...]:
        if self._fault("list") == "timeout":
            raise down()
        return tuple(attrs.evolve(one, dnskey=None) for one in self.has)

    def apply(self, plan: Plan) -> Receipt:
        assert plan, "asked to do nothing"
        fault = self._fault("apply")
        if fault == "timeout":
            raise down()
        if fault == "refuse":
            return Receipt(Progress.REFUSED, "the domain is locked")
        if fault == "lie":
            return Receipt(Progress.ACCEPTED, "done")
        if fault == "half":
            self._do(attrs.evolve(plan, remove=()) if plan.add else plan)
            raise down()
        if self.slow:
            self._ids += 1
            self.pending[f"op-{self._ids}"] = (self.slow, plan)
            return Receipt(Progress.PENDING, "queued", f"op-{self._ids}")
        self._do(plan)
        if fault == "late":
            raise down()
        return Receipt(Progress.ACCEPTED, "done")

    def poll(self, zone: dns.name.Name, reference: str) -> Receipt:
        fault = self._fault("poll")
        if fault == "timeout":
            raise down()
        left, plan = self.pending[reference]
        if fault == "refuse":
            del self.pending[reference]
            return Receipt(Progress.REFUSED, "the registry said no", reference)
        if left > 1:
            self.pending[reference] = (left - 1, plan)
            return Receipt(Progress.PENDING, "still queued", reference)
        if left == 1:
            self.pending[reference] = (0, plan)
            self._do(plan)
        return Receipt(Progress.ACCEPTED, "done", reference)

    def _do(self, plan: Plan) -> None:
        for entry in plan.add:
            if not any(same(entry, other) for other in self.has):
                self._ids += 1
                self.has.append(attrs.evolve(entry, id=f"id-{self._ids}"))
                self.writes += 1
        for entry in plan.remove:
            if self.capabilities.lists:
                assert entry.id, "removed without the registrar's own id"
            left = [one for one in self.has if one.ds != entry.ds]
            self.writes += len(self.has) - len(left)
            self.has = left

    def close(self) -> None:
        """Nothing is open."""
