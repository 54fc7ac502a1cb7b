"""The same signed zones served by Knot, NSD, BIND and us: the same answers, as sets, with flags
and rcode. What may differ is in RULES, each with its reason."""

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import attrs
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from keymaker import plan, sign_new
from ours import serving
from peers import PEERS, ask, ask_udp, door, running

import engine

pytestmark = pytest.mark.peers

DATA = Path(__file__).parents[1] / "data"
ADDRESS = "127.61.7.{}"
QUERIES_PER_ZONE = 1200

EXAMPLE = """$TTL 300
@ SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
@ NS ns.glued
@ NS ns.elsewhere.test.
@ MX 10 mail
@ MX 20 mail.elsewhere.test.
@ TXT "the apex"
ns A 192.0.2.1
ns AAAA 2001:db8::1
mail A 192.0.2.2
Mixed.Case A 192.0.2.3
_sip._udp SRV 0 0 5060 mail
a A 192.0.2.4
alias CNAME a
chain CNAME alias
to-nothing CNAME nothing
to-wild CNAME q.wild
to-below CNAME x.insecure
to-secure CNAME x.secure
to-cut CNAME insecure
to-out CNAME www.elsewhere.test.
to-dname CNAME a.moved
loop CNAME loop
one CNAME two
two CNAME one
deep.down.in.the.tree A 192.0.2.5
*.wild A 192.0.2.6
*.wild TXT "wild"
there.wild TXT "not wild"
x.y.wild A 192.0.2.7
*.aliased CNAME a
*.lost CNAME nothing
*.circle CNAME q.circle
*.mx MX 10 mail
*.*.stars TXT "two stars"
*.ent.deep TXT "below"
moved DNAME tree
moved TXT "with a DNAME"
a.tree A 192.0.2.8
b.c.tree A 192.0.2.9
away DNAME elsewhere.test.
narrow DNAME aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.tree
insecure NS ns.insecure
insecure NS ns
insecure NS ns.other
ns.insecure A 192.0.2.11
ns.insecure AAAA 2001:db8::b
glue.insecure A 192.0.2.12
other NS ns.other
ns.other A 192.0.2.13
secure NS ns.secure
secure NS ns.elsewhere.test.
secure DS 12345 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
ns.secure A 192.0.2.14
glued NS ns.glued
ns.glued A 192.0.2.15
far.under.ent NS ns.elsewhere.test.
close.ent.two NS ns.close.ent.two
ns.close.ent.two A 192.0.2.16
signed.ent.two A 192.0.2.17
nested NS ns.nested
ns.nested A 192.0.2.18
below.nested NS ns.below.nested
ns.below.nested A 192.0.2.19
\\000.odd A 192.0.2.20
\\255.odd A 192.0.2.21
odd\\.dot A 192.0.2.22
unknown TYPE65280 \\# 4 0a000001
caa CAA 0 issue "ca.example.test"
svc HTTPS 1 . alpn=h2
txts TXT "a" "b"
txts TXT "c"
$GENERATE 1-60 host$ A 192.0.2.$
$GENERATE 1-30 plain$ NS ns.plain$
$GENERATE 1-30 ns.plain$ A 192.0.2.$
"""

TYPES = (
    *("A", "AAAA", "NS", "CNAME", "SOA", "MX", "TXT", "DS", "DNSKEY", "NSEC", "SRV", "DNAME"),
    *("CAA", "HTTPS", "NSEC3PARAM", "TYPE65280", "PTR"),
)


@attrs.frozen
class Answer:
    """A reply without what order, case and compression do to it. Sections hold an owner, type,
    TTL and rdata for each record, all lower-cased."""

    rcode: int
    flags: int
    answer: frozenset[tuple[str, ...]]
    authority: frozenset[tuple[str, ...]]
    additional: frozenset[tuple[str, ...]]

    @staticmethod
    def of(wire: bytes) -> "Answer":
        message = dns.message.from_wire(wire)
        sections = (
            frozenset(record for rrset in section for record in records(rrset))
            for section in (message.answer, message.authority, message.additional)
        )
        flags = message.flags & (dns.flags.QR | dns.flags.AA | dns.flags.TC | dns.flags.RD)
        return Answer(message.rcode(), flags, *sections)


def records(rrset: dns.rrset.RRset) -> Iterator[tuple[str, ...]]:
    covered = f" {dns.rdatatype.to_text(rrset.covers)}" if rrset.covers else ""
    rtype = dns.rdatatype.to_text(rrset.rdtype) + covered
    for rdata in rrset:
        yield rrset.name.to_text().lower(), rtype, str(rrset.ttl), rdata.to_text().lower()


@attrs.frozen
class Case:
    origin: dns.name.Name
    name: dns.name.Name
    rtype: str
    dnssec: bool

    def wire(self) -> bytes:
        query = dns.message.make_query(
            self.name, self.rtype, want_dnssec=self.dnssec, use_edns=0, payload=1232, flags=0
        )
        return query.to_wire()


@attrs.frozen
class Rule:
    """A difference that may be: `peers` who differ, `reason` why, and what `apply` does to both
    answers so that nothing but this is passed over."""

    name: str
    peers: tuple[str, ...]
    reason: str
    apply: Callable[[Case, Answer, Answer], tuple[Answer, Answer]]


Pair = tuple[Answer, Answer]


def fewer_addresses(case: Case, ours: Answer, theirs: Answer) -> Pair:
    if theirs.additional < ours.additional:
        return ours, attrs.evolve(theirs, additional=ours.additional)
    return ours, theirs


def child_answers_ds(case: Case, ours: Answer, theirs: Answer) -> Pair:
    if case.rtype == "DS" and case.name == case.origin and theirs.rcode == dns.rcode.NOERROR:
        return ours, ours
    return ours, theirs


def alias_into_other_zone(case: Case, ours: Answer, theirs: Answer) -> Pair:
    left = any(record[3].endswith("elsewhere.test.") for record in ours.answer)
    if left and any(record[:2] == (".", "SOA") for record in theirs.authority):
        theirs = attrs.evolve(theirs, rcode=ours.rcode, authority=ours.authority)
    elif left and not case.dnssec:
        theirs = attrs.evolve(theirs, rcode=ours.rcode)
    return ours, theirs


def more_proofs(case: Case, ours: Answer, theirs: Answer) -> Pair:
    if case.name.is_wild() and ours.authority < theirs.authority:
        return ours, attrs.evolve(theirs, authority=ours.authority)
    return ours, theirs


def circle_fails(case: Case, ours: Answer, theirs: Answer) -> Pair:
    aliases = {record[1] for record in ours.answer} <= {"CNAME", "RRSIG CNAME"}
    if aliases and ours.answer and theirs.rcode == dns.rcode.SERVFAIL:
        return ours, ours
    return ours, theirs


def nsec_at_cut(case: Case, ours: Answer, theirs: Answer) -> Pair:
    at = case.name.to_text().lower()
    refers = any(record[:2] == (at, "NS") for record in ours.authority)
    answers = all(record[0] == at and "NSEC" in record[1] for record in theirs.answer)
    if case.rtype == "NSEC" and refers and answers:
        return ours, ours
    return ours, theirs


def nsec_at_alias(case: Case, ours: Answer, theirs: Answer) -> Pair:
    at = (case.name.to_text().lower(), "CNAME")
    if case.rtype == "NSEC" and any(record[:2] == at for record in theirs.answer):
        return ours, ours
    return ours, theirs


RULES = (
    Rule(
        "fewer addresses",
        ("nsd", "bind"),
        "Additional data is at a server's discretion. NSD runs with minimal-responses, for else "
        "it adds NS records to every answer; BIND leaves out what is no glue of this referral.",
        fewer_addresses,
    ),
    Rule(
        "DS of a child that is here too",
        ("nsd",),
        "The parent (here the root zone) answers for DS, RFC 4035 section 3.1.4.1. NSD answers "
        "from the child's apex.",
        child_answers_ds,
    ),
    Rule(
        "aliases into another zone",
        ("nsd",),
        "NSD follows an alias into another zone that it has, and so reaches the root's NXDOMAIN. "
        "A resolver asks for the target anyhow.",
        alias_into_other_zone,
    ),
    Rule(
        "a proof more than needed",
        ("nsd",),
        "Asked for a type that a wildcard, by its own name, has not, NSD shows the NSEC3 that "
        "would cover an expansion too.",
        more_proofs,
    ),
    Rule(
        "aliases in a circle",
        ("bind",),
        "BIND gives SERVFAIL; Knot, NSD and we give the aliases and let the resolver see.",
        circle_fails,
    ),
    Rule(
        "NSEC at a cut",
        ("bind",),
        "BIND answers NSEC from the parent's side; Knot, NSD and we give the referral: only DS is "
        "singled out by RFC 4035 section 3.1.4.1.",
        nsec_at_cut,
    ),
    Rule(
        "NSEC at an alias in a zone with NSEC3",
        ("nsd",),
        "An NSEC may stand beside a CNAME, so that Knot, BIND and we don't follow the alias; NSD "
        "does where there is none.",
        nsec_at_alias,
    ),
)


def cases(origin: str, zone: engine.Zone, chance: random.Random) -> list[Case]:
    apex = dns.name.from_text(origin)
    names = sorted({dns.name.from_wire(rrset.owner, 0)[0] for rrset in zone})
    names = [name for name in names if len(name[0]) != 32]  # not the hashes
    labels = [b"*", b"a", b"zz", b"0", b"\0", b"ns", b"x", b"-", b"q", b"ent"]

    def spelled(name: dns.name.Name) -> dns.name.Name:
        mixed = (bytes(chance.choice((octet, bytes([octet]).swapcase()[0])) for octet in label)
                 for label in name.labels)  # fmt: skip
        return dns.name.Name(mixed)

    def beside(name: dns.name.Name) -> dns.name.Name:
        label = bytearray(name[0])
        at = chance.randrange(len(label))
        label[at] = (label[at] + chance.choice((-1, 1))) % 256
        return dns.name.Name((bytes(label), *name.labels[1:]))

    def one() -> dns.name.Name:
        name = chance.choice(names)
        for _ in range(chance.choice((0, 0, 0, 1, 1, 2))):
            name = dns.name.Name((chance.choice(labels), *name.labels))
        for _ in range(chance.choice((0, 0, 0, 0, 1, 2))):
            if name != apex:
                name = name.parent()
        if name != apex and chance.random() < 0.2:
            name = beside(name)
        return name

    chosen = []
    while len(chosen) < QUERIES_PER_ZONE:
        try:
            name = spelled(one())
        except (dns.name.NameTooLong, dns.name.EmptyLabel):
            continue
        chosen.append(Case(apex, name, chance.choice(TYPES), chance.random() < 0.75))
    return chosen


@pytest.fixture(scope="module")
def zones() -> dict[str, engine.Zone]:
    now = int(time.time())
    lines = (DATA / "root-2018.zone").read_text().splitlines(keepends=True)
    root = "".join(line for line in lines if line.split()[3] not in ("NSEC", "DNSKEY"))
    texts = {
        "nsec.test.": (EXAMPLE, None),
        "nsec3.test.": (EXAMPLE, (1, b"\xaa\xbb", False)),
        "optout.test.": (EXAMPLE, (0, b"", True)),
        ".": (root, None),
    }
    signed = {}
    for origin, (text, nsec3) in texts.items():
        zone = engine.scan_text(text.encode(), dns.name.from_text(origin).to_wire())
        signed[origin] = sign_new(zone, plan(nsec3=nsec3, serial=7, now=now)).zone
    return signed


@pytest.fixture(scope="module")
def servers(
    zones: dict[str, engine.Zone], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, tuple[str, int]]]:
    """Addresses and ports by server, ours among them."""
    directory = tmp_path_factory.mktemp("differential")
    files = []
    for number, (origin, zone) in enumerate(zones.items()):
        path = directory / f"{number}.zone"
        zone.write_text(str(path))
        files.append((origin, path))
    doors = {"ours": door("ours", ADDRESS.format(1))}
    with ExitStack() as stack:
        stack.enter_context(serving(*doors["ours"], [*zones.values()]))
        for number, peer in enumerate(PEERS):
            doors[peer] = door(peer, ADDRESS.format(number + 2))
            stack.enter_context(running(peer, directory / peer, *doors[peer], files))
        yield doors


@pytest.fixture(scope="module")
def asked(zones: dict[str, engine.Zone]) -> list[Case]:
    chance = random.Random(7)
    return [case for origin, zone in zones.items() for case in cases(origin, zone, chance)]


@pytest.fixture(scope="module")
def answers(servers: dict[str, tuple[str, int]], asked: list[Case]) -> dict[str, list[Answer]]:
    wires = [case.wire() for case in asked]

    def collect(server: tuple[str, int]) -> list[Answer]:
        return [Answer.of(reply) for reply in ask(*server, wires)]

    with ThreadPoolExecutor() as pool:
        return dict(zip(servers, pool.map(collect, servers.values()), strict=True))


def difference(case: Case, peer: str, ours: Answer, theirs: Answer) -> str | None:
    if ours == theirs:
        return None
    for rule in RULES:
        if peer in rule.peers:
            ours, theirs = rule.apply(case, ours, theirs)
    if ours == theirs:
        return None
    lines = [f"{case.name} {case.rtype}{' +dnssec' if case.dnssec else ''}"]
    for what in ("rcode", "flags"):
        one, other = getattr(ours, what), getattr(theirs, what)
        if one != other:
            lines.append(f"  {what}: ours {one}, {peer} {other}")
    for section in ("answer", "authority", "additional"):
        one, other = getattr(ours, section), getattr(theirs, section)
        lines += (f"  {section}: only ours: {' '.join(record)}" for record in one - other)
        lines += (f"  {section}: only {peer}: {' '.join(record)}" for record in other - one)
    return "\n".join(lines)


@pytest.mark.parametrize("peer", PEERS)
def test_answers_are_those_of_a_peer(
    asked: list[Case], answers: dict[str, list[Answer]], peer: str
) -> None:
    pairs = zip(asked, answers["ours"], answers[peer], strict=True)
    different = [text for case, one, other in pairs if (text := difference(case, peer, one, other))]
    assert not different, f"{len(different)} of {len(asked)} differ:\n" + "\n".join(different[:40])


def test_truncation_is_announced(
    servers: dict[str, tuple[str, int]], asked: list[Case], answers: dict[str, list[Answer]]
) -> None:
    """Over UDP: the same answer as over TCP where it fits, else TC."""
    chance = random.Random(11)
    truncated = 0
    for number in chance.sample(range(len(asked)), 400):
        query = dns.message.from_wire(asked[number].wire())
        query.use_edns(0, dns.flags.DO if asked[number].dnssec else 0, chance.choice((512, 1232)))
        wire = ask_udp(*servers["ours"], query.to_wire())
        assert len(wire) <= query.payload
        reply, whole = Answer.of(wire), answers["ours"][number]
        if reply.flags & dns.flags.TC:
            truncated += 1
            assert reply.answer <= whole.answer
            assert reply.authority <= whole.authority
        else:
            assert attrs.evolve(reply, additional=whole.additional) == whole
    assert truncated > 10
