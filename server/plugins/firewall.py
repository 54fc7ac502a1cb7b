"""*firewall*: what is done with whose queries, for what, and with which answers."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

import attrs

import engine
from corefile.arguments import choice, count, duration, nearest, plain, zone, zones
from corefile.directive import Block, Directive
from corefile.lexer import Token
from corefile.paths import base
from corefile.place import CorefileError, CorefileWarning
from server.compiled import Rules
from server.compiledrules import (
    IN,
    NOERROR,
    NXDOMAIN,
    REFUSED,
    Alias,
    Drop,
    NameList,
    Note,
    Pass,
    Rate,
    Record,
    Reply,
    Rule,
    Truncate,
    Type,
)
from server.parts import Context, Parts, Refill
from server.readers import network, rdata_type

# RFC 8914 sections 4.5, 4.16 and 4.19.
_FORGED, _BLOCKED, _PROHIBITED = 4, 15, 18
_ACTIONS = ("allow", "drop", "refuse", "nxdomain", "nodata", "truncate", "spoof", "log")
# What becomes of it where a zone is signed here, and how that is said.
_SIGNED: Mapping[str, Literal["refuse", "pass"]] = {
    "nxdomain": "refuse",
    "nodata": "refuse",
    "spoof": "pass",
}
_FORGERIES = {"nxdomain": "refuses", "nodata": "refuses", "spoof": "does nothing"}
_SECTIONS = (
    *("net", "name", "suffix", "names", "suffixes", "type", "transport", "rate", "prefix"),
    *("answer", "to", "ttl"),
)
_OPTIONS = ("dry_run", "reload")
_LONGEST_LABEL = 100
_RELOAD = 5.0
_TTL = 60

Sections = Mapping[str, tuple[Token, ...]]


@attrs.frozen
class _Body:
    """The lines of one directive."""

    rules: tuple[Rule, ...]
    lists: tuple[Path, ...]
    every: float
    warnings: tuple[CorefileWarning, ...]


def setup(directive: Directive, context: Context) -> Parts:
    body = _read(directive, context)
    refills = tuple(_refill(path, body.every) for path in body.lists)
    lines = list(context.block.all("firewall"))
    if directive is not lines[0]:
        # Its rules are part of the first one's stage: an `allow` there ends them all.
        return Parts(refills=refills, warnings=body.warnings)
    rules = body.rules
    for line in lines[1:]:
        with suppress(CorefileError):  # told when its own turn comes
            rules += _read(line, context).rules
    stage = Rules(plugin="firewall", rules=rules)
    return Parts(stage=stage, refills=refills, warnings=body.warnings)


def _read(directive: Directive, context: Context) -> _Body:
    plain(attrs.evolve(directive, body=None), 0, 0, "firewall { ACTION [CONDITION…] }")
    is_dry = directive.option("dry_run") is not None
    every = _RELOAD
    rules: list[Rule] = []
    lists: dict[Path, None] = {}
    warnings: list[CorefileWarning] = []
    for line in directive.body or ():
        if line.name == "dry_run":
            plain(line, 0, 0, "dry_run")
        elif line.name == "reload":
            plain(line, 1, 1, "reload DURATION (0 never looks again)")
            every = duration(line.args[0])
        else:
            rule, files = _rule(line, context, is_dry)
            rules.append(rule)
            lists |= dict.fromkeys(files)
            warnings += _warnings(line, context.block, files)
    return _Body(tuple(rules), tuple(lists), every, tuple(warnings))


def _rule(line: Directive, context: Context, is_dry: bool) -> tuple[Rule, tuple[Path, ...]]:
    words = list(line.args)
    action = line.name.lower()
    if action == "dry" and words:
        is_dry, action = True, words.pop(0).text.lower()
    if action not in _ACTIONS:
        raise CorefileError(
            line.place,
            f"unknown action '{action}' of firewall" + nearest(action, (*_ACTIONS, *_OPTIONS)),
        )
    found = dict(_sections(line, words))
    _check(line, action, found)
    files = {
        name: tuple(
            base(context.block, context.directory) / token.text for token in found.get(name, ())
        )
        for name in ("names", "suffixes")
    }
    types = found.get("type", ())
    rule = Rule(
        networks=tuple(dict.fromkeys(network(token) for token in found.get("net", ()))),
        names=zones(found.get("name", ())),
        below=zones(found.get("suffix", ())),
        lists=tuple(
            NameList(list=str(path), below=name == "suffixes")
            for name, paths in files.items()
            for path in paths
        ),
        types=tuple(sorted({rdata_type(token) for token in types})),
        transports=tuple(_transport(token) for token in found.get("transport", ())),
        rate=_rate(found),
        answers=tuple(dict.fromkeys(network(token) for token in found.get("answer", ()))),
        classes=(IN,) if action == "spoof" else (),
        action=_action(action, found),
        signed=_SIGNED.get(action, "same"),
        label=" ".join([action, *(token.text for token in words)])[:_LONGEST_LABEL],
        log=is_dry or action == "log",
        dry=is_dry,
    )
    return rule, (*files["names"], *files["suffixes"])


def _sections(line: Directive, words: list[Token]) -> Iterator[tuple[str, tuple[Token, ...]]]:
    """Conditions and what belongs to the action, each a word and its values."""
    usage = f"right: {line.name} [CONDITION VALUE…]…"
    seen: set[str] = set()
    rest = list(words)
    while rest:
        head = rest.pop(0)
        name = head.text.lower()
        if name not in _SECTIONS:
            raise CorefileError(
                head.place, f"unknown condition '{head.text}'" + nearest(name, _SECTIONS)
            )
        if name in seen:
            raise CorefileError(head.place, f"'{name}' is given a second time in this line")
        seen.add(name)
        values: list[Token] = []
        while rest and rest[0].text.lower() not in _SECTIONS:
            values.append(rest.pop(0))
        if not values:
            raise CorefileError(head.place, f"'{head.text}' has no value; {usage}")
        yield name, tuple(values)


def _transport(token: Token) -> Literal["udp", "tcp"]:
    return "udp" if choice(token, ("udp", "tcp")) == "udp" else "tcp"


def _check(line: Directive, action: str, found: Sections) -> None:
    def refuse(section: str, why: str) -> None:
        if section in found:
            raise CorefileError(line.place, f"{action}: '{section}' {why}")

    if action != "spoof":
        refuse("to", "is of spoof: the answer in the true one's place")
        refuse("ttl", "is of spoof: how long its answer is kept")
    elif "to" not in found:
        raise CorefileError(line.place, "spoof: right: spoof to ADDRESS…|NAME [CONDITION…]")
    if "rate" in found:
        if action in ("allow", "spoof"):
            refuse("rate", "is a limit: it stands with an action that stops a query, or log")
        refuse("answer", "and 'rate' don't go together: a limit is for queries")
    elif "prefix" in found:
        refuse("prefix", "says for whom 'rate' holds; there is none")


def _rate(found: Sections) -> Rate | None:
    if "rate" not in found:
        return None
    values, prefix = found["rate"], found.get("prefix", ())
    most = 1_000_000
    if len(values) > 2:
        raise CorefileError(values[2].place, "right: rate QUERIES-A-SECOND [AT-ONCE]")
    per_second = count(values[0], least=1, most=most)
    burst = count(values[1], least=1, most=most) if len(values) > 1 else per_second
    if len(prefix) > 2:
        raise CorefileError(prefix[2].place, "right: prefix BITS-OF-IPV4 [BITS-OF-IPV6]")
    v4 = count(prefix[0], most=32) if prefix else 24
    v6 = count(prefix[1], most=128) if len(prefix) > 1 else 56
    return Rate(per_second=per_second, burst=burst, v4=v4, v6=v6)


def _action(action: str, found: Sections) -> Pass | Drop | Truncate | Note | Reply | Alias:
    match action:
        case "allow":
            return Pass()
        case "drop":
            return Drop()
        case "truncate":
            return Truncate()
        case "log":
            return Note()
        case "nxdomain" | "nodata":
            rcode = NXDOMAIN if action == "nxdomain" else NOERROR
            return Reply(rcode=rcode, extended=_BLOCKED)
        case "refuse":
            by_name = found.keys() & {"name", "suffix", "names", "suffixes", "answer"}
            return Reply(rcode=REFUSED, extended=_BLOCKED if by_name else _PROHIBITED)
    return _spoof(found)


def _spoof(found: Sections) -> Reply | Alias:
    ttl = count(found["ttl"][0], most=2**31 - 1) if "ttl" in found else _TTL
    records = []
    for token in found["to"]:
        try:
            address = ip_address(token.text)
        except ValueError:
            if len(found["to"]) > 1:
                raise CorefileError(
                    token.place,
                    f"'{token.text}' found where an address should be: spoof to ADDRESS…|NAME",
                ) from None
            return Alias(target=zone(token), ttl=ttl, extended=_FORGED)
        rtype = Type.A if address.version == 4 else Type.AAAA
        records.append(Record(rtype=rtype, ttl=ttl, rdata=address.packed.hex()))
    return Reply(records=tuple(records), extended=_FORGED)


def _warnings(line: Directive, block: Block, files: tuple[Path, ...]) -> Iterator[CorefileWarning]:
    words = [line.name.lower(), *(token.text.lower() for token in line.args[:1])]
    action = words[1] if words[0] == "dry" else words[0]
    if action in _FORGERIES and block.directive("sign") is not None:
        yield CorefileWarning(
            line.place,
            f"'{action}' {_FORGERIES[action]} in a zone that is signed here: what it would "
            "answer is bogus",
        )
    for path in files:
        if not path.is_file():
            yield CorefileWarning(line.place, f"there is no file {path}; its list is empty so far")


def _refill(path: Path, every: float) -> Refill:
    def put(server: engine.Server) -> str:
        names, unread = server.fill_list(str(path), path.read_bytes())
        return f": {names} names" + (f", {unread} lines passed over" if unread else "")

    return Refill(str(path), path, every, put, early=True)
