"""One signing pass, from a source's changes to a version that the gate lets through.

Everything here blocks and runs in the engine's executor; it touches neither the database nor
the network.
"""

import hashlib
from collections.abc import Sequence

import attrs

import engine
from signer.gate import Content, Fault, Findings, Passed, Stopped, compare, guard
from signer.policy import Policy, PolicyError

_DNSKEY, _CDS, _CDNSKEY, _NS, _SOA, _NSEC3PARAM = 48, 59, 60, 2, 6, 51
_DSBOOT = b"\x07_dsboot"
# More faults than these are not told one by one; the gate then asks for a clean version.
_MAX_FAULTS = 10_000
# A full pass, or this many new signatures, is worth writing the memory down for.
_SAVE_MEMORY_FROM = 1000


@attrs.frozen
class Survey:
    """What has to be known of a source's changes before they are signed: the highest TTL
    among what is added, and the tags of DNSKEY records that are not ours."""

    highest_ttl: int
    foreign_keys: tuple[int, ...]

    @staticmethod
    def of(changes: engine.Diff, ours: frozenset[bytes]) -> "Survey":
        highest, foreign = 0, set()
        for _, rtype, ttl, rdata in changes.added():
            if ttl > highest:
                highest = ttl
            if rtype == _DNSKEY and rdata not in ours:
                foreign.add(engine.key_tag(rdata))
        return Survey(highest, tuple(sorted(foreign)))

    def problem(self, policy: Policy) -> str | None:
        """Why these changes can't be signed under this policy. The apex key sets are the
        signer's: a key that it does not hold would be published without a use for it."""
        if self.foreign_keys:
            return (
                f"the source has DNSKEY {', '.join(map(str, self.foreign_keys))} of keys that are "
                "not ours; import the keys (zoneward keys import), write `multi-signer` into "
                "*sign* where others sign the zone too, or take the records out"
            )
        try:
            policy.check_ttl(self.highest_ttl, "the zone's longest TTL")
        except PolicyError as error:
            return str(error)
        return None


@attrs.frozen
class Apex:
    """The key sets that a version is to have at its apex, and its denial."""

    dnskeys: frozenset[bytes]
    dnskey_ttl: int
    cds: frozenset[bytes]
    cdnskeys: frozenset[bytes]
    nsec3: tuple[int, bytes] | None

    @staticmethod
    def of(zone: engine.Zone) -> "Apex":
        def rdatas(rtype: int) -> frozenset[bytes]:
            found = zone.rrset(zone.origin, rtype)
            return frozenset() if found is None else frozenset(found.rdatas)

        dnskey = zone.rrset(zone.origin, _DNSKEY)
        param = next(iter(rdatas(_NSEC3PARAM)), None)
        return Apex(
            frozenset() if dnskey is None else frozenset(dnskey.rdatas),
            0 if dnskey is None else dnskey.ttl,
            rdatas(_CDS),
            rdatas(_CDNSKEY),
            # RFC 5155 section 4.2: hash algorithm, flags, iterations, salt length, salt.
            None if param is None else (int.from_bytes(param[2:4], "big"), param[5:]),
        )

    def scope_from(self, base: "Apex", asked: str) -> str:
        """How much of the base has to be looked at to get from its apex to this one."""
        return "all" if (self.dnskeys, self.nsec3) != (base.dnskeys, base.nsec3) else asked


@attrs.frozen
class Verified:
    """A version and what verifying it found."""

    zone: engine.Zone
    findings: Findings


def findings(report: engine.Report) -> Findings:
    return Findings(
        frozenset(Fault.of(failure) for failure in report.failures), report.failure_count
    )


def verify(
    zone: engine.Zone,
    at: int,
    ds: Sequence[Sequence[bytes]],
    memory: engine.VerifyMemory | None,
    since: Verified | None = None,
) -> Verified:
    """Check a version at Unix time `at`, all of it or what differs from a version that was
    found clean. Raises EngineError."""
    clean = since is not None and not since.findings.count
    report = engine.verify(
        zone,
        at=at,
        ds=ds,
        memory=memory,
        since=since.zone if since is not None and clean else None,
        max_failures=_MAX_FAULTS,
    )
    if memory is not None and (not clean or report.verified >= _SAVE_MEMORY_FROM):
        memory.save()
    return Verified(zone, findings(report))


@attrs.frozen
class Candidate:
    """A signed version, verified, with the gate's verdict. `guarded` says why a person
    should look first."""

    signed: engine.Signed
    verified: Verified
    verdict: Passed | Stopped
    guarded: str | None
    token: str | None


def anew(base: engine.Zone, changes: engine.Diff) -> engine.Diff:
    """All that the source has, for a version that is signed from nothing: one that must get
    another serial though little or nothing has changed. Raises EngineError."""
    source = base.source()
    if changes:
        # Not `apply`: what a source changes does not say its serial (engine.source_changes).
        bare = engine.SignPlan(
            keys=[],
            dnskeys=[],
            dnskey_ttl=0,
            serial=changes.to_serial,
            inception=0,
            expiration=1,
            refresh_before=0,
        )
        source = engine.sign(source, changes, bare).zone.source()
    return engine.source_changes(None, source)


def sign(
    base: engine.Zone | None, changes: engine.Diff, plan: engine.SignPlan, scope: str
) -> engine.Signed:
    """Raises EngineError."""
    return engine.sign(base, changes, plan, scope=scope)


def examine(
    signed: engine.Signed,
    base: engine.Zone | None,
    changes: engine.Diff,
    *,
    at: int,
    ds: Sequence[Sequence[bytes]],
    memory: engine.VerifyMemory | None,
    base_verified: Verified | None,
    percent: int,
    unanchored: bool = False,
) -> Candidate:
    """Gate and content guard for a version that was signed. `base_verified` is what is
    known of the base; without it the base is verified too. `unanchored`: nobody can be led
    to its keys, and going insecure was asked for. Raises EngineError."""
    if unanchored:
        reason = None if base is None else _guarded(base, signed.zone, changes, percent)
        token = None if base is None or reason is None else _token(base, changes)
        return Candidate(signed, Verified(signed.zone, Findings()), Passed(), reason, token)
    if base is None:
        verified = verify(signed.zone, at, ds, memory)
        return Candidate(signed, verified, compare(Findings(), verified.findings), None, None)
    before = base_verified
    if before is None or before.zone is not base or before.findings.count:
        # What is served is judged at the same moment: signatures may have ended since.
        before = verify(base, at, ds, memory)
    verified = verify(signed.zone, at, ds, memory, before)
    reason = _guarded(base, signed.zone, changes, percent)
    return Candidate(
        signed,
        verified,
        compare(before.findings, verified.findings),
        reason,
        None if reason is None else _token(base, changes),
    )


def _guarded(base: engine.Zone, new: engine.Zone, changes: engine.Diff, percent: int) -> str | None:
    def content(zone: engine.Zone, names: int) -> Content:
        return Content(names, zone.rrset(zone.origin, _NS) is not None)

    # A change can't lose more names than it touches. Counting what is the source's costs a
    # copy of the zone, and is for changes that could be large enough; hashed owners may be
    # two of three names.
    touched = len(changes.owners)
    if touched * 300 <= base.name_count * percent:
        return guard(content(base, 1), content(new, 1), percent)
    # Signalling names (RFC 9615) come and go with other zones: they are not what is guarded.
    names = new.source().name_count + sum(
        new.rrset(owner, _CDS) is None
        for owner in {owner for owner, rtype, *_ in changes.removed() if rtype == _CDS}
        if owner.startswith(_DSBOOT)
    )
    return guard(content(base, base.source().name_count), content(new, names), percent)


def _token(base: engine.Zone, changes: engine.Diff) -> str:
    """Names a change of a base: the same edit gives the same token, another one another."""
    digest = hashlib.sha256(base.digest())
    for mark, records in ((b"-", changes.removed()), (b"+", changes.added())):
        for owner, rtype, ttl, rdata in sorted(records):
            if rtype != _SOA:
                digest.update(mark + repr((owner, rtype, ttl, rdata)).encode())
    return digest.hexdigest()[:16]


def version_digest(previous: bytes | None, signed: engine.Signed) -> bytes:
    """SHA-384 that stands for a version's content: of the whole zone, or of the version
    before and the difference, so that a small change costs little."""
    diff = signed.diff
    if previous is None or diff is None:
        return signed.zone.digest()
    digest = hashlib.sha384(previous)
    for mark, records in ((b"-", diff.removed()), (b"+", diff.added())):
        for owner, rtype, ttl, rdata in records:
            head = f"{rtype} {ttl} {len(owner)} {len(rdata)} ".encode()
            digest.update(mark + head + owner + rdata)
    return digest.digest()
