"""What a zone's owner asks for: algorithms, denial, lifetimes, the waits of RFC 7583.

Values only. `signer.policyoptions` reads them from a *sign* directive. All durations are seconds.
"""

import enum

import attrs

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR

#: Mnemonics of the DNSSEC algorithm registry that the engine signs with (RFC 8624).
ALGORITHMS = {
    "RSASHA256": 8,
    "RSASHA512": 10,
    "ECDSAP256SHA256": 13,
    "ECDSAP384SHA384": 14,
    "ED25519": 15,
    "ED448": 16,
}
ALGORITHM_NAMES = {number: name for name, number in ALGORITHMS.items()}
RSA_ALGORITHMS = frozenset({8, 10})
#: Digest types that may be made (RFC 8624 section 3.3).
DIGESTS = {"sha-256": 2, "sha-384": 4}


class PolicyError(Exception):
    """A policy that contradicts itself; the message shows the arithmetic."""


class KeyLayout(enum.Enum):
    """One key for everything, or one that the parent knows and one for the zone's data."""

    CSK = "csk"
    KSK_ZSK = "ksk+zsk"


class DsMode(enum.Enum):
    """Which of a successor's records goes ahead in a KSK rollover (RFC 6781 section 4.1.2):
    its DNSKEY, or its DS."""

    DOUBLE_KSK = "double-ksk"
    DOUBLE_DS = "double-ds"


@attrs.frozen
class Nsec3:
    """NSEC3 parameters; RFC 9276 section 3.1 asks for no iterations and no salt."""

    iterations: int = 0
    salt: bytes = b""
    opt_out: bool = False


def duration_text(seconds: int) -> str:
    """Seconds in the largest units that fit: 90061 is ``1d1h1m1s``."""
    if seconds < 0:
        return "-" + duration_text(-seconds)
    parts = []
    for unit, size in (("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


@attrs.frozen
class Policy:
    """Raises PolicyError for what cannot hold together.

    A lifetime of None is unlimited. `standby` are roles ("csk", "ksk", "zsk") of which one key
    more is published ahead; with `standby_ds` its DS too. `secure` is False for a zone that is
    to become unsigned, its DS first."""

    keys: KeyLayout = KeyLayout.CSK
    algorithm: int = 13
    rsa_bits: int = 2048
    nsec3: Nsec3 | None = None
    dnskey_ttl: int = HOUR
    max_zone_ttl: int = DAY
    validity: int = 14 * DAY
    refresh: int = 5 * DAY
    jitter: int = 12 * HOUR
    inception_offset: int = HOUR
    propagation: int = 5 * MINUTE
    publish_safety: int = HOUR
    retire_safety: int = HOUR
    parent_ds_ttl: int = DAY
    parent_propagation: int = HOUR
    csk_lifetime: int | None = None
    ksk_lifetime: int | None = None
    zsk_lifetime: int | None = None
    ds: DsMode = DsMode.DOUBLE_KSK
    purge: int = 90 * DAY
    standby: frozenset[str] = frozenset()
    standby_ds: bool = False
    # Digest types of the CDS that are published with CDNSKEY; none: neither is.
    cds: tuple[int, ...] = (2,)
    secure: bool = True
    # The content guard: a version that loses more of its names than this waits for a person.
    guard_percent: int = 10

    def __attrs_post_init__(self) -> None:
        text = duration_text
        if self.algorithm not in ALGORITHM_NAMES:
            raise PolicyError(f"algorithm {self.algorithm} is not one of {', '.join(ALGORITHMS)}")
        if self.validity <= 0:
            raise PolicyError("validity must be longer than nothing")
        if self.refresh >= self.validity:
            raise PolicyError(
                f"refresh {text(self.refresh)} is not less than validity {text(self.validity)}: "
                "every signature would be due again as soon as it is made"
            )
        if self.refresh + self.jitter >= self.validity:
            raise PolicyError(
                f"refresh {text(self.refresh)} + jitter {text(self.jitter)} = "
                f"{text(self.refresh + self.jitter)} is not less than validity "
                f"{text(self.validity)}: the earliest signatures would be due at once"
            )
        self.check_ttl(max(self.max_zone_ttl, self.dnskey_ttl), "the longest TTL")
        roles = ("csk",) if self.keys is KeyLayout.CSK else ("ksk", "zsk")
        odd = sorted(self.standby - set(roles))
        if odd:
            raise PolicyError(f"standby {odd[0]}: there is no such key with keys {self.keys.value}")
        for role in roles:
            self._check_lifetime(role)

    @property
    def publish_lead(self) -> int:
        """How long before it is needed a successor is published (RFC 7583 section 3.2.1)."""
        return self.dnskey_ttl + self.propagation + self.publish_safety

    def lifetime(self, role: str) -> int | None:
        """Of "csk", "ksk" or "zsk"; None is unlimited."""
        return {"csk": self.csk_lifetime, "ksk": self.ksk_lifetime, "zsk": self.zsk_lifetime}[role]

    def _check_lifetime(self, role: str) -> None:
        """A key has to be everywhere, and its predecessor gone, before its own successor is
        published: else each rollover would begin before the last one ended."""
        lifetime = self.lifetime(role)
        if lifetime is None:
            return
        waits = [
            ("dnskey-ttl", self.dnskey_ttl),
            ("propagation", self.propagation),
            ("publish-safety", self.publish_safety),
        ]
        if role != "ksk":
            waits += [
                ("max-zone-ttl", self.max_zone_ttl),
                ("propagation", self.propagation),
                ("retire-safety", self.retire_safety),
            ]
        if role != "zsk":
            # The new DS appears and is waited for, then the old one goes and is waited for.
            waits += [
                ("parent-ds-ttl", self.parent_ds_ttl),
                ("parent-propagation", self.parent_propagation),
                ("retire-safety", self.retire_safety),
            ] * 2
        waits += [("dnskey-ttl", self.dnskey_ttl), ("propagation", self.propagation)]
        needed = sum(seconds for _, seconds in waits)
        if lifetime <= needed:
            text = duration_text
            terms = " + ".join(f"{name} {text(seconds)}" for name, seconds in waits)
            raise PolicyError(
                f"{role}-lifetime {text(lifetime)} is too short for its own waits: a rollover "
                f"takes {terms} = {text(needed)}; make it longer than that, or write unlimited"
            )

    def check_ttl(self, ttl: int, what: str) -> None:
        """A record fetched just before its signature is refreshed stays in caches for
        `ttl` after the old version is gone everywhere: that has to end before the
        signature does (RFC 6781 section 4.4.2)."""
        text = duration_text
        if ttl + self.propagation > self.refresh:
            raise PolicyError(
                f"{what} {text(ttl)} + propagation {text(self.propagation)} = "
                f"{text(ttl + self.propagation)} reaches into refresh {text(self.refresh)}: "
                "caches could hold records whose signatures have ended"
            )
