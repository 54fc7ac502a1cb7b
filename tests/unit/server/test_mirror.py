"""*mirror* in a Corefile: what it compiles to, and what is refused where."""

from pathlib import Path

import pytest

import corefile
from server.compile import CompileError, compile_corefile
from server.compiledtaps import Dnstap, Hash, Json, Pcap, Prefix, Server, Sink, Tap, Target, Unix
from server.registry import Registry


def taps(body: str, directory: str = "/etc") -> list[Tap]:
    text = ". {\n" + body + "\n}"
    parsed = corefile.parse(text, path=f"{directory}/Corefile", environ={}, read=Path.read_text)
    compiled = compile_corefile(parsed, Registry.of({}))
    return [one for one in compiled.config.chains[0].stages if isinstance(one, Tap)]


def to(target: Target, capacity: int = 10_000, anonymous: Prefix | Hash | None = None) -> Sink:
    return Sink(plugin="mirror", target=target, capacity=capacity, anonymous=anonymous)


SERVER = Server(address="192.0.2.7", port=53)
LINES = Json(path="/var/q.json", answers=False)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("mirror server 192.0.2.7", Tap(sink=to(SERVER))),
        (
            "mirror server [2001:db8::1]:5300",
            Tap(sink=to(Server(address="2001:db8::1", port=5300))),
        ),
        ("mirror json /var/q.json", Tap(sink=to(LINES))),
        ("mirror json q.json", Tap(sink=to(Json(path="/etc/q.json", answers=False)))),
        (
            "mirror json /var/q.json {\nanswers\nrotate 1MiB 3\n}",
            Tap(sink=to(Json(path="/var/q.json", answers=True, most_octets=2**20, keep=3))),
        ),
        (
            "mirror pcap /var/q.pcap {\nrotate 4k\nqueue 7\n}",
            Tap(sink=to(Pcap(path="/var/q.pcap", answers=False, most_octets=4096, keep=5), 7)),
        ),
        (
            "mirror json /var/q.json A.test b.test {\ntype A TXT\nnet 10.1.2.3/8\nrcode nxdomain\n"
            "type MX\nsample 10%\n}",
            Tap(
                sink=to(LINES),
                names=("a.test.", "b.test."),
                types=(1, 16, 15),
                networks=("10.0.0.0/8",),
                rcodes=(3,),
                sample=100_000,
            ),
        ),
        ("mirror json /var/q.json {\nsample 1/1000\n}", Tap(sink=to(LINES), sample=1000)),
        ("mirror json /var/q.json {\nsample 0.5%\n}", Tap(sink=to(LINES), sample=5000)),
        (
            "mirror json /var/q.json {\nanonymise prefix\n}",
            Tap(sink=to(LINES, anonymous=Prefix(ipv4=24, ipv6=48))),
        ),
        (
            "mirror json /var/q.json {\nanonymise prefix 16 32\nextra {name}\n}",
            Tap(sink=to(LINES, anonymous=Prefix(ipv4=16, ipv6=32)), extra="{name}"),
        ),
    ],
)
def test_mirror(line: str, expected: Tap) -> None:
    assert taps(line) == [expected]


@pytest.mark.parametrize(
    ("options", "types"), [("", (5,)), (" {\nanswers\nidentity x\nversion y\n}", (5, 6))]
)
def test_to_a_dnstap_receiver(options: str, types: tuple[int, ...]) -> None:
    (found,) = taps(f"mirror dnstap /run/s{options}")
    target = found.sink.target
    assert isinstance(target, Dnstap)
    assert (target.endpoint, target.full, target.types) == (Unix(path="/run/s"), True, types)
    assert not options or (target.identity, target.version) == (b"x".hex(), b"y".hex())


def test_a_key_is_read_where_it_is_and_without_one_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"0123456789abcdef\n")
    line = "mirror json q {{\nanonymise hash {}\n}}"
    (named,) = taps(line.format("file:key"), str(tmp_path))
    assert named.sink.anonymous == Hash(key=b"0123456789abcdef".hex())
    own = [taps(line.format(""))[0].sink.anonymous for _ in range(2)]
    assert own[0] == own[1] != named.sink.anonymous


def test_several_mirrors() -> None:
    body = "mirror server 192.0.2.7 a.test\nwhoami\nmirror json /var/q.json b.test"
    assert [tap.names for tap in taps(body)] == [("a.test.",), ("b.test.",)]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("mirror", "2:1: mirror: an argument is missing; right: mirror dnstap|server|json|pcap TO"),
        ("mirror kafka a:9092", "2:8: 'kafka' found where one of dnstap, server, json, pcap"),
        ("mirror server ns.test", "2:15: 'ns.test' found where ADDRESS:PORT"),
        ("mirror server :53", "2:15: ':53' is no server"),
        ("mirror dnstap tls://a:1", "2:15: dnstap over TLS is not in this version"),
        ("mirror server 192.0.2.7 {\nanswers\n}", "3:1: unknown option 'answers' of mirror"),
        ("mirror pcap q {\nextra {name}\n}", "3:1: unknown option 'extra' of mirror"),
        ("mirror json q {\nsample 0%\n}", "3:8: '0%' found where a share such as 10%"),
        ("mirror json q {\nsample 1/0x\n}", "3:8: '1/0x' found where a share"),
        ("mirror json q {\nsample 101%\n}", "3:8: '101%' found where a share"),
        ("mirror json q {\nsample 1%\nsample 1%\n}", "4:1: 'sample' of mirror is given a second"),
        ("mirror json q {\nrcode OOPS\n}", "3:7: 'OOPS' found where one of NOERROR"),
        ("mirror json q {\nrotate 1k\n}", "3:8: 1k is out of range"),
        ("mirror json q {\nqueue 0\n}", "3:7: 0 is out of range"),
        ("mirror json q {\nanonymise\n}", "3:1: anonymise: an argument is missing"),
        ("mirror json q {\nanonymise prefix 33\n}", "3:18: 33 is out of range"),
        ("mirror json q {\nanonymise hash secret\n}", "3:16: a secret is given by reference"),
        ("mirror json q {\nanonymise hash file:nowhere\n}", "3:16: file:nowhere: "),
        (
            "mirror json q {\nanonymise prefix\nextra {remote}\n}",
            "4:1: mirror: {remote} and {port} tell of clients",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(line: str, error: str) -> None:
    with pytest.raises(CompileError) as raised:
        taps(line)
    (found,) = raised.value.errors
    assert str(found).startswith(f"/etc/Corefile:{error}")


def test_a_short_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"tiny!")
    with pytest.raises(CompileError) as raised:
        taps("mirror json q {\nanonymise hash file:key\n}", str(tmp_path))
    assert "file:key has 5 octets; a key has 16 at least" in str(raised.value)
    assert "tiny!" not in str(raised.value)
