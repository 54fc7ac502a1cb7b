"""How long it is waited between two questions, in seconds: often enough for the TTLs of the
zone, and no oftener."""

from signer.policy import HOUR, MINUTE, Policy

_SERVERS = MINUTE
_PARENT = 5 * MINUTE
_ROUTINE = 4 * HOUR


def servers(policy: Policy) -> float:
    """While a step waits for our own servers."""
    return float(min(_SERVERS, max(1, policy.dnskey_ttl // 60)))


def parent(policy: Policy, *, waiting: bool) -> float:
    """While a step waits for the parent; else only to see that its DS still is ours."""
    ttl = max(1, policy.parent_ds_ttl // 60)
    return float(min(_PARENT, ttl) if waiting else min(_ROUTINE, 12 * ttl))


def watched(policy: Policy) -> float:
    """So far apart two looks at the parent may be, while it is watched."""
    return 3 * parent(policy, waiting=True)


def held(policy: Policy) -> float:
    """While the zone is held, or nobody knows what the parent has."""
    return float(min(MINUTE, max(1, policy.parent_ds_ttl // 60)))
