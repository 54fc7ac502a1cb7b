"""Where the files are that a directive names."""

from pathlib import Path

from corefile.directive import Block


def base(block: Block, directory: Path) -> Path:
    """What relative paths of a block count from: its *root*, else `directory`, the Corefile's,
    whatever file it imports a line from."""
    line = block.directive("root")
    return directory / line.args[0].text if line is not None and line.args else directory
