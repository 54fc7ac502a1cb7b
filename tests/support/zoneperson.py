"""The person of `zoneworld`, who asks for things at any moment."""

import attrs
from zoneparent import Parent

from signer import operations
from signer.keyset import Goal, Role
from signer.policy import DAY, HOUR, DsMode, KeyLayout, Nsec3

OPERATIONS = (
    *("roll",) * 3,
    *("algorithm", "layout", "denial", "ttls", "ds", "insecure", "secure", "secure"),
    *("standby", "lose", "hold", "clock", "foreign"),
)


@attrs.define
class Person(Parent):
    # --- a person ---------------------------------------------------------------------------

    def _person(self) -> None:
        if not self.calm:
            self.ask(self.rng.choice(self.setting.operations))
            self.at(self.now + self.rng.expovariate(1 / self.setting.pause), self._person)
            self.wake()

    def ask(self, what: str) -> None:
        rng = self.rng
        self.log.append(f"{self.now:.0f} {what}")
        if what == "roll":
            roles = [None, *(frozenset({role}) for role in Role)]
            try:
                self.keyset = operations.roll(self.keyset, self.policy, rng.choice(roles))
            except operations.OperationError:
                self.log.append("  refused")
        elif what == "algorithm":
            self._change(algorithm=rng.choice((8, 13, 15)))
        elif what == "layout":
            layout = rng.choice(list(KeyLayout))
            self._change(keys=layout, standby=frozenset())
        elif what == "denial":
            self._change(nsec3=rng.choice((None, Nsec3(), Nsec3(opt_out=True))))
        elif what == "ttls":
            ttls = (60, 300, HOUR, DAY)
            self._change(dnskey_ttl=rng.choice(ttls), max_zone_ttl=rng.choice(ttls))
        elif what == "ds":
            self._change(ds=rng.choice(list(DsMode)))
        elif what == "insecure":
            self.keyset = operations.go_insecure(self.keyset)
        elif what == "secure":
            self.keyset = operations.go_secure(self.keyset)
        elif what == "standby":
            roles = ("csk",) if self.policy.keys is KeyLayout.CSK else ("ksk", "zsk")
            chosen = rng.choice((frozenset(), frozenset(roles)))
            self._change(standby=chosen, standby_ds=rng.random() < 0.5)
        elif what == "lose":
            found = [key for key in self.keyset.keys if key.goal is Goal.OMNIPRESENT]
            # One at a time: who loses the replacement before it is in use has lost the zone.
            if found and all(key.all_hidden() for key in self.keyset.keys if key.lost):
                self.keyset = operations.lose(self.keyset, rng.choice(found).fingerprint)
        elif what == "foreign":
            others = (_foreign(8), _foreign(13), _foreign(15))
            chosen = frozenset(key for key in others if rng.random() < 0.4)
            self.keyset = operations.keep_foreign(self.keyset, chosen)
        elif what == "hold":
            self.keyset = operations.hold(self.keyset, "a person said so")
            self.at(self.now + rng.choice((HOUR, 30 * DAY)), self._resume)
        elif what == "clock":
            self.lost_time += rng.choice((HOUR, 3 * DAY))
        else:
            raise ValueError(what)

    def _change(self, **values: object) -> None:
        self.policy = attrs.evolve(self.policy, **values)

    def _resume(self) -> None:
        self.keyset = operations.resume(self.keyset)
        self.wake()


def _foreign(algorithm: int) -> bytes:
    """The zone key of another signer."""
    return b"\x01\x00" + bytes([3, algorithm]) + b"another signer's"
