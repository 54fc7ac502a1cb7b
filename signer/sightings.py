"""What a version shows and what it lacks, by subject: pure, and shared by who signs it and who
looks for it.

A subject is a line of text in the table of observations: ``FINGERPRINT RECORD`` of a key,
``denial PARAMETERS``, ``foreign DNSKEY``, ``ttl SECONDS`` of the DNSKEY RRset.
"""

from collections.abc import Iterator, Mapping

from signer.keyset import Key, KeySet, Record, RecordKind, State
from signer.keytables import nsec3_text
from signer.policy import Nsec3, Policy
from zones.serial import newer

_ENDING = (State.RUMOURED, State.UNRETENTIVE)


def of_key(key: Key, kind: RecordKind) -> str:
    return f"{key.fingerprint} {kind.value}"


def of_denial(nsec3: Nsec3 | None) -> str:
    return f"denial {nsec3_text(nsec3) or 'nsec'}"


def of_foreign(dnskey: bytes) -> str:
    return f"foreign {dnskey.hex()}"


def of_ttl(ttl: int) -> str:
    return f"ttl {ttl}"


def _records(keyset: KeySet) -> Iterator[tuple[str, Record]]:
    """Everything of ours that a version shows or lacks; a DS is the parent's."""
    for key in keyset.keys:
        for kind, record in key.records:
            if kind is not RecordKind.DS:
                yield of_key(key, kind), record
    for denial in keyset.denials:
        yield of_denial(denial.nsec3), denial.record
    for foreign in keyset.foreign:
        yield of_foreign(foreign.dnskey), foreign.record


def _delegations(keyset: KeySet) -> Iterator[tuple[str, Record]]:
    for key in keyset.keys:
        record = key.record(RecordKind.DS)
        if record is not None:
            yield of_key(key, RecordKind.DS), record


def contents(keyset: KeySet, policy: Policy) -> dict[str, bool]:
    """What a version made from this key set shows (True) and lacks (False)."""
    found = {
        subject: record.state in (State.RUMOURED, State.OMNIPRESENT)
        for subject, record in _records(keyset)
        if record.state is not State.HIDDEN
    }
    if keyset.published():
        found[of_ttl(policy.dnskey_ttl)] = True
    return found


def awaited(keyset: KeySet, policy: Policy) -> dict[str, bool]:
    """What waits to be seen (True), or to be seen gone (False)."""
    found = {
        subject: record.state is State.RUMOURED
        for subject, record in _records(keyset)
        if record.state in _ENDING
    }
    if keyset.published():
        found[of_ttl(policy.dnskey_ttl)] = True
    return found


def moved(before: KeySet, after: KeySet) -> Iterator[str]:
    """Subjects whose state is another: what was seen before is no evidence of what came."""
    old = {subject: record.state for subject, record in (*_records(before), *_delegations(before))}
    for subject, record in (*_records(after), *_delegations(after)):
        if old.get(subject, State.HIDDEN) is not record.state:
            yield subject


def reached(serial: int | None, least: int | None) -> bool:
    """Whether a server's serial is at or past the first that shows something."""
    if serial is None or least is None:
        return False
    return serial == least or newer(serial, least)


def reached_everywhere(
    first: Mapping[tuple[str, str], int], subject: str, serials: Mapping[str, int | None]
) -> bool:
    """`first`: (variant, subject) -> serial. All variants, and there is one."""
    return bool(serials) and all(
        reached(serial, first.get((variant, subject))) for variant, serial in serials.items()
    )
