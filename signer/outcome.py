"""What came of a signing pass."""

import attrs

import engine
from signer.hold import Hold


@attrs.frozen
class Published:
    """A version that passed the gate and whose digest is in the database: put it on disk,
    then serve it. `diff` is None where there was no signed base. `made` and `kept` count
    RRsets. `alarms` are faults that the version before had as well."""

    zone: engine.Zone
    diff: engine.Diff | None
    made: int
    kept: int
    alarms: tuple[str, ...] = ()


@attrs.frozen
class Unchanged:
    """Nothing to sign: the base stays, serial and all."""


@attrs.frozen
class Refused:
    """The gate, the policy or the engine said no; the base stays. `lines` are for a person,
    `failure_count` says how many there are where the lines are only the first."""

    lines: tuple[str, ...]
    failure_count: int


@attrs.frozen
class Held:
    """Nothing was signed, and why."""

    hold: Hold


Outcome = Published | Unchanged | Refused | Held
