"""*dnstap*: what clients ask and get, and what upstreams are asked, for a dnstap receiver."""

from corefile.arguments import count, known_options, nearest, number_of_arguments, only_once, plain
from corefile.directive import Directive
from corefile.place import CorefileError, CorefileWarning
from server.compiledtaps import Dnstap, Sink, Tap
from server.dnstaps import TYPES, endpoint, identity, version
from server.parts import Context, Parts
from server.plugins.log import log_format

_USAGE = "dnstap SOCKET [full] [WRITEBUFFER] [QUEUE]"
_OPTIONS = ("identity", "version", "extra", "message_types", "skipverify")
_QUEUE = 10_000
_MIB = 2**20
# Those of dnstap that nothing here happens for.
_OTHER_TYPES = frozenset(
    f"{kind}_{what}"
    for kind in ("AUTH", "RESOLVER", "STUB", "TOOL", "UPDATE")
    for what in ("QUERY", "RESPONSE")
)


def setup(directive: Directive, context: Context) -> Parts:
    number_of_arguments(directive, 1, 4, _USAGE)
    known_options(directive, _OPTIONS)
    only_once(directive, _OPTIONS)
    socket, *rest = directive.args
    if socket.text == "listen":
        raise CorefileError(
            socket.place,
            "this version of Zoneward connects to a receiver of dnstap and waits for none; "
            f"right: {_USAGE}",
        )
    full = bool(rest) and rest[0].text.lower() == "full"
    numbers = rest[full:]
    if len(numbers) > 2:
        raise CorefileError(numbers[2].place, f"'{numbers[2].text}' is one too many; {_USAGE}")
    write_buffer = count(numbers[0], least=1, most=1024) * _MIB if numbers else 0
    queue = count(numbers[1], least=1, most=4096) if len(numbers) > 1 else 1
    for name, usage in (("identity", "IDENTITY"), ("version", "VERSION"), ("extra", "EXTRA")):
        if (line := directive.option(name)) is not None:
            plain(line, 1, 1, f"{name} {usage}")
    types, warnings = _types(directive.option("message_types"))
    extra = directive.option("extra")
    target = Dnstap(
        endpoint=endpoint(socket, context),
        full=full,
        identity=identity(directive.option("identity")),
        version=version(directive.option("version")),
        types=types,
        write_buffer=write_buffer,
    )
    return Parts(
        stage=Tap(
            sink=Sink(plugin="dnstap", target=target, capacity=queue * _QUEUE),
            extra="" if extra is None else log_format(extra.args[0]),
        ),
        warnings=warnings,
    )


def _types(line: Directive | None) -> tuple[tuple[int, ...], tuple[CorefileWarning, ...]]:
    if line is None:
        return tuple(TYPES.values()), ()
    plain(line, 1, None, "message_types TYPE…")
    found: set[int] = set()
    warnings: list[CorefileWarning] = []
    for token in line.args:
        name = token.text.upper()
        if name in TYPES:
            found.add(TYPES[name])
        elif name in _OTHER_TYPES:
            warnings.append(CorefileWarning(token.place, f"there are no messages of type {name}"))
        else:
            raise CorefileError(
                token.place, f"unknown type '{token.text}' of dnstap" + nearest(name, TYPES)
            )
    return tuple(sorted(found)), tuple(warnings)
