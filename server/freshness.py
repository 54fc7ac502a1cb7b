"""Until when a copy of a zone may be served, and how often to ask for a newer one.

Pure: times are Unix seconds and passed in.
"""

import struct

import attrs

# Never seconds apart from a busy loop, never so rare that a lost NOTIFY is noticed.
_SHORTEST_POLL, _LONGEST_POLL = 1.0, 30.0
# NOTIFY says at once what is new: these questions are for one that was lost.
_POLLS_A_SECOND = 2
_SHORTEST_RETRY, _RETRIES_A_SECOND = 2.0, 50


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


def poll_interval(expire: int, zones: int = 1) -> float:
    """Seconds between two questions for a zone: three chances before the copy expires. `zones`
    is how many of the same manager are told of by NOTIFY: all of them ask no more than some
    questions a second."""
    longest = max(_LONGEST_POLL, zones / _POLLS_A_SECOND)
    return max(_SHORTEST_POLL, min(longest, expire / 3))


def retry_interval(zones: int = 1) -> float:
    """Seconds until a zone that could not be had is asked for again; `zones` as above."""
    return max(_SHORTEST_RETRY, zones / _RETRIES_A_SECOND)


def believable_contact(stored: int | None, now: int) -> int:
    """The last contact as read from disk: one in the future (the clock was set back) counts as
    now; none as never, so that a copy of unknown age is not served."""
    return 0 if stored is None else min(stored, now)
