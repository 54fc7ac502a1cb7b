"""*forward* and *cache* with real servers as upstreams: the same answers, none lost when one of
them dies, loops found."""

import asyncio
import contextlib
import ipaddress
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.zone
import httpx
import peers
import pytest
from house import PORT, House, children, until
from prometheus_client.parser import text_string_to_metric_families
from resolvers import Stub, unbound

AA = dns.flags.AA
LOAD = 1200
ORIGIN = "fwd.test."
ZONE = f"""$ORIGIN {ORIGIN}
$TTL 300
@ SOA ns hostmaster 1 3600 900 86400 120
@ NS ns
@ MX 10 mail
ns A 192.0.2.53
www A 192.0.2.80
www A 192.0.2.81
WwW AAAA 2001:db8::80
mail A 192.0.2.25
alias CNAME www
dangling CNAME nowhere
*.wild TXT "wild"
long TXT {" ".join('"' + "x" * 200 + '"' for _ in range(20))}
sub NS ns.sub
ns.sub A 192.0.2.54
host0 A 192.0.2.100
"""
QUESTIONS = [
    (name + ORIGIN, rtype)
    for name in ("", "www.", "WWW.", "alias.", "dangling.", "a.wild.", "no.", "x.sub.", "long.")
    for rtype in ("A", "TXT", "SOA", "DNSKEY", "CNAME")
]


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("zone")
    (directory / "zone").write_text(ZONE)
    subprocess.run(
        [
            *(sys.executable, "-P", "-m", "zoneward", "sign", "zone", "--origin", ORIGIN),
            *("--generate", "ECDSAP256SHA256", "-o", "signed"),
        ],
        cwd=directory,
        check=True,
        capture_output=True,
    )
    return directory / "signed"


def next_to(address: str, steps: int) -> str:
    """Another address of the same test."""
    return str(ipaddress.ip_address(int(ipaddress.ip_address(address)) ^ steps << 8))


def serve(house: House) -> None:
    """The server alone: it needs no manager for what others answer."""
    house.start("serve")
    until(lambda: house.answer(f"ns.{ORIGIN}"), 30, f"an upstream's answer\n{house.log}")


def query(name: str, rtype: str, *, dnssec: bool = True) -> dns.message.Message:
    found = dns.message.make_query(name, rtype, want_dnssec=dnssec, payload=1232)
    found.flags |= dns.flags.AD
    return found


def ask(message: dns.message.Message, address: str, port: int) -> dns.message.Message:
    reply, _ = dns.query.udp_with_fallback(message, address, port=port, timeout=8)
    return reply


def content(reply: dns.message.Message, *, without: int = 0) -> tuple[object, ...]:
    """All that a reply says, but for order and TTLs."""
    sections = [
        sorted(
            (rrset.name.to_text(), rrset.rdtype, sorted(rdata.to_text() for rdata in rrset))
            for rrset in section
        )
        for section in (reply.answer, reply.authority, reply.additional)
    ]
    return (reply.rcode(), reply.flags & ~without, bool(reply.ednsflags), sections)


def test_an_answer_is_the_upstreams_own_and_the_cached_one_the_same(
    house: House, signed: Path, tmp_path: Path, address: str
) -> None:
    names = sorted(peers.PEERS)
    places = {peer: peers.door(peer, next_to(address, 1)) for peer in names}
    with contextlib.ExitStack() as stack:
        for peer, (where, port) in places.items():
            stack.enter_context(
                peers.running(peer, tmp_path / peer, where, port, [(ORIGIN, signed)])
            )
        house.corefile(
            *(
                f".:{PORT + index} {{\n bind @ADDRESS@\n cache\n"
                f" forward . {places[peer][0]}:{places[peer][1]}\n errors\n}}"
                for index, peer in enumerate(names)
            )
        )
        serve(house)
        for index, peer in enumerate(names):
            same_answers(places[peer], (house.address, PORT + index))
        house.stop()


def same_answers(upstream: tuple[str, int], ours: tuple[str, int]) -> None:
    for name, rtype in QUESTIONS:
        for dnssec in (True, False):
            message = query(name, rtype, dnssec=dnssec)
            own = ask(message, *upstream)
            first, second = (ask(message, *ours) for _ in range(2))
            # Another spelling of a name that was asked for comes from the cache, and so does
            # over TCP what was too long over UDP.
            is_short = len(own.to_wire()) <= 1232
            kept = 0 if name == name.lower() and is_short else AA
            assert content(first, without=kept) == content(own, without=kept)
            assert content(second, without=AA) == content(own, without=AA)
            assert not second.flags & AA or own.rcode() not in (0, 3)


def test_a_validating_upstreams_word_comes_through(
    house: House, signed: Path, tmp_path: Path, address: str
) -> None:
    zone = dns.zone.from_file(str(signed), ORIGIN, relativize=False)
    keys = zone.get_rdataset(ORIGIN, "DNSKEY")
    assert keys is not None
    anchors = [f"{ORIGIN} IN DNSKEY {key.to_text()}" for key in keys]
    bogus = tmp_path / "bogus"
    bogus.write_text(signed.read_text().replace("192.0.2.25", "192.0.2.26"))
    where, port = peers.door("nsd", next_to(address, 1))
    resolver, resolver_port = peers.door("knot", next_to(address, 2))
    with (
        peers.running("nsd", tmp_path / "nsd", where, port, [(ORIGIN, bogus)]),
        unbound(
            tmp_path / "unbound", resolver, resolver_port, [Stub(ORIGIN, where, port)], anchors
        ) as upstream,
    ):
        house.corefile(f".:@PORT@ {{\n bind @ADDRESS@\n cache\n forward . {upstream.upstream}\n}}")
        serve(house)
        for _ in range(2):
            assert house.ask(f"www.{ORIGIN}").flags & dns.flags.AD
            failed = house.ask(f"mail.{ORIGIN}")
            assert failed.rcode() == dns.rcode.SERVFAIL
            (error,) = failed.options
            assert isinstance(error, dns.edns.EDEOption)
            assert error.code == dns.edns.EDECode.DNSSEC_BOGUS
            unchecked = query(f"mail.{ORIGIN}", "A")
            unchecked.flags |= dns.flags.CD
            assert ask(unchecked, house.address, PORT).rcode() == dns.rcode.NOERROR
        house.stop()


def descendants(pid: int) -> list[int]:
    """A process and all below it: NSD answers in a child."""
    found = [pid]
    for one in found:
        found += [child for child, _ in children(one)]
    return found


class Load(asyncio.DatagramProtocol):
    """Queries at a steady pace, each with a name of its own; who got no answer is known."""

    def __init__(self) -> None:
        self.waiting: dict[int, str] = {}
        self.rcodes: list[int] = []

    def datagram_received(self, data: bytes, addr: object) -> None:
        if self.waiting.pop(int.from_bytes(data[:2]), None) is not None:
            self.rcodes.append(data[3] & 15)

    def next(self, number: int) -> bytes:
        """A query, which is waited for from now on."""
        message = dns.message.make_query(f"q{number}.wild.{ORIGIN}", "TXT", id=number)
        self.waiting[number] = str(message.question[0].name)
        return message.to_wire()


async def run_load(
    address: str, count: int, middle: Callable[[], None], patience: float
) -> tuple[list[int], list[str]]:
    """Rcodes, and the names that got no answer. `middle` is called half the way."""
    loop = asyncio.get_running_loop()
    transport, load = await loop.create_datagram_endpoint(Load, remote_addr=(address, PORT))
    for number in range(count):
        if number == count // 2:
            middle()
        transport.sendto(load.next(number))
        if number % 10 == 9:
            await asyncio.sleep(0.01)
    until = loop.time() + patience
    while load.waiting and loop.time() < until:
        await asyncio.sleep(0.02)
    transport.close()
    return load.rcodes, list(load.waiting.values())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["dies", "hangs"])
@pytest.mark.parametrize("options", ["", "force_tcp"], ids=["udp", "tcp"])
def test_no_query_is_lost_when_an_upstream_goes_amid_the_load(
    number: signal.Signals,
    options: str,
    house: House,
    signed: Path,
    tmp_path: Path,
    address: str,
) -> None:
    places = [peers.door("nsd", next_to(address, step)) for step in (1, 2)]
    with contextlib.ExitStack() as stack:
        for index, (where, port) in enumerate(places):
            directory, zones = tmp_path / f"nsd{index}", [(ORIGIN, signed)]
            process = stack.enter_context(peers.running("nsd", directory, where, port, zones))
        targets = " ".join(f"{where}:{port}" for where, port in places)
        house.corefile(
            f".:@PORT@ {{\n bind @ADDRESS@\n forward . {targets} {{\n policy round_robin\n"
            f" {options}\n }}\n errors\n}}"
        )
        serve(house)
        family = descendants(process.pid)

        def send(what: signal.Signals) -> None:
            for pid in family:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, what)

        # An attempt waits two seconds, and the next upstream answers.
        loses_none(house, lambda: send(number))
        send(signal.SIGCONT)
        house.stop()


def test_an_upstream_that_comes_back_takes_over_when_the_other_dies_amid_the_load(
    house: House, signed: Path, tmp_path: Path, address: str
) -> None:
    places = {peer: peers.door(peer, next_to(address, 1)) for peer in ("nsd", "bind")}
    resolver, port = peers.door("knot", next_to(address, 2))
    stubs = [Stub(ORIGIN, *places["nsd"])]
    with contextlib.ExitStack() as stack:
        processes = {
            peer: stack.enter_context(
                peers.running(peer, tmp_path / peer, *place, [(ORIGIN, signed)])
            )
            for peer, place in places.items()
        }
        first = stack.enter_context(unbound(tmp_path / "first", resolver, port, stubs))
        house.corefile(
            f".:@PORT@ {{\n bind @ADDRESS@\n forward . {first.upstream} "
            f"{places['bind'][0]}:{places['bind'][1]} {{\n policy round_robin\n }}\n errors\n}}"
        )
        serve(house)
        loses_none(house, first.process.kill, LOAD // 3)
        stack.enter_context(unbound(tmp_path / "again", resolver, port, stubs))
        # What BIND answers, it answers with authority.
        until(
            lambda: not house.ask(f"www.{ORIGIN}").flags & AA,
            10,
            f"Unbound is asked again\n{house.log}",
        )
        loses_none(house, processes["bind"].kill, LOAD // 3)
        assert not house.ask(f"www.{ORIGIN}").flags & AA
        house.stop()


def loses_none(house: House, middle: Callable[[], None], count: int = LOAD) -> None:
    rcodes, lost = asyncio.run(run_load(house.address, count, middle, 6))
    assert lost == []
    assert rcodes == [dns.rcode.NOERROR] * count


def test_a_long_answer_comes_whole_over_tcp(
    house: House, signed: Path, tmp_path: Path, address: str
) -> None:
    where, port = peers.door("bind", address)
    with peers.running("bind", tmp_path / "bind", where, port, [(ORIGIN, signed)]):
        house.corefile(f".:@PORT@ {{\n bind @ADDRESS@\n forward . {where}:{port}\n}}")
        serve(house)
        short = dns.query.udp(query(f"long.{ORIGIN}", "TXT"), house.address, port=PORT, timeout=8)
        assert short.flags & dns.flags.TC
        (text,) = house.ask(f"long.{ORIGIN}", "TXT", dnssec=False, tcp=True).answer
        assert len(text[0].to_text()) > 4000
        house.stop()


def test_the_loop_of_a_corefile_from_the_wild_is_found(house: House) -> None:
    house.corefile(".:@PORT@ {\n bind @ADDRESS@\n loop\n forward . @ADDRESS@:@PORT@\n}")
    house.start()
    assert house.end() != 0
    assert f"a loop: what {house.address}:{PORT} forwards of '.' comes back to it" in house.log


def test_a_loop_over_unbound_is_found(house: House, tmp_path: Path, address: str) -> None:
    resolver, port = peers.door("knot", next_to(address, 1))
    with unbound(tmp_path / "unbound", resolver, port, [Stub(".", address, PORT)]) as upstream:
        house.corefile(
            f".:@PORT@ {{\n bind @ADDRESS@\n loop\n cache\n forward . {upstream.upstream}\n}}"
        )
        house.start()
        assert house.end() != 0
        assert "comes back to it" in house.log


def test_a_corefile_with_proxy_runs_with_a_warning(
    house: House, signed: Path, tmp_path: Path, address: str
) -> None:
    where = next_to(address, 1)
    with unbound(tmp_path / "unbound", where, 53, []):
        (house.directory / "resolv.conf").write_text(f"search example.org\nnameserver {where}\n")
        house.corefile(
            ".:@PORT@ {\n    bind @ADDRESS@\n    errors\n    health @ADDRESS@:8080\n"
            "    prometheus @ADDRESS@:9153\n    proxy . resolv.conf\n    cache 30\n}"
        )
        house.run()
        assert house.answer("localhost.", "A") == ["127.0.0.1"]
        assert house.answer("localhost.", "A") == ["127.0.0.1"]
        assert house.lines("'proxy' went out of CoreDNS with version 1.5")
        shown = until(lambda: httpx.get(f"http://{house.address}:9153/metrics").text, 5, "metrics")
        found = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(shown)
            for sample in family.samples
        }
        server = f"dns://{house.address}:{PORT}"
        cached = {"server": server, "zones": ".", "view": "", "type": "success"}
        asked = {"proxy_name": "forward", "to": f"{where}:53", "rcode": "NOERROR"}
        duration = "zoneward_proxy_request_duration_seconds_count"
        assert found["zoneward_cache_hits_total", frozenset(cached.items())] == 1
        assert found[duration, frozenset(asked.items())] == 1
        house.stop()
