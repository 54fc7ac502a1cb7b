"""What a zone's task looks at in what it has read. It blocks: engine work."""

from __future__ import annotations

import time

import dns.rdatatype

import engine
from zones.increment import Increment


def changes_of(base: engine.Zone | None, read: engine.Zone | Increment | None) -> engine.Diff:
    """What the source changed since the version that is served; nothing when it was not read.
    DNSKEY records of the source are shown to the signer, who refuses foreign ones."""
    if read is None:
        assert base is not None
        return base.difference(base)
    if isinstance(read, Increment):
        return read.changes()
    return engine.source_changes(
        None if base is None else base.source(), read.source(keep_dnskey=True)
    )


def dnskeys_of(read: engine.Zone) -> frozenset[bytes]:
    found = read.rrset(read.origin, dns.rdatatype.DNSKEY)
    return frozenset() if found is None else frozenset(found.rdatas)


def faults_of(zone: engine.Zone) -> tuple[str, ...]:
    report = engine.verify(zone, at=int(time.time()), max_failures=20)
    return tuple(failure.message for failure in report.failures)
