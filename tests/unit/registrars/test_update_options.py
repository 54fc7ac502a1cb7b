"""What *registrar rfc2136* may hold, and what each mistake is told. What it does is shown with
real parents."""

import pytest
from registrarcases import directive

from corefile import CorefileError
from corefile.arguments import SecretReference
from registrars import registry
from registrars.update import Settings, TsigConfig

SECRET = "c2VjcmV0c2VjcmV0c2VjcmV0"


def read(line: str, *options: str) -> Settings:
    body = "".join(f"    {option}\n" for option in options)
    settings = registry.read(directive(f"registrar rfc2136 {line} {{\n{body}}}")).settings
    assert isinstance(settings, Settings)
    return settings


def test_what_is_right() -> None:
    key = TsigConfig("zoneward.", SecretReference("file", "tsig.key"))
    servers = (("192.0.2.1", 53),)
    assert read("192.0.2.1", "tsig zoneward file:tsig.key") == Settings(servers, key)
    sha512 = TsigConfig("zoneward.", SecretReference("env", "KEY"), "hmac-sha512")
    assert read(
        "192.0.2.1 [2001:db8::1]:5300",
        "tsig zoneward. env:KEY HMAC-SHA512",
        "zone co.example",
        "ttl 5m",
    ) == Settings((*servers, ("2001:db8::1", 5300)), sha512, "co.example.", 300)


@pytest.mark.parametrize(
    ("line", "options", "message"),
    [
        ("192.0.2.1", (), "rfc2136 needs a key; right: tsig NAME file:PATH"),
        ("", ("tsig k env:K",), "an argument is missing"),
        (":53", ("tsig k env:K",), "':53' names no address"),
        ("192.0.2.1", ("tsig k",), "an argument is missing"),
        ("192.0.2.1", ("tsig k env:K hmac-md5",), "'hmac-md5' found where one of hmac-sha256"),
        ("192.0.2.1", ("tsig k env:K hmac-sha256 more",), "'more' is one argument too many"),
        ("192.0.2.1", (f"tsig k {SECRET}",), "a secret is given by reference"),
        ("192.0.2.1", (f"tsig k hmac-sha256 {SECRET}",), "a secret is given by reference"),
        ("192.0.2.1", (f"tsig k hmac-sha256 secret {SECRET}",), "a secret is given by reference"),
    ],
)
def test_what_is_wrong_is_said_and_no_secret_is_repeated(
    line: str, options: tuple[str, ...], message: str
) -> None:
    with pytest.raises(CorefileError, match=message) as caught:
        read(line, *options)
    assert SECRET not in str(caught.value)
