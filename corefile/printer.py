"""A Corefile's values back to text."""

from collections.abc import Iterable

from corefile.directive import Block, Corefile, Directive
from corefile.lexer import Token

_INDENT = "    "


def to_text(corefile: Corefile) -> str:
    """Text that parses to the same options and blocks (places apart). Raises ValueError for
    a token that the grammar has no spelling for."""
    parts: list[str] = []
    if corefile.options:
        parts.append("{\n" + "".join(_directive(line, 1) for line in corefile.options) + "}\n")
    parts += [_block(block) for block in corefile.blocks]
    return "\n".join(parts)


def _block(block: Block) -> str:
    keys = ", ".join(str(key) for key in block.keys)
    return keys + " {\n" + "".join(_directive(line, 1) for line in block.directives) + "}\n"


def _directive(directive: Directive, depth: int) -> str:
    indent = _INDENT * depth
    line = indent + " ".join(_words(directive))
    if directive.body is None:
        return line + "\n"
    inner = "".join(_directive(line, depth + 1) for line in directive.body)
    return f"{line} {{\n{inner}{indent}}}\n"


def _words(directive: Directive) -> Iterable[str]:
    yield directive.name
    yield from (spelling(token) for token in directive.args)


def spelling(token: Token) -> str:
    """How a token is written. Raises ValueError where it can't be."""
    text = token.text
    if "{$" in text or "{%" in text:
        raise ValueError("a token that looks like a variable can't be written")
    plain = bool(text) and text not in {"{", "}"} and not text.startswith('"')
    if not token.quoted and plain and not any(char == "#" or char.isspace() for char in text):
        return text
    written = text.replace('"', '\\"')
    if text.endswith("\\") or '\\"' in text:
        raise ValueError("a backslash before a quote can't be written inside quotes")
    return f'"{written}"'
