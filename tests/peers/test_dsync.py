"""A parent that wants to be told of new CDS, at BIND and at Knot: the whole product finds whom to
tell, tells when its server shows the CDS, and ends when the DS is there."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rdatatype
import pytest
from house import House, until
from peers import door, running

pytestmark = pytest.mark.peers

ZONE = "$TTL 2\n@ SOA ns hostmaster 1 3600 900 86400 2\n@ NS ns\nns A {address}\n"
# DSYNC as RFC 3597 has it: neither of the parents knows the type.
PARENT = """$TTL 2
@ SOA ns hostmaster {serial} 3600 900 86400 2
@ NS ns
ns A 192.0.2.1
child NS ns.child
ns.child A {address}
{owner}._dsync TYPE66 \\# {octets} {rdata}
scanner A {address}
{ds}
"""
COREFILE = """child.org:@PORT@ {{
    bind @ADDRESS@
    file db
    sign {{
        parent {parent}
        observe @ADDRESS@:@PORT@
        dnskey-ttl 2s
        max-zone-ttl 2s
        parent-ds-ttl 2s
        propagation 1s
        parent-propagation 1s
        publish-safety 0s
        retire-safety 0s
        validity 1d
        refresh 6h
        jitter 1h
    }}
}}
"""


@contextmanager
def listening(address: str) -> Iterator[tuple[int, list[dns.message.Message]]]:
    """A parent's scanner: its port, and what it was told."""
    heard: list[dns.message.Message] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind((address, 0))

        def listen() -> None:
            while True:
                data, sender = own.recvfrom(4096)
                if not data:
                    return
                message = dns.message.from_wire(data)
                heard.append(message)
                own.sendto(dns.message.make_response(message).to_wire(), sender)

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield own.getsockname()[1], heard
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.sendto(b"", own.getsockname())
            thread.join(10)


def parent_zone(path: Path, owner: str, address: str, port: int, ds: str, serial: int) -> Path:
    target = dns.name.from_text("scanner.org.").to_wire()
    rdata = bytes((0, 59, 1)) + port.to_bytes(2, "big") + target
    path.write_text(
        PARENT.format(
            serial=serial,
            address=address,
            owner=owner,
            octets=len(rdata),
            rdata=rdata.hex(),
            ds=ds,
        )
    )
    return path


def omnipresent_ds(house: House) -> bool:
    return any("DS of" in line for line in house.lines("rumoured -> omnipresent"))


def signing(house: House) -> dict[str, Any]:
    (row,) = json.loads(house.command("status", "--json").stdout)["zones"]
    found = row["signing"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(("kind", "owner"), [("bind", "child"), ("knot", "*")])
def test_the_parent_is_told_when_the_cds_are_shown(
    kind: str, owner: str, house: House, tmp_path: Path, address: str
) -> None:
    at = door(kind, f"127.63.{address.split('.', 2)[2]}")
    house.write("db", ZONE.format(address=address))
    house.corefile(COREFILE.format(parent=f"{at[0]}:{at[1]}"))
    with listening(address) as (port, heard):
        without = parent_zone(tmp_path / "without", owner, address, port, "", 1)
        with running(kind, tmp_path / "before", *at, [("org.", without)]):
            house.run()
            until(lambda: heard, 90, "it is told")
            message = heard[0]
            assert house.answer("child.org", "CDS"), "its server showed them before"
        assert message.opcode() == dns.opcode.NOTIFY
        assert message.flags & dns.flags.AA
        assert not message.flags & dns.flags.RD
        (question,) = message.question
        assert (question.name.to_text(), question.rdtype) == ("child.org.", dns.rdatatype.CDS)
        assert not message.answer
        until(lambda: house.lines("was told of new CDS"), 20, "it says so")
        ds = "".join(f"child DS {text}\n" for text in house.answer("child.org", "CDS"))
        having = parent_zone(tmp_path / "with", owner, address, port, ds, 2)
        with running(kind, tmp_path / "after", *at, [("org.", having)]):
            until(lambda: omnipresent_ds(house), 90, "the DS is seen")
            alarms = signing(house)["alarms"]
        assert len(heard) == 1, "and was told once"
        assert not alarms
