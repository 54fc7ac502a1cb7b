"""`registrar epp`: what each line means, and what each mistake is told."""

import pytest
from eppscene import line

from corefile import CorefileError
from corefile.arguments import SecretReference
from registrars import registry
from registrars.epp.settings import Settings
from registrars.epp.tree import DOMAIN, SECDNS
from registrars.protocol import Wants

LOGIN = "login ClientX env:EPP_PASSWORD"
PASSWORD = SecretReference("env", "EPP_PASSWORD")


def read(*options: str, head: str = "registrar epp epp.example.net") -> Settings:
    config = registry.read(line(head, *options))
    assert config.name == "epp"
    assert isinstance(config.settings, Settings)
    return config.settings


def test_the_least() -> None:
    assert read(LOGIN, "wants ds") == Settings(
        "epp.example.net", 700, "ClientX", PASSWORD, Wants.DS
    )


def test_all_of_it() -> None:
    settings = read(
        LOGIN,
        "wants dnskey",
        "certificate client.pem client.key",
        "ca registry.pem",
        "digests 2 4",
        "max-sig-life 30d",
        "urgent",
        "messages acknowledge",
        f"objects {DOMAIN} urn:ietf:params:xml:ns:contact-1.0",
        f"extensions urn:ietf:params:xml:ns:rgp-1.0 {SECDNS}",
        "timeout 45s",
        head="registrar epp epp.example.net:7000",
    )
    assert settings == Settings(
        "epp.example.net",
        7000,
        "ClientX",
        PASSWORD,
        Wants.DNSKEY,
        certificate=("client.pem", "client.key"),
        ca="registry.pem",
        digests=frozenset({2, 4}),
        max_sig_life=30 * 86400,
        urgent=True,
        acknowledge=True,
        objects=(DOMAIN, "urn:ietf:params:xml:ns:contact-1.0"),
        extensions=(SECDNS, "urn:ietf:params:xml:ns:rgp-1.0"),
        timeout=45.0,
    )
    assert hash(settings) == hash(read(*LOGIN_AND_ALL, head="registrar epp epp.example.net:7000"))


LOGIN_AND_ALL = (
    LOGIN,
    "wants dnskey",
    "certificate client.pem client.key",
    "ca registry.pem",
    "digests 4 2",
    "max-sig-life 720h",
    "urgent",
    "messages ACKNOWLEDGE",
    f"objects {DOMAIN} urn:ietf:params:xml:ns:contact-1.0",
    "extensions urn:ietf:params:xml:ns:rgp-1.0",
    "timeout 45s",
)


@pytest.mark.parametrize(
    ("text", "host", "port", "place"),
    [
        ("epp.example.net", "epp.example.net", 700, "epp epp.example.net:700"),
        ("192.0.2.7:1700", "192.0.2.7", 1700, "epp 192.0.2.7:1700"),
        ("[2001:db8::7]", "2001:db8::7", 700, "epp [2001:db8::7]:700"),
        ("[2001:db8::7]:701", "2001:db8::7", 701, "epp [2001:db8::7]:701"),
    ],
)
def test_hosts(text: str, host: str, port: int, place: str) -> None:
    settings = read(LOGIN, "wants ds", head=f"registrar epp {text}")
    assert (settings.host, settings.port, settings.place) == (host, port, place)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (("wants ds",), "login is missing; right: login ID file:PATH"),
        ((LOGIN,), r"wants is missing; right: wants ds\|dnskey"),
        ((LOGIN, "wants either"), "ds"),
        (("login ClientX secret", "wants ds"), "a secret is given by reference"),
        (("login ClientX", "wants ds"), "an argument is missing"),
        ((LOGIN, "wants ds", "wants ds"), "'wants' of registrar is given a second time"),
        ((LOGIN, "wants ds", "certificate one.pem"), "right: certificate FILE KEY-FILE"),
        ((LOGIN, "wants ds", "messages eat"), "acknowledge"),
        ((LOGIN, "wants ds", "max-sig-life 0"), "1s"),
        ((LOGIN, "wants ds", "digests sha256"), "a whole number from 1 to 255"),
        ((LOGIN, "wants ds", "urgent yes"), "'yes' is one argument too many"),
        ((LOGIN, "wants ds", "certificat a b"), "did you mean 'certificate'"),
    ],
)
def test_mistakes(options: tuple[str, ...], what: str) -> None:
    with pytest.raises(CorefileError, match=what) as caught:
        read(*options)
    assert "secret'" not in str(caught.value)


@pytest.mark.parametrize("text", ["a:b", "[::1", "2001:db8::7", "epp.example.net:0", "h:65536"])
def test_hosts_that_are_none(text: str) -> None:
    with pytest.raises(CorefileError):
        read(LOGIN, "wants ds", head=f"registrar epp {text}")


def test_a_host_is_needed() -> None:
    with pytest.raises(CorefileError, match="registrar: an argument is missing; right: registrar"):
        read(LOGIN, "wants ds", head="registrar epp")
