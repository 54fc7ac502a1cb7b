"""What the admin socket does with a zone's DS: what the parent and the registrar have of what is
wanted, what would change, and changing it."""

from __future__ import annotations

from collections.abc import Iterable

import dns.rdata
import dns.rdataclass
import dns.rdatatype

from registrars import formats
from registrars.protocol import Entry, RegistrarError
from signer.delivery import Wanted
from signer.parent import NoParent, ParentAnswer, Seen
from signer.service import ZoneSigner
from zoneward.api import DsCheck, DsForms, DsPlan, Lines
from zoneward.refusal import Refusal


async def plan(signer: ZoneSigner) -> DsPlan:
    """Wanted, listed, seen at the parent; what would change, and what forbids it."""
    wanted, answer = signer.wanted_ds(), await signer.ask_parent()
    listed: tuple[str, ...] | None = None
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    forbidden = problem = None
    if signer.courier is not None:
        try:
            have, found, forbidden = await signer.courier.compare(wanted)
        except RegistrarError as error:
            problem = str(error)
        else:
            if signer.courier.registrar.capabilities.lists:
                listed = _texts(entry.ds for entry in have)
            add = _texts(entry.ds for entry in found.add)
            remove = _texts(entry.ds for entry in found.remove)
    return DsPlan(
        zone=str(signer.origin),
        registrar=None if signer.courier is None else signer.courier.registrar.name,
        wanted=_texts(entry.ds for entry in wanted.entries),
        listed=listed,
        parent=_seen(answer),
        parent_problem=_problem(answer),
        add=add,
        remove=remove,
        forbidden=forbidden,
        problem=problem,
    )


async def push(signer: ZoneSigner) -> Lines:
    """Bring the registrar in line now. What is wanted is what the state machine has come to;
    this skips no wait."""
    if signer.courier is None:
        raise Refusal(
            f"zone {signer.origin} has no registrar; bring what `zoneward ds show` prints to the "
            "parent"
        )
    if signer.held is not None:
        raise Refusal(f"zone {signer.origin} is held: {signer.held}")
    delivery = await signer.courier.deliver(signer.wanted_ds())
    if delivery.bad:
        raise Refusal(f"zone {signer.origin}: {delivery.text}")
    return Lines((f"zone {signer.origin}: {delivery.text}",))


async def check(signer: ZoneSigner) -> DsCheck:
    """Whether what the parent's servers show is what is wanted, and leads to our keys."""
    wanted, answer = signer.wanted_ds(), await signer.ask_parent()
    problems: list[str] = []
    if not isinstance(answer, Seen):
        if not isinstance(answer, NoParent):
            problems.append(f"the parent can't be asked: {answer.reason}")
    else:
        problems += _differences(wanted, answer)
    return DsCheck(
        zone=str(signer.origin),
        wanted=_texts(entry.ds for entry in wanted.entries),
        parent=_seen(answer),
        problems=tuple(problems),
    )


def _differences(wanted: Wanted, answer: Seen) -> list[str]:
    found = []
    everywhere = {entry.ds for entry in wanted.entries if entry.ds in answer.common}
    somewhere = {entry.ds for entry in wanted.entries if entry.ds in answer.any}
    for entry in wanted.entries:
        if entry.ds not in somewhere:
            found.append(f"DS {entry.tag} is wanted, and no server of the parent shows it")
        elif entry.ds not in everywhere:
            found.append(f"DS {entry.tag} is not yet at every server of the parent")
    known = {entry.ds for entry in wanted.ours}
    leads = {entry.ds for entry in wanted.working}
    for ds in sorted(answer.any):
        tag = int.from_bytes(ds[:2], "big")
        if ds not in known:
            found.append(f"DS {tag} at the parent is of no key of this zone")
        elif ds not in {entry.ds for entry in wanted.entries}:
            found.append(f"DS {tag} is at the parent and not wanted any more")
    if answer.any and not answer.any & leads:
        found.append("no DS at the parent leads to a key that signs")
    return found


def forms(signer: ZoneSigner) -> DsForms:
    """What the parent is to have, in each form that a registrar may ask for."""
    entries = signer.wanted_ds().entries or tuple(
        Entry(ds, dnskey) for ds, dnskey in zip(signer.ds_records(), signer.dnskeys(), strict=True)
    )
    return DsForms(
        zone=str(signer.origin),
        bind=formats.bind(signer.origin, entries),
        cds=formats.child_records(signer.origin, entries),
        entries=formats.as_json(signer.origin, entries),
    )


def _seen(answer: ParentAnswer) -> tuple[str, ...] | None:
    return _texts(sorted(answer.any)) if isinstance(answer, Seen) else None


def _problem(answer: ParentAnswer) -> str | None:
    if isinstance(answer, Seen):
        return None if answer.agreed else "the parent's servers differ"
    return "parent none" if isinstance(answer, NoParent) else answer.reason


def _texts(rdatas: Iterable[bytes]) -> tuple[str, ...]:
    return tuple(
        dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.DS, rdata, 0, len(rdata)).to_text(
            chunksize=0
        )
        for rdata in rdatas
    )
