"""What `advance` asks of the shell, and what it says about why things wait: values.

Actions are levels, not edges: as long as something is to be done it is said again, so that a
shell that died between two steps learns it from the next call.
"""

import attrs

from signer.keyset import KeySet, RecordKind, Role, State
from signer.policy import Nsec3


@attrs.frozen
class Generate:
    """Make a key and add it with `KeySet.with_key`, with this predecessor and `standby`."""

    role: Role
    algorithm: int
    predecessor: str | None = None
    standby: bool = False


@attrs.frozen
class SignApex:
    """Publish a version with the key set as it is now."""


@attrs.frozen
class SignAll:
    """Publish a version in which every RRset has the signatures of the signers of now; of
    none where there is no signer: the zone becomes unsigned."""


@attrs.frozen
class SwitchDenial:
    """Publish a version with this kind of denial, complete; None is NSEC."""

    nsec3: Nsec3 | None


@attrs.frozen
class ObserveServers:
    """Look at what our servers answer."""


@attrs.frozen
class ObserveParent:
    """Look at the DS at each server of the parent."""


@attrs.frozen
class SubmitDs:
    """The DS RRset at the parent is to be made of exactly these keys (fingerprints), of
    which some are not there yet."""

    keys: tuple[str, ...]


@attrs.frozen
class WithdrawDs:
    """The DS of these keys (fingerprints) are to go from the parent; `keep` are to stay.
    Nothing to keep: the zone goes insecure."""

    keys: tuple[str, ...]
    keep: tuple[str, ...]


@attrs.frozen
class Purge:
    """Delete the key from the keystore, and from the key set with `KeySet.without`."""

    key: str


Action = (
    Generate
    | SignApex
    | SignAll
    | SwitchDenial
    | ObserveServers
    | ObserveParent
    | SubmitDs
    | WithdrawDs
    | Purge
)

#: Who may say no.
POLICY, RULE, TIME, OBSERVATION, PERSON = "policy", "rule", "time", "observation", "person"
#: The name of the last guard: a mix of cached records that a validator would refuse.
MIX = "mix"


@attrs.frozen
class Blocker:
    """Why a record does not move: who says no, on what evidence, until when (lived seconds;
    None: until something is seen or done). `rule` names the rule or condition where one says
    it. `record` is None where a key itself waits: to be made, replaced or purged."""

    fingerprint: str
    record: RecordKind | None
    to: State | None
    who: str
    evidence: str
    until: float | None
    rule: str = ""


@attrs.frozen
class Advance:
    """`next_due` is the earliest "not yet", in lived seconds. `deadline` is by when the
    replacement of a lost key must have signed the DNSKEY RRset."""

    keyset: KeySet
    actions: tuple[Action, ...]
    blockers: tuple[Blocker, ...]
    next_due: float | None
    deadline: float | None = None

    def wants(self, kind: type[Action]) -> bool:
        return any(isinstance(action, kind) for action in self.actions)
