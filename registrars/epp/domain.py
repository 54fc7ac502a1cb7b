"""A domain at its registry: asked for, updated, and told of (RFC 5731)."""

import attrs
import dns.name

from registrars.epp import secdns
from registrars.epp.commands import Command
from registrars.epp.responses import Response
from registrars.epp.secdns import Change, Listed
from registrars.epp.tree import DOMAIN, EPP, SECDNS, Element, TreeError


@attrs.frozen
class Domain:
    """`statuses` as section 2.3 has them; `pending`: an update waits to be done."""

    statuses: frozenset[str]
    listed: Listed

    @property
    def pending(self) -> bool:
        return "pendingUpdate" in self.statuses


@attrs.frozen
class Outcome:
    """What became of a pending action (section 3.3), by the ids of the command that began it."""

    client_id: str | None
    server_id: str
    done: bool


def label(zone: dns.name.Name) -> str:
    """A zone's name as EPP has it."""
    return zone.canonicalize().to_text(omit_final_dot=True)


def info(zone: dns.name.Name) -> Command:
    """Without the hosts, which nobody asks about here."""
    name = Element(DOMAIN, "name", text=label(zone), attributes=(("hosts", "none"),))
    return Command(Element(EPP, "info", (Element(DOMAIN, "info", (name,)),)))


def update(zone: dns.name.Name, change: Change) -> Command:
    """Nothing of the domain itself changes (section 3.2.5 asks for no more where a command is
    extended). Raises ValueError."""
    name = Element(DOMAIN, "name", text=label(zone))
    return Command(Element(EPP, "update", (Element(DOMAIN, "update", (name,)),)), change.element())


def read(zone: dns.name.Name, response: Response) -> Domain:
    """Raises TreeError."""
    data = response.found(DOMAIN, "infData")
    if data is None:
        raise TreeError("the answer has no <infData> of a domain")
    name = data.need(DOMAIN, "name").token
    if name.rstrip(".").lower() != label(zone):
        raise TreeError(f"the answer is about another domain than {label(zone)}")
    return Domain(
        frozenset(one.get("s") or "" for one in data.all(DOMAIN, "status")),
        secdns.listed(zone, response.found(SECDNS, "infData")),
    )


def outcome(response: Response) -> Outcome | None:
    """What a message of the queue tells of a domain; None where it is about something else.
    Raises TreeError."""
    data = response.found(DOMAIN, "panData")
    if data is None:
        return None
    result, ids = data.need(DOMAIN, "name").get("paResult"), data.need(DOMAIN, "paTRID")
    if result not in ("0", "1", "false", "true"):
        raise TreeError("<panData> doesn't say what became of it")
    client = ids.find(EPP, "clTRID")
    return Outcome(
        None if client is None else client.token,
        ids.need(EPP, "svTRID").token,
        result in ("1", "true"),
    )
