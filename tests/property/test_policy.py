"""Any policy that holds together can be written as a *sign* directive and is read back."""

from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from corefile import CorefileError, parse
from signer.directive import read_sign
from signer.policy import (
    ALGORITHM_NAMES,
    DAY,
    RSA_ALGORITHMS,
    KeyLayout,
    Nsec3,
    Policy,
    PolicyError,
    duration_text,
)

DURATIONS = (
    "dnskey_ttl",
    "max_zone_ttl",
    "validity",
    "refresh",
    "jitter",
    "propagation",
    "publish_safety",
    "retire_safety",
    "parent_ds_ttl",
    "parent_propagation",
)
SPAN = st.integers(0, 60 * DAY)
NSEC3 = st.builds(Nsec3, st.integers(0, 500), st.binary(max_size=16), st.booleans())


def text(policy: Policy) -> str:
    bits = f" {policy.rsa_bits}" if policy.algorithm in RSA_ALGORITHMS else ""
    lines = [
        f"keys {policy.keys.value}",
        f"algorithm {ALGORITHM_NAMES[policy.algorithm]}{bits}",
        *(f"{name.replace('_', '-')} {duration_text(getattr(policy, name))}" for name in DURATIONS),
    ]
    if policy.nsec3 is not None:
        salt = policy.nsec3.salt.hex() or "-"
        opt_out = " opt-out" if policy.nsec3.opt_out else ""
        lines.append(f"nsec3 iterations {policy.nsec3.iterations} salt {salt}{opt_out}")
    return "example.org {\nsign {\n" + "\n".join(lines) + "\n}\n}\n"


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    algorithm = draw(st.sampled_from(sorted(ALGORITHM_NAMES)))
    bits = draw(st.integers(1024, 4096)) if algorithm in RSA_ALGORITHMS else 2048
    validity = draw(st.integers(10, 60 * DAY))
    refresh = draw(st.integers(1, validity - 1))
    propagation = draw(st.integers(0, refresh))
    ttl = st.integers(0, refresh - propagation)
    return Policy(
        keys=draw(st.sampled_from(KeyLayout)),
        algorithm=algorithm,
        rsa_bits=bits,
        nsec3=draw(st.none() | NSEC3),
        validity=validity,
        refresh=refresh,
        jitter=draw(st.integers(0, validity - refresh - 1)),
        propagation=propagation,
        dnskey_ttl=draw(ttl),
        max_zone_ttl=draw(ttl),
        publish_safety=draw(SPAN),
        retire_safety=draw(SPAN),
        parent_ds_ttl=draw(SPAN),
        parent_propagation=draw(SPAN),
    )


def read(written: str) -> Policy:
    corefile = parse(written, path="Corefile", environ={}, read=lambda path: "")
    return read_sign(corefile.blocks[0].directives[0], Path()).policy


@given(policies())
def test_what_is_written_is_read(policy: Policy) -> None:
    assert read(text(policy)) == policy


@given(policies(), st.sampled_from(DURATIONS), SPAN)
def test_one_option_that_breaks_it_is_refused_at_its_place(
    policy: Policy, name: str, span: int
) -> None:
    values = {field: getattr(policy, field) for field in DURATIONS} | {name: span}
    try:
        Policy(algorithm=policy.algorithm, **values)
    except PolicyError as error:
        told = str(error)
    else:
        assume(False)  # it still holds together
    line = f"{name.replace('_', '-')} "
    written = "\n".join(
        line + duration_text(span) if found.startswith(line) else found
        for found in text(policy).splitlines()
    )
    with pytest.raises(CorefileError, match=r"^Corefile:") as caught:
        read(written + "\n")
    assert told in str(caught.value)
