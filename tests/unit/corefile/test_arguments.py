"""Readers for arguments: what they give, and that they say what would have been right."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from corefile import CorefileError, Place, Token, arguments
from corefile.arguments import Endpoint, SecretReference
from corefile.secrets import SecretError, resolve

PLACE = Place("Corefile", 3, 7)
MINUTE, HOUR, DAY = 60, 3600, 86400


def token(text: str) -> Token:
    return Token(text, PLACE)


@pytest.mark.parametrize(
    ("reader", "text", "value"),
    [
        (arguments.count, "0", 0),
        (arguments.count, "512", 512),
        (arguments.integer, "-3", -3),
        (arguments.duration, "0", 0),
        (arguments.duration, "30s", 30),
        (arguments.duration, "1h30m", HOUR + 30 * MINUTE),
        (arguments.duration, "0.5s", 0.5),
        (arguments.duration, ".5s", 0.5),
        (arguments.duration, "250ms", 0.25),
        (arguments.duration, "90d", 90 * DAY),
        (arguments.duration, "2w", 14 * DAY),
        (arguments.duration, "1y", 365 * DAY),
        (arguments.size, "512", 512),
        (arguments.size, "64k", 65536),
        (arguments.size, "10MiB", 10 * 2**20),
        (arguments.size, "1G", 2**30),
        (partial(arguments.choice, known=("all", "Denial")), "DENIAL", "Denial"),
        (arguments.ip_address, "2001:DB8::0", "2001:db8::"),
        (arguments.address, "127.0.0.1:9153", Endpoint("127.0.0.1", 9153)),
        (arguments.address, "localhost:9153", Endpoint("127.0.0.1", 9153)),
        (arguments.address, "[::1]:9153", Endpoint("::1", 9153)),
        (arguments.address, ":8080", Endpoint("", 8080)),
        (partial(arguments.address, port=53), "192.0.2.1", Endpoint("192.0.2.1", 53)),
        (partial(arguments.address, port=53), "2001:db8::1", Endpoint("2001:db8::1", 53)),
        (arguments.zone, "Example.ORG", "example.org."),
        (arguments.secret_reference, "file:/run/key", SecretReference("file", "/run/key")),
        (arguments.secret_reference, "env:KEY", SecretReference("env", "KEY")),
        (arguments.secret_reference, "credential:k", SecretReference("credential", "k")),
    ],
)
def test_values(reader: Callable[[Token], object], text: str, value: object) -> None:
    assert reader(token(text)) == value


@pytest.mark.parametrize(
    ("reader", "text", "expected"),
    [
        (arguments.count, "-1", "-1 is out of range; a whole number of at least 0 is right"),
        (arguments.count, "1e3", "'1e3' found where a whole number of at least 0 should be"),
        (arguments.count, "١", "'١' found where a whole number"),
        (arguments.count, "9" * 400, "found where a whole number"),
        (partial(arguments.count, most=9), "10", "a whole number from 0 to 9 is right"),
        (arguments.duration, "30", "a duration such as 30s, 1h30m or 90d should be ('30s'?)"),
        (arguments.duration, "", "'' found where a duration"),
        (arguments.duration, "1m2", "'1m2' found where a duration"),
        (arguments.duration, "-1s", "'-1s' found where a duration"),
        (partial(arguments.duration, least=1.0), "1ms", "1ms is out of range; it has to be at "),
        (arguments.size, "10 k", "a size such as 512, 64k or 10MiB"),
        (partial(arguments.size, most=10), "11", "octets from 0 to 10 are right"),
        (partial(arguments.choice, known=("a", "b")), "c", "'c' found where one of a, b should be"),
        (arguments.ip_address, "eth0", "'eth0' found where an IP address should be"),
        (arguments.address, "127.0.0.1", "names no port; right: 127.0.0.1:PORT"),
        (arguments.address, "127.0.0.1:x", "'x' in '127.0.0.1:x' is no port number"),
        (arguments.address, "127.0.0.1:70000", "port 70000 in '127.0.0.1:70000' is above 65535"),
        (arguments.address, "host:80", "found where ADDRESS:PORT should be"),
        (arguments.zone, "a..b", "has an empty label"),
        (lambda one: arguments.zones([one]), "a..b", "has an empty label"),
        (lambda one: arguments.zones([one]), "10.0.0.0/33", "an address range is written like"),
    ],
)
def test_refusals(reader: Callable[[Token], object], text: str, expected: str) -> None:
    with pytest.raises(CorefileError) as caught:
        reader(token(text))
    assert expected in caught.value.message
    assert caught.value.place == PLACE


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("a.test B.test A.test", ["a.test.", "b.test."]),
        ("10.0.0.0/8 fd00::/48", ["10.in-addr.arpa.", "0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa."]),
        ("192.0.2.4/31", ["4.2.0.192.in-addr.arpa.", "5.2.0.192.in-addr.arpa."]),
        ("0/25.2.0.192.in-addr.arpa", ["0/25.2.0.192.in-addr.arpa."]),
    ],
)
def test_zones_are_names_or_address_ranges(words: str, expected: list[str]) -> None:
    assert list(arguments.zones([token(word) for word in words.split()])) == expected


@pytest.mark.parametrize("text", ["hunter2", "password:hunter2", "env:"])
def test_a_literal_secret_is_not_repeated(text: str) -> None:
    with pytest.raises(CorefileError) as caught:
        arguments.secret_reference(token(text))
    assert "hunter2" not in str(caught.value)


def test_secrets_from_each_place(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"from a file\n")
    environ = {"KEY": "from the environment", "CREDENTIALS_DIRECTORY": str(tmp_path)}
    get = partial(resolve, directory=tmp_path, environ=environ)
    assert get(SecretReference("file", "key")) == b"from a file"
    assert get(SecretReference("env", "KEY")) == b"from the environment"
    assert get(SecretReference("credential", "key")) == b"from a file"


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        (SecretReference("file", "none"), "No such file"),
        (SecretReference("file", "empty"), "is empty"),
        (SecretReference("env", "NONE"), "the environment variable is not set"),
        (SecretReference("credential", "../x"), "a credential's name has no '/'"),
    ],
)
def test_secrets_that_cannot_be_had(
    tmp_path: Path, reference: SecretReference, expected: str
) -> None:
    (tmp_path / "empty").write_bytes(b"\n")
    with pytest.raises(SecretError, match=expected):
        resolve(reference, directory=tmp_path, environ={"CREDENTIALS_DIRECTORY": str(tmp_path)})
