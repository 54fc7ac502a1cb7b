"""The zones that a block's own lines say it serves, as far as they are known beforehand."""

from corefile.arguments import zones
from corefile.directive import Block, Directive

# `file DBFILE [ZONES]`, `sign DBFILE [ZONES]`; a bare `sign` signs what others load.
_LOADING = ("file", "sign")


def configured_zones(block: Block) -> tuple[str, ...]:
    """The zones that *file*, *etcd* and *sign* load; those of the block's keys where they name
    none. *auto*, and *etcd* with whole zones in its keys, find theirs at run time. Raises
    CorefileError for a name that is none."""
    found: dict[str, None] = {}
    for directive in block.directives:
        if directive.name in _LOADING and directive.args:
            found.update(dict.fromkeys(zones(directive.args[1:]) or block.zones))
        elif directive.name == "etcd" and not _holds_whole_zones(directive):
            found.update(dict.fromkeys(zones(directive.args) or block.zones))
    return tuple(found)


def _holds_whole_zones(etcd: Directive) -> bool:
    layout = etcd.option("layout")
    return layout is not None and [token.text.lower() for token in layout.args] == ["zonefile"]
