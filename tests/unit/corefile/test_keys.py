"""Keys of server blocks: schemes, zones, ports, address ranges."""

import pytest

from corefile import CorefileError, Place, Token
from corefile.keys import parse_key
from corefile.names import directory_name, encloses, name_wire, wire_name, zone_name

PLACE = Place("Corefile", 1, 1)


def keys(text: str) -> list[str]:
    return [str(key) for key in parse_key(Token(text, PLACE))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (".", ["dns://.:53"]),
        (".:1053", ["dns://.:1053"]),
        ("Example.ORG", ["dns://example.org.:53"]),
        ("example.org.", ["dns://example.org.:53"]),
        ("dns://example.org:5300", ["dns://example.org.:5300"]),
        ("tls://example.org", ["tls://example.org.:853"]),
        ("quic://example.org", ["quic://example.org.:853"]),
        ("grpc://example.org", ["grpc://example.org.:443"]),
        ("https://example.org", ["https://example.org.:443"]),
        ("HTTPS3://example.org", ["https3://example.org.:443"]),
        ("a\\.b.test", ["dns://a\\.b.test.:53"]),
        ("a\\065.test", ["dns://aa.test.:53"]),
        ("_tcp.a-b.test", ["dns://_tcp.a-b.test.:53"]),
        # ranges on whole octets and nibbles
        ("10.0.0.0/8", ["dns://10.in-addr.arpa.:53"]),
        ("10.1.2.3/16:5300", ["dns://1.10.in-addr.arpa.:5300"]),
        ("0.0.0.0/0", ["dns://in-addr.arpa.:53"]),
        ("2001:db8::/32", ["dns://8.b.d.0.1.0.0.2.ip6.arpa.:53"]),
        ("2001:db8::/32:5300", ["dns://8.b.d.0.1.0.0.2.ip6.arpa.:5300"]),
        # a "/" in a name, as RFC 2317 delegates parts of an octet
        ("0/25.2.0.192.in-addr.arpa", ["dns://0/25.2.0.192.in-addr.arpa.:53"]),
        ("0/25.2.0.192.in-addr.arpa.:5300", ["dns://0/25.2.0.192.in-addr.arpa.:5300"]),
        # several zones where the mask is no whole octet or nibble
        ("10.1.0.0/22", [f"dns://{octet}.1.10.in-addr.arpa.:53" for octet in range(4)]),
        ("10.128.0.0/9", [f"dns://{octet}.10.in-addr.arpa.:53" for octet in range(128, 256)]),
        ("192.0.2.4/31", [f"dns://{octet}.2.0.192.in-addr.arpa.:53" for octet in (4, 5)]),
        (
            "2001:db8:8000::/34",
            [f"dns://{nibble}.8.b.d.0.1.0.0.2.ip6.arpa.:53" for nibble in "89ab"],
        ),
    ],
)
def test_keys(text: str, expected: list[str]) -> None:
    assert keys(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("udp://a.test", "unknown scheme 'udp'"),
        ("a.test:0", "'0' in 'a.test:0' is no port; a number from 1 to 65535 is"),
        ("a.test:65536", "'65536' in 'a.test:65536' is no port"),
        ("a.test:", "'' in 'a.test:' is no port"),
        ("a.test:dns", "'dns' in 'a.test:dns' is no port"),
        (":5300", "':5300' names no zone; the root is written '.', as in '.:5300'"),
        ("a..test", "has an empty label"),
        (".a.test", "has an empty label"),
        ("a" * 64 + ".test", "has a label of 64 octets"),
        (".".join(["a" * 50] * 6), "takes 307 octets; at most 255"),
        ("exämple.test", "not ASCII; write an internationalised name as xn--…"),
        ("a\\999.test", "has the escape \\999, above \\255"),
        ("a\\", "ends in the middle of an escape"),
        ("10.0.0.0/33", "an address range is written like"),
        ("10.0.0/8", "an address range is written like"),
        ("a.test/8", "an address range is written like"),
    ],
)
def test_refused_keys(text: str, expected: str) -> None:
    with pytest.raises(CorefileError) as caught:
        keys(text)
    assert expected in str(caught.value)
    assert str(caught.value).startswith("Corefile:1:1: ")


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        (".", b"\0"),
        ("example.org.", b"\x07example\x03org\0"),
        ("a\\.b.test.", b"\x03a.b\x04test\0"),
        ("\\000.test.", b"\x01\0\x04test\0"),
    ],
)
def test_names_and_their_wire(text: str, wire: bytes) -> None:
    assert zone_name(text) == text
    assert name_wire(text) == wire
    assert wire_name(wire) == text


@pytest.mark.parametrize("wire", [b"", b"\x01a", b"\x03ab\0", b"\xc0\x0c", b"\0\0", b"\x40" * 80])
def test_what_is_no_wire_name(wire: bytes) -> None:
    with pytest.raises(ValueError, match="not an uncompressed wire name"):
        wire_name(wire)


@pytest.mark.parametrize(
    ("zone", "directory"),
    [
        (".", "@root"),
        ("example.org.", "example.org"),
        ("\\@root.", "%5C%40root"),
        ("a/b.test.", "a%2Fb.test"),
        ("..%".replace("..", "a\\.") + ".", "a%5C.%25"),
    ],
)
def test_directories_are_harmless(zone: str, directory: str) -> None:
    assert directory_name(zone) == directory


def test_enclosing() -> None:
    assert encloses(".", "example.org.")
    assert encloses("example.org.", "example.org.")
    assert encloses("org.", "example.org.")
    assert not encloses("ample.org.", "example.org.")
    assert not encloses("www.example.org.", "example.org.")
