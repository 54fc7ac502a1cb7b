"""The plan of a signing pass: from key set, policy and time to engine.SignPlan."""

from collections.abc import Mapping, Sequence

import engine
from signer.ds import ds_rdata
from signer.keyset import Key, KeySet
from signer.policy import Policy

# A pass takes along what would be due within this part of the jitter, so that a zone whose
# expirations are spread is signed in some two dozen passes and not in one for each RRset.
_PASSES = 24
_CDS_DELETE = bytes((0, 0, 0, 0, 0))
_CDNSKEY_DELETE = bytes((0, 0, 3, 0, 0))


def batch_window(policy: Policy) -> int:
    """How much earlier than due a signature may be replaced, in seconds."""
    return policy.jitter // _PASSES


def resign_due(earliest_expiration: int, policy: Policy) -> int:
    """When the first signature of a version is due, in Unix seconds."""
    return earliest_expiration - policy.refresh


def signers(
    keyset: KeySet, private: Mapping[str, engine.SigningKey]
) -> tuple[tuple[Key, int], ...]:
    """Who signs what. A key that was declared lost and is still at hand goes on until its
    successor has taken over: what it signs is in caches anyway, and expires without it."""
    lost = tuple((key, duty) for key, duty in keyset.lost_signers() if key.fingerprint in private)
    return (*keyset.signers(), *lost)


def is_signed(keyset: KeySet) -> bool:
    """Whether a version of the zone has signatures now."""
    return bool(keyset.signers() or keyset.lost_signers())


def announcements(keyset: KeySet, policy: Policy) -> tuple[frozenset[bytes], frozenset[bytes]]:
    """CDS and CDNSKEY rdata (RFC 7344); of going insecure the delete records (RFC 8078
    section 4)."""
    if not policy.cds:
        return frozenset(), frozenset()
    if keyset.announces_delete():
        return frozenset({_CDS_DELETE}), frozenset({_CDNSKEY_DELETE})
    announced = frozenset(key.dnskey for key in keyset.announced())
    if announced:
        # RFC 8901 section 8: each signer's CDS names the keys of all.
        announced |= {key.dnskey for key in keyset.foreign_ksks()}
    return (
        frozenset(
            ds_rdata(keyset.origin, dnskey, digest) for dnskey in announced for digest in policy.cds
        ),
        announced,
    )


def plan(
    keyset: KeySet,
    private: Mapping[str, engine.SigningKey],
    policy: Policy,
    now: int,
    serial: int,
    *,
    resign: Sequence[tuple[bytes, int | None]] = (),
    threads: int = 0,
) -> engine.SignPlan:
    """`private` holds the signers' keys by fingerprint; `now` is in Unix seconds. Raises
    KeyError for a signer that is not in it."""
    denial = keyset.nsec3(policy) if is_signed(keyset) else None
    cds, cdnskeys = announcements(keyset, policy)
    return engine.SignPlan(
        keys=[(private[key.fingerprint], duty) for key, duty in signers(keyset, private)],
        dnskeys=list(keyset.dnskeys()),
        dnskey_ttl=policy.dnskey_ttl,
        cds=sorted(cds),
        cdnskeys=sorted(cdnskeys),
        nsec3=None if denial is None else (denial.iterations, denial.salt, denial.opt_out),
        serial=serial,
        inception=now - policy.inception_offset,
        expiration=now + policy.validity,
        jitter=policy.jitter,
        refresh_before=now + policy.refresh + batch_window(policy),
        resign=resign,
        threads=threads,
    )
