"""The zones that a block's own lines say it serves, as far as they are known beforehand."""

from corefile.arguments import zones
from corefile.directive import Block

# `file DBFILE [ZONES]`, `sign DBFILE [ZONES]`; a bare `sign` signs what others load.
_LOADING = ("file", "sign")


def configured_zones(block: Block) -> tuple[str, ...]:
    """The zones that *file* and *sign* load; those of the block's keys where they name none.
    *auto* finds its zones at run time. Raises CorefileError for a name that is none."""
    found: dict[str, None] = {}
    for directive in block.directives:
        if directive.name in _LOADING and directive.args:
            found.update(dict.fromkeys(zones(directive.args[1:]) or block.zones))
    return tuple(found)
