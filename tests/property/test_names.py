"""Names as text and wire: one and the same, and directories that can't escape."""

import hypothesis.strategies as st
from hypothesis import HealthCheck, assume, given, settings

from corefile.names import directory_name, encloses, name_labels, name_wire, wire_name, zone_name

# A busy machine is not a failure.
RELAXED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
labels = st.binary(min_size=1, max_size=63)
wires = (
    st.lists(labels, max_size=12)
    .map(lambda found: b"".join(bytes([len(label)]) + label for label in found) + b"\0")
    .filter(lambda wire: len(wire) <= 255)
)


@RELAXED
@given(wires)
def test_wire_to_text_to_wire_changes_only_case(wire: bytes) -> None:
    text = wire_name(wire)
    assert zone_name(text) == text
    assert name_wire(text) == wire.lower()
    assert wire_name(name_wire(text)) == text


@RELAXED
@given(st.binary())
def test_no_octets_break_the_reader(octets: bytes) -> None:
    try:
        text = wire_name(octets)
    except ValueError:
        return
    assert name_wire(text) == octets.lower()


@RELAXED
@given(wires)
def test_a_directory_is_one_harmless_name(wire: bytes) -> None:
    directory = directory_name(wire_name(wire))
    assert directory not in {"", ".", ".."}
    assert len(directory) <= 255
    assert not set(directory) & set("/\\\0")
    assert directory.isascii()
    assert directory.isprintable()


@RELAXED
@given(wires, wires)
def test_directories_of_different_zones_differ(one: bytes, other: bytes) -> None:
    assume(wire_name(one) != wire_name(other))
    assert directory_name(wire_name(one)) != directory_name(wire_name(other))


@RELAXED
@given(wires, st.integers(0, 6))
def test_a_name_is_enclosed_by_its_ancestors(wire: bytes, depth: int) -> None:
    found = name_labels(wire_name(wire))[depth:]
    ancestor = wire_name(b"".join(bytes([len(label)]) + label for label in found) + b"\0")
    assert encloses(ancestor, wire_name(wire))
    assert encloses(".", wire_name(wire))
