"""Whatever is changed in a signed answer, nothing but the truth is believed, and nothing raises."""

import functools

import dns.exception
import dns.message
import dns.name
import dns.rdatatype
from hypothesis import given, settings
from hypothesis import strategies as st
from keymaker import NOW
from signedparent import SignedParent

from signer.absence import Absent
from signer.trust import Bogus, Insecure, ZoneKeys
from signer.validation import Delegated, delegation, keys_of, self_signed

RECORDS = f"""
signed 3600 NS ns.signed
signed 3600 DS 11111 13 2 {"AB" * 32}
unsigned 3600 NS ns.unsigned
"""
DENIALS = {"NSEC": None, "NSEC3": (0, b"", False), "opt-out": (0, b"\1", True)}
QUESTIONS = [("org.", "DNSKEY"), *((f"{one}.org.", "DS") for one in ("signed", "unsigned", "no"))]


@functools.cache
def parent(denial: str) -> SignedParent:
    return SignedParent("org.", RECORDS, nsec3=DENIALS[denial])


@functools.cache
def answer(denial: str, name: str, rtype: str) -> bytes:
    query = dns.message.make_query(name, rtype)
    return parent(denial).answer(query).to_wire(max_size=65_535)


def judged(denial: str, name: str, rtype: str, wire: bytes) -> object:
    response = dns.message.from_wire(wire)
    rrsets = (*response.answer, *response.authority)
    above = parent(denial)
    if rtype == "DNSKEY":
        found = self_signed(above.origin, rrsets, NOW)
        assert isinstance(found, ZoneKeys | Insecure | Bogus)
        return keys_of(above.anchor, rrsets, NOW)
    keys = ZoneKeys(above.origin, tuple(above.dnskeys))
    return delegation(dns.name.from_text(name), rrsets, keys, NOW)


changes = st.lists(
    st.tuples(st.integers(min_value=12), st.integers(min_value=1, max_value=255)),
    min_size=1,
    max_size=4,
)


@settings(deadline=None, max_examples=400)
@given(st.sampled_from(sorted(DENIALS)), st.sampled_from(QUESTIONS), changes)
def test_only_the_truth_is_believed(
    denial: str, question: tuple[str, str], at: list[tuple[int, int]]
) -> None:
    wire = answer(denial, *question)
    truth = judged(denial, *question, wire)
    assert isinstance(truth, ZoneKeys | Delegated | Absent)
    changed = bytearray(wire)
    for position, change in at:
        changed[12 + position % (len(wire) - 12)] ^= change
    try:
        found = judged(denial, *question, bytes(changed))
    except dns.exception.DNSException:
        return  # no message at all
    assert isinstance(found, Bogus) or found == truth
