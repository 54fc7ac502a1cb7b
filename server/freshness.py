"""Until when a copy of a zone may be served, and how often to ask for a newer one.

Pure: times are Unix seconds and passed in.
"""

import struct

import attrs

# Never seconds apart from a busy loop, never so rare that a lost NOTIFY is noticed.
_SHORTEST_POLL, _LONGEST_POLL = 1.0, 30.0


@attrs.frozen
class Timers:
    """What a zone's SOA (RFC 1035 section 3.3.13) says, in seconds."""

    serial: int
    refresh: int
    retry: int
    expire: int

    @classmethod
    def of(cls, soa: bytes) -> "Timers":
        """From SOA rdata in uncompressed wire. Raises ValueError when it is too short."""
        if len(soa) < 22:
            raise ValueError(f"SOA rdata of {len(soa)} octets")
        serial, refresh, retry, expire, _ = struct.unpack("!5I", soa[-20:])
        return cls(serial, refresh, retry, expire)


def valid_until(last_contact: int, expire: int, earliest_expiration: int | None) -> int:
    """The end of a copy: SOA EXPIRE after the last contact with the primary (RFC 1035 section
    3.3.13), and not past the first signature that expires: what comes after would be bogus."""
    end = last_contact + expire
    return end if earliest_expiration is None else min(end, earliest_expiration)


def poll_interval(expire: int) -> float:
    """Seconds between two questions for a zone: three chances before the copy expires."""
    return max(_SHORTEST_POLL, min(_LONGEST_POLL, expire / 3))


def believable_contact(stored: int | None, now: int) -> int:
    """The last contact as read from disk: one in the future (the clock was set back) counts as
    now; none as never, so that a copy of unknown age is not served."""
    return 0 if stored is None else min(stored, now)
