"""Takes the steps that the state machine asks for, until it asks for nothing more.

    advance ──▶ no mix is bogus ──▶ key states committed ──▶ generate, purge ──▶ advance again

Each step is written down before it is taken and can be taken twice: a start goes on where a
crash came between. What needs a version (SignApex, SignAll, SwitchDenial) is the zone task's;
what needs the parent is published as CDS and CDNSKEY, and said to a person.
"""

import logging

import attrs

from signer import planner, report
from signer.actions import MIX, RULE, Advance, Blocker, Generate, Purge
from signer.advance import advance
from signer.evidence import Evidence
from signer.keyring import KeyRing
from signer.observations import Observations
from signer.policy import Policy

_log = logging.getLogger(__name__)
# Keys of two roles, standby keys and successors of each: more rounds than these are a fault.
_MOST_ROUNDS = 32


@attrs.frozen
class Executor:
    """Of one zone; its caller runs one step at a time."""

    ring: KeyRing
    evidence: Evidence
    policy: Policy

    async def run(self, seen: Observations) -> Advance:
        """Move what may move and make what is to be made. Raises KeystoreError, StateError;
        called again it goes on."""
        for _ in range(_MOST_ROUNDS):
            lived = await self.evidence.lived()
            step = advance(self.ring.keyset, self.policy, seen, lived)
            mix = planner.check(self.ring.keyset, step.keyset, self.policy, lived)
            if mix is not None:
                return self._stop(str(mix))
            if step.keyset != self.ring.keyset:
                moves = report.moves(self.ring.keyset, step.keyset)
                await self.ring.save(step.keyset, moves)
                for line in moves:
                    _log.info("%s: %s", self.ring.origin, line)
            wanted = [one for one in step.actions if isinstance(one, Generate | Purge)]
            if not wanted:
                return step
            # One at a time: what is made first may be all that is needed.
            match wanted[0]:
                case Generate() as generate:
                    await self.ring.generate(generate, self.policy, lived)
                case Purge(key):
                    await self.ring.purge(key)
        raise RuntimeError(f"{self.ring.origin}: the keys ask for more and more steps")

    def _stop(self, mix: str) -> Advance:
        """Whatever the rules let through: a step after which a validator could meet this mix
        of cached records is not taken."""
        evidence = f"not taken, since a resolver could then hold {mix}"
        said = tuple(
            Blocker(key.fingerprint, None, None, RULE, evidence, None, MIX)
            for key in self.ring.keyset.keys
        )
        _log.error("%s: the next step is %s", self.ring.origin, evidence)
        return Advance(self.ring.keyset, (), said, None)
