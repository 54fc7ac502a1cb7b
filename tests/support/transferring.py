"""A zone in three versions, and its transfer without sockets."""

from collections.abc import Iterator

import dns.message
import dns.name
import dns.rrset
import dns.tsig
import pytest

import engine

NOW = 1_700_000_000
NAME = dns.name.from_text("example.org.")
ORIGIN = NAME.to_wire()
SECRET = b"0123456789abcdef0123456789abcdef"
KEY_NAME = dns.name.from_text("transfer.example.")
KEY = engine.TsigKey(KEY_NAME.to_wire(), "hmac-sha256", SECRET)
ALGORITHMS = ["hmac-sha256", "hmac-sha384", "hmac-sha512"]


def zone(serial: int, *lines: str) -> engine.Zone:
    text = f"@ 3600 SOA ns hostmaster {serial} 3600 600 86400 300\n@ 3600 NS ns\n"
    return engine.scan_text((text + "\n".join(lines) + "\n").encode(), ORIGIN)


# What stays: a difference larger than the zone is not sent as one.
REST = [f"rest{number} 60 A 192.0.2.9" for number in range(30)]
V1 = zone(1, "ns 60 A 192.0.2.1", "mx MX 10 Mail.Example.org.", *REST)
V2 = zone(2, "ns 60 A 192.0.2.1", "mx MX 10 mail", "www 60 A 192.0.2.2", *REST)
V3 = zone(3, "ns 90 A 192.0.2.1", "mx MX 10 mail", "a.b 60 TXT text", *REST)
HISTORY = [V1.difference(V2), V2.difference(V3)]
LARGE = zone(9, *(f"host{n} 60 TXT {'x' * 200} {n}" for n in range(2000)))


def keyring(algorithm: str = "hmac-sha256") -> dict[dns.name.Name, dns.tsig.Key]:
    return {KEY_NAME: dns.tsig.Key(KEY_NAME, SECRET, algorithm)}


def query(qtype: str, serial: int | None = None) -> dns.message.Message:
    message = dns.message.make_query(NAME, qtype)
    if serial is not None:
        soa = dns.rrset.from_text(NAME, 0, "IN", "SOA", f". . {serial} 0 0 0 0")
        message.authority.append(soa)
    return message


def bare_query() -> bytes:
    return dns.message.make_query(NAME, "AXFR", id=7).to_wire()


def code_of(raised: pytest.ExceptionInfo[engine.EngineError]) -> str:
    return raised.value.code


def fed(client: engine.TransferClient, messages: Iterator[bytes] | list[bytes]) -> bool:
    done = False
    for message in messages:
        assert not done
        done = client.feed(message, NOW)
    return done


def transferred(
    base: engine.Zone | None,
    served: engine.Zone,
    history: list[engine.Diff] | None = None,
    key: engine.TsigKey | None = None,
) -> engine.TransferClient:
    client = engine.TransferClient(ORIGIN, base, key)
    server = engine.TransferServer([key] if key else [])
    request = server.parse(client.request(7, NOW), NOW)
    assert fed(client, server.answer(request, served, history, NOW))
    return client
