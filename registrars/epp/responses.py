"""What a server says: a greeting (RFC 5730 section 2.4) or a response (section 2.6)."""

import attrs

from registrars.epp import tree
from registrars.epp.tree import EPP, Element, TreeError

# The schema has 64; not all servers keep to it.
_LONGEST_ID = 256


@attrs.frozen
class Greeting:
    """`objects` and `extensions` are URIs of what may be logged in with."""

    languages: tuple[str, ...]
    objects: frozenset[str]
    extensions: frozenset[str]


@attrs.frozen
class Message:
    """The first of the queue. `text` is for a person."""

    id: str
    text: str


@attrs.frozen
class Response:
    """`text` is the first result's message and its reasons, never the values that a server
    repeats: one may be the password. `client_id` is None where the server didn't understand
    what it was sent."""

    code: int
    text: str
    client_id: str | None
    server_id: str
    message: Message | None = None
    data: tuple[Element, ...] = ()
    extension: tuple[Element, ...] = ()

    @property
    def done(self) -> bool:
        return self.code < 2000

    def found(self, space: str, name: str) -> Element | None:
        """Of what was asked for, or of its extension."""
        return next(
            (
                one
                for one in (*self.data, *self.extension)
                if (one.space, one.name) == (space, name)
            ),
            None,
        )


def read(octets: bytes) -> Greeting | Response:
    """Raises TreeError."""
    root = tree.parse(octets)
    if (root.space, root.name) != (EPP, "epp"):
        raise TreeError(f"what came is <{root.name}>, not <epp> of EPP 1.0")
    greeting = root.find(EPP, "greeting")
    return _greeting(greeting) if greeting is not None else _response(root.need(EPP, "response"))


def _greeting(element: Element) -> Greeting:
    menu = element.need(EPP, "svcMenu")
    extensions = menu.find(EPP, "svcExtension")
    return Greeting(
        languages=tuple(one.token for one in menu.all(EPP, "lang")),
        objects=frozenset(one.token for one in menu.all(EPP, "objURI")),
        extensions=frozenset(
            one.token for one in (extensions.all(EPP, "extURI") if extensions else ())
        ),
    )


def _response(element: Element) -> Response:
    result = element.need(EPP, "result")
    code = result.get("code") or ""
    if not (len(code) == 4 and code.isascii() and code.isdecimal()):
        raise TreeError("a response has no result code")
    texts = [result.need(EPP, "msg").token]
    texts += [
        reason.token
        for one in element.all(EPP, "result")
        for value in one.all(EPP, "extValue")
        if (reason := value.find(EPP, "reason")) is not None
    ]
    ids = element.need(EPP, "trID")
    client = ids.find(EPP, "clTRID")
    data, extension = element.find(EPP, "resData"), element.find(EPP, "extension")
    return Response(
        code=int(code),
        text=": ".join(text for text in texts if text),
        client_id=None if client is None else client.token,
        server_id=_server_id(ids),
        message=_message(element.find(EPP, "msgQ")),
        data=data.children if data else (),
        extension=extension.children if extension else (),
    )


def _server_id(ids: Element) -> str:
    """It is kept in the state database, and so may not be of any length."""
    text = ids.need(EPP, "svTRID").token
    if not 0 < len(text) <= _LONGEST_ID:
        raise TreeError(f"<svTRID> is not of 1 to {_LONGEST_ID} characters")
    return text


def _message(queue: Element | None) -> Message | None:
    """None where the queue was only counted: <msgQ> is in any response (section 2.6)."""
    if queue is None:
        return None
    text, number = queue.find(EPP, "msg"), queue.get("id")
    if not number:
        raise TreeError("<msgQ> has no id")
    return Message(number, "" if text is None else text.token)
