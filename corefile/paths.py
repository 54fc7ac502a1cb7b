"""Where the files are that a directive names."""

from pathlib import Path

from corefile.directive import Block
from corefile.lexer import Token


def base(block: Block, directory: Path) -> Path:
    """What relative paths of a block count from: its *root*, else `directory`, the
    Corefile's."""
    line = block.directive("root")
    return directory / line.args[0].text if line is not None and line.args else directory


def resolve(token: Token, block: Block) -> Path:
    """The file that `token` names."""
    return base(block, Path(token.place.file).parent) / token.text
