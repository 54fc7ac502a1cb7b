"""The *sign* directive: what each form means, and what each mistake is told."""

from pathlib import Path
from typing import Any

import dns.name
import pytest

from corefile import CorefileError, Directive, parse
from keystore import KeystoreConfig
from signer.config import MultiSigner, Observe, ObserveConfig, ParentConfig, SignConfig
from signer.directive import read_sign
from signer.policy import DAY, HOUR, MINUTE, KeyLayout, Nsec3, Policy, PolicyError, duration_text

BASE = Path("/etc/zoneward")


def directive(text: str) -> Directive:
    read = parse(
        "example.org {\n" + text + "\n}\n", path="Corefile", environ={}, read=lambda path: ""
    )
    return read.blocks[0].directives[0]


def sign(body: str = "", head: str = "sign") -> SignConfig:
    lines = "".join(f"    {line.strip()}\n" for line in body.split(";") if line.strip())
    return read_sign(directive(f"{head} {{\n{lines}}}" if lines else head), BASE)


def test_a_bare_sign() -> None:
    policy = sign().policy
    assert policy == Policy()
    assert (policy.keys, policy.algorithm, policy.nsec3) == (KeyLayout.CSK, 13, None)
    assert (policy.validity, policy.refresh, policy.jitter) == (14 * DAY, 5 * DAY, 12 * HOUR)
    assert (policy.dnskey_ttl, policy.max_zone_ttl) == (HOUR, DAY)
    assert (policy.propagation, policy.publish_safety) == (5 * MINUTE, HOUR)


def test_coredns_form_with_file_zones_and_keys() -> None:
    read = sign(
        "key file Kexample.org.+013+45330 /keys/Kb; key directory /keys; directory /var/lib",
        "sign db.example.org example.org example.com",
    )
    assert read.database_file == BASE / "db.example.org"
    assert read.zones == (dns.name.from_text("example.org"), dns.name.from_text("example.com"))
    assert read.key_files == (BASE / "Kexample.org.+013+45330", Path("/keys/Kb"))
    assert read.key_directories == (Path("/keys"),)
    assert read.signed_directory == Path("/var/lib")


@pytest.mark.parametrize(
    ("body", "field", "expected"),
    [
        ("keys ksk+zsk", "keys", KeyLayout.KSK_ZSK),
        ("keys csk; parent 192.0.2.1", "keys", KeyLayout.CSK),
        ("parent 192.0.2.1", "keys", KeyLayout.KSK_ZSK),
        ("parent none", "keys", KeyLayout.CSK),
        ("algorithm ed25519", "algorithm", 15),
        ("algorithm RSASHA256 3072", "rsa_bits", 3072),
        ("nsec", "nsec3", None),
        ("nsec3", "nsec3", Nsec3()),
        ("nsec3 iterations 5 salt ABCD opt-out", "nsec3", Nsec3(5, b"\xab\xcd", True)),
        ("nsec3 salt -", "nsec3", Nsec3()),
        ("cds sha-384 sha-256", "cds", (2, 4)),
        ("cds none", "cds", ()),
        ("propagation 30s", "propagation", 30),
        ("retire-safety 2h", "retire_safety", 2 * HOUR),
        ("parent-ds-ttl 2d", "parent_ds_ttl", 2 * DAY),
    ],
)
def test_options_of_the_policy(body: str, field: str, expected: object) -> None:
    assert getattr(sign(body).policy, field) == expected


def test_a_short_validity_keeps_the_proportions() -> None:
    policy = sign("validity 28s; propagation 0").policy
    assert (policy.validity, policy.refresh, policy.jitter) == (28, 10, 1)
    assert (policy.max_zone_ttl, policy.dnskey_ttl) == (10, 10)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("", ParentConfig()),
        ("parent none", ParentConfig(island=True)),
        (
            "parent 192.0.2.1 [2001:db8::1]:5300",
            ParentConfig(addresses=(("192.0.2.1", 53), ("2001:db8::1", 5300))),
        ),
    ],
)
def test_the_parent(body: str, expected: ParentConfig) -> None:
    assert sign(body).parent == expected


def test_a_registrar_makes_keys_that_roll() -> None:
    read = sign("registrar exec /usr/local/bin/ds --quiet; registrar-patience 2h")
    assert read.registrar is not None
    assert read.registrar.settings.command == ("/usr/local/bin/ds", "--quiet")
    assert read.registrar_patience == 2 * HOUR
    assert (read.policy.keys, read.policy.zsk_lifetime) == (KeyLayout.KSK_ZSK, 90 * DAY)
    assert sign("registrar manual; keys csk").policy.csk_lifetime is None


@pytest.mark.parametrize(
    ("addresses", "key"),
    [
        ("192.0.2.1", "zoneward file:tsig.key"),
        ("192.0.2.1 [2001:db8::1]:5300", "zoneward. credential:tsig hmac-sha512"),
    ],
)
def test_a_key_of_the_parent_is_a_dynamic_update_of_its_servers(addresses: str, key: str) -> None:
    short = sign(f"parent {addresses} {{\n tsig {key}\n }}")
    assert short.registrar is not None
    assert short == sign(f"parent {addresses}; registrar rfc2136 {addresses} {{\n tsig {key}\n }}")


SECRET = "c2VjcmV0c2VjcmV0c2VjcmV0"


@pytest.mark.parametrize(
    ("body", "place", "message"),
    [
        ("parent {\n tsig k env:K\n }", "4:2", "tsig needs the servers that take the update"),
        ("parent none {\n tsig k env:K\n }", "4:2", "an island has no parent to update"),
        ("parent 192.0.2.1 {\n tsig k\n }", "4:2", "an argument is missing"),
        ("parent 192.0.2.1 {\n tsig k env:K\n tsig l env:L\n }", "5:2", "given a second time"),
        ("parent 192.0.2.1 {\n tsgi k env:K\n }", "4:2", "did you mean 'tsig'"),
        (f"parent 192.0.2.1 {{\n tsig k {SECRET}\n }}", "4:9", "a secret is given by reference"),
        (
            f"parent 192.0.2.1 {{\n tsig k hmac-sha256 {SECRET}\n }}",
            "4:9",
            "a secret is given by reference",
        ),
        (
            "parent 192.0.2.1 {\n tsig k env:K\n }; registrar manual",
            "6:5",
            "registrar contradicts the tsig of parent at Corefile:3:5",
        ),
    ],
)
def test_a_key_of_the_parent_that_means_nothing(body: str, place: str, message: str) -> None:
    with pytest.raises(CorefileError, match=message) as caught:
        sign(body)
    assert str(caught.value).startswith(f"Corefile:{place}")
    assert SECRET not in str(caught.value)


ANCHORS = """; of a registry
org. 3600 IN DS 26974 8 2 4FEDE294C53F438A158C41D39489CD78A86BEB0D8A0AEAFF14745C0D16E1DE32
. IN DNSKEY 257 3 13 AAAA
"""


@pytest.mark.parametrize(
    ("head", "addresses"),
    [("parent", ()), ("parent 192.0.2.1", (("192.0.2.1", 53),))],
    ids=["of a parent that is found", "of servers that are named"],
)
def test_anchors_of_the_parent_or_of_zones_above_it(
    head: str, addresses: tuple[tuple[str, int], ...], tmp_path: Path
) -> None:
    (tmp_path / "anchors").write_text(ANCHORS)
    (tmp_path / "more").write_text("org. DS 1 13 2 " + "AB" * 32)
    read = read_sign(directive(f"sign {{\n{head} {{\nanchor anchors more\n}}\n}}"), tmp_path)
    assert read.parent.addresses == addresses
    assert [
        (one.zone.to_text(), sorted(ds.key_tag for ds in one.ds), len(one.dnskeys))
        for one in read.parent.anchors
    ] == [(".", [], 1), ("org.", [1, 26974], 0)]


@pytest.mark.parametrize(
    ("line", "content", "message"),
    [
        ("parent { \n anchor anchors \n }", None, "4:9: .*anchors can't be read: No such file"),
        ("parent { \n anchor anchors \n }", "", "anchors holds no DS or DNSKEY record"),
        ("parent { \n anchor anchors \n }", "org. 60 A 192.0.2.1", "is neither DS nor DNSKEY"),
        ("parent { \n anchor anchors \n }", "org. DS 1 13 2 AB", "no DS or DNSKEY records in zone"),
        ("parent { \n anchor anchors \n }", "\0" * 2**20 + "x", "anchors is too large"),
        ("parent { \n anchor \n }", "", "an argument is missing"),
        ("parent { \n anchors \n }", "", "unknown option 'anchors'"),
        ("parent { \n }", "", "an argument is missing"),
        ("parent none { \n anchor anchors \n }", ANCHORS, "an island has no parent to anchor"),
    ],
)
def test_anchors_that_are_none(
    line: str, content: str | None, message: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "anchors").write_text(content)
    with pytest.raises(CorefileError, match=message) as caught:
        read_sign(directive(f"sign {{\n{line}\n}}"), tmp_path)
    assert "\n" not in str(caught.value)


def test_a_keystore_and_servers_of_its_own() -> None:
    read = sign("keystore files /keys; observe 127.0.0.1:5300; gate enforce")
    assert read.keystore == KeystoreConfig("/keys")
    assert read.observe == ObserveConfig(Observe.ADDRESSES, (("127.0.0.1", 5300),))


@pytest.mark.parametrize(
    ("body", "place", "message"),
    [
        ("algorithm RSASHA1", "3:15", "'RSASHA1' found where one of RSASHA256"),
        ("algorithm ED25519 2048", "3:23", "keys of ED25519 have one length"),
        ("nsec; nsec3", "4:5", "nsec3 contradicts nsec"),
        ("nsec3 iterations 501", "3:22", "501 is out of range"),
        ("nsec3 salt xyz", "3:16", "salt in hexadecimal"),
        ("nsec3 salt", "3:11", "salt has no value"),
        ("parent none 192.0.2.1", "3:17", "one argument too many"),
        ("parent", "3:5", "an argument is missing"),
        ("cds none sha-256", "3:14", "one argument too many"),
        ("cds sha-1", "3:9", "'sha-1' found where one of none, sha-256, sha-384"),
        ("validity 250ms", "3:14", "no whole number of seconds"),
        ("validity 3; validity 4", "", "needs|second time|duration"),
        ("gate warn", "3:10", "one of enforce"),
        ("registrar nobody", "3:15", "unknown registrar 'nobody'.*; what there is: .*manual"),
        ("registrar", "3:5", "registrar names none"),
        ("registrar exec", "3:5", "an argument is missing"),
        ("registrar manual; parent none", "3:5", "an island has no parent"),
        ("keystore pkcs11", "3:14", "what there is: files"),
        ("lifetime 90d", "3:5", "unknown option 'lifetime'"),
        ("refresh 14d", "3:5", "refresh 14d is not less than validity 14d"),
        (
            "refresh 13d; jitter 1d",
            "",
            "refresh 13d \\+ jitter 1d = 14d is not less than validity 14d",
        ),
        (
            "max-zone-ttl 5d",
            "3:5",
            "the longest TTL 5d \\+ propagation 5m = 5d5m reaches into refresh 5d",
        ),
    ],
)
def test_mistakes_have_a_place_and_the_arithmetic(body: str, place: str, message: str) -> None:
    with pytest.raises(CorefileError, match=message) as caught:
        sign(body)
    assert str(caught.value).startswith(f"Corefile:{place}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"algorithm": 5}, "algorithm 5 is not one of"),
        ({"validity": 0}, "longer than nothing"),
        ({"dnskey_ttl": 5 * DAY}, "reaches into refresh"),
    ],
)
def test_a_policy_that_contradicts_itself_cannot_be_written(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(PolicyError, match=message):
        Policy(**change)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59, "59s"), (3600, "1h"), (90061, "1d1h1m1s"), (-5, "-5s")]
)
def test_durations_in_words(seconds: int, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("body", "expected", "observe"),
    [
        ("multi-signer", MultiSigner(), Observe.OWN),
        (
            "multi-signer others /keys/more",
            MultiSigner((BASE / "others", Path("/keys/more"))),
            None,
        ),
        ("multi-signer; observe 192.0.2.1", MultiSigner(), Observe.ADDRESSES),
        ("multi-signer; observe own", MultiSigner(), Observe.OWN),
        ("nsec", None, Observe.DEFAULT),
    ],
)
def test_other_signers(body: str, expected: MultiSigner | None, observe: Observe | None) -> None:
    read = sign(body)
    assert read.multi_signer == expected
    assert observe in (None, read.observe.which)


def test_the_servers_of_all_signers() -> None:
    line = "multi-signer others {\nservers 192.0.2.1 192.0.2.2:5300\n}"
    read = read_sign(directive(f"sign {{\n{line}\n}}"), BASE).multi_signer
    assert read is not None
    assert read.servers == (("192.0.2.1", 53), ("192.0.2.2", 5300))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("multi-signer; observe all", "observe all asks other signers' servers too"),
        ("multi-signer; observe quorum", "right: observe own, or observe ADDRESS"),
        ("multi-signer; multi-signer", "given a second time"),
    ],
)
def test_what_other_signers_can_not_be(body: str, why: str) -> None:
    with pytest.raises(CorefileError, match=why):
        sign(body)


def test_signalling() -> None:
    assert sign("signal").signal
    assert not sign().signal
    with pytest.raises(CorefileError, match="right: signal"):
        sign("signal example.com")
