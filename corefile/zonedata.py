"""The zones that a block's own lines say it serves, as far as they are known beforehand."""

from corefile.arguments import zones
from corefile.directive import Block

# `file DBFILE [ZONES]`, `sign DBFILE [ZONES]`: the word before the zones.
_WORDS_BEFORE_ZONES = {"file": 1, "sign": 1}


def configured_zones(block: Block) -> tuple[str, ...]:
    """The zones that *file* and *sign* name; those of the block's keys where they name none.
    *auto* finds its zones at run time. Raises CorefileError for a name that is none."""
    found: dict[str, None] = {}
    if block.directive("auto") is not None and block.directive("file") is None:
        return ()
    for directive in block.directives:
        before = _WORDS_BEFORE_ZONES.get(directive.name)
        if before is not None:
            found.update(dict.fromkeys(zones(directive.args[before:]) or block.zones))
    return tuple(found)
