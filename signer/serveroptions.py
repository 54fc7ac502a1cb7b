"""The options of *sign* that name servers: the parent's, ours, and those of other signers."""

from pathlib import Path

from corefile import CorefileError, Directive
from corefile.arguments import address, known_options, number_of_arguments, only_once, plain
from signer import anchors
from signer.config import MultiSigner, Observe, ObserveConfig, ParentConfig

_DNS_PORT = 53


def parent(line: Directive | None, directory: Path) -> ParentConfig:
    """Raises CorefileError."""
    if line is None:
        return ParentConfig()
    usage = "parent [none|ADDRESS…] { anchor FILE… }"
    # What is left out is found; with nothing said at all the line would mean nothing.
    number_of_arguments(line, 0 if line.body else 1, None, usage)
    trusted = anchors.read_lines(line, directory)
    if line.args and line.args[0].text == "none":
        number_of_arguments(line, 1, 1, usage)
        if line.body:
            raise CorefileError(line.body[0].place, "an island has no parent to anchor")
        return ParentConfig(island=True)
    return ParentConfig(addresses=_endpoints(line), anchors=trusted)


def observe(directive: Directive, parent: ParentConfig) -> ObserveConfig:
    """Raises CorefileError."""
    line, shared = directive.option("observe"), directive.option("multi-signer") is not None
    if line is None:
        # What an island's NS records name is nobody's to ask; of a zone with several signers
        # they name servers that show versions of others.
        own = parent.island or shared
        return ObserveConfig(Observe.OWN if own else Observe.DEFAULT)
    plain(line, 1, None, "observe all|quorum|own|ADDRESS…")
    words = {one.value: one for one in (Observe.ALL, Observe.QUORUM, Observe.OWN)}
    if len(line.args) == 1 and line.args[0].text in words:
        which = words[line.args[0].text]
        if shared and which is not Observe.OWN:
            raise CorefileError(
                line.place,
                f"observe {which.value} asks other signers' servers too, which show versions of "
                "their own; right: observe own, or observe ADDRESS… with ours",
            )
        return ObserveConfig(which)
    return ObserveConfig(Observe.ADDRESSES, _addresses(line))


def multi_signer(line: Directive | None, directory: Path) -> MultiSigner | None:
    """Raises CorefileError."""
    if line is None:
        return None
    known_options(line, ("servers",))
    only_once(line, ("servers",))
    files = tuple(directory / token.text for token in line.args)
    return MultiSigner(files, _addresses(line.option("servers")))


def _addresses(line: Directive | None) -> tuple[tuple[str, int], ...]:
    if line is None:
        return ()
    plain(line, 1, None, f"{line.name} ADDRESS[:PORT]…")
    return _endpoints(line)


def _endpoints(line: Directive) -> tuple[tuple[str, int], ...]:
    found = []
    for token in line.args:
        endpoint = address(token, port=_DNS_PORT)
        if not endpoint.address:
            raise CorefileError(token.place, f"'{token.text}' names no address")
        found.append((endpoint.address, endpoint.port))
    return tuple(found)
