"""Before anything is generated or published: do our keys, what is served and what the parent
says fit together? A pure decision; whatever does not fit stops the zone, loudly."""

import attrs
import dns.name

from keystore.dnskey import fingerprint, key_tag
from signer.ds import matches, named_by
from signer.hold import Hold
from signer.parent import ParentAnswer, Seen, Unknown


@attrs.frozen
class OurKey:
    """A key in the database. `unreadable` says why its private half can't be had.
    `omnipresent`: as far as the database knows, its DNSKEY is in all caches."""

    dnskey: bytes
    unreadable: str | None = None
    omnipresent: bool = False

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.dnskey)


@attrs.frozen
class Proceed:
    """Go on; with `generate`, make the first keys."""

    generate: bool


_IMPORT = "import the keys (zoneward keys import), or withdraw those records first"


def decide(
    origin: dns.name.Name,
    ours: tuple[OurKey, ...],
    served: frozenset[bytes],
    parent: ParentAnswer,
    now: int,
    copies: tuple[int, ...] = (),
    others: frozenset[bytes] = frozenset(),
) -> Proceed | Hold:
    """`served` are the DNSKEY rdata in the versions on disk, `copies` the serials that our
    servers hold where there is no version on disk; `others` the DNSKEY rdata of other signers
    of the zone, which nothing is held for. `now` is in Unix seconds, for the hold."""
    served -= others
    parent = without_others(origin, parent, others)
    lost = [key for key in ours if key.unreadable is not None]
    if lost:
        return Hold(
            "; ".join(
                f"the private half of key {key_tag(key.dnskey)} can't be read ({key.unreadable})"
                for key in lost
            ),
            "restore it; a new key is never made in its place, unless you say that it is lost: "
            f"zoneward keys roll {origin} --lost {key_tag(lost[0].dnskey)}",
            now,
            signing=False,
        )
    known = {key.fingerprint for key in ours}
    shown = {fingerprint(dnskey) for dnskey in served}
    foreign = [dnskey for dnskey in served if fingerprint(dnskey) not in known]
    if foreign and not ours:
        return Hold(
            f"{_tags(foreign)} {'is' if len(foreign) == 1 else 'are'} in what is served, and there "
            "is no key here: its state was lost, or another signer has the zone",
            "restore a backup (zoneward restore), or import the keys (zoneward keys import)",
            now,
            signing=False,
        )
    if foreign:
        return Hold(
            f"{_tags(foreign)} in what is served {'is' if len(foreign) == 1 else 'are'} not ours",
            f"{_IMPORT}; after restoring an old backup: restore the newest one",
            now,
            signing=False,
        )
    gone = [key.dnskey for key in ours if key.omnipresent and key.fingerprint not in shown]
    if gone and served:
        return Hold(
            f"{_tags(gone)} should be in what is served and is not: the database is older than "
            "the zone",
            "restore the newest backup, or the database that belongs to this zone",
            now,
            signing=False,
        )
    if copies and not ours:
        return Hold(
            f"servers hold serial {', '.join(map(str, sorted(copies)))} of it, and there is no key "
            "here: its state was lost",
            "restore a backup (zoneward restore), or import the keys (zoneward keys import); to "
            "start anew, remove the servers' copies of the zone (STATE/server/zones) and restart "
            "them",
            now,
            signing=False,
        )
    return _with_parent(origin, ours, served, parent, now)


def half_imported(origin: dns.name.Name, tags: list[int], now: int) -> Hold:
    """One key is here where the policy has two, the parent has a DS, and nothing was signed."""
    names = ", ".join(map(str, tags))
    return Hold(
        f"only key {names} is here, and its keys are to be a KSK and a ZSK: what the other has "
        "signed may be in caches",
        f"import the other one too (zoneward keys import {origin} FILE); a zone that has one key "
        "is taken over with `keys csk`",
        now,
        signing=False,
    )


def without_others(
    origin: dns.name.Name, parent: ParentAnswer, others: frozenset[bytes]
) -> ParentAnswer:
    """The parent's answer without the DS of other signers' keys."""
    if not others or not isinstance(parent, Seen):
        return parent
    theirs = frozenset(
        ds for ds in parent.any if any(matches(origin, dnskey, ds) for dnskey in others)
    )
    return attrs.evolve(parent, common=parent.common - theirs, any=parent.any - theirs)


def _with_parent(
    origin: dns.name.Name,
    ours: tuple[OurKey, ...],
    served: frozenset[bytes],
    parent: ParentAnswer,
    now: int,
) -> Proceed | Hold:
    if isinstance(parent, Unknown):
        if served:
            # What is served is ours and goes on; the next look at the parent may say more.
            return Proceed(generate=False)
        if parent.bogus:
            return Hold(
                f"the parent's answer for the DS of {origin} is bogus ({parent.reason})",
                "see that the clock is right and what the parent's servers answer; they are asked "
                "again",
                now,
                signing=False,
            )
        return Hold(
            f"the parent of {origin} can't be asked for its DS ({parent.reason})",
            "write `parent none` for an island, or `parent ADDRESS…` with the parent's servers",
            now,
            signing=False,
        )
    if isinstance(parent, Seen) and parent.any:
        if not ours:
            return Hold(
                f"the parent has {_count(parent.any)} for {origin} and there is no key here",
                f"{_IMPORT}; a key made now would make the zone bogus",
                now,
                signing=False,
            )
        if not any(named_by(origin, key.dnskey, parent.any) for key in ours):
            return Hold(
                f"the parent has {_count(parent.any)} for {origin}, of none of our keys",
                f"{_IMPORT}",
                now,
                signing=bool(served),
            )
    return Proceed(generate=not ours)


def _tags(dnskeys: list[bytes]) -> str:
    tags = sorted({key_tag(dnskey) for dnskey in dnskeys})
    return f"DNSKEY {', '.join(map(str, tags))}"


def _count(records: frozenset[bytes]) -> str:
    tags = sorted({int.from_bytes(ds[:2], "big") for ds in records})
    return f"DS {', '.join(map(str, tags))}"
