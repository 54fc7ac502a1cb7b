"""Two zones, one of which has the servers' names of the other: its CDS are found under
signalling names (RFC 9615), validated by BIND's delv, and follow what the other does."""

import signal
import subprocess
from pathlib import Path

import dns.rcode
import pytest
from house import PORT, House, until
from peers import door, running

pytestmark = pytest.mark.peers

SERVERS = """$TTL 60
@ SOA ns1 hostmaster 1 3600 900 86400 2
@ NS ns1
ns1 A 192.0.2.53
other TXT "beside it"
"""
CHILD = """$TTL 2
@ SOA ns1.example.net. hostmaster 1 3600 900 86400 2
@ NS ns1.example.net.
@ NS ns1
ns1 A 192.0.2.54
"""
PARENT = """$TTL 60
@ SOA ns hostmaster 1 3600 900 86400 60
@ NS ns
ns A 192.0.2.1
child NS ns1.example.net.
"""
SERVERS_BLOCK = """
example.net:@PORT@ {
    bind @ADDRESS@
    file db.servers
    sign {
        parent none
        signal
    }
}
"""
CHILD_BLOCK = """
child.test:@PORT@ {
    bind @ADDRESS@
    file db.child
    sign {
        keys csk
        parent @PARENT@
        observe @ADDRESS@:@PORT@
        dnskey-ttl 1s
        max-zone-ttl 2s
        propagation 1s
        publish-safety 1s
        retire-safety 1s
        parent-ds-ttl 2s
        parent-propagation 1s
    }
}
"""
NAME = "_dsboot.child.test._signal.ns1.example.net"


def validated(house: House, name: str, rtype: str) -> str:
    """What delv says, given nothing but the DS that is printed for the servers' zone."""
    (ds,) = house.command("ds", "show", "example.net").stdout.splitlines()
    tag, algorithm, digest, *hexadecimal = ds.split(" DS ")[1].split()
    anchors = house.directory / "anchors"
    anchors.write_text(
        f'trust-anchors {{ "example.net." static-ds {tag} {algorithm} {digest} '
        f'"{"".join(hexadecimal)}"; }};\n'
    )
    where = [f"@{house.address}", "-p", str(PORT)]
    anchor = ["-a", str(anchors), "+root=example.net"]
    done = subprocess.run(
        ["delv", *where, *anchor, name, rtype],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return done.stdout + done.stderr


def test_a_zone_is_signalled_as_long_as_it_is_signed_here(house: House, tmp_path: Path) -> None:
    host, port = door("nsd", house.address)
    house.write("db.servers", SERVERS)
    house.write("db.child", CHILD)
    parent = house.write("db.parent", PARENT)
    child = CHILD_BLOCK.replace("@PARENT@", f"{host}:{port}")
    with running("nsd", tmp_path / "parent", host, port, [("test", parent)]):
        house.corefile(SERVERS_BLOCK, child)
        house.run()
        first = until(lambda: house.answer("child.test", "CDS"), 40, f"a CDS\n{house.log}")
        for rtype in ("CDS", "CDNSKEY"):
            until(
                lambda rtype=rtype: (
                    house.answer(NAME, rtype) == house.answer("child.test", rtype) != []
                ),
                10,
                f"signalling records\n{house.log}",
            )
            said = validated(house, NAME, rtype)
            assert "; fully validated" in said, said
        # In-domain servers are not signalled, nor is the zone that has the names.
        for name in (
            "_dsboot.child.test._signal.ns1.child.test",
            f"_dsboot.example.net._signal.{NAME}",
        ):
            assert house.ask(name, "CDS").rcode() in (dns.rcode.NXDOMAIN, dns.rcode.REFUSED)

        # A restart changes nothing of it.
        serial = house.serial("example.net")
        house.stop()
        house.run()
        until(lambda: house.answer(NAME, "CDS") == first, 10, "them after a restart")
        assert house.serial("example.net") == serial

        # A new key is signalled beside the old one as soon as the zone's own CDS has it.
        done = house.command("keys", "roll", "child.test", "--csk", "--now", "--yes")
        assert done.returncode == 0, done.stderr + done.stdout
        until(
            lambda: (
                len(house.answer("child.test", "CDS")) == 2
                or house.answer("child.test", "CDS") not in ([], first)
            ),
            60,
            f"another CDS\n{house.command('status', 'child.test').stdout}\n{house.log}",
        )
        until(
            lambda: house.answer(NAME, "CDS") == house.answer("child.test", "CDS") != first,
            10,
            f"its signalling records\n{house.log}",
        )
        assert "; fully validated" in validated(house, NAME, "CDS")

        # The zone is taken out: nothing is left, and nothing is held for it.
        house.corefile(SERVERS_BLOCK)
        assert house.process is not None
        house.process.send_signal(signal.SIGHUP)
        until(
            lambda: house.ask(NAME, "CDS").rcode() == dns.rcode.NXDOMAIN, 10, f"gone\n{house.log}"
        )
        assert "negative response, fully validated" in validated(house, NAME, "CDS")
        assert not house.lines("held")
