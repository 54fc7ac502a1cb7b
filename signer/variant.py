"""What a signer remembers of one block's version of its zone while it runs."""

import attrs

import engine
from signer.candidate import Verified
from signer.hold import Hold
from signer.outcome import Held, Outcome, Published, Refused
from zones.serial import newer


@attrs.define
class Variant:
    """Times are Unix seconds. `retry_at`: a pass that failed is not tried again before.
    `complete`: a version of which every RRset is known to be as certain keys ask for it, and
    what they ask for."""

    name: str
    base: engine.Zone | None = None
    verified: Verified | None = None
    earliest_expiration: int | None = None
    observed_serial: int | None = None
    observed_foreign: bool = False
    content_hold: Hold | None = None
    retry_at: int = 0
    signatures_made: int = 0
    gate_refusals: int = 0
    refused: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()
    complete: tuple[engine.Zone, object] | None = None

    def is_complete(self, base: engine.Zone | None, wanted: object) -> bool:
        """Whether a version needs no look at its every RRset."""
        return self.complete is not None and self.complete[0] is base and self.complete[1] == wanted

    def outdated(self, wanted: object) -> bool:
        """Whether the newest version was made when the keys asked for something else."""
        return self.complete is not None and self.complete[1] != wanted

    @property
    def behind(self) -> bool:
        """Whether our server holds a newer version than we do, or another under the same
        serial, as after lost state."""
        base, seen = self.base, self.observed_serial
        if base is None or seen is None:
            return False
        return newer(seen, base.serial) or (self.observed_foreign and seen == base.serial)

    def took(self, outcome: Outcome, retry_at: int) -> None:
        """Count what came of a pass."""
        if isinstance(outcome, Refused):
            self.gate_refusals += 1
            self.refused = outcome.lines
            self.retry_at = retry_at
            return
        self.refused = ()
        if isinstance(outcome, Held):
            self.retry_at = retry_at
            return
        self.content_hold = None
        self.retry_at = 0
        if isinstance(outcome, Published):
            self.signatures_made += outcome.made
            self.alarms = outcome.alarms
