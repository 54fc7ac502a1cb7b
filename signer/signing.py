"""The plan of a signing pass: from key set, policy and time to engine.SignPlan."""

from collections.abc import Mapping

import engine
from signer.ds import ds_rdata
from signer.keyset import KeySet
from signer.policy import Policy

# A pass takes along what would be due within this part of the jitter, so that a zone whose
# expirations are spread is signed in some two dozen passes and not in one for each RRset.
_PASSES = 24


def batch_window(policy: Policy) -> int:
    """How much earlier than due a signature may be replaced, in seconds."""
    return policy.jitter // _PASSES


def resign_due(earliest_expiration: int, policy: Policy) -> int:
    """When the first signature of a version is due, in Unix seconds."""
    return earliest_expiration - policy.refresh


def plan(
    keyset: KeySet,
    private: Mapping[str, engine.SigningKey],
    policy: Policy,
    now: int,
    serial: int,
    *,
    threads: int = 0,
) -> engine.SignPlan:
    """`private` holds the signers' keys by fingerprint; `now` is in Unix seconds. Raises
    KeyError for a signer that is not in it."""
    announced = keyset.announced()
    denial = keyset.nsec3(policy)
    return engine.SignPlan(
        keys=[(private[key.fingerprint], duty) for key, duty in keyset.signers()],
        dnskeys=list(keyset.dnskeys()),
        dnskey_ttl=policy.dnskey_ttl,
        cds=[ds_rdata(keyset.origin, key.dnskey) for key in announced],
        cdnskeys=[key.dnskey for key in announced],
        nsec3=None if denial is None else (denial.iterations, denial.salt, denial.opt_out),
        serial=serial,
        inception=now - policy.inception_offset,
        expiration=now + policy.validity,
        jitter=policy.jitter,
        refresh_before=now + policy.refresh + batch_window(policy),
        threads=threads,
    )
