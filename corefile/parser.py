"""Tokens to blocks: keys, directives, bodies, snippets, imports, the leading options block."""

import glob
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import attrs

from corefile.directive import Block, Corefile, Directive
from corefile.duplicates import refuse_duplicates
from corefile.keys import Key, parse_key
from corefile.lexer import Lexeme, Token, tokenize
from corefile.place import CorefileError, CorefileWarning, Place

Read = Callable[[str], str]
Find = Callable[[str], Sequence[str]]

# Deeper than anybody writes by hand, and far from the interpreter's own limit.
_DEEPEST = 32


def read_file(path: str) -> str:
    """A file's text. Raises OSError, and UnicodeDecodeError (a ValueError) if it isn't UTF-8."""
    return Path(path).read_bytes().decode("utf-8")


def find_files(pattern: str) -> Sequence[str]:
    """The files that match a pattern with one `*`, sorted; hidden ones don't match a bare `*`."""
    return sorted(path for path in glob.glob(pattern) if Path(path).is_file())  # noqa: PTH207


def load(path: str, *, dns_port: int = 53, environ: Mapping[str, str] | None = None) -> Corefile:
    """Read and parse a Corefile with its imports. Raises CorefileError, also where a file
    can't be read."""
    try:
        text = read_file(path)
    except (OSError, UnicodeDecodeError) as error:
        raise CorefileError(Place(path, 1, 1), _unreadable(error)) from None
    return parse(
        text,
        path=path,
        environ=os.environ if environ is None else environ,
        read=read_file,
        dns_port=dns_port,
    )


def parse(
    text: str,
    *,
    path: str,
    environ: Mapping[str, str],
    read: Read,
    find: Find = find_files,
    dns_port: int = 53,
) -> Corefile:
    """Parse a Corefile. `path` is its name in places and what imports are relative to;
    `read` gives an imported file's text. `dns_port` is the port of keys that name none.
    Raises CorefileError at the first mistake."""
    parser = _Parser(environ, read, find, dns_port)
    parser.file(tokenize(text, path, environ), _Context((path,), 0))
    corefile = Corefile(path, parser.options, tuple(parser.blocks), tuple(parser.warnings))
    refuse_duplicates(corefile)
    return corefile


def _unreadable(error: OSError | UnicodeDecodeError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"the file is not UTF-8 (octet {error.start + 1})"
    return f"the file can't be read: {error.strerror or error}"


@attrs.frozen
class _Context:
    """What is being imported just now (files, snippets), and how deep in braces we are."""

    importing: tuple[str, ...]
    depth: int

    def deeper(self, place: Place) -> "_Context":
        if self.depth >= _DEEPEST:
            raise CorefileError(place, f"nested more than {_DEEPEST} deep")
        return attrs.evolve(self, depth=self.depth + 1)

    def within(self, name: str, place: Place) -> "_Context":
        if name in self.importing:
            chain = " -> ".join((*self.importing[self.importing.index(name) :], name))
            raise CorefileError(place, f"import loop: {chain}")
        return attrs.evolve(self.deeper(place), importing=(*self.importing, name))


@attrs.frozen
class _Import:
    """Tokens that stand where an import stood."""

    lexemes: tuple[Lexeme, ...]
    context: _Context


class _Cursor:
    """A way through tokens."""

    def __init__(self, lexemes: tuple[Lexeme, ...]) -> None:
        self._lexemes = lexemes
        self._at = 0

    def peek(self) -> Lexeme | None:
        return self._lexemes[self._at] if self._at < len(self._lexemes) else None

    def take(self) -> Lexeme:
        lexeme = self._lexemes[self._at]
        self._at += 1
        return lexeme

    def rest_of_line(self) -> list[Lexeme]:
        """What follows on the line of the token taken last."""
        found = []
        while (lexeme := self.peek()) is not None and not lexeme.starts_line:
            found.append(self.take())
        return found

    def group(self, opening: Token) -> tuple[Lexeme, ...]:
        """The tokens up to the brace that closes `opening`, which was taken last."""
        start, depth = self._at, 1
        while (lexeme := self.peek()) is not None:
            self._at += 1
            if lexeme.opens:
                depth += 1
            elif lexeme.closes:
                if not (lexeme.starts_line or self._lexemes[self._at - 2].opens):
                    raise CorefileError(lexeme.token.place, "'}' has to start a line of its own")
                depth -= 1
                if depth == 0:
                    return self._lexemes[start : self._at - 1]
        raise CorefileError(opening.place, "this '{' is never closed: a '}' is missing")


class _Parser:
    def __init__(self, environ: Mapping[str, str], read: Read, find: Find, dns_port: int) -> None:
        self._environ = environ
        self._read = read
        self._find = find
        self._dns_port = dns_port
        self._snippets: dict[str, tuple[Lexeme, ...]] = {}
        self.options: tuple[Directive, ...] = ()
        self.blocks: list[Block] = []
        self.warnings: list[CorefileWarning] = []

    def file(self, lexemes: tuple[Lexeme, ...], context: _Context) -> None:
        cursor = _Cursor(lexemes)
        first = cursor.peek()
        if first is not None and first.opens and len(context.importing) == 1:
            cursor.take()
            self.options = self._braced(cursor, first.token, context)
        while (lexeme := cursor.peek()) is not None:
            token = lexeme.token
            if lexeme.opens:
                raise CorefileError(
                    token.place,
                    "'{' without a zone before it; the block of global options has to be the "
                    "first thing in the Corefile",
                )
            if lexeme.closes:
                raise CorefileError(token.place, "'}' without a '{' that it closes")
            if token.text == "import" and not token.quoted:
                cursor.take()
                for imported in self._imported(token, cursor.rest_of_line(), context):
                    self.file(imported.lexemes, imported.context)
            elif _snippet_name(token) is not None:
                self._snippet(cursor)
            else:
                self._block(cursor, context)

    def _snippet(self, cursor: _Cursor) -> None:
        token = cursor.take().token
        name = _snippet_name(token)
        assert name is not None
        if name in self._snippets:
            raise CorefileError(token.place, f"the snippet '{name}' is defined a second time")
        opening = cursor.peek()
        if opening is None or not opening.opens or opening.starts_line:
            raise CorefileError(
                token.place, f"a snippet is written '({name}) {{', its '{{' on the same line"
            )
        cursor.take()
        self._snippets[name] = cursor.group(opening.token)

    def _block(self, cursor: _Cursor, context: _Context) -> None:
        place = _next_place(cursor)
        keys: list[Key] = []
        while True:
            lexeme = cursor.take()
            token = lexeme.token
            text = token.text.removesuffix(",")
            if token.text.endswith("{") and not token.quoted:
                raise CorefileError(
                    token.place, f"'{token.text}': a space is missing before the '{{'"
                )
            if text:
                keys += parse_key(attrs.evolve(token, text=text), dns_port=self._dns_port)
            following = cursor.peek()
            continues = token.text.endswith(",")
            if following is None:
                if continues:
                    raise CorefileError(token.place, "another key has to follow the ','")
                break
            if following.opens or (following.starts_line and not continues):
                break
        if not keys:
            raise CorefileError(place, "a server block needs a zone, as in 'example.org {'")
        opening = cursor.peek()
        if opening is not None and opening.opens:
            if opening.starts_line:
                raise CorefileError(
                    opening.token.place, "the '{' has to stand on the line of the block's keys"
                )
            cursor.take()
            directives = self._braced(cursor, opening.token, context)
        else:
            if self.blocks:
                raise CorefileError(
                    place,
                    "braces may be left out only where the Corefile has a single block; "
                    f"'{keys[0].zone}' needs '{{' and '}}'",
                )
            directives = self._directives(cursor, context.deeper(place))
        self.blocks.append(Block(tuple(dict.fromkeys(keys)), directives, place))

    def _braced(self, cursor: _Cursor, opening: Token, context: _Context) -> tuple[Directive, ...]:
        following = cursor.peek()
        if following is not None and not following.starts_line and not following.closes:
            raise CorefileError(
                following.token.place,
                f"'{following.token.text}' has to start a line of its own: "
                "'{' is the last thing on its line",
            )
        inner = cursor.group(opening)
        after = cursor.peek()
        if after is not None and not after.starts_line and not after.closes:
            raise CorefileError(
                after.token.place, f"'{after.token.text}' after '}}' has to start a new line"
            )
        return self._directives(_Cursor(inner), context.deeper(opening.place))

    def _directives(self, cursor: _Cursor, context: _Context) -> tuple[Directive, ...]:
        found: list[Directive] = []
        while (lexeme := cursor.peek()) is not None:
            token = lexeme.token
            if lexeme.opens:
                raise CorefileError(token.place, "'{' where the name of a directive should be")
            if lexeme.closes:
                raise CorefileError(token.place, "'}' without a '{' that it closes")
            cursor.take()
            if token.text == "import" and not token.quoted:
                for imported in self._imported(token, cursor.rest_of_line(), context):
                    found += self._directives(_Cursor(imported.lexemes), imported.context)
            else:
                found.append(self._directive(token, cursor, context))
        return tuple(found)

    def _directive(self, name: Token, cursor: _Cursor, context: _Context) -> Directive:
        args: list[Token] = []
        while (lexeme := cursor.peek()) is not None and not lexeme.starts_line:
            cursor.take()
            if lexeme.opens:
                body = self._braced(cursor, lexeme.token, context)
                return Directive(name.text, name.place, tuple(args), body)
            if lexeme.closes:
                raise CorefileError(lexeme.token.place, "'}' has to start a line of its own")
            args.append(lexeme.token)
        return Directive(name.text, name.place, tuple(args))

    def _imported(self, word: Token, args: list[Lexeme], context: _Context) -> list[_Import]:
        if len(args) != 1 or args[0].opens or args[0].closes:
            raise CorefileError(
                word.place, f"'import' takes one snippet or file, not {len(args)} arguments"
            )
        target = args[0].token
        snippet = self._snippets.get(target.text)
        if snippet is not None:
            return [_Import(snippet, context.within(f"({target.text})", target.place))]
        return self._imported_files(target, context)

    def _imported_files(self, target: Token, context: _Context) -> list[_Import]:
        pattern = str(Path(target.place.file).parent / target.text)
        if "*" in target.text:
            if target.text.count("*") > 1 or "?" in target.text or "[" in target.text:
                raise CorefileError(
                    target.place,
                    f"'{target.text}': an import may have one '*' and no other wildcard",
                )
            # What stands before the pattern is a path, whatever characters it has.
            folder = glob.escape(str(Path(target.place.file).parent))
            paths = self._find(str(Path(folder) / target.text))
            if not paths:
                self.warnings.append(
                    CorefileWarning(
                        target.place, f"'{target.text}' matches no file; nothing is imported"
                    )
                )
        else:
            paths = [pattern]
        return [self._imported_file(path, target, context) for path in paths]

    def _imported_file(self, path: str, target: Token, context: _Context) -> _Import:
        inner = context.within(path, target.place)
        try:
            text = self._read(path)
        except FileNotFoundError:
            known = ", ".join(self._snippets) or "none"
            raise CorefileError(
                target.place,
                f"'{target.text}' is neither a snippet defined above ({known}) nor a file ({path})",
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise CorefileError(target.place, f"{path}: {_unreadable(error)}") from None
        return _Import(tokenize(text, path, self._environ), inner)


def _next_place(cursor: _Cursor) -> Place:
    lexeme = cursor.peek()
    assert lexeme is not None
    return lexeme.token.place


def _snippet_name(token: Token) -> str | None:
    text = token.text
    if token.quoted or len(text) < 3 or not (text.startswith("(") and text.endswith(")")):
        return None
    return text[1:-1]
