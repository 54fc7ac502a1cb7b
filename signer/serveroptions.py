"""The options of *sign* that name servers: the parent's, with the key that updates it, ours, and
those of other signers."""

from pathlib import Path

from corefile import CorefileError, Directive
from corefile.arguments import address, known_options, number_of_arguments, only_once, plain
from registrars import update
from registrars.registry import RegistrarConfig
from signer import anchors
from signer.config import MultiSigner, Observe, ObserveConfig, ParentConfig

_DNS_PORT = 53
_PARENT_USAGE = "parent none|[ADDRESS…] { anchor FILE… | tsig NAME REFERENCE [ALGORITHM] }"
#: The options of *parent*, and what each does to it.
_PARENT_OPTIONS = {"anchor": "anchor", "tsig": "update"}


def parent(line: Directive | None, directory: Path) -> ParentConfig:
    """Raises CorefileError."""
    if line is None:
        return ParentConfig()
    # What is left out is found; with nothing said at all the line would mean nothing.
    number_of_arguments(line, 0 if line.body else 1, None, _PARENT_USAGE)
    known_options(line, _PARENT_OPTIONS)
    only_once(line, tuple(_PARENT_OPTIONS))
    trusted = anchors.read_option(line.option("anchor"), directory)
    if line.args and line.args[0].text == "none":
        number_of_arguments(line, 1, 1, _PARENT_USAGE)
        for option in line.body or ():
            what = _PARENT_OPTIONS[option.name]
            raise CorefileError(option.place, f"an island has no parent to {what}")
        return ParentConfig(island=True)
    return ParentConfig(addresses=_endpoints(line), anchors=trusted)


def updates(line: Directive | None, parent: ParentConfig) -> RegistrarConfig | None:
    """The driver that *parent* means by `tsig`: the DS goes to its addresses by dynamic update.
    Raises CorefileError."""
    tsig = None if line is None else line.option("tsig")
    if tsig is None:
        return None
    key = update.read_tsig(tsig)
    if not parent.addresses:
        raise CorefileError(
            tsig.place, f"tsig needs the servers that take the update; right: {_PARENT_USAGE}"
        )
    return RegistrarConfig(update.Update.name, update.Settings(parent.addresses, key))


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
