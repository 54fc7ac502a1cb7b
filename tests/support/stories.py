"""Stories for `steps`: rollovers of all kinds, one upon another."""

import attrs
from foreignstories import FOREIGN
from loststories import LOST
from steps import POLICY, Registrar, Story, key_in
from wishes import (
    DOUBLE_DS,
    NEW,
    ONE,
    PAIR,
    SPLIT,
    SPLIT_DOUBLE_DS,
    change,
    ds_ahead,
    ds_in_vain,
    ds_not_gone,
    ds_waits,
    go_insecure,
    go_secure,
    gone_before_its_ds,
    imported,
    keys,
    leaving,
    roll,
    two_keys,
    two_signatures,
)

from signer.keyset import Role
from signer.policy import DsMode, KeyLayout

STORIES = {
    "first key": Story(NEW, POLICY),
    "first keys": Story(NEW, SPLIT),
    "zone key": Story(PAIR, SPLIT, (roll(Role.ZSK),), never=two_signatures),
    "key signing key": Story(PAIR, SPLIT, (roll(Role.KSK),), never=ds_ahead),
    "key signing key, DS first": Story(PAIR, SPLIT_DOUBLE_DS, (roll(Role.KSK),), never=two_keys),
    "one key": Story(ONE, POLICY, (roll(),), never=two_signatures),
    "one key, DS first": Story(ONE, DOUBLE_DS, (roll(),)),
    "zone keys, one upon another": Story(PAIR, SPLIT, (roll(Role.ZSK), roll(Role.ZSK))),
    "key signing keys, one upon another": Story(PAIR, SPLIT, (roll(Role.KSK), roll(Role.KSK))),
    "algorithm": Story(ONE, POLICY, (change(algorithm=8),)),
    "algorithm and back": Story(ONE, POLICY, (change(algorithm=8), change(algorithm=13))),
    "algorithm, two keys": Story(PAIR, SPLIT, (change(algorithm=8),)),
    "layout": Story(ONE, POLICY, (change(keys=KeyLayout.KSK_ZSK),)),
    "layout back": Story(PAIR, SPLIT, (change(keys=KeyLayout.CSK),)),
    "insecure": Story(ONE, POLICY, (go_insecure,)),
    "insecure and back": Story(ONE, POLICY, (go_insecure, go_secure)),
    "insecure and back, two keys": Story(PAIR, SPLIT, (go_insecure, go_secure)),
    "DS first and not": Story(
        PAIR, SPLIT_DOUBLE_DS, (roll(Role.KSK), change(ds=DsMode.DOUBLE_KSK))
    ),
    "DS first after all": Story(PAIR, SPLIT, (roll(Role.KSK), change(ds=DsMode.DOUBLE_DS))),
    "keystore away, first keys": Story(NEW, SPLIT, away=True),
    "keystore away, algorithm": Story(PAIR, SPLIT, (change(algorithm=8),), away=True),
    "keystore away, algorithm first": Story(NEW, POLICY, (change(algorithm=8),), away=True),
    "keystore away, layout": Story(ONE, POLICY, (change(keys=KeyLayout.KSK_ZSK),), away=True),
    "a registrar, one by one": Story(ONE, POLICY, (roll(),), Registrar(one_by_one=True)),
    "a registrar, DS first, one by one": Story(
        PAIR, SPLIT_DOUBLE_DS, (roll(Role.KSK),), Registrar(one_by_one=True)
    ),
    "a registrar, late": Story(PAIR, SPLIT, (roll(Role.KSK),), Registrar(late=True)),
    "a registrar, late, one by one": Story(
        PAIR, SPLIT, (roll(Role.KSK),), Registrar(one_by_one=True, late=True)
    ),
    "insecure and back, one by one": Story(
        ONE, POLICY, (go_insecure, go_secure), Registrar(one_by_one=True)
    ),
    "algorithm first": Story(NEW, POLICY, (change(algorithm=8),)),
    "algorithm first, two keys": Story(NEW, SPLIT, (change(algorithm=8),)),
    "adopted": Story(imported(ONE), POLICY, other=ONE),
    "adopted, two keys": Story(imported(PAIR), SPLIT, other=PAIR),
    "adopted and rolled": Story(imported(PAIR), SPLIT, (roll(Role.KSK),), other=PAIR),
    "adopted for another layout": Story(imported(ONE), SPLIT, other=ONE),
    "adopted for another algorithm": Story(
        imported(ONE), attrs.evolve(POLICY, algorithm=8), other=ONE
    ),
    "algorithm, one by one": Story(ONE, POLICY, (change(algorithm=8),), Registrar(one_by_one=True)),
    "algorithm, late": Story(ONE, POLICY, (change(algorithm=8),), Registrar(late=True)),
    "one key, side by side": Story(ONE, POLICY, (roll(),), never=ds_waits),
    "first key, DS first": Story(NEW, DOUBLE_DS),
    "back from insecure, standing by": Story(
        keys(
            leaving("KSK1", Role.KSK, "UHUH"),
            leaving("ZSK2", Role.ZSK, "UUHH"),
            attrs.evolve(leaving("KSK3", Role.KSK, "UHHH"), standby=True),
            attrs.evolve(leaving("ZSK4", Role.ZSK, "UHHH"), standby=True),
        ),
        attrs.evolve(SPLIT, standby=frozenset({"ksk", "zsk"})),
    ),
    "algorithm and back, its DS going": Story(
        keys(key_in("CSK1", Role.CSK, 13, "OOOU"), leaving("CSK2", Role.CSK, "OOOO", algorithm=8)),
        POLICY,
        other=keys(
            key_in("CSK1", Role.CSK, 13, "OOOO"), leaving("CSK2", Role.CSK, "OOOO", algorithm=8)
        ),
        never=ds_not_gone,
    ),
    "algorithm, back again, two keys": Story(
        keys(
            key_in("KSK1", Role.KSK, 13, "UHUH"),
            key_in("ZSK2", Role.ZSK, 13, "UOHH"),
            leaving("KSK3", Role.KSK, "OHOO", algorithm=8),
            leaving("ZSK4", Role.ZSK, "OOHH", algorithm=8),
        ),
        SPLIT,
    ),
    "key signing keys, one upon another, its DS not there yet": Story(
        keys(
            leaving("KSK1", Role.KSK, "OHOO", "KSK3"),
            key_in("ZSK2", Role.ZSK, 13, "OOHH"),
            leaving("KSK3", Role.KSK, "OHOR", "KSK4"),
            key_in("KSK4", Role.KSK, 13, predecessor="KSK3"),
        ),
        SPLIT,
        never=ds_in_vain,
    ),
    "layout back in a rollover, DS first": Story(
        keys(
            key_in("KSK1", Role.KSK, 13, "OHOO"),
            key_in("ZSK2", Role.ZSK, 13, "OOHH"),
            leaving("CSK3", Role.CSK, "OHOO", "CSK4"),
            leaving("CSK4", Role.CSK, "HHHH"),
        ),
        SPLIT_DOUBLE_DS,
        never=gone_before_its_ds,
    ),
    "back from insecure in a rollover, DS first": Story(
        keys(
            leaving("CSK1", Role.CSK, "HHHH", "CSK2"),
            key_in("CSK2", Role.CSK, 13, predecessor="CSK1"),
        ),
        DOUBLE_DS,
    ),
    "keystore away, back from insecure": Story(
        keys(leaving("KSK1", Role.KSK, "HHHH"), leaving("ZSK2", Role.ZSK, "HHHH")),
        SPLIT,
        away=True,
    ),
    **LOST,
    **FOREIGN,
}

LONG = frozenset(
    {
        "key signing keys, one upon another",
        "a lost key and its successor, which was standing by",
        "two lost keys, and a successor of both that is lost",
        "a lost key signing key in a rollover",
        "a lost key signing key in a rollover, DS first",
        "keystore away, key signing key",
        "algorithm first, two keys",
        "adopted and rolled",
        "adopted for another layout",
        "a new zone key, a lost key signing key",
        "a lost key signing key, a new zone key",
    }
)
