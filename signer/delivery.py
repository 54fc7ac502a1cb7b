"""What a registrar is to have of a zone, from the key set: pure.

`Wanted` is level, not edge: as long as the parent is to change, it is said again, and what
the registrar has is compared with it.
"""

import hashlib
from collections.abc import Collection, Sequence

import attrs

from registrars.protocol import Entry
from signer.actions import Advance, SubmitDs, WithdrawDs
from signer.conditions import frozen_by
from signer.ds import ds_rdata
from signer.keyset import ForeignKey, Key, KeySet, RecordKind, State
from signer.policy import Policy

# In what a registrar lists, our keys may stand with any of these.
_DIGESTS = (1, 2, 4)
_DEFAULT = (2,)
_THERE = (State.OMNIPRESENT, State.UNRETENTIVE)


@attrs.frozen
class Wanted:
    """`entries` are to be at the registrar, `ours` are all that our keys may have there, and
    `supposed` what a registrar that can't list is taken to have; `working` lead to a key that
    signs the DNSKEY RRset now. `insecure`: that none is left was asked for by name."""

    entries: tuple[Entry, ...]
    ours: tuple[Entry, ...]
    supposed: tuple[Entry, ...]
    working: tuple[Entry, ...]
    insecure: bool

    @property
    def digest(self) -> str:
        """Tells one wish from another."""
        found = hashlib.sha256()
        for ds in sorted(entry.ds for entry in self.entries):
            found.update(len(ds).to_bytes(2, "big") + ds)
        return found.hexdigest()[:32]


def pending(keyset: KeySet, step: Advance, policy: Policy, *, insecure: bool) -> Wanted | None:
    """What the state machine waits for at the parent; None when it waits for nothing there."""
    if any(isinstance(action, SubmitDs | WithdrawDs) for action in step.actions):
        return wanted(keyset, policy, insecure=insecure)
    return None


def wanted(keyset: KeySet, policy: Policy, *, insecure: bool) -> Wanted:
    """What the parent is to have now, whether or not it has it; other signers' keys with ours."""
    theirs = keyset.foreign_ksks()
    known = [key for key in keyset.keys if key.record(RecordKind.DS) is not None]
    visible = [key for key in known if key.visible(RecordKind.DS)]
    frozen = {key.fingerprint for key in frozen_by(keyset)}
    return Wanted(
        entries=_entries(keyset, [*visible, *theirs], policy.cds or _DEFAULT),
        ours=_entries(keyset, [*known, *keyset.foreign], _DIGESTS),
        supposed=_entries(
            keyset,
            [*(key for key in known if key.state(RecordKind.DS) in _THERE), *theirs],
            policy.cds or _DEFAULT,
        ),
        working=_entries(keyset, [key for key in known if _works(key, frozen)], _DIGESTS),
        insecure=insecure and not visible,
    )


def _works(key: Key, frozen: Collection[str]) -> bool:
    """Whether the DNSKEY RRset has a signature of it: of a lost one, as long as it can't change."""
    signed = key.visible(RecordKind.KRRSIG) and key.visible(RecordKind.DNSKEY)
    return signed and (not key.lost or key.fingerprint in frozen)


def _entries(
    keyset: KeySet, keys: Sequence[Key | ForeignKey], digests: tuple[int, ...]
) -> tuple[Entry, ...]:
    return tuple(
        Entry(ds_rdata(keyset.origin, key.dnskey, digest), key.dnskey)
        for key in keys
        for digest in digests
    )
