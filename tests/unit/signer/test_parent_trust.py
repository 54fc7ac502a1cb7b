"""On what the parent's answers are believed, and when they are not: servers on loopback, a
parent zone that is signed, and a resolver that knows the zones above it."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

import dns.asyncresolver
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import keymaker
import pytest
from keymaker import DAY, NOW
from responder import ADDRESS, Behaviour, server
from signedparent import SignedParent

from signer.config import ParentConfig
from signer.parent import DnsParentView, ParentAnswer, Seen, Trust, Unknown
from signer.trust import Anchor

ZONE = dns.name.from_text("example.org.")
DIGEST = "13 2 " + "AB" * 32
GLUE = f"ns 3600 A {ADDRESS}\n"
WITH_DS = f"example 3600 NS ns.example\nexample 3600 DS 11111 {DIGEST}\n" + GLUE
WITHOUT_DS = "example 3600 NS ns.example\n" + GLUE
OTHER = keymaker.key(number=1)


@pytest.fixture(scope="module")
def org() -> SignedParent:
    return SignedParent("org.", WITH_DS)


def unsigned(records: str, origin: str = "org.") -> Behaviour:
    """The same zone as somebody has it who does not sign."""
    signed = SignedParent(origin, records)

    def behave(query: dns.message.Message) -> dns.message.Message:
        response = signed.answer(query)
        if query.question[0].rdtype == dns.rdatatype.DNSKEY:
            response.answer.clear()
        for section in (response.answer, response.authority):
            section[:] = [
                one
                for one in section
                if one.rdtype in (dns.rdatatype.DS, dns.rdatatype.SOA, dns.rdatatype.NS)
            ]
        return response

    return behave


def asked(
    *behaviours: Behaviour,
    anchors: Sequence[Anchor] = (),
    resolver: Behaviour | None = None,
    found: bool = False,
    now: int = NOW,
    looks: int = 1,
    child: dns.name.Name = ZONE,
) -> ParentAnswer:
    """What is seen of servers that behave so. `found`: they are not configured, the resolver
    says where they are. The last of some `looks`."""

    async def run() -> ParentAnswer:
        async with AsyncExitStack() as stack:
            ports = [await stack.enter_async_context(server(one)) for one in behaviours]
            stub = dns.asyncresolver.Resolver(configure=False)
            stub.nameservers = [ADDRESS]
            if resolver is not None:
                stub.port = await stack.enter_async_context(server(resolver))
            addresses = () if found else tuple((ADDRESS, port) for port in ports)
            view = DnsParentView(
                ParentConfig(addresses=addresses, anchors=tuple(anchors)),
                timeout=0.5,
                resolver=stub,
                wall=lambda: now,
                port=ports[0],
            )
            for _ in range(looks - 1):
                await view.ds(child)
            return await view.ds(child)

    return asyncio.run(run())


def trust(found: ParentAnswer) -> Trust:
    assert isinstance(found, Seen), found
    return found.trust


def bogus(found: ParentAnswer) -> str:
    assert isinstance(found, Unknown), found
    assert found.bogus, found
    return found.reason


# --- addresses without an anchor -----------------------------------------------------------


def test_the_parents_own_keys(org: SignedParent) -> None:
    found = asked(org.answer, org.answer)
    assert trust(found) is Trust.OWN_KEYS
    assert isinstance(found, Seen)
    assert [int.from_bytes(ds[:2], "big") for ds in found.common] == [11111]
    assert found.believed == "signed by the parent's own keys, not anchored"
    assert found.made_after is None


@pytest.mark.parametrize("records", [WITH_DS, WITHOUT_DS], ids=["with a DS", "without"])
def test_a_parent_that_is_not_signed_is_taken_as_it_is(records: str) -> None:
    found = asked(unsigned(records))
    assert trust(found) is Trust.NONE
    assert isinstance(found, Seen)
    assert found.believed == "unvalidated: org. has no DNSKEY"
    assert bool(found.any) is (records is WITH_DS)


def test_a_stale_unsigned_copy_beside_an_honest_server(org: SignedParent) -> None:
    reason = bogus(asked(org.answer, unsigned(WITHOUT_DS)))
    assert reason.endswith("org. is signed, and that example.org. has no DS is not proved")
    assert reason.count(ADDRESS) == 1, "the honest server is not named"


@pytest.mark.parametrize(
    ("what", "now", "says"),
    [("expired", NOW + 15 * DAY, "has expired"), ("early", NOW - DAY, "is not yet valid")],
)
def test_a_parent_whose_signatures_do_not_hold_now(
    org: SignedParent, what: str, now: int, says: str
) -> None:
    assert says in bogus(asked(org.answer, now=now)), what


def test_a_server_that_does_not_give_its_keys(org: SignedParent) -> None:
    def keeps(query: dns.message.Message) -> dns.message.Message | None:
        return None if query.question[0].rdtype == dns.rdatatype.DNSKEY else org.answer(query)

    for behaviours in ((keeps,), (org.answer, keeps), (keeps, unsigned(WITH_DS))):
        found = asked(*behaviours)
        assert isinstance(found, Unknown)
        assert not found.bogus
        assert "does not answer" in found.reason


def test_a_zone_that_is_signed_anew_in_half(org: SignedParent) -> None:
    """As .se in 2022: the keys are right, the signatures of the DS are others'."""
    other = SignedParent("org.", WITH_DS, [OTHER])

    def behave(query: dns.message.Message) -> dns.message.Message:
        dnskey = query.question[0].rdtype == dns.rdatatype.DNSKEY
        return (org if dnskey else other).answer(query)

    assert "the DNSKEY RRset of org. has no key" in bogus(asked(behave))


def test_a_ds_that_is_hidden_where_it_is_no_answer(org: SignedParent) -> None:
    """The genuine DS with its signature, beside an answer that there is none."""

    def hides(query: dns.message.Message) -> dns.message.Message:
        response = org.answer(query)
        if query.question[0].rdtype == dns.rdatatype.DS:
            response.authority += response.answer
            response.answer.clear()
        return response

    assert "gives a DS and does not answer with it" in bogus(asked(hides))


def test_servers_on_both_sides_of_a_rollover(org: SignedParent) -> None:
    """One is behind by a version: what it signs with is shown by both together."""
    both = [key.dnskey for key in (*org.keys, OTHER)]
    after = SignedParent("org.", WITH_DS, [OTHER], dnskeys=both)
    assert trust(asked(org.answer, after.answer)) is Trust.OWN_KEYS


def test_a_parent_that_is_more_than_one_label_above() -> None:
    org = SignedParent("org.", f"a.b 60 NS ns.a.b\na.b 60 DS 11111 {DIGEST}\n" + GLUE)
    child = dns.name.from_text("a.b.org.")
    assert trust(asked(org.answer, child=child)) is Trust.OWN_KEYS
    assert trust(asked(org.answer, anchors=[org.anchor], child=child)) is Trust.VALIDATED


def test_servers_of_several_zones(org: SignedParent) -> None:
    root = SignedParent(".", "org. 60 NS ns.org.\n")

    def confused(query: dns.message.Message) -> dns.message.Message:
        if query.question[0].rdtype == dns.rdatatype.SOA:
            response = dns.message.make_response(query)
            response.flags |= dns.flags.AA
            response.authority += root.rrsets(dns.name.root, dns.rdatatype.SOA)
            return response
        return org.answer(query)

    found = asked(org.answer, confused)
    assert isinstance(found, Unknown)
    assert "its servers are of several zones: org. at " in found.reason


def test_a_server_of_another_zone(org: SignedParent) -> None:
    net = SignedParent("net.", GLUE)

    def elsewhere(query: dns.message.Message) -> dns.message.Message:
        if query.question[0].rdtype == dns.rdatatype.SOA:
            response = dns.message.make_response(query)
            response.flags |= dns.flags.AA
            response.authority += net.rrsets(net.origin, dns.rdatatype.SOA)
            return response
        return org.answer(query)

    found = asked(elsewhere)
    assert isinstance(found, Unknown)
    assert "does not say which zone org. is in" in found.reason


def test_a_server_that_has_the_zone_and_not_its_parent() -> None:
    child = SignedParent("example.org.", "www 300 A 192.0.2.1\n")
    found = asked(child.answer)
    assert isinstance(found, Unknown)
    assert "answers from example.org., not from the parent" in found.reason


def test_an_algorithm_that_is_unknown_is_as_good_as_none(org: SignedParent) -> None:
    def behave(query: dns.message.Message) -> dns.message.Message:
        response = org.answer(query)
        if query.question[0].rdtype == dns.rdatatype.DNSKEY:
            keys = response.answer[0]
            strange = keys[0].replace(algorithm=99)
            keys.clear()
            keys.add(strange)
        return response

    found = asked(behave)
    assert trust(found) is Trust.NONE
    assert isinstance(found, Seen)
    assert found.why == "org. is signed by no algorithm that is known here"


# --- an anchor of the parent itself --------------------------------------------------------


def test_an_anchored_parent(org: SignedParent) -> None:
    found = asked(org.answer, anchors=[org.anchor])
    assert trust(found) is Trust.VALIDATED
    assert isinstance(found, Seen)
    assert found.made_after == NOW - 3600, "the inception of its signature"


@pytest.mark.parametrize("denial", [{}, {"nsec3": (0, b"", False)}], ids=["NSEC", "NSEC3"])
def test_an_anchored_parent_without_a_ds(denial: dict[str, object]) -> None:
    org = SignedParent("org.", WITHOUT_DS, **denial)
    found = asked(org.answer, anchors=[org.anchor])
    assert trust(found) is Trust.VALIDATED
    assert isinstance(found, Seen)
    assert found.any == frozenset()


def test_an_opt_out_span_is_told() -> None:
    org = SignedParent("org.", WITHOUT_DS, nsec3=(0, b"", True))
    assert trust(asked(org.answer, anchors=[org.anchor])) is Trust.OPT_OUT


def test_an_anchor_of_other_keys(org: SignedParent) -> None:
    other = SignedParent("org.", WITH_DS, [OTHER])
    reason = bogus(asked(org.answer, anchors=[other.anchor]))
    assert "no DNSKEY of org. is the one that its anchor or DS names" in reason


def test_an_anchored_parent_that_is_not_signed(org: SignedParent) -> None:
    reason = bogus(asked(unsigned(WITH_DS), anchors=[org.anchor]))
    assert "org. has no DNSKEY, and should be signed" in reason


def test_an_anchor_of_a_zone_that_is_not_above(org: SignedParent) -> None:
    found = asked(org.answer, anchors=[SignedParent("net.", GLUE).anchor])
    assert found == Unknown("its anchors are of net., and the parent is org.")


def test_the_original_ttl_is_what_caches_may_hold(org: SignedParent) -> None:
    def lowers(query: dns.message.Message) -> dns.message.Message:
        response = org.answer(query)
        for one in response.answer:
            one.ttl = 5
        return response

    found = asked(lowers, anchors=[org.anchor])
    assert isinstance(found, Seen)
    assert found.ttl == 3600


def test_keys_that_rolled_since_they_were_asked_for(
    org: SignedParent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signer.parent._FRESH", -1.0)
    after = SignedParent("org.", WITH_DS, [OTHER])
    looks: list[SignedParent] = []

    def rolls(query: dns.message.Message) -> dns.message.Message:
        if query.question[0].rdtype == dns.rdatatype.DS:
            looks.append(after if looks else org)
        return (looks[-1] if looks else org).answer(query)

    assert trust(asked(rolls, looks=2)) is Trust.OWN_KEYS
    assert looks == [org, after]


# --- a chain from above --------------------------------------------------------------------


class World:
    """The root and org., as a resolver sees them. `org_ds` is what the root has of org."""

    def __init__(self, org: SignedParent, delegation: str | None = None) -> None:
        ds = "".join(f"org. 3600 DS {one}\n" for one in org.ds())
        self.root = SignedParent(
            ".", f"org. 3600 NS ns.org.\n{ds if delegation is None else delegation}"
        )
        self.org = org

    def resolve(self, query: dns.message.Message) -> dns.message.Message:
        question = query.question[0]
        above = question.name == self.org.origin and question.rdtype == dns.rdatatype.DS
        inside = question.name.is_subdomain(self.org.origin) and not above
        response = (self.org if inside else self.root).answer(query)
        response.flags |= dns.flags.RA
        response.flags &= ~dns.flags.AA
        return response


def strips(behaviour: Behaviour) -> Behaviour:
    """A resolver that knows nothing of DNSSEC."""

    def behave(query: dns.message.Message) -> dns.message.Message | None:
        response = behaviour(query)
        if response is not None:
            for section in (response.answer, response.authority):
                section[:] = [
                    one
                    for one in section
                    if one.rdtype
                    not in (dns.rdatatype.RRSIG, dns.rdatatype.NSEC, dns.rdatatype.NSEC3)
                ]
        return response

    return behave


def fails(query: dns.message.Message) -> dns.message.Message:
    response = dns.message.make_response(query)
    response.set_rcode(dns.rcode.SERVFAIL)
    return response


def test_a_parent_that_is_found_and_the_anchor_is_the_roots(org: SignedParent) -> None:
    world = World(org)
    found = asked(org.answer, anchors=[world.root.anchor], resolver=world.resolve, found=True)
    assert trust(found) is Trust.VALIDATED
    assert isinstance(found, Seen)
    assert found.servers == ("ns.org.",)


def test_addresses_and_an_anchor_above_the_parent(org: SignedParent) -> None:
    world = World(org)
    found = asked(org.answer, anchors=[world.root.anchor], resolver=world.resolve)
    assert trust(found) is Trust.VALIDATED


def test_a_parent_that_is_proved_to_be_unsigned(org: SignedParent) -> None:
    world = World(org, delegation="")
    found = asked(org.answer, anchors=[world.root.anchor], resolver=world.resolve, found=True)
    assert trust(found) is Trust.NONE
    assert isinstance(found, Seen)
    assert found.why == "org. is delegated without a DS"


@pytest.mark.parametrize(
    ("what", "digest", "algorithm"), [("SHA-1", 1, 13), ("another algorithm", 2, 99)]
)
def test_a_parent_below_a_ds_that_nobody_can_check(
    org: SignedParent, what: str, digest: int, algorithm: int
) -> None:
    octets = 20 if digest == 1 else 32
    world = World(org, delegation=f"org. 3600 DS 1 {algorithm} {digest} {'AB' * octets}\n")
    found = asked(org.answer, anchors=[world.root.anchor], resolver=world.resolve, found=True)
    assert trust(found) is Trust.NONE, what


@pytest.mark.parametrize(
    ("what", "delegation", "wrap", "says"),
    [
        ("the DS of other keys", f"org. 3600 DS 1 {DIGEST}\n", None, "no DNSKEY of org. is the"),
        ("no signatures", None, strips, "DNSKEY of . carries no signature"),
        ("a resolver that fails", None, lambda _: fails, "can't be found"),
    ],
)
def test_a_chain_that_breaks_is_not_passed_over(
    org: SignedParent, what: str, delegation: str | None, wrap: object, says: str
) -> None:
    world = World(org, delegation)
    resolver = wrap(world.resolve) if callable(wrap) else world.resolve
    found = asked(org.answer, anchors=[world.root.anchor], resolver=resolver, found=True)
    assert isinstance(found, Unknown), what
    assert says in found.reason


def test_a_resolver_that_is_silent_leaves_an_anchored_parent_unknown(org: SignedParent) -> None:
    world = World(org)
    found = asked(org.answer, anchors=[world.root.anchor], resolver=fails)
    assert isinstance(found, Unknown)
    assert not found.bogus
    assert "the resolver does not give DNSKEY of ." in found.reason


def test_a_root_of_ones_own_needs_an_anchor_or_addresses(org: SignedParent) -> None:
    """The built-in anchors are for the public root; a network without it is told the way out."""
    reason = bogus(asked(org.answer, resolver=World(org).resolve, found=True))
    assert "no DNSKEY of . is the one that its anchor or DS names (20326, 38696)" in reason
    assert reason.endswith("name the parent's servers: parent ADDRESS…")


def test_a_parent_that_the_zone_above_denies(org: SignedParent) -> None:
    world = World(org)
    world.root = SignedParent(".", "net. 3600 NS ns.net.\n")
    found = asked(org.answer, anchors=[world.root.anchor], resolver=world.resolve, found=True)
    assert ". proves that org. does not exist" in bogus(found)


def test_a_parent_that_the_zone_above_has_no_cut_for(org: SignedParent) -> None:
    world = World(org)
    world.root = SignedParent(".", "org. 3600 TXT text\n")
    found = asked(org.answer, anchors=[world.root.anchor], resolver=world.resolve, found=True)
    assert ". proves that org. is no zone of its own" in bogus(found)


def test_the_nearest_anchor_counts(org: SignedParent) -> None:
    """One for org. that is right, beside one for the root that is not."""
    world = World(org)
    root = SignedParent(".", GLUE, [OTHER]).anchor
    for given in ([root, org.anchor], [org.anchor, root]):
        found = asked(org.answer, anchors=given, resolver=world.resolve, found=True)
        assert trust(found) is Trust.VALIDATED


def test_the_chain_is_asked_for_once(org: SignedParent) -> None:
    world = World(org)
    questions: list[tuple[str, str]] = []

    def counts(query: dns.message.Message) -> dns.message.Message:
        question = query.question[0]
        questions.append((question.name.to_text(), dns.rdatatype.to_text(question.rdtype)))
        return world.resolve(query)

    asked(org.answer, anchors=[world.root.anchor], resolver=counts, looks=3)
    assert sorted(questions) == [(".", "DNSKEY"), ("org.", "DNSKEY"), ("org.", "DS")]
