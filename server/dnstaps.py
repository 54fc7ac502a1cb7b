"""What *dnstap* and *mirror* both say of a dnstap receiver."""

import engine
from corefile.directive import Directive
from corefile.lexer import Token
from corefile.paths import base
from corefile.place import CorefileError
from server.compiledtaps import Tcp, Unix
from server.parts import Context
from server.readers import hostname

CLIENT_TYPES = {"CLIENT_QUERY": 5, "CLIENT_RESPONSE": 6}
TYPES = CLIENT_TYPES | {"FORWARDER_QUERY": 7, "FORWARDER_RESPONSE": 8}
_MOST_PATH = 107
_LONGEST = 255


def endpoint(token: Token, context: Context) -> Unix | Tcp:
    """PATH, unix://PATH or tcp://HOST:PORT. Raises CorefileError."""
    scheme, found, rest = token.text.partition("://")
    if not found:
        scheme, rest = "unix", token.text
    match scheme.lower():
        case "unix":
            path = str(base(context.block, context.directory) / rest)
            if not rest or len(path.encode()) > _MOST_PATH:
                raise CorefileError(
                    token.place,
                    f"'{token.text}' is no path of a socket; it has 1 to {_MOST_PATH} octets",
                )
            return Unix(path=path)
        case "tcp":
            return Tcp(place=_place(token, rest))
        case "tls":
            raise CorefileError(
                token.place,
                "dnstap over TLS is not in this version of Zoneward; send to a socket of this "
                "machine, and from there on with stunnel or the like",
            )
    raise CorefileError(
        token.place, f"'{token.text}' found where PATH, unix://PATH or tcp://HOST:PORT should be"
    )


def _place(token: Token, text: str) -> str:
    host, colon, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    is_port = port.isascii() and port.isdecimal() and 0 < int(port[:6]) < 65536
    is_host = bool(bare) and (":" not in bare or host != bare)
    if not (colon and is_port and is_host) or any(char in bare for char in "/@? "):
        raise CorefileError(
            token.place, f"'{token.text}' names no host and port; right: tcp://HOST:PORT"
        )
    return text


def identity(line: Directive | None) -> str:
    """Hexadecimal; the machine's name unless it is given."""
    return _octets(hostname() if line is None else line.args[0].text)


def version(line: Directive | None) -> str:
    """Hexadecimal; ours unless it is given."""
    return _octets(f"Zoneward-{engine.__version__}" if line is None else line.args[0].text)


def _octets(text: str) -> str:
    return text.encode()[:_LONGEST].hex()
