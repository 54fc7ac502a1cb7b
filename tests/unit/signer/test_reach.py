"""Every address of every server counts, but for what this machine has no way to."""

import asyncio
from contextlib import AsyncExitStack

import dns.asyncresolver
import dns.message
import dns.name
import dns.rdatatype
import pytest
from keymaker import NOW
from responder import ADDRESS, Behaviour, server
from signedparent import SignedParent

from signer import reach
from signer.asking import Silent
from signer.config import ParentConfig
from signer.parent import DnsParentView, ParentAnswer, Seen, Unknown

SAYS = object()
TIMEOUT = Silent("time-out")
REFUSED = Silent("REFUSED", spoke=True)


@pytest.mark.parametrize(
    ("what", "servers", "missing"),
    [
        (
            "all answer",
            [("a", {"192.0.2.1": SAYS, "2001:db8::1": SAYS}), ("b", {"192.0.2.2": SAYS})],
            [],
        ),
        (
            "no way to IPv6",
            [
                ("a", {"192.0.2.1": SAYS, "2001:db8::1": TIMEOUT}),
                ("b", {"192.0.2.2": SAYS, "2001:db8::2": TIMEOUT}),
            ],
            [],
        ),
        (
            "one address is down",
            [
                ("a", {"192.0.2.1": SAYS, "2001:db8::1": TIMEOUT}),
                ("b", {"192.0.2.2": SAYS, "2001:db8::2": SAYS}),
            ],
            ["a: time-out"],
        ),
        (
            "one address refuses: there is a way",
            [("a", {"192.0.2.1": SAYS, "2001:db8::1": REFUSED})],
            ["a: REFUSED"],
        ),
        (
            "of two addresses of one kind one is down",
            [("a", {"192.0.2.1": SAYS, "192.0.2.2": TIMEOUT})],
            ["a: time-out"],
        ),
        (
            "a server by IPv6 alone, and no way there",
            [("a", {"192.0.2.1": SAYS}), ("b", {"2001:db8::2": TIMEOUT})],
            ["time-out"],
        ),
        ("all are down", [("a", {"192.0.2.1": TIMEOUT, "2001:db8::1": TIMEOUT})], ["time-out"]),
        ("no address", [("a", {"192.0.2.1": SAYS}), ("b", {})], ["b has no address"]),
    ],
)
def test_whose_silence_counts(
    what: str, servers: list[tuple[str, dict[str, object]]], missing: list[str]
) -> None:
    heard = [
        (name, {(address, 53): one for address, one in group.items()}) for name, group in servers
    ]
    assert reach.missing(heard) == missing, what


# --- a parent whose only server has two addresses -----------------------------------------------

OTHER = "127.61.4.2"
ZONE = dns.name.from_text("example.org.")
GLUE = f"ns 3600 A {ADDRESS}\nns 3600 A {OTHER}\nexample 3600 NS ns.example\n"
OLD, NEW = (f"example 3600 DS {tag} 13 2 {'AB' * 32}\n" for tag in (11111, 22222))


def asked(first: Behaviour, second: Behaviour, org: SignedParent) -> ParentAnswer:
    ds = "".join(f"org. 3600 DS {one}\n" for one in org.ds())
    root = SignedParent(".", f"org. 3600 NS ns.org.\n{ds}")

    def resolve(query: dns.message.Message) -> dns.message.Message:
        question = query.question[0]
        above = question.name == org.origin and question.rdtype == dns.rdatatype.DS
        inside = question.name.is_subdomain(org.origin) and not above
        return (org if inside else root).answer(query)

    async def run() -> ParentAnswer:
        async with AsyncExitStack() as stack:
            port = await stack.enter_async_context(server(first))
            await stack.enter_async_context(server(second, OTHER, port))
            stub = dns.asyncresolver.Resolver(configure=False)
            stub.nameservers = [ADDRESS]
            stub.port = await stack.enter_async_context(server(resolve))
            config = ParentConfig(anchors=(root.anchor,))
            view = DnsParentView(config, timeout=0.5, resolver=stub, wall=lambda: NOW, port=port)
            return await view.ds(ZONE)

    return asyncio.run(run())


def test_an_instance_that_is_behind_is_seen_by_its_own_address() -> None:
    behind = SignedParent("org.", OLD + GLUE)
    ahead = SignedParent("org.", OLD + NEW + GLUE)
    for first, second in ((ahead, behind), (behind, ahead)):
        found = asked(first.answer, second.answer, ahead)
        assert isinstance(found, Seen), found
        assert (len(found.common), len(found.any)) == (1, 2)


def test_an_instance_that_is_silent_makes_it_unknown() -> None:
    org = SignedParent("org.", OLD + GLUE)
    found = asked(org.answer, lambda query: None, org)
    assert isinstance(found, Unknown)
    assert found.reason.startswith(f"ns.org.: {OTHER} port ")
