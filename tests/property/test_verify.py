"""Any zone that is signed verifies, and a record that is taken out of it is missed."""

import dns.name
import dns.rdatatype as t
from hypothesis import given, settings
from hypothesis import strategies as st
from keymaker import NOW, plan, sign_new

import engine

ORIGIN = dns.name.from_text("example.org.").to_wire()
LABELS = st.sampled_from(["a", "b", "C", "*", "_tcp", r"\000", r"sp\032ace", "n" * 63])
# Four of the longest would be more than a name takes.
OWNERS = st.lists(LABELS, min_size=1, max_size=4).map(".".join).filter(lambda name: len(name) < 240)
DATA = st.sampled_from(
    ["A 192.0.2.1", "A 192.0.2.2", "MX 5 a", "TXT x", r"TYPE65280 \# 1 00", "NS a.b", "NS c"]
)
CONTENTS = st.lists(st.tuples(OWNERS, DATA), max_size=25)
DENIALS = st.sampled_from([None, (0, b"", False), (2, b"\1\2", True)])


def zone(content: list[tuple[str, str]]) -> engine.Zone:
    lines = ["@ 60 SOA ns host 1 1 1 1 60", *(f"{owner} 60 {data}" for owner, data in content)]
    return engine.scan_text(("\n".join(lines) + "\n").encode(), ORIGIN)


@given(CONTENTS, CONTENTS, DENIALS)
@settings(max_examples=60, deadline=None)
def test_what_is_signed_verifies(
    content: list[tuple[str, str]],
    other: list[tuple[str, str]],
    nsec3: tuple[int, bytes, bool] | None,
) -> None:
    first = sign_new(zone(content), plan(nsec3=nsec3)).zone
    assert engine.verify(first, at=NOW).failures == []
    changes = engine.source_changes(first.source(), zone(other))
    after = engine.sign(first, changes, plan(nsec3=nsec3, serial=3)).zone
    assert engine.verify(after, at=NOW).failures == []
    assert engine.verify(after, at=NOW, since=first).failures == []


@given(CONTENTS, DENIALS, st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_a_signature_that_goes_is_missed(
    content: list[tuple[str, str]], nsec3: tuple[int, bytes, bool] | None, which: int
) -> None:
    signed = sign_new(zone(content), plan(nsec3=nsec3)).zone
    lines = signed.to_text().splitlines()
    signatures = [at for at, line in enumerate(lines) if "RRSIG" in line.split()[:4]]
    del lines[signatures[which % len(signatures)]]
    bare = engine.scan_text(("\n".join(lines) + "\n").encode(), ORIGIN)
    assert bare.signature_count == signed.signature_count - 1
    assert {one.code for one in engine.verify(bare, at=NOW).failures} == {"no-signature"}
    assert bare.rrset(ORIGIN, t.DNSKEY) is not None
