"""Keys that another signer used: the states their records begin in, from what is seen.

What is served is rumoured from now on, as nobody can say since when; where the key's own
timing metadata say that it was there for longer than anything is cached, it is everywhere.
"""

import attrs

from signer.keyset import CARRIES, Goal, Key, Record, RecordKind, Role, State
from signer.policy import Policy


@attrs.frozen
class Timing:
    """What a key file says of itself (BIND's Publish, Activate, Inactive and Delete), in
    lived seconds; negative is before this state was made."""

    publish: float | None = None
    activate: float | None = None
    inactive: float | None = None
    delete: float | None = None


@attrs.frozen
class Served:
    """What is seen of a key: its DNSKEY in the zone, its signatures over the zone's data and
    over the DNSKEY RRset, its DS at the parent (at one server at least). `ttl`: the highest
    TTL in the zone, `dnskey_ttl` and `ds_ttl` of those RRsets, in seconds."""

    dnskey: bool
    zrrsig: bool
    krrsig: bool
    ds: bool
    ttl: int = 0
    dnskey_ttl: int = 0
    ds_ttl: int = 0


def adopt(
    fingerprint: str,
    role: Role,
    dnskey: bytes,
    created: int,
    served: Served,
    policy: Policy,
    now: float,
    timing: Timing | None = None,
) -> Key:
    """A key as another signer left it, at `now` (lived seconds)."""
    timing = timing or Timing()
    records = tuple((kind, _begins(kind, served, policy, now, timing)) for kind in CARRIES[role])
    ended = [at for at in (timing.inactive, timing.delete) if at is not None]
    key = Key(fingerprint, role, dnskey, created, records)
    return attrs.evolve(
        key,
        goal=Goal.HIDDEN if ended and min(ended) <= now else Goal.OMNIPRESENT,
        active_since=timing.activate if timing.activate is not None else _used(key, now),
    )


def _used(key: Key, now: float) -> float | None:
    signs = (RecordKind.ZRRSIG, RecordKind.KRRSIG)
    return now if any(key.visible(kind) for kind in signs) else None


def _begins(kind: RecordKind, served: Served, policy: Policy, now: float, timing: Timing) -> Record:
    seen = {
        RecordKind.DNSKEY: served.dnskey,
        RecordKind.ZRRSIG: served.zrrsig,
        RecordKind.KRRSIG: served.krrsig,
        RecordKind.DS: served.ds,
    }[kind]
    if kind is RecordKind.DS:
        # Only looking at each of the parent's servers says how far a DS is known.
        ttl = served.ds_ttl or policy.parent_ds_ttl
        return Record(State.RUMOURED if seen else State.HIDDEN, now, ttl)
    since = timing.publish if kind is RecordKind.DNSKEY else timing.activate
    if kind is RecordKind.ZRRSIG:
        ttl, safety = max(served.ttl, policy.max_zone_ttl), policy.retire_safety
    else:
        ttl, safety = max(served.dnskey_ttl, policy.dnskey_ttl), policy.publish_safety
    if not seen:
        # Another signer may have taken it out a moment ago: it counts as going only where
        # the key was in use at all.
        was = since is not None and since <= now
        return Record(State.UNRETENTIVE if was else State.HIDDEN, now, ttl)
    if since is not None and now >= since + ttl + policy.propagation + safety:
        return Record(State.OMNIPRESENT, now, ttl)
    return Record(State.RUMOURED, now, ttl)
