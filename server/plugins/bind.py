"""*bind*: the addresses that a block listens on."""

from corefile.arguments import ip_address, plain
from corefile.directive import Block, Directive
from corefile.place import CorefileError
from server.parts import Context, Parts


def setup(directive: Directive, context: Context) -> Parts:
    plain(directive, 1, None, "bind ADDRESS…")
    for token in directive.args:
        if token.text.split("%")[0] != token.text:
            raise CorefileError(
                token.place, f"'{token.text}': an address with a scope can't be bound"
            )
        ip_address(token)
    return Parts()


def addresses(block: Block) -> tuple[str, ...]:
    """All addresses that a block's *bind* lines name, canonical, each once; none means all.
    Raises CorefileError."""
    return tuple(
        dict.fromkeys(ip_address(token) for line in block.all("bind") for token in line.args)
    )
