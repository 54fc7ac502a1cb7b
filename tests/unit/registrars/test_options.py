"""What a registrar's block may hold, and what each mistake is told."""

import re
from pathlib import Path

import pytest
from registrarcases import context, directive

from corefile import CorefileError
from registrars import options, registry
from registrars.protocol import RegistrarError


def read(text: str) -> options.Settings:
    settings = registry.read(directive(text)).settings
    assert isinstance(settings, options.Settings)
    return settings


def block(name: str, *lines: str) -> str:
    return "\n".join((f"registrar {name} {{", *(f"    {line}" for line in lines), "}"))


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("cloudflare", ("token env:T",)),
        ("cloudflare", ("token env:T", "zone example.org")),
        ("desec", ("token file:/etc/token",)),
        ("dnsimple", ("token credential:dnsimple", "account 1010", "data key")),
        ("gandi", ("token env:T", "scheme apikey")),
        ("godaddy", ("key env:K", "secret env:S", "customer abc")),
        ("inwx", ("user alice", "password env:P", "totp env:O")),
        ("namecom", ("user alice", "token env:T")),
        ("ovh", ("application-key env:A", "application-secret env:B", "consumer-key env:C")),
        ("porkbun", ("key env:K", "secret env:S")),
        ("powerdns", ("key env:K", "endpoint http://192.0.2.1:8081", "server localhost")),
        ("powerdns", ("key env:K", "endpoint http://127.0.0.1:8081", "ttl 5m")),
        ("route53", ()),
        ("route53", ("zone example.org", "ttl 5m")),
        ("route53", ("access-key env:A", "secret-key env:S", "session-token env:T")),
        ("route53domains", ("access-key env:A", "secret-key env:S")),
        ("transip", ("login alice", "private-key file:key.pem", "anywhere")),
    ],
)
def test_blocks_that_are_right(name: str, lines: tuple[str, ...]) -> None:
    settings = read(block(name, *lines))
    assert settings == read(block(name, *reversed(lines)))
    assert hash(settings) == hash(read(block(name, *lines)))


@pytest.mark.parametrize(
    ("name", "lines", "message"),
    [
        ("gandi", (), "registrar gandi lacks 'token'; right: token file:PATH|env:NAME"),
        ("gandi", ("token abcdef",), "a secret is given by reference"),
        ("gandi", ("token env:T", "token env:U"), "'token' of registrar is given a second time"),
        ("gandi", ("token env:T", "tokne env:T"), "did you mean 'token'"),
        ("gandi", ("token env:T env:U",), "one argument too many"),
        ("gandi", ("token env:T", "zone example.org"), "unknown option 'zone'"),
        ("gandi", ("token env:T", "scheme basic"), "one of Bearer, Apikey should be"),
        ("gandi", ("token env:T", "endpoint api.gandi.net"), "no URL for an endpoint"),
        ("gandi", ("token env:T", "endpoint ftp://host"), "no URL for an endpoint"),
        ("gandi", ("token env:T", "endpoint https://host/?key=1"), "no URL for an endpoint"),
        ("gandi", ("token env:T", "endpoint https://host:99999"), "no URL for an endpoint"),
        ("gandi", ("token env:T", "endpoint http://api.gandi.net"), "has to be https"),
        ("gandi", ("token env:T", "endpoint http://127.0.0.1.example.org"), "has to be https"),
        ("ovh", ("application-key env:A",), "lacks 'application-secret'"),
        ("powerdns", ("key env:K",), "lacks 'endpoint'; right: endpoint URL"),
        ("powerdns", ("key env:K", "ttl 0s"), "at least 1"),
        ("powerdns", ("key env:K", "ttl 8d"), "at most 604800s"),
        ("gandi", ("token env:T", "ttl 5m"), "unknown option 'ttl'"),
        ("dnsimple", ("token env:T",), "lacks 'account'; right: account ACCOUNT"),
        ("route53", ("access-key env:A",), "lacks 'secret-key'"),
        ("transip", ("login alice", "private-key env:K", "anywhere yes"), "one argument too many"),
        ("cloudflare", ("token env:T", "zone exa..mple"), "empty label"),
        ("gandy", (), "unknown registrar 'gandy'; did you mean 'gandi'"),
    ],
)
def test_mistakes(name: str, lines: tuple[str, ...], message: str) -> None:
    with pytest.raises(CorefileError) as caught:
        read(block(name, *lines))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_password_in_an_endpoint_is_not_repeated() -> None:
    with pytest.raises(CorefileError) as caught:
        read(block("gandi", "token env:T", "endpoint https://alice:hunter2@host"))
    assert "hunter2" not in str(caught.value)


def test_every_driver_is_named() -> None:
    assert {"exec", "manual", "gandi", "route53", "route53domains"} <= set(registry.names())
    for name in registry.names():
        assert registry.driver(name) is not None


def documented() -> str:
    page = Path(__file__).parents[3] / "docs" / "registrars.md"
    return page.read_text(encoding="utf-8")


def examples() -> list[str]:
    (block,) = re.findall(r"## Examples\n\n```\n(.*?)```", documented(), re.DOTALL)
    return [one for one in re.split(r"\n(?=registrar )", block.strip()) if one]


@pytest.mark.parametrize("text", examples(), ids=lambda text: text.split()[1])
def test_the_examples_of_the_page(text: str) -> None:
    assert registry.read(directive(text)).name == text.split()[1]


def test_the_page_has_every_driver_and_option() -> None:
    table = documented().split("## What they were run against")[0]
    rows = dict(re.findall(r"^\| `([a-z0-9]+)`[^|]*\|(.*)$", table, re.MULTILINE))
    shown = {text.split()[1] for text in examples()}
    for name in registry.names():
        given = getattr(registry.driver(name), "OPTIONS", None)
        if not isinstance(given, options.Options):
            # Read by other means, and told on a page of its own or further down.
            continue
        assert name in shown
        has = {*given.secrets, *given.optional_secrets, *given.words, *given.optional_words}
        has |= {*dict(given.choices), *given.flags} | ({"zone"} if given.zone else set())
        missing = [one for one in has if f"`{one}" not in rows[name]]
        assert missing == [], name


@pytest.mark.parametrize(
    ("name", "lines", "secrets", "message"),
    [
        ("gandi", ("token env:T",), {}, "env:T: the environment variable is not set"),
        ("route53", ("access-key env:A", "secret-key env:S"), {"A": "1"}, "env:S"),
        ("transip", ("login a", "private-key env:K"), {"K": "no key"}, "no RSA key in PEM"),
        ("inwx", ("user a", "password env:P", "totp env:O"), {"P": "1", "O": "0189"}, "base32"),
    ],
)
def test_secrets_that_cannot_be_had(
    name: str, lines: tuple[str, ...], secrets: dict[str, str], message: str
) -> None:
    config = registry.read(directive(block(name, *lines)))
    with pytest.raises(RegistrarError) as caught:
        registry.open(config, context(secrets))
    assert message in str(caught.value)
    assert not caught.value.passing
