"""Who brings the DS to the parent: a registrar's driver, CDS of which the parent is told, or a
person, who is told once."""

import logging
from collections.abc import Iterable

import attrs
import dns.name

from signer import delivery, goals, report
from signer.actions import Advance
from signer.courier import Courier
from signer.dsync import Herald
from signer.keyset import KeySet
from signer.parent import ParentAnswer
from signer.policy import Policy
from signer.served import news
from signer.variant import Variant

_log = logging.getLogger(__name__)


@attrs.define
class Messengers:
    """Of one zone. `send` is called at each step and returns at once."""

    origin: dns.name.Name
    policy: Policy
    courier: Courier | None
    herald: Herald | None
    _said: tuple[str, ...] = attrs.field(init=False, default=())

    def send(
        self, keyset: KeySet, step: Advance, parent: ParentAnswer, variants: Iterable[Variant]
    ) -> None:
        """Bring what the step asks for at the parent, and say what a person has to bring."""
        insecure = goals.insecure(keyset, self.policy)
        pending = delivery.pending(keyset, step, self.policy, insecure=insecure)
        if self.courier is not None:
            self.courier.carry(pending)
        if self.herald is not None:
            self.herald.tell(news(pending, parent, variants))
        orders = self.orders(keyset, step)
        for line in orders:
            if line not in self._said:
                _log.warning("%s: %s", self.origin, line)
        self._said = orders

    def orders(self, keyset: KeySet, step: Advance) -> tuple[str, ...]:
        """What a person has to bring to the parent; nothing where a registrar's driver does."""
        if self.courier is not None and self.courier.registrar.capabilities.automatic:
            return ()
        return report.orders(keyset, step)

    def dues(self) -> list[float]:
        """When to call `send` again, in seconds of the boot clock."""
        found = (one.due() for one in (self.courier, self.herald) if one is not None)
        return [due for due in found if due is not None]

    async def close(self) -> None:
        for one in (self.courier, self.herald):
            if one is not None:
                await one.close()
