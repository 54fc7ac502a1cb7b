"""Stories for `steps` of keys whose private half is gone."""

import attrs
from steps import POLICY, Registrar, Story, key_in
from wishes import (
    DOUBLE_DS,
    NEW,
    ONE,
    OTHER,
    PAIR,
    SPLIT,
    SPLIT_DOUBLE_DS,
    change,
    ds_ahead,
    ds_taken_back,
    go_insecure,
    keys,
    leaving,
    lose,
    lost_ds_waits,
    more_keys_than,
    others,
    roll,
    unsigned,
)

from signer.keyset import Role

_LOST = attrs.evolve(leaving("CSK1", Role.CSK, "OOOO", "CSK2"), lost=True)
_STANDBY = attrs.evolve(SPLIT, standby=frozenset({"ksk"}), standby_ds=True)

_REPLACED = keys(
    attrs.evolve(leaving("KSK1", Role.KSK, "OHOO", "KSK3"), lost=True),
    key_in("ZSK2", Role.ZSK, 13, "OOHH"),
    key_in("KSK3", Role.KSK, 13, "HHHR", predecessor="KSK1"),
)

LOST = {
    "a lost key": Story(ONE, POLICY, (lose(Role.CSK),)),
    "a lost key signing key": Story(PAIR, SPLIT, (lose(Role.KSK),)),
    "a lost zone key": Story(PAIR, SPLIT, (lose(Role.ZSK),)),
    "a lost key signing key in a rollover": Story(PAIR, SPLIT, (roll(Role.KSK), lose(Role.KSK))),
    "a lost key signing key in a rollover, DS first": Story(
        PAIR, SPLIT_DOUBLE_DS, (roll(Role.KSK), lose(Role.KSK))
    ),
    "a lost zone key in a rollover": Story(PAIR, SPLIT, (roll(Role.ZSK), lose(Role.ZSK))),
    "keystore away, zone key": Story(PAIR, SPLIT, (roll(Role.ZSK), lose(Role.ZSK)), away=True),
    "keystore away, key signing key": Story(
        PAIR, SPLIT_DOUBLE_DS, (roll(Role.KSK), lose(Role.KSK)), away=True
    ),
    "a lost key signing key, a new zone key": Story(PAIR, SPLIT, (lose(Role.KSK), roll(Role.ZSK))),
    "a new zone key, a lost key signing key": Story(PAIR, SPLIT, (roll(Role.ZSK), lose(Role.KSK))),
    "a lost key, insecure": Story(ONE, POLICY, (lose(Role.CSK), go_insecure)),
    "standby keys": Story(
        PAIR,
        attrs.evolve(SPLIT, standby=frozenset({"ksk", "zsk"}), standby_ds=True),
        (lose(Role.KSK),),
    ),
    "a lost key before its DS": Story(NEW, POLICY, (lose(Role.CSK),)),
    "a lost key signing key in a rollover, DS first, another signer": Story(
        keys(
            leaving("KSK1", Role.KSK, "UHUO", "KSK3"),
            key_in("ZSK2", Role.ZSK, 13, "OOHH"),
            key_in("KSK3", Role.KSK, 13, "RHOO", predecessor="KSK1", lost=True),
        ),
        SPLIT_DOUBLE_DS,
        (others(13),),
    ),
    "a lost predecessor, a new zone key": Story(
        keys(
            attrs.evolve(leaving("KSK1", Role.KSK, "OHOO", "KSK3"), lost=True),
            key_in("ZSK2", Role.ZSK, 13, "OOHH"),
            key_in("KSK3", Role.KSK, 13, "OHOR", predecessor="KSK1"),
        ),
        SPLIT,
        (roll(Role.ZSK),),
        other=keys(
            key_in("KSK1", Role.KSK, 13, "OHOO"),
            key_in("ZSK2", Role.ZSK, 13, "OOHH"),
            key_in("KSK3", Role.KSK, 13, "OHOH"),
        ),
    ),
    "a new zone key on its way out, a lost key signing key": Story(
        keys(
            attrs.evolve(leaving("KSK1", Role.KSK, "OHOO", "KSK3"), lost=True),
            leaving("ZSK2", Role.ZSK, "OHHH"),
            key_in("KSK3", Role.KSK, 13, "HHHR", predecessor="KSK1"),
            key_in("ZSK4", Role.ZSK, 13, "OOHH"),
        ),
        SPLIT,
    ),
    "a lost successor, not needed yet": Story(
        keys(
            leaving("KSK1", Role.KSK, "OHOO", "KSK3"),
            key_in("ZSK2", Role.ZSK, 13, "OOHH"),
            key_in("KSK3", Role.KSK, 13, "OHOR", predecessor="KSK1", lost=True),
        ),
        SPLIT,
        never=ds_ahead,
    ),
    "a lost key that was replaced, algorithm": Story(
        keys(_LOST, key_in("CSK2", Role.CSK, 13, "OOOO", predecessor="CSK1")),
        POLICY,
        (change(algorithm=8),),
        never=more_keys_than(3),
    ),
    "a lost key, standby with DS": Story(
        PAIR, _STANDBY, (lose(Role.KSK),), Registrar(one_by_one=True)
    ),
    "a lost key and its successor": Story(
        keys(
            attrs.evolve(leaving("KSK1", Role.KSK, "OHOO", "KSK4"), lost=True),
            key_in("ZSK2", Role.ZSK, 13, "OOHH"),
            attrs.evolve(leaving("KSK3", Role.KSK, "OHOO", "KSK4"), lost=True),
            key_in("KSK4", Role.KSK, 13, predecessor="KSK3"),
        ),
        SPLIT,
    ),
    "a lost key and its successor, which was standing by": Story(
        keys(
            attrs.evolve(leaving("KSK1", Role.KSK, "RHRO", "KSK4"), lost=True),
            key_in("ZSK2", Role.ZSK, 13, "OOHH"),
            attrs.evolve(leaving("KSK3", Role.KSK, "OHOO", "KSK1"), lost=True),
            key_in("KSK4", Role.KSK, 13, predecessor="KSK1"),
        ),
        SPLIT_DOUBLE_DS,
        other=keys(
            key_in("KSK1", Role.KSK, 13, "OHOO"),
            key_in("ZSK2", Role.ZSK, 13, "OOHH"),
            key_in("KSK3", Role.KSK, 13, "OHHO"),
        ),
    ),
    "two lost keys, and a successor of both that is lost": Story(
        keys(
            attrs.evolve(leaving("KSK1", Role.KSK, "OHOO", "KSK4"), lost=True),
            key_in("ZSK2", Role.ZSK, 13, "OOHH"),
            attrs.evolve(leaving("KSK3", Role.KSK, "OHOO", "KSK4"), lost=True),
            attrs.evolve(leaving("KSK4", Role.KSK, "HHHO", "KSK5"), lost=True),
            key_in("KSK5", Role.KSK, 13, "HHHR", predecessor="KSK4"),
        ),
        SPLIT_DOUBLE_DS,
    ),
    "a lost key of an algorithm that is left": Story(
        keys(attrs.evolve(_LOST, successor=None), key_in("CSK2", Role.CSK, 8, "OOOO")),
        OTHER,
        never=lost_ds_waits,
    ),
    "a lost key of an algorithm that is left, one by one": Story(
        keys(attrs.evolve(_LOST, successor=None), key_in("CSK2", Role.CSK, 8, "OOOO")),
        attrs.evolve(OTHER, ds=DOUBLE_DS.ds),
        (roll(),),
        Registrar(one_by_one=True),
    ),
    "a lost key of a new algorithm": Story(
        keys(
            leaving("CSK1", Role.CSK, "OOOO"),
            attrs.evolve(leaving("CSK2", Role.CSK, "OOOR", "CSK3", 8), lost=True),
            key_in("CSK3", Role.CSK, 8, predecessor="CSK2"),
        ),
        OTHER,
        never=ds_taken_back,
    ),
    "a lost key, the DS to come, another algorithm": Story(
        keys(_LOST, key_in("CSK2", Role.CSK, 13, "HHHR", predecessor="CSK1")),
        POLICY,
        (change(algorithm=8),),
    ),
    "a lost key signing key, another standing by with DS": Story(
        _REPLACED.with_key(key_in("KSK4", Role.KSK, 13, "HHHO", standby=True), made_here=False),
        _STANDBY,
    ),
    "keystore away, a lost first key": Story(NEW, SPLIT, (lose(Role.KSK),), away=True),
    "keystore away, algorithm first, its key lost": Story(
        keys(
            leaving("CSK1", Role.CSK, "OOOH"),
            key_in("CSK2", Role.CSK, 8, lost=True),
        ),
        OTHER,
        away=True,
        never=unsigned,
    ),
    "keystore away, algorithm first, two keys, one lost": Story(
        keys(
            leaving("KSK1", Role.KSK, "OHOH"),
            leaving("ZSK2", Role.ZSK, "OOHH"),
            key_in("KSK3", Role.KSK, 8, lost=True),
            key_in("ZSK4", Role.ZSK, 8),
        ),
        attrs.evolve(SPLIT, algorithm=8),
        away=True,
    ),
}
