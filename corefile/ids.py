"""The stable name of a block: in its catalog, its TSIG key, its directories, its metrics."""

import hashlib
import re
from collections.abc import Iterable

from corefile.directive import Block, Corefile, Directive

_LONGEST_PREFIX = 27


def block_id(block: Block) -> str:
    """[a-z0-9-], at most 40 characters, a valid DNS label; the same for the same set of keys
    and view, whatever their order, and whatever else is in the block."""
    keys = sorted(str(key) for key in block.keys)
    digest = hashlib.sha256("\n".join((*keys, block.view)).encode()).hexdigest()[:12]
    first = min(block.keys, key=str).zone.removesuffix(".") or "root"
    prefix = re.sub(r"[^a-z0-9]+", "-", first)[:_LONGEST_PREFIX].strip("-")
    return f"{prefix}-{digest}" if prefix else f"zone-{digest}"


def digest(corefile: Corefile) -> str:
    """Hexadecimal; the same for Corefiles that say the same, wherever their words stand."""
    said = (
        _words(corefile.options),
        [([str(key) for key in block.keys], _words(block.directives)) for block in corefile.blocks],
    )
    return hashlib.sha256(repr(said).encode()).hexdigest()


def _words(lines: Iterable[Directive]) -> list[object]:
    return [
        (
            line.name,
            [token.text for token in line.args],
            None if line.body is None else _words(line.body),
        )
        for line in lines
    ]
