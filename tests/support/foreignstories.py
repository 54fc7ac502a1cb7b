"""Stories for `steps` of zones that others sign too."""

import attrs
from steps import POLICY, Story, key_in
from wishes import NEW, ONE, OTHER, change, go_insecure, keys, leaving, others, roll

from signer.keyset import ForeignKey, KeySet, Record, Role, State

_BOTH = keys(leaving("CSK1", Role.CSK, "OOOO"), key_in("CSK2", Role.CSK, 8, "OOOO"))


def _beside(keyset: KeySet, algorithm: int, state: State) -> KeySet:
    """With another signer's key."""
    keyset, _ = others(algorithm)(keyset, POLICY)
    foreign: tuple[ForeignKey, ...] = tuple(
        attrs.evolve(key, record=Record(state)) for key in keyset.foreign
    )
    return attrs.evolve(keyset, foreign=foreign)


FOREIGN = {
    "another signer": Story(ONE, POLICY, (others(13), others())),
    "another signer, insecure": Story(ONE, POLICY, (others(13), go_insecure)),
    "another signer, one key": Story(ONE, POLICY, (others(13), roll())),
    "another signer stays, algorithm": Story(
        ONE, POLICY, (others(13), change(algorithm=8), others())
    ),
    "another signer of an algorithm that is left": Story(_beside(_BOTH, 13, State.HIDDEN), OTHER),
    "another signer of the new algorithm": Story(_beside(_BOTH, 8, State.OMNIPRESENT), OTHER),
    "another signer, algorithm first": Story(
        NEW, POLICY, (others(13), change(algorithm=8), others())
    ),
}
