"""When the parent has something to hear: CDS that our server shows and that it has not taken."""

import dns.name
import keymaker
import pytest

import engine
from registrars.protocol import Entry
from signer.delivery import Wanted
from signer.ds import ds_rdata
from signer.parent import NoParent, ParentAnswer, Seen, Unknown
from signer.served import news
from signer.variant import Variant

ORIGIN = dns.name.from_text("example.org.")
KEY = keymaker.key(number=6)
DS = ds_rdata(ORIGIN, KEY.dnskey)
ENTRY = Entry(DS, KEY.dnskey)
PENDING = Wanted((ENTRY,), (ENTRY,), (), (ENTRY,), insecure=False)


def version(*cds: bytes) -> engine.Zone:
    text = "$ORIGIN example.org.\n@ 300 SOA ns host 1 1 1 1 1\n@ 300 NS ns\n"
    source = engine.scan_text(text.encode(), ORIGIN.to_wire())
    plan = keymaker.plan(KEY, cds=cds, cdnskeys=[KEY.dnskey] if cds else [], serial=5)
    return keymaker.sign_new(source, plan).zone


WITH, WITHOUT = version(DS), version()


def variant(zone: engine.Zone | None = WITH, serial: int | None = 5) -> Variant:
    return Variant("block", base=zone, observed_serial=serial)


def seen(*ds: bytes, some: tuple[bytes, ...] = ()) -> Seen:
    return Seen(frozenset(ds), frozenset((*ds, *some)), 300, ("192.0.2.53:53",))


@pytest.mark.parametrize(
    "parent", [seen(), seen(some=(DS,)), seen(DS, b"other"), Unknown("silent")]
)
def test_it_is_told_until_all_its_servers_have_just_that(parent: ParentAnswer) -> None:
    assert news(PENDING, parent, [variant(), variant()]) == {DS}


@pytest.mark.parametrize(
    ("pending", "parent", "variants"),
    [
        (None, seen(), [variant()]),
        (PENDING, seen(DS), [variant()]),
        (PENDING, seen(), []),
        (PENDING, seen(), [variant(), variant(None)]),
        (PENDING, seen(), [variant(), variant(serial=4)]),
        (PENDING, seen(), [variant(), variant(serial=None)]),
        (PENDING, seen(), [variant(), variant(WITHOUT)]),
        (PENDING, NoParent(), [Variant("block", WITH, observed_serial=5, observed_foreign=True)]),
    ],
    ids=[
        "nothing is pending",
        "the parent has it",
        "there is no block",
        "a block has no version",
        "a block's server is behind",
        "a block's server was not heard",
        "a block's version has no CDS",
        "a block's version is of an earlier life",
    ],
)
def test_there_is_nothing_to_tell(
    pending: Wanted | None, parent: ParentAnswer, variants: list[Variant]
) -> None:
    assert news(pending, parent, variants) is None
