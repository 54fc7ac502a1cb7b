"""No two blocks may answer for the same zone on the same address and port."""

from corefile.directive import Block, Corefile
from corefile.place import CorefileError, Place


def refuse_duplicates(corefile: Corefile) -> None:
    """Raises CorefileError where a zone, port and address come twice in the same view, or in a
    view behind a block without one, which takes all queries."""
    seen: dict[tuple[str, int, str, str], Place] = {}
    for block in corefile.blocks:
        for key in block.keys:
            for address in bound_addresses(block) or ("",):
                before = seen.get((key.zone, key.port, address, ""))
                if block.view and before is not None:
                    raise CorefileError(
                        key.place,
                        f"this view is never asked: the block at {before} has none and takes all "
                        f"queries for '{key.zone}'; put it behind those with a view",
                    )
                known = seen.setdefault((key.zone, key.port, address, block.view), key.place)
                if known is not key.place:
                    where = f" on {address}" if address else ""
                    raise CorefileError(
                        key.place,
                        f"'{key.zone}' on port {key.port}{where} is already served by the block "
                        f"at {known}; give one of them another port, address or view",
                    )


def bound_addresses(block: Block) -> tuple[str, ...]:
    """What *bind* names in a block, as written; empty for all addresses."""
    return tuple(dict.fromkeys(token.text for bind in block.all("bind") for token in bind.args))
