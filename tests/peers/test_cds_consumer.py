"""`dnssec-cds` of BIND as the parent: it reads our CDS and CDNSKEY at every version of a rollover,
and is all that changes the DS.

It verifies by the machine's clock, so that a scenario begins some days ago and is over by now.
Its release in Debian does not know the records of RFC 8078 section 4 that ask for no DS.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest
from rollworld import CDNSKEY, CDS, DNSKEY, ORIGIN, RRSIG, WIRE, World, live

from signer.ds import ds_rdata
from signer.keyset import Role
from signer.outcome import Outcome
from signer.policy import DAY, HOUR, MINUTE, DsMode, KeyLayout, Policy
from signer.requests import Request, Roll, RollAlgorithm

pytestmark = pytest.mark.peers

TTL = HOUR
# All signatures of a scenario hold from its beginning until after now.
AGE, VALIDITY = 12 * DAY, 60 * DAY


def policy(**changes: object) -> Policy:
    return attrs.evolve(
        Policy(
            validity=VALIDITY,
            max_zone_ttl=TTL,
            publish_safety=MINUTE,
            retire_safety=MINUTE,
            parent_ds_ttl=TTL,
            parent_propagation=MINUTE,
        ),
        **changes,
    )


@attrs.define
class Consumed(World):
    """The first DS is a person's; `accepted` are those that `dnssec-cds` put in its place."""

    accepted: list[frozenset[bytes]] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.open()
        self.ds_ttl = TTL
        self.clock.shift = int(time.time()) - AGE - int(self.clock.now)

    @property
    def dsset(self) -> Path:
        return self.directory / "dsset-example.org."

    @property
    def child(self) -> Path:
        return self.directory / "child"

    def parent_reads(self) -> None:
        before = self.ds
        if before:
            self.consume()
        super().parent_reads()
        if self.ds == before:
            return
        if before:
            # In place: the program also dates the file by the signatures that it went by.
            self.accepted.append(self.run("-i"))
            assert self.accepted[-1] == self.ds
        else:
            oldest = self.write_child()
            self.dsset.write_text("".join(text(dns.rdatatype.DS, TTL, ds) for ds in self.ds))
            os.utime(self.dsset, (oldest, oldest))

    async def sign(self, scope: str) -> Outcome:
        outcome = await super().sign(scope)
        if self.ds:
            self.consume()
        return outcome

    def consume(self) -> None:
        """What the program makes of a version has to be what the signer wants, by its CDS and
        by its CDNSKEY."""
        assert self.clock.wall() <= time.time(), "the scenario is longer than its age"
        self.write_child()
        assert self.zone is not None
        announced = self.zone.rrset(WIRE, CDS) is not None
        wanted = frozenset(entry.ds for entry in self.signer.wanted_ds().entries)
        for more in ((), ("-D",)):
            found = self.run(*more)
            assert found == (wanted if announced else self.ds), self.letters()

    def write_child(self) -> int:
        """What `dig` gets of a version; when its oldest signature was made."""
        assert self.zone is not None
        lines, inceptions = [], []
        for rtype in (DNSKEY, CDS, CDNSKEY):
            found = self.zone.rrset(WIRE, rtype)
            if found is not None:
                lines += [text(rtype, found.ttl, rdata) for rdata in found.rdatas]
                lines += [text(RRSIG, found.ttl, rdata) for rdata in found.signatures]
                inceptions += [int.from_bytes(rdata[12:16], "big") for rdata in found.signatures]
        self.child.write_text("".join(lines))
        return min(inceptions)

    def run(self, *options: str) -> frozenset[bytes]:
        """The DS RRset that it makes of the child's records."""
        done = subprocess.run(
            ["dnssec-cds", *options, "-d", self.dsset, "-f", self.child, ORIGIN.to_text()],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, (done.stderr, self.letters())
        output = self.dsset.read_text() if "-i" in options else done.stdout
        return frozenset(
            dns.rdata.from_text("IN", "DS", line.partition(" DS ")[2]).to_digestable()
            for line in output.splitlines()
        )


def text(rtype: int, ttl: int, rdata: bytes) -> str:
    """A line as `dig` prints it."""
    read = dns.rdata.from_wire(dns.rdataclass.IN, rtype, rdata, 0, len(rdata))
    return f"{ORIGIN} {ttl} IN {dns.rdatatype.to_text(rtype)} {read.to_text(chunksize=0)}\n"


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.mark.parametrize(
    ("layout", "mode", "request_"),
    [
        pytest.param(KeyLayout.KSK_ZSK, DsMode.DOUBLE_KSK, Roll(frozenset({Role.KSK})), id="ksk"),
        pytest.param(
            KeyLayout.KSK_ZSK, DsMode.DOUBLE_DS, Roll(frozenset({Role.KSK})), id="ksk, DS first"
        ),
        pytest.param(KeyLayout.CSK, DsMode.DOUBLE_KSK, Roll(), id="csk"),
        pytest.param(KeyLayout.CSK, DsMode.DOUBLE_KSK, RollAlgorithm(15), id="algorithm"),
    ],
)
def test_it_moves_the_ds_through_a_rollover(
    layout: KeyLayout,
    mode: DsMode,
    request_: Request,
    tmp_path: Path,
    executor: ThreadPoolExecutor,
) -> None:
    async def story(world: World) -> None:
        assert isinstance(world, Consumed)
        await world.start()
        await world.until(world.everywhere)
        first = world.ds
        await world.signer.request(request_)
        await world.sign("all")
        await world.until(lambda: bool(world.ds) and not world.ds & first)
        await world.until(world.everywhere)
        assert world.ds == frozenset(
            ds_rdata(ORIGIN, key.dnskey) for key in world.signer.keyset.for_parent()
        )
        assert world.accepted == [first | world.ds, world.ds]

    live(Consumed(tmp_path, executor, policy(keys=layout, ds=mode)), story)
