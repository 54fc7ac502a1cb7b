"""BIND and Knot as parents that BIND's and ldns's tools signed, Unbound as the resolver: what is
believed of them, and what is not."""

import asyncio
import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import attrs
import dns.asyncresolver
import dns.exception
import dns.message
import dns.name
import dns.query
import pytest
from house import House, until
from peers import door, running

from signer import anchors
from signer.config import ParentConfig
from signer.parent import DnsParentView, ParentAnswer, Seen, Trust, Unknown

pytestmark = pytest.mark.peers

DIGEST = "AB" * 32
ZONE = """$TTL 300
@ SOA ns hostmaster 1 3600 900 86400 300
@ NS ns
ns A {address}
secure NS ns.secure
secure DS 11111 13 2 {digest}
insecure NS ns.insecure
"""
ROOT = """$TTL 300
@ SOA ns hostmaster 1 3600 900 86400 300
@ NS ns.org.
org. NS ns.org.
ns.org. A {address}
{ds}
"""
DENIALS = ("nsec", "nsec3", "opt-out")


@attrs.frozen
class Signed:
    """A signed zone file, and the file of its DS records."""

    zone: Path
    anchor: Path


def run(directory: Path, *command: str | Path) -> str:
    done = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def sign_with_bind(directory: Path, origin: str, text: str, denial: str, *more: str) -> Signed:
    (directory / "zone").write_text(text)
    for flags in (["-f", "KSK"], []):
        run(directory, "dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", *flags, origin)
    kind = {"nsec": [], "nsec3": ["-3", "-"], "opt-out": ["-3", "-", "-A"]}[denial]
    run(directory, "dnssec-signzone", "-S", *kind, *more, "-o", origin, "-f", "signed", "zone")
    return Signed(directory / "signed", next(directory.glob("dsset-*")))


def sign_with_ldns(directory: Path, origin: str, text: str, denial: str) -> Signed:
    (directory / "zone").write_text(text)
    key = run(directory, "ldns-keygen", "-a", "ECDSAP256SHA256", "-k", origin).strip()
    kind = {"nsec": [], "nsec3": ["-n", "-t", "0"], "opt-out": ["-n", "-t", "0", "-p"]}[denial]
    run(directory, "ldns-signzone", *kind, "-o", origin, "-f", "signed", "zone", key)
    return Signed(directory / "signed", directory / f"{key}.ds")


SIGN = {"bind": sign_with_bind, "knot": sign_with_ldns}


def look(
    child: str,
    *addresses: tuple[str, int],
    anchor: Path | None = None,
    resolver: tuple[str, int] | None = None,
    port: int = 53,
) -> ParentAnswer:
    """Without addresses the parent is found through the resolver."""
    stub = dns.asyncresolver.Resolver(configure=False)
    if resolver is not None:
        stub.nameservers = [resolver[0]]
        stub.port = resolver[1]
    given = () if anchor is None else anchors.read(anchor)
    config = ParentConfig(addresses=addresses, anchors=given)
    view = DnsParentView(config, resolver=stub, port=port)
    return asyncio.run(view.ds(dns.name.from_text(child)))


def tags(found: ParentAnswer) -> list[int]:
    assert isinstance(found, Seen), found
    return sorted(int.from_bytes(ds[:2], "big") for ds in found.common)


def bogus(found: ParentAnswer) -> str:
    assert isinstance(found, Unknown), found
    assert found.bogus, found
    return found.reason


@pytest.mark.parametrize("denial", DENIALS)
@pytest.mark.parametrize("peer", sorted(SIGN))
def test_a_signed_parent(peer: str, denial: str, tmp_path: Path, address: str) -> None:
    at = door(peer, address)
    signed = SIGN[peer](tmp_path, "org.", ZONE.format(address=at[0], digest=DIGEST), denial)
    with running(peer, tmp_path / peer, *at, [("org.", signed.zone)]):
        secure = look("secure.org.", at, anchor=signed.anchor)
        insecure = look("insecure.org.", at, anchor=signed.anchor)
        nothing = look("nothing.org.", at, anchor=signed.anchor)
        own = look("secure.org.", at)
    assert (tags(secure), tags(insecure), tags(nothing), tags(own)) == ([11111], [], [], [11111])
    absent = Trust.OPT_OUT if denial == "opt-out" else Trust.VALIDATED
    # ldns sets the flag and has an NSEC3 of every delegation all the same.
    delegated = Trust.VALIDATED if peer == "knot" else absent
    trust = [one.trust for one in (secure, insecure, nothing, own) if isinstance(one, Seen)]
    assert trust == [Trust.VALIDATED, delegated, absent, Trust.OWN_KEYS]


@pytest.mark.parametrize("anchored", [True, False], ids=["anchored", "own keys"])
@pytest.mark.parametrize(("honest", "lying"), [("knot", "bind"), ("bind", "knot")])
def test_a_stale_unsigned_copy_beside_an_honest_server(
    honest: str, lying: str, anchored: bool, tmp_path: Path, address: str
) -> None:
    good, bad = door(honest, address), door(lying, address)
    text = ZONE.format(address=address, digest=DIGEST)
    signed = SIGN[honest](tmp_path, "org.", text, "nsec")
    stale = tmp_path / "stale"
    stale.write_text(text.replace("secure DS", "; DS"))
    anchor = signed.anchor if anchored else None
    with (
        running(honest, tmp_path / "honest", *good, [("org.", signed.zone)]),
        running(lying, tmp_path / "lying", *bad, [("org.", stale)]),
    ):
        reason = bogus(look("secure.org.", good, bad, anchor=anchor))
        assert tags(look("secure.org.", good, anchor=anchor)) == [11111]
    assert f"{bad[0]}:{bad[1]}: " in reason
    assert f"{good[0]}:{good[1]}: " not in reason
    assert ("has no DNSKEY, and should be" if anchored else "is not proved") in reason


def test_a_parent_whose_signatures_have_expired(tmp_path: Path) -> None:
    at = door("bind", "")
    window = ("-P", "-s", "20200101000000", "-e", "20200201000000")
    text = ZONE.format(address=at[0], digest=DIGEST)
    signed = sign_with_bind(tmp_path, "org.", text, "nsec", *window)
    with running("bind", tmp_path / "bind", *at, [("org.", signed.zone)]):
        assert "has expired" in bogus(look("secure.org.", at))


def test_an_unsigned_parent_is_taken_as_it_is(tmp_path: Path, address: str) -> None:
    at = door("knot", address)
    (tmp_path / "zone").write_text(ZONE.format(address=at[0], digest=DIGEST))
    with running("knot", tmp_path / "knot", *at, [("org.", tmp_path / "zone")]):
        found = look("secure.org.", at)
    assert tags(found) == [11111]
    assert isinstance(found, Seen)
    assert found.believed == "unvalidated: org. has no DNSKEY"


# --- a chain, through Unbound --------------------------------------------------------------


@contextmanager
def unbound(
    directory: Path, address: str, stubs: dict[str, tuple[str, int]]
) -> Iterator[tuple[str, int]]:
    """A resolver that validates nothing itself."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((address, 0))
        at = address, probe.getsockname()[1]
    where = "".join(
        f'stub-zone:\n  name: "{origin}"\n  stub-addr: {stub[0]}@{stub[1]}\n'
        for origin, stub in stubs.items()
    )
    config = directory / "unbound.conf"
    config.write_text(
        f"server:\n  interface: {at[0]}@{at[1]}\n  access-control: 127.0.0.0/8 allow\n"
        f'  directory: "{directory}"\n  chroot: ""\n  username: ""\n  pidfile: ""\n'
        "  use-syslog: no\n  do-daemonize: no\n  do-not-query-localhost: no\n"
        '  num-threads: 1\n  module-config: "iterator"\n  do-ip6: no\n'
        '  local-zone: "org." nodefault\n'
        f"{where}remote-control:\n  control-enable: no\n"
    )
    program = shutil.which("unbound", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    assert program, "unbound is missing: run `make peers`"
    log = directory / "unbound.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, "-d", "-p", "-c", str(config)], stdout=output, stderr=output
        )

    def answers() -> bool:
        query = dns.message.make_query("org.", "SOA")
        try:
            return bool(dns.query.tcp(query, at[0], port=at[1], timeout=5).answer)
        except (OSError, EOFError, dns.exception.DNSException):
            return False

    try:
        until(answers, 15, "Unbound answers")
        yield at
    finally:
        process.terminate()
        process.wait(10)


@attrs.frozen
class World:
    """The root at one server, org. at another, and a resolver that knows both."""

    root: Signed
    org: tuple[str, int]
    resolver: tuple[str, int]


@contextmanager
def world(directory: Path, address: str, *, secure: bool) -> Iterator[World]:
    with ExitStack() as stack:
        above, at = door("bind", address), door("knot", address)
        (directory / "org").mkdir()
        (directory / "root").mkdir()
        text = ZONE.format(address=at[0], digest=DIGEST)
        org = sign_with_ldns(directory / "org", "org.", text, "nsec3")
        ds = org.anchor.read_text() if secure else ""
        text = ROOT.format(address=at[0], ds=ds)
        root = sign_with_bind(directory / "root", ".", text, "nsec")
        stack.enter_context(running("bind", directory / "bind", *above, [(".", root.zone)]))
        stack.enter_context(running("knot", directory / "knot", *at, [("org.", org.zone)]))
        stubs = {".": above, "org.": at}
        resolver = stack.enter_context(unbound(directory, address, stubs))
        yield World(root, at, resolver)


def test_a_chain_from_the_root_to_a_parent_that_is_found(tmp_path: Path, address: str) -> None:
    with world(tmp_path, address, secure=True) as here:
        port, resolver = here.org[1], here.resolver
        secure, insecure = (
            look(child, anchor=here.root.anchor, resolver=resolver, port=port)
            for child in ("secure.org.", "insecure.org.")
        )
        named = look("secure.org.", here.org, anchor=here.root.anchor, resolver=resolver)
        public = look("secure.org.", resolver=resolver, port=port)
    assert (tags(secure), tags(insecure), tags(named)) == ([11111], [], [11111])
    trust = {one.trust for one in (secure, insecure, named) if isinstance(one, Seen)}
    assert trust == {Trust.VALIDATED}
    assert "no DNSKEY of . is the one that its anchor or DS names (20326, 38696)" in bogus(public)


def test_a_parent_that_the_root_delegates_without_ds(tmp_path: Path, address: str) -> None:
    with world(tmp_path, address, secure=False) as here:
        found = look(
            "secure.org.", anchor=here.root.anchor, resolver=here.resolver, port=here.org[1]
        )
    assert tags(found) == [11111]
    assert isinstance(found, Seen)
    assert found.believed == "unvalidated: org. is delegated without a DS"


# --- all of it -----------------------------------------------------------------------------


def test_status_says_that_the_parent_is_validated(house: House, address: str) -> None:
    parent = door("knot", address)
    text = ZONE.format(address=address, digest=DIGEST)
    (house.directory / "parent").mkdir()
    signed = sign_with_ldns(house.directory / "parent", "org.", text, "nsec")
    house.write("db", "$TTL 60\n@ SOA ns hostmaster 1 3600 900 86400 60\n@ NS ns\nns A 192.0.2.1\n")
    shutil.copy(signed.anchor, house.directory / "anchor")
    house.corefile(
        "insecure.org:@PORT@ {\n bind @ADDRESS@\n file db\n sign {\n"
        f"  parent {parent[0]}:{parent[1]} {{\n   anchor anchor\n  }}\n  observe own\n }}\n}}"
    )
    with running("knot", house.directory / "knot", *parent, [("org.", signed.zone)]):
        house.run()
        until(lambda: house.answer("insecure.org", "DNSKEY"), 20, "the zone is served")
        found = json.loads(house.command("status", "--json").stdout)
    (row,) = found["zones"]
    assert row["signing"]["parent"] == f"asked: {parent[0]}:{parent[1]} (validated)"
    assert row["signing"]["state"] == "signed"


def test_a_lying_server_holds_a_new_zone_until_it_is_mended(house: House, address: str) -> None:
    good, bad = door("knot", address), door("bind", address)
    text = ZONE.format(address=address, digest=DIGEST)
    (house.directory / "parent").mkdir()
    signed = sign_with_ldns(house.directory / "parent", "org.", text, "nsec")
    stale = house.write("stale", text)
    house.write("db", "$TTL 60\n@ SOA ns hostmaster 1 3600 900 86400 60\n@ NS ns\nns A 192.0.2.1\n")
    servers = f"{good[0]}:{good[1]} {bad[0]}:{bad[1]}"
    house.corefile(
        "insecure.org:@PORT@ {\n bind @ADDRESS@\n file db\n sign {\n"
        f"  parent {servers}\n  parent-ds-ttl 1m\n  observe own\n }}\n}}"
    )

    def signing() -> dict[str, Any]:
        done = house.command("status", "--json")
        zones = json.loads(done.stdout)["zones"] if done.stdout else []
        return zones[0]["signing"] or {} if zones else {}

    with running("knot", house.directory / "knot", *good, [("org.", signed.zone)]):
        with running("bind", house.directory / "bind", *bad, [("org.", stale)]):
            house.start()
            until(lambda: signing().get("hold"), 30, "the zone is held")
            held = signing()
            lines = house.command("status").stdout
        assert (
            f"{bad[0]}:{bad[1]}: org. is signed, and that insecure.org. has no DS"
            in (held["hold"]["reason"])
        )
        assert f"{good[0]}:{good[1]}: " not in held["hold"]["reason"]
        assert "parent-bogus" in held["alarm_kinds"]
        assert "the parent's answer is bogus" in lines
        with running("bind", house.directory / "mended", *bad, [("org.", signed.zone)]):
            until(lambda: house.answer("insecure.org", "DNSKEY"), 60, "the zone is signed")
            believed = signing()["parent"]
    assert believed.endswith("(signed by the parent's own keys, not anchored)")
