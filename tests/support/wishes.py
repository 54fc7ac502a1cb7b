"""What `steps` are told of: key sets to begin with, what a person asks for, and what is never to
be although no validator minds."""

from collections.abc import Callable

import attrs
from steps import ORIGIN, POLICY, Moment, Wish, key_in

from signer import operations
from signer.keyset import Goal, Key, KeySet, RecordKind, Role, State
from signer.policy import DsMode, KeyLayout, Policy


def signed(*roles: Role, algorithm: int = 13) -> KeySet:
    """A zone that has been signed for long."""
    keyset = KeySet(ORIGIN)
    for role in roles:
        keyset = keyset.with_key(
            key_in(f"{role.value}{len(keyset.keys) + 1}", role, algorithm, "OOOO"),
            made_here=False,
        )
    return keyset


def imported(keyset: KeySet) -> KeySet:
    """Its keys, of which we have published nothing yet."""
    return attrs.evolve(
        keyset,
        keys=tuple(key_in(key.fingerprint, key.role, key.algorithm) for key in keyset.keys),
    )


def roll(*roles: Role) -> Wish:
    def wish(keyset: KeySet, policy: Policy) -> tuple[KeySet, Policy]:
        try:
            return operations.roll(keyset, policy, frozenset(roles) or None), policy
        except operations.OperationError:
            return keyset, policy

    return wish


def change(**values: object) -> Wish:
    return lambda keyset, policy: (keyset, attrs.evolve(policy, **values))


def lose(role: Role, *, oldest: bool = False) -> Wish:
    """The newest key of a role that stays, or the oldest that is there. One at a time: who
    loses the replacement before it is in use has lost the zone."""

    def wish(keyset: KeySet, policy: Policy) -> tuple[KeySet, Policy]:
        mine = [key for key in keyset.keys if key.role is role]
        found = [key for key in mine if key.goal is Goal.OMNIPRESENT]
        if oldest:
            found = [key for key in reversed(mine) if not key.all_hidden()]
        if not found or any(key.lost and not key.all_hidden() for key in keyset.keys):
            return keyset, policy
        return operations.lose(keyset, found[-1].fingerprint), policy

    return wish


def others(*algorithms: int) -> Wish:
    """Other signers have zone keys of these algorithms, from now on."""
    names = frozenset(b"\x01\x00" + bytes([3, one]) + b"another signer's" for one in algorithms)
    return lambda keyset, policy: (operations.keep_foreign(keyset, names), policy)


def go_insecure(keyset: KeySet, policy: Policy) -> tuple[KeySet, Policy]:
    return operations.go_insecure(keyset), policy


def go_secure(keyset: KeySet, policy: Policy) -> tuple[KeySet, Policy]:
    return operations.go_secure(keyset), policy


# --- policies and key sets ------------------------------------------------------------------

SPLIT = attrs.evolve(POLICY, keys=KeyLayout.KSK_ZSK)
DOUBLE_DS = attrs.evolve(POLICY, ds=DsMode.DOUBLE_DS)
SPLIT_DOUBLE_DS = attrs.evolve(SPLIT, ds=DsMode.DOUBLE_DS)
OTHER = attrs.evolve(POLICY, algorithm=8)
NEW = KeySet(ORIGIN)
ONE, PAIR = signed(Role.CSK), signed(Role.KSK, Role.ZSK)


def keys(*found: Key) -> KeySet:
    """In the middle of something."""
    return KeySet(ORIGIN, found)


def leaving(
    name: str, role: Role, states: str, successor: str | None = None, algorithm: int = 13
) -> Key:
    return key_in(name, role, algorithm, states, goal=Goal.HIDDEN, successor=successor)


# --- what is never to be --------------------------------------------------------------------


def two_signatures(moment: Moment) -> str:
    """Pre-publication (RFC 6781 section 4.1.1.1) makes no version larger."""
    return "the zone is signed twice" if len(moment.cached[2][-1]) > 1 else ""


def two_keys(moment: Moment) -> str:
    """Double DS (RFC 6781 section 4.1.2) makes no DNSKEY RRset larger."""
    shown = sum(name.startswith("KSK") for name, _ in moment.cached[1][-1][0])
    return "two key signing keys are shown" if shown > 1 else ""


def ds_ahead(moment: Moment) -> str:
    """With double KSK (RFC 6781 section 4.1.2) the parent finds the key of each DS, whichever
    cache it asks."""
    everywhere = {
        key.fingerprint
        for key in moment.keyset.keys
        if key.state(RecordKind.DNSKEY) is State.OMNIPRESENT
    }
    ahead = [name for name, _ in moment.wanted or () if name not in everywhere]
    return f"the DS of {ahead[0]} is ordered before its key is everywhere" if ahead else ""


def ds_waits(moment: Moment) -> str:
    """What a DS waits for is its DNSKEY: signatures over the zone change at the same time."""
    waits = any(
        (key.state(RecordKind.DNSKEY), key.state(RecordKind.DS))
        == (State.OMNIPRESENT, State.HIDDEN)
        for key in moment.keyset.keys
        if key.goal is Goal.OMNIPRESENT
    )
    return "a DS waits for more than its DNSKEY" if waits else ""


def more_keys_than(most: int) -> Callable[[Moment], str]:
    """Nobody asked for more."""

    def never(moment: Moment) -> str:
        return "a key is made that nobody needs" if len(moment.keyset.keys) > most else ""

    return never


def unsigned(moment: Moment) -> str:
    """Once it has been signed, until somebody asks for that."""
    versions = [shown for shown, _ in moment.cached[1]]
    return "the zone is unsigned again" if any(versions) and not versions[-1] else ""


def ds_in_vain(moment: Moment) -> str:
    """A DS that nobody needs is not waited for."""
    vain = any(
        key.goal is Goal.HIDDEN and key.state(RecordKind.DS) is State.RUMOURED
        for key in moment.keyset.keys
    )
    return "a DS is still to come, and then to go" if vain else ""


def lost_ds_waits(moment: Moment) -> str:
    """The DS of a lost key goes as soon as one that stays leads to who can sign."""
    able = any(
        key.visible(RecordKind.KRRSIG) and key.state(RecordKind.DS) is State.OMNIPRESENT
        for key in moment.keyset.keys
        if not key.lost and key.goal is Goal.OMNIPRESENT
    )
    waits = any(
        key.lost and key.goal is Goal.HIDDEN and key.state(RecordKind.DS) is State.OMNIPRESENT
        for key in moment.keyset.keys
    )
    return "the DS of a lost key waits" if able and waits else ""


def ds_taken_back(moment: Moment) -> str:
    """What was ordered may still come: as long as no DS that stays is there, it is waited for."""
    stays = any(
        key.goal is Goal.OMNIPRESENT and key.state(RecordKind.DS) is State.OMNIPRESENT
        for key in moment.keyset.keys
    )
    back = any(key.lost and key.letters().endswith("u") for key in moment.keyset.keys)
    return "a DS is taken back before it came" if back and not stays else ""


def gone_before_its_ds(moment: Moment) -> str:
    """Under double DS (RFC 6781 section 4.1.2) too, where no successor's DS is beside it."""
    gone = any(
        not key.visible(RecordKind.DNSKEY) and key.state(RecordKind.DS) is not State.HIDDEN
        for key in moment.keyset.keys
        if key.role is Role.CSK
    )
    return "a key goes before its DS" if gone else ""


def ds_not_gone(moment: Moment) -> str:
    """Who was asked to take a DS away, and is asked to bring it back, has it taken away first."""
    for key in moment.keyset.keys:
        name = (key.fingerprint, key.algorithm)
        had = all(name in version for version in moment.cached[0])
        if key.state(RecordKind.DS) is State.RUMOURED and had:
            return "a DS is back that was not gone"
    return ""
