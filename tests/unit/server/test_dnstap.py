"""*dnstap* in a Corefile: what it compiles to, and what is refused where."""

from pathlib import Path

import pytest

import corefile
import engine
from server.compile import CompileError, compile_corefile
from server.compiledtaps import Dnstap, Sink, Tap, Tcp, Unix
from server.readers import hostname
from server.registry import Registry

VERSION = f"Zoneward-{engine.__version__}"


def taps(body: str) -> list[Tap]:
    text = ". {\n" + body + "\n}"
    parsed = corefile.parse(text, path="/etc/Corefile", environ={}, read=Path.read_text)
    compiled = compile_corefile(parsed, Registry.of({}))
    return [one for one in compiled.config.chains[0].stages if isinstance(one, Tap)]


def dnstap(
    endpoint: Unix | Tcp,
    *,
    full: bool = False,
    identity: str = "",
    version: str = VERSION,
    types: tuple[int, ...] = (5, 6, 7, 8),
    write_buffer: int = 0,
    capacity: int = 10_000,
    extra: str = "",
) -> Tap:
    target = Dnstap(
        endpoint=endpoint,
        full=full,
        identity=(identity or hostname()).encode().hex(),
        version=version.encode().hex(),
        types=types,
        write_buffer=write_buffer,
    )
    return Tap(sink=Sink(plugin="dnstap", target=target, capacity=capacity), extra=extra)


SOCK = Unix(path="/tmp/a.sock")
HERE = Tcp(place="127.0.0.1:6000")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("dnstap /tmp/a.sock", dnstap(SOCK)),
        ("dnstap unix:///tmp/a.sock full", dnstap(SOCK, full=True)),
        ("dnstap a.sock", dnstap(Unix(path="/etc/a.sock"))),
        ("dnstap tcp://127.0.0.1:6000 FULL", dnstap(HERE, full=True)),
        ("dnstap tcp://example.org:6000", dnstap(Tcp(place="example.org:6000"))),
        ("dnstap tcp://[::1]:6000", dnstap(Tcp(place="[::1]:6000"))),
        (
            "dnstap /tmp/a.sock full 2 3",
            dnstap(SOCK, full=True, write_buffer=2 * 2**20, capacity=30_000),
        ),
        ("dnstap /tmp/a.sock 4", dnstap(SOCK, write_buffer=4 * 2**20)),
        ("dnstap /tmp/a.sock {\nidentity ns1\n}", dnstap(SOCK, identity="ns1")),
        ("dnstap /tmp/a.sock {\nversion v-1\n}", dnstap(SOCK, version="v-1")),
        ('dnstap /tmp/a.sock {\nextra "to: {name}"\n}', dnstap(SOCK, extra="to: {name}")),
        (
            "dnstap /tmp/a.sock {\nmessage_types client_response FORWARDER_QUERY AUTH_QUERY\n}",
            dnstap(SOCK, types=(6, 7)),
        ),
        ("dnstap /tmp/a.sock {\nskipverify\n}", dnstap(SOCK)),
    ],
)
def test_dnstap(line: str, expected: Tap) -> None:
    assert taps(line) == [expected]


def test_several_receivers() -> None:
    assert taps("dnstap /tmp/a.sock\nwhoami\ndnstap tcp://127.0.0.1:6000") == [
        dnstap(SOCK),
        dnstap(HERE),
    ]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("dnstap", "2:1: dnstap: an argument is missing; right: dnstap SOCKET [full]"),
        ("dnstap tls://127.0.0.1:6000", "2:8: dnstap over TLS is not in this version"),
        ("dnstap udp://127.0.0.1:6000", "2:8: 'udp://127.0.0.1:6000' found where PATH"),
        ("dnstap tcp://127.0.0.1", "2:8: 'tcp://127.0.0.1' names no host and port"),
        ("dnstap tcp://:6000", "2:8: 'tcp://:6000' names no host and port"),
        ("dnstap tcp://::1:6000", "2:8: 'tcp://::1:6000' names no host and port"),
        ("dnstap tcp://a:65536", "2:8: 'tcp://a:65536' names no host and port"),
        ("dnstap unix://", "2:8: 'unix://' is no path of a socket"),
        (f"dnstap /{'x' * 107}", f"2:8: '/{'x' * 107}' is no path of a socket"),
        ("dnstap listen /tmp/a.sock", "2:8: this version of Zoneward connects to a receiver"),
        ("dnstap /tmp/a.sock half", "2:20: 'half' found where a whole number from 1 to 1024"),
        ("dnstap /tmp/a.sock full 1 4097", "2:27: 4097 is out of range"),
        ("dnstap /tmp/a.sock 1 2 3", "2:24: '3' is one too many"),
        ("dnstap /tmp/a.sock {\nidentity\n}", "3:1: identity: an argument is missing"),
        ("dnstap /tmp/a.sock {\nid x\n}", "3:1: unknown option 'id' of dnstap"),
        ("dnstap /tmp/a.sock {\nextra {nme}\n}", "3:7: unknown replacement '{nme}'"),
        ("dnstap /tmp/a.sock {\nmessage_types X\n}", "3:15: unknown type 'X' of dnstap"),
        ("dnstap /tmp/a.sock {\nversion a\nversion b\n}", "4:1: 'version' of dnstap is given"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(line: str, error: str) -> None:
    with pytest.raises(CompileError) as raised:
        taps(line)
    (found,) = raised.value.errors
    assert str(found).startswith(f"/etc/Corefile:{error}")
