"""What a server's result code means for who waits for it (RFC 5730 section 3)."""

import attrs

PENDING = 1001
NO_MESSAGES = 1300
UNIMPLEMENTED, USE, AUTHORIZATION, NO_OBJECT = 2101, 2002, 2201, 2303
# After these the server closes, or knows us no more.
CLOSING = frozenset({1500, USE, 2500, 2501, 2502})


@attrs.frozen
class Meaning:
    """What to do about it, and whether the same may succeed later."""

    remedy: str
    passing: bool = False


_REPORT = Meaning("report it with the registry's name")
_RULES = Meaning("see the registry's rules for DNSSEC")
_STATE = Meaning("see to the domain at the registry")
_LOGIN = Meaning("see to login and certificate")
_LATER = Meaning("it is tried again", passing=True)

_MEANINGS = {
    2000: _REPORT,
    2001: _REPORT,
    USE: _LATER,
    2003: _REPORT,
    2004: _RULES,
    2005: _RULES,
    2100: _REPORT,
    UNIMPLEMENTED: _REPORT,
    2102: Meaning("leave out what the registry lacks: urgent, max-sig-life, or the other of wants"),
    2103: Meaning("ask the registry whether the account may use DNSSEC (secDNS-1.1)"),
    2104: Meaning("see to the account's credit at the registry"),
    2200: _LOGIN,
    AUTHORIZATION: Meaning("see that the domain is this account's"),
    2302: _STATE,
    NO_OBJECT: Meaning("see that the domain is at this registry"),
    2304: Meaning("have the lock or the pending action taken off the domain"),
    2305: _STATE,
    2306: _RULES,
    2307: _RULES,
    2308: _RULES,
    2400: _LATER,
    2500: _LATER,
    2501: _LOGIN,
    2502: Meaning("close sessions of this account elsewhere; it is tried again", passing=True),
}


def meaning(code: int) -> Meaning:
    return _MEANINGS.get(code, _REPORT)
