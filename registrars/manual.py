"""The registrar that is a person: it says what has to be done, in full."""

import attrs
import dns.name

from corefile import Directive
from corefile.arguments import plain
from registrars import formats
from registrars.protocol import (
    Capabilities,
    Context,
    Entry,
    Plan,
    Progress,
    Receipt,
    RegistrarError,
    Wants,
)


@attrs.frozen
class Settings:
    """There is nothing to set."""


def read(directive: Directive) -> Settings:
    plain(directive, 1, 1, "registrar manual")
    return Settings()


def open(config: Settings, context: Context) -> "Manual":  # noqa: A001 - a driver's verb
    return Manual()


class Manual:
    """For every registrar that no driver knows. The observer sees when it was done."""

    name = "manual"
    capabilities = Capabilities(wants=Wants.EITHER, digests=frozenset({2, 4}))

    def list(self, zone: dns.name.Name) -> tuple[Entry, ...]:
        raise RegistrarError(
            f"{zone}", "a person can't be asked what the registrar has", "ask the parent's servers"
        )

    def apply(self, plan: Plan) -> Receipt:
        return Receipt(Progress.PERSON, instructions(plan))

    def poll(self, zone: dns.name.Name, reference: str) -> Receipt:
        return Receipt(Progress.PERSON, "")

    def close(self) -> None:
        """Nothing is open."""


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
