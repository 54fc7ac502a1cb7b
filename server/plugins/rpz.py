"""*rpz*: response policy zones, feeds of what is not to be answered as it is."""

from pathlib import Path

import engine
from corefile.arguments import (
    address,
    choice,
    count,
    duration,
    known_options,
    number_of_arguments,
    only_once,
    plain,
    secret_reference,
    zone,
)
from corefile.directive import Block, Directive
from corefile.names import name_wire
from corefile.paths import base
from corefile.place import CorefileError, CorefileWarning
from server.compiled import Cname, Feed, Override, Rpz
from server.parts import Context, FeedTransfer, KeyReference, Parts, Refill

_OPTIONS = ("file", "transfer", "tsig", "policy", "max_ttl", "ede", "log", "reload")
_POLICIES: tuple[Override, ...] = (
    *("given", "disabled", "passthru", "drop", "nxdomain", "nodata", "tcp-only"),
)
_ALGORITHMS = ("hmac-sha256", "hmac-sha384", "hmac-sha512")
_RELOAD = 5.0
_MAX_TTL = 5


def setup(directive: Directive, context: Context) -> Parts:
    block = context.block
    feed, source = _feed(directive, context)
    feeds: list[Feed] = []
    for line in block.all("rpz"):
        try:
            found = feed if line is directive else _feed(line, context)[0]
        except CorefileError:
            continue  # told when its own turn comes
        if line is directive and any(found.zone == other.zone for other in feeds):
            raise CorefileError(line.args[0].place, f"the feed {found.zone} is given twice")
        feeds.append(found)
    # The others' feeds are part of the first one's stage: one that lets a query pass ends them all.
    is_first = directive is block.directive("rpz")
    return Parts(
        stage=Rpz(feeds=tuple(feeds)) if is_first else None,
        refills=(source,) if isinstance(source, Refill) else (),
        transfers=(source,) if isinstance(source, FeedTransfer) else (),
        warnings=tuple(_warnings(directive, block, source)),
    )


def _feed(directive: Directive, context: Context) -> tuple[Feed, Refill | FeedTransfer]:
    number_of_arguments(directive, 1, 1, "rpz ZONE { file PATH }")
    known_options(directive, _OPTIONS)
    only_once(directive, _OPTIONS)
    origin = zone(directive.args[0])
    source = _source(directive, context, origin)
    feed = Feed(
        feed=source.name if isinstance(source, Refill) else source.feed,
        zone=origin,
        policy=_policy(directive),
        most_ttl=_max_ttl(directive),
        extended=_ede(directive),
        log=_log(directive),
    )
    return feed, source


def _source(directive: Directive, context: Context, origin: str) -> Refill | FeedTransfer:
    line, transfer = directive.option("file"), directive.option("transfer")
    if (line is None) == (transfer is None):
        raise CorefileError(
            directive.place,
            "rpz: where is the feed? right: 'file PATH' or 'transfer from ADDRESS…'",
        )
    if line is not None:
        for name in ("tsig",):
            if (other := directive.option(name)) is not None:
                raise CorefileError(other.place, f"'{name}' is of 'transfer', not of 'file'")
        plain(line, 1, 1, "file PATH")
        path = base(context.block, context.directory) / line.args[0].text
        return _refill(origin, path, _reload(directive))
    if (other := directive.option("reload")) is not None:
        raise CorefileError(other.place, "'reload' is of 'file'; a transfer goes by the feed's SOA")
    return _transfer(directive, origin)


def _transfer(directive: Directive, origin: str) -> FeedTransfer:
    usage = "transfer from ADDRESS[:PORT]…"
    (line,) = directive.options("transfer")
    plain(line, 2, None, usage)
    if line.args[0].text.lower() != "from":
        raise CorefileError(line.args[0].place, f"'{line.args[0].text}' found; right: {usage}")
    primaries = tuple(address(token, port=53) for token in line.args[1:])
    feed = f"{origin} from {' '.join(str(one) for one in primaries)}"
    return FeedTransfer(feed, origin, primaries, _key(directive))


def _key(directive: Directive) -> KeyReference | None:
    line = directive.option("tsig")
    if line is None:
        return None
    plain(line, 3, 3, "tsig KEY ALGORITHM SECRET")
    name, algorithm, secret = line.args
    return KeyReference(zone(name), choice(algorithm, _ALGORITHMS), secret_reference(secret))


def _policy(directive: Directive) -> Override | Cname:
    line = directive.option("policy")
    if line is None:
        return "given"
    if line.args and line.args[0].text.lower() == "cname":
        plain(line, 2, 2, "policy cname NAME")
        return Cname(cname=zone(line.args[1]))
    plain(line, 1, 1, "policy given|disabled|passthru|drop|nxdomain|nodata|tcp-only|cname NAME")
    chosen = choice(line.args[0], (*_POLICIES, "cname"))
    return next(known for known in _POLICIES if known == chosen)


def _max_ttl(directive: Directive) -> int:
    line = directive.option("max_ttl")
    if line is None:
        return _MAX_TTL
    plain(line, 1, 1, "max_ttl SECONDS")
    return count(line.args[0], most=2**31 - 1)


def _ede(directive: Directive) -> int | None:
    line = directive.option("ede")
    if line is None:
        return None
    plain(line, 1, 1, "ede CODE")
    return count(line.args[0], most=65535)


def _log(directive: Directive) -> bool:
    line = directive.option("log")
    if line is not None:
        plain(line, 0, 0, "log")
    return line is not None


def _reload(directive: Directive) -> float:
    line = directive.option("reload")
    if line is None:
        return _RELOAD
    plain(line, 1, 1, "reload DURATION (0 never looks again)")
    return duration(line.args[0])


def _refill(origin: str, path: Path, every: float) -> Refill:
    feed = f"{origin} {path}"

    def put(server: engine.Server) -> str:
        # It loads the library that knows all types: the server starts without it.
        from engine import foreign

        found = engine.scan(str(path), name_wire(origin), foreign=foreign.from_text)
        names, clients, answers, of_servers, unread = server.fill_feed(feed, found)
        told = f": serial {found.serial}, {names} names, {clients} clients, {answers} answers"
        if of_servers:
            told += f"; passed over: {of_servers} triggers by name server, of which none is seen"
        if unread:
            told += f"; {unread} owners are no trigger or say nothing to do"
        return told

    return Refill(feed, path, every, put, early=True)


def _warnings(
    directive: Directive, block: Block, source: Refill | FeedTransfer
) -> list[CorefileWarning]:
    place = directive.place
    found = []
    if isinstance(source, Refill) and not source.path.is_file():
        found.append(
            CorefileWarning(place, f"there is no file {source.path}; the feed is empty so far")
        )
    if block.directive("sign") is not None:
        found.append(
            CorefileWarning(
                place,
                "'rpz' forges nothing in a zone that is signed here: NXDOMAIN and NODATA become "
                "REFUSED, other data the true answer",
            )
        )
    return found
