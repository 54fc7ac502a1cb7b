"""*rrl* in the real engine: which replies are too many, and what becomes of them."""

import contextlib
import socket

import dns.flags
import dns.message
import pytest
from answering import SILENCE, Answering, answering, rcode

import engine
from corefile.names import name_wire
from server.counters import decode

ADDRESS, OTHER, FAR = "127.61.16.1", "127.61.16.2", "127.61.17.1"

ZONE = """$TTL 300
@ SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
ns A 192.0.2.1
www A 192.0.2.2
sub NS ns.sub
ns.sub A 192.0.2.3
"""


def limited(running: Answering, *asked: tuple[str, str], source: str = ADDRESS) -> str:
    """Of each reply a letter: whole, cut, silence. All are asked at one time."""
    running.publish(engine.scan_text(ZONE.encode(), name_wire("example.org.")))
    told = ["-"] * len(asked)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind((source, 0))
        client.connect((running.address, running.port))
        for number, (name, rtype) in enumerate(asked):
            client.send(dns.message.make_query(f"{name}example.org.", rtype, id=number).to_wire())
        client.settimeout(SILENCE)
        with contextlib.suppress(TimeoutError):
            while "-" in told:
                reply = dns.message.from_wire(client.recv(4096))
                told[reply.id] = "c" if reply.flags & dns.flags.TC else "w"
    return "".join(told)


def rrl(lines: str) -> str:
    return f"file db\nrrl {{\nwindow 2\n{lines}\n}}"


@pytest.mark.parametrize(
    ("lines", "asked", "expected"),
    [
        ("responses-per-second 1", [("www.", "A")] * 6, "wwc-c-"),
        ("responses-per-second 1\nslip-ratio 1", [("www.", "A")] * 4, "wwcc"),
        ("responses-per-second 1\nslip-ratio 0", [("www.", "A")] * 4, "ww--"),
        ("responses-per-second 1", [("www.", "A"), ("ns.", "A")] * 2, "wwww"),
        ("responses-per-second 1", [(f"no{one}.", "A") for one in range(4)], "wwc-"),
        ("nxdomains-per-second 1", [("www.", "A")] * 4, "wwww"),
        ("nxdomains-per-second 1", [(f"no{one}.", "A") for one in range(3)], "wwc"),
        ("nodata-per-second 1", [("www.", "MX"), ("ns.", "TXT"), ("www.", "TXT")], "wwc"),
        ("referrals-per-second 1", [(f"x{one}.sub.", "A") for one in range(3)], "wwc"),
        ("requests-per-second 1", [("www.", "A"), ("ns.", "A"), ("no.", "A")], "ww-"),
        ("responses-per-second 1\nreport-only", [("www.", "A")] * 4, "wwww"),
    ],
)
def test_replies_of_a_kind(lines: str, asked: list[tuple[str, str]], expected: str) -> None:
    with answering(ADDRESS, rrl(lines), "example.org") as running:
        assert limited(running, *asked) == expected


def test_a_prefix_is_one_client_and_tcp_is_free() -> None:
    with answering(ADDRESS, rrl("responses-per-second 1\nslip-ratio 1"), "example.org") as running:
        assert limited(running, *[("www.", "A")] * 2) == "ww"
        assert limited(running, ("www.", "A"), source=OTHER) == "c"
        assert limited(running, ("www.", "A"), source=FAR) == "w"
        assert rcode(running.ask("www.example.org.", tcp=True)) == "NOERROR"


def test_what_was_too_much_is_counted() -> None:
    with answering(ADDRESS, rrl("responses-per-second 1"), "example.org") as running:
        limited(running, *[("www.", "A")] * 5)
        found = {(one.rule, one.action): one.count for one in decode(running.server.stats()).hits}
        assert found == {("response", "truncated"): 2, ("response", "dropped"): 1}
