"""What is to change at a registrar, and what may not."""

import dns.name
import pytest

from registrars.plan import difference, forbidden, suited
from registrars.protocol import Capabilities, Deletes, Entry, Plan, Wants

ZONE = dns.name.from_text("example.org.")


def dnskey(number: int) -> bytes:
    return bytes((1, 1, 3, 13)) + bytes([number]) * 64


def key(number: int, digest: int = 2) -> Entry:
    return Entry.of_dnskey(ZONE, dnskey(number), digest)


def listed(number: int, digest: int = 2) -> Entry:
    return Entry(key(number, digest).ds, None, f"id-{number}")


OLD, NEW, STRANGE = key(1), key(2), listed(9)
LISTS = Capabilities(Wants.DS, lists=True)


@pytest.mark.parametrize(
    ("case", "have", "wanted", "add", "remove", "keep"),
    [
        ("a first DS", (), (OLD,), (OLD,), (), ()),
        ("the new beside the old", (listed(1),), (OLD, NEW), (NEW,), (), (listed(1),)),
        ("the old goes", (listed(1), listed(2)), (NEW,), (), (listed(1),), (listed(2),)),
        ("nothing to do", (listed(1),), (OLD,), (), (), (listed(1),)),
        ("going insecure", (listed(1),), (), (), (listed(1),), ()),
        (
            "what is of nobody's keys here stays",
            (STRANGE, listed(1)),
            (NEW,),
            (NEW,),
            (listed(1),),
            (STRANGE,),
        ),
        (
            "a registrar that lists keys has one digest of several",
            (OLD,),
            (key(1, 4),),
            (),
            (),
            (OLD,),
        ),
    ],
)
def test_differences(
    case: str,
    have: tuple[Entry, ...],
    wanted: tuple[Entry, ...],
    add: tuple[Entry, ...],
    remove: tuple[Entry, ...],
    keep: tuple[Entry, ...],
) -> None:
    plan = difference(ZONE, have, wanted, (OLD, NEW))
    assert (plan.add, plan.remove, plan.keep) == (add, remove, keep), case
    assert set(plan.before) == set(have)
    assert [one.id for one in plan.remove] == [one.id for one in remove]


@pytest.mark.parametrize(
    ("case", "plan", "working", "insecure", "reason"),
    [
        ("a rollover's end", Plan(ZONE, (), (OLD,), (NEW,)), (NEW,), False, None),
        ("the last one", Plan(ZONE, (), (OLD,)), (OLD,), False, "none that works would be there"),
        (
            "what stays leads nowhere",
            Plan(ZONE, (), (OLD,), (STRANGE,)),
            (OLD,),
            False,
            "none that works",
        ),
        ("a swap in one go", Plan(ZONE, (NEW,), (OLD,)), (OLD, NEW), False, "none that works"),
        (
            "more than a rollover takes away",
            Plan(ZONE, (), (key(3), key(4), OLD), (NEW,)),
            (NEW,),
            False,
            "3 DS away and leave 1",
        ),
        ("going insecure, asked for by name", Plan(ZONE, (), (OLD,)), (OLD,), True, None),
        (
            "going insecure with somebody else's DS left",
            Plan(ZONE, (), (OLD,), (STRANGE,)),
            (OLD,),
            True,
            "none that works",
        ),
        ("adding takes nothing away", Plan(ZONE, (NEW,), (), (OLD,)), (), False, None),
    ],
)
def test_what_may_not_be_carried_out(
    case: str, plan: Plan, working: tuple[Entry, ...], insecure: bool, reason: str | None
) -> None:
    found = forbidden(plan, working, LISTS, insecure=insecure)
    assert (found is None) == (reason is None), case
    if found is not None and reason is not None:
        assert reason in found.reason


def test_who_deletes_by_tag_would_delete_both_twins() -> None:
    twin = Entry(OLD.ds[:2] + NEW.ds[2:], None)
    plan = Plan(ZONE, (), (OLD,), (twin, NEW))
    by_tag = Capabilities(Wants.DS, deletes=Deletes.TAG)
    found = forbidden(plan, (NEW,), by_tag, insecure=False)
    assert found is not None
    assert f"{OLD.tag} is also that of a DS that stays" in found.reason
    assert forbidden(plan, (NEW,), LISTS, insecure=False) is None


def test_each_registrar_gets_what_it_takes() -> None:
    wanted = (key(1, 2), key(1, 4), key(2, 2), key(2, 4))
    assert suited(wanted, Capabilities(Wants.DS)) == (wanted[0], wanted[2])
    assert suited(wanted, Capabilities(Wants.DS, frozenset({2, 4}))) == wanted
    assert suited(wanted, Capabilities(Wants.DNSKEY)) == (wanted[0], wanted[2])


def test_a_ds_is_made_as_rfc_4034_says() -> None:
    made = key(1)
    assert (made.algorithm, made.digest_type, made.flags) == (13, 2, 257)
    assert made.public_key == bytes([1]) * 64
    assert key(1, 4).digest_type == 4
    assert len(key(1, 4).digest) == 48
