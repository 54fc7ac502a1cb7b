"""Global options, owners of directives, ids of blocks, zones that are known beforehand, links."""

import re
from pathlib import Path

import pytest

import corefile
from corefile import Corefile, CorefileError, block_id
from corefile.arguments import Endpoint, SecretReference
from corefile.link import catalog_name, derive, parse_link
from corefile.options import ManagerAddress, Options
from corefile.owners import unknown_directives
from corefile.zonedata import configured_zones


def parse(text: str) -> Corefile:
    return corefile.parse(text, path="/etc/zoneward/Corefile", environ={}, read=Path.read_text)


def options(*lines: str) -> Options:
    return Options.of(parse("{\n" + "\n".join(lines) + "\n}\n. {\n}"))


def test_defaults() -> None:
    found = options()
    assert found == Options(
        state=Path("/etc/zoneward/state"), admin=Path("/etc/zoneward/state/run/admin.sock")
    )
    assert (found.threads, found.log_level, found.user) == (0, "info", None)


def test_all_of_them() -> None:
    found = options(
        "state /var/lib/zoneward",
        "admin /run/zoneward.sock",
        "threads 4",
        "keystore file",
        "publish 192.0.2.1:853",
        "manager 192.0.2.2:5353 tsig file:link.key",
        "metrics 127.0.0.1:9154",
        "user zoneward",
        "server-user zoneward-server",
        "log debug",
    )
    assert found.state == Path("/var/lib/zoneward")
    assert found.admin == Path("/run/zoneward.sock")
    assert found.threads == 4
    assert found.keystore is not None
    assert found.keystore.args[0].text == "file"
    assert found.publish is not None
    assert found.manager == ManagerAddress(
        Endpoint("192.0.2.2", 5353), SecretReference("file", "link.key")
    )
    assert found.metrics == Endpoint("127.0.0.1", 9154)
    assert (found.user, found.server_user) == ("zoneward", "zoneward-server")
    assert found.log_level == "debug"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("treads 2", "2:1: unknown global option 'treads'; did you mean 'threads'?"),
        ("threads", "2:1: threads: an argument is missing; right: threads NUMBER"),
        ("threads 1 2", "2:11: threads: '2' is one argument too many; right: threads NUMBER"),
        ("threads 0", "2:9: 0 is out of range; a whole number from 1 to 1024 is right"),
        ("state {\n}", "2:1: state takes no block in braces"),
        ("state a\nstate b", "3:1: 'state' is given a second time; the first is at"),
        ("log loud", "2:5: 'loud' found where one of debug, info, warning, error should be"),
        ("manager 192.0.2.1:53 tsig hunter2", "2:27: a secret is given by reference"),
    ],
)
def test_refused_options(line: str, expected: str) -> None:
    with pytest.raises(CorefileError) as caught:
        options(line)
    assert str(caught.value).startswith(f"/etc/zoneward/Corefile:{expected}")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("whoamy", "unknown directive 'whoamy'; did you mean 'whoami'?"),
        ("greetr", "unknown directive 'greetr'; did you mean 'greeter'?"),
        ("grpc", "'grpc' is a directive of CoreDNS that this version of Zoneward does not have"),
        ("threads", "'threads' is a global option; it belongs into the block '{ … }'"),
    ],
)
def test_unknown_directives(name: str, expected: str) -> None:
    (error,) = unknown_directives(parse(f". {{\n log\n {name}\n}}"), ["greeter"])
    assert str(error).startswith(f"/etc/zoneward/Corefile:3:2: {expected}")


def test_known_directives() -> None:
    assert unknown_directives(parse(". {\n greeter\n file x\n}"), ["greeter"]) == []


def test_block_ids_are_labels_that_stay() -> None:
    def identity(keys: str, *lines: str) -> str:
        return block_id(parse(keys + " {\n" + "\n".join(lines) + "\n}").blocks[0])

    base = identity("example.org example.com")
    assert base == identity("example.com example.org", "log", "whoami")
    assert base != identity("example.org")
    assert base != identity("example.org:5300 example.com")
    assert base != identity("example.org example.com", "view inside")
    for keys in ("example.org", ".", "\\*\\000.test", "a" * 63 + ".test", "2001:db8::/32"):
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", identity(keys))


@pytest.mark.parametrize(
    ("lines", "zones"),
    [
        ("file db", ("a.test.", "b.test.")),
        ("file db a.test", ("a.test.",)),
        ("sign db b.test", ("b.test.",)),
        ("file db a.test\n sign db b.test", ("a.test.", "b.test.")),
        ("auto", ()),
        ("auto\n sign", ()),
        ("whoami", ()),
    ],
)
def test_zones_known_beforehand(lines: str, zones: tuple[str, ...]) -> None:
    assert configured_zones(parse(f"a.test b.test {{\n {lines}\n}}").blocks[0]) == zones


def test_a_blocks_key_depends_on_link_and_block() -> None:
    link = bytes(range(32))
    key = derive(link, "example-org-0123")
    assert key.name == "example-org-0123.key.zoneward."
    assert key.name_wire == b"\x10example-org-0123\x03key\x08zoneward\0"
    assert len(key.secret) == 32
    assert key.secret == derive(link, "example-org-0123").secret
    assert key.secret != derive(link, "example-org-0124").secret
    assert key.secret != derive(bytes(32), "example-org-0123").secret
    assert key.secret.hex() not in repr(key)
    assert str(key.secret) not in repr(key)
    assert catalog_name("example-org-0123") == "example-org-0123.catalog.zoneward."


def test_link_keys_are_read_strictly() -> None:
    assert parse_link("00" * 32 + "\n") == bytes(32)
    for text in ("", "00" * 31, "xy" * 32):
        with pytest.raises(ValueError, match="a link key"):
            parse_link(text)
    with pytest.raises(ValueError, match="32 octets"):
        derive(b"short", "a")
