"""XML as a tree of frozen elements, written, and read as what an enemy may have sent: no document
type, no entities, bounded in depth and number. What is read is bounded in size by its frame."""

import re
from xml.parsers import expat

import attrs

EPP = "urn:ietf:params:xml:ns:epp-1.0"
DOMAIN = "urn:ietf:params:xml:ns:domain-1.0"
SECDNS = "urn:ietf:params:xml:ns:secDNS-1.1"
# As in the RFCs' examples: there are servers that look at prefixes.
_PREFIXES = {EPP: "", DOMAIN: "domain", SECDNS: "secDNS"}

_DEEPEST, _MOST = 32, 20_000
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class TreeError(Exception):
    """What came is not XML, or not such as EPP has."""


@attrs.frozen
class Element:
    """`space` is the namespace, empty where there is none; `text` is all character data right
    within, and not in the repr: it may be a password."""

    space: str
    name: str
    children: tuple["Element", ...] = ()
    text: str = attrs.field(default="", repr=False)
    attributes: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str | None:
        """An attribute without a namespace."""
        return next((value for key, value in self.attributes if key == name), None)

    def all(self, space: str, name: str) -> tuple["Element", ...]:
        return tuple(one for one in self.children if (one.space, one.name) == (space, name))

    def find(self, space: str, name: str) -> "Element | None":
        return next(iter(self.all(space, name)), None)

    def need(self, space: str, name: str) -> "Element":
        """Raises TreeError where there is none."""
        found = self.find(space, name)
        if found is None:
            raise TreeError(f"<{self.name}> has no <{name}>")
        return found

    @property
    def token(self) -> str:
        """The text as XML Schema's token: runs of white space are one space, none at the ends."""
        return " ".join(self.text.split())


def parse(octets: bytes) -> Element:
    """Raises TreeError."""
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    parser.StartDoctypeDeclHandler = reader.doctype
    try:
        parser.Parse(octets, True)
    except expat.ExpatError as error:
        raise TreeError(f"what came is not XML ({error})") from None
    except (ValueError, LookupError) as error:  # an encoding that Python lacks
        raise TreeError(f"what came is in no known encoding ({error})") from None
    if reader.root is None:
        raise TreeError("what came has no element")
    return reader.root


@attrs.define
class _Open:
    space: str
    name: str
    attributes: tuple[tuple[str, str], ...]
    children: list[Element] = attrs.field(factory=list)
    text: list[str] = attrs.field(factory=list)


class _Reader:
    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[_Open] = []
        self._number = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._number += 1
        if len(self._open) >= _DEEPEST or self._number > _MOST:
            raise TreeError(f"what came has more than {_DEEPEST} levels or {_MOST} elements")
        space, _, local = name.rpartition(" ")
        self._open.append(_Open(space, local, tuple(attributes.items())))

    def end(self, name: str) -> None:
        done = self._open.pop()
        element = Element(
            done.space, done.name, tuple(done.children), "".join(done.text), done.attributes
        )
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element

    def characters(self, text: str) -> None:
        self._open[-1].text.append(text)

    def doctype(self, name: str, system: str | None, public: str | None, internal: int) -> None:
        raise TreeError("what came has a document type")


def write(element: Element) -> bytes:
    """As UTF-8, each namespace declared where it is first used. Raises ValueError for text that
    XML can't hold; the error doesn't repeat it."""
    return b'<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n' + _text(
        element, frozenset()
    ).encode("utf-8")


def _text(element: Element, declared: frozenset[str]) -> str:
    prefix = _PREFIXES[element.space]
    name = f"{prefix}:{element.name}" if prefix else element.name
    head = name
    if element.space not in declared:
        declared |= {element.space}
        head += f' xmlns{":" if prefix else ""}{prefix}="{element.space}"'
    for key, value in element.attributes:
        head += f' {key}="{_escaped(value)}"'
    within = _escaped(element.text) + "".join(_text(one, declared) for one in element.children)
    return f"<{head}>{within}</{name}>" if within else f"<{head}/>"


def _escaped(text: str) -> str:
    if _FORBIDDEN.search(text):
        raise ValueError("a text has a character that XML can't hold")
    for plain, reference in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(plain, reference)
    return text
