"""Whose silence counts, where name servers have several addresses: pure."""

from collections.abc import Mapping, Sequence

from signer.asking import Silent

#: A server's name for people, and what came from each of its addresses and ports.
Heard = tuple[str, Mapping[tuple[str, int], object | Silent]]


def missing(servers: Sequence[Heard]) -> list[str]:
    """What keeps these answers from being those of all servers, a reason each: every address
    of every one counts. Passed over are those of a family (IPv4 or IPv6) that this machine
    has no way to, as far as can be told: from none of them came anything, and from one of the
    other family did. A server that was heard nowhere is missing all the same."""
    came: dict[int, bool] = {}
    for _, group in servers:
        for (address, _), one in group.items():
            family = _family(address)
            came[family] = came.get(family, False) or not _nothing(one)
    found = []
    for name, group in servers:
        silent = {at: one for at, one in group.items() if isinstance(one, Silent)}
        if len(silent) == len(group):
            found += [one.reason for one in silent.values()][:1] or [f"{name} has no address"]
            continue
        found += [
            f"{name}: {one.reason}"
            for (address, _), one in silent.items()
            if came[_family(address)] or not any(came.values())
        ]
    return found


def _nothing(one: object | Silent) -> bool:
    return isinstance(one, Silent) and not one.spoke


def _family(address: str) -> int:
    return 6 if ":" in address else 4
