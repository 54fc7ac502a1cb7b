"""What was seen of our servers and of the parent's: values that the shell fills."""

from collections.abc import Mapping

import attrs

from signer.keyset import RecordKind
from signer.policy import Nsec3

#: A record of a key: its fingerprint and the kind.
Subject = tuple[str, RecordKind]


@attrs.frozen
class Observations:
    """What was seen, never what was ordered; times are since when (lived seconds).

    `shown`: all our servers show a version with the record; of a ZRRSIG, one in which no
    RRset lacks it. For a DS: every server of the parent shows it. `gone`: none of them shows
    it. A subject is in one of the two or in neither, and what was seen before the record's
    last change counts for nothing. `parent_looked`: when every server of the parent was last
    asked and answered.

    `denial`: all our servers show a version with that kind. `foreign`: the same of a foreign
    DNSKEY, by rdata, and `foreign_gone`. `shared`: by fingerprint, since when all servers
    that answer for the zone, other signers' among them, show a DNSKEY of ours, and the highest
    TTL in seconds that they give it. `ds_anywhere`: keys whose DS is at one of the
    parent's servers at least; `strange_ds`: there is one of no key of ours, too.
    `ds_ttl`: the highest TTL that the parent gave and caches may still hold, 0 when it never
    did. `zone_ttl` and `dnskey_ttl`: the highest that the zone and
    the DNSKEY RRset had and caches may still hold. `dnskey_ttl_since`: since when all our
    servers show the DNSKEY RRset with no more than the policy's TTL. `island`: there is no
    parent. `dnskey_expires`: when the DNSKEY RRset's signatures end, in lived seconds."""

    shown: Mapping[Subject, float] = attrs.field(factory=dict)
    gone: Mapping[Subject, float] = attrs.field(factory=dict)
    denial: Mapping[Nsec3 | None, float] = attrs.field(factory=dict)
    foreign: Mapping[bytes, float] = attrs.field(factory=dict)
    foreign_gone: Mapping[bytes, float] = attrs.field(factory=dict)
    shared: Mapping[str, tuple[float, int]] = attrs.field(factory=dict)
    ds_anywhere: frozenset[str] = frozenset()
    strange_ds: bool = False
    ds_ttl: int = 0
    parent_looked: float | None = None
    zone_ttl: int = 0
    dnskey_ttl: int = 0
    dnskey_ttl_since: float | None = None
    island: bool = False
    dnskey_expires: float | None = None
