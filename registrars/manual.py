"""The registrar that is a person: it says what has to be done, in full."""

import dns.name

from registrars import formats
from registrars.protocol import (
    Capabilities,
    Entry,
    Plan,
    Progress,
    Receipt,
    RegistrarError,
    Wants,
    difference,
)


class Manual:
    """For every registrar that no driver knows. The observer sees when it was done."""

    name = "manual"
    capabilities = Capabilities(wants=Wants.EITHER, digests=frozenset({2, 4}))

    def list(self, zone: dns.name.Name) -> tuple[Entry, ...]:
        raise RegistrarError(
            f"{zone}", "a person can't be asked what the registrar has", "ask the parent's servers"
        )

    def plan(self, zone: dns.name.Name, wanted: tuple[Entry, ...]) -> Plan:
        return difference(zone, (), wanted)

    def apply(self, plan: Plan) -> Receipt:
        return Receipt(plan, Progress.PERSON, instructions(plan))

    def poll(self, receipt: Receipt) -> Receipt:
        return receipt


def instructions(plan: Plan) -> str:
    """What to bring to the registrar, as DS and, for those who want it, as DNSKEY."""
    zone = plan.zone.to_text()
    if not plan:
        return f"{zone} nothing has to change at the registrar.\n"
    parts = []
    if plan.add:
        parts.append(f"; Have the registrar of {zone} put this into its parent:\n")
        parts.append(formats.bind(plan.zone, plan.add))
    if plan.remove:
        parts.append("; and have it take this out, once the new records are seen there:\n")
        parts.append(formats.bind(plan.zone, plan.remove))
    return "".join(parts)
