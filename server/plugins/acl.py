"""*acl*: who may ask for what."""

from collections.abc import Iterator, Mapping
from contextlib import suppress

from corefile.arguments import nearest, zones
from corefile.directive import Block, Directive
from corefile.lexer import Token
from corefile.place import CorefileError
from server.compiled import Rules
from server.compiledrules import NOERROR, REFUSED, Drop, Pass, Reply, Rule
from server.parts import Context, Parts
from server.readers import network, rdata_type

# RFC 8914 sections 4.16 and 4.18.
_BLOCKED, _FILTERED = 15, 17
_SECTIONS = ("type", "net")

# In signed zones an empty answer would be a forged one: there *filter* refuses.
_ACTIONS: Mapping[str, Rule] = {
    "allow": Rule(action=Pass(), mark="allowed"),
    "block": Rule(action=Reply(rcode=REFUSED, extended=_BLOCKED), mark="blocked"),
    "filter": Rule(
        action=Reply(rcode=NOERROR, extended=_FILTERED), signed="refuse", mark="filtered"
    ),
    "drop": Rule(action=Drop(), mark="dropped"),
}


def setup(directive: Directive, context: Context) -> Parts:
    rules = _rules(directive, context.block)
    lines = list(context.block.all("acl"))
    if directive is not lines[0]:
        return Parts()  # part of the first one's stage: an `allow` there ends them all
    for line in lines[1:]:
        with suppress(CorefileError):  # told when its own turn comes
            rules += _rules(line, context.block)
    return Parts(stage=Rules(plugin="acl", rules=(*rules, _ACTIONS["allow"])))


def _rules(directive: Directive, block: Block) -> tuple[Rule, ...]:
    below = zones(directive.args) or block.zones
    return tuple(_rule(line, below) for line in directive.body or ())


def _rule(line: Directive, below: tuple[str, ...]) -> Rule:
    action = _ACTIONS.get(line.name.lower())
    if action is None:
        raise CorefileError(
            line.place, f"unknown action '{line.name}' of acl" + nearest(line.name, _ACTIONS)
        )
    types: set[int] | None = set()
    networks: dict[str, None] | None = {}
    for section, tokens in _sections(line):
        if section == "type":
            found = [rdata_type(token) for token in tokens if token.text != "*"]
            types = None if types is None or len(found) < len(tokens) else types | {*found}
        else:
            nets = [network(token) for token in tokens if token.text != "*"]
            if networks is None or len(nets) < len(tokens):
                networks = None
            else:
                networks |= dict.fromkeys(nets)
    return Rule(
        # At or below the root is everything.
        below=() if "." in below else below,
        types=tuple(sorted(types or ())),
        networks=tuple(networks or ()),
        action=action.action,
        signed=action.signed,
        mark=action.mark,
    )


def _sections(line: Directive) -> Iterator[tuple[str, tuple[Token, ...]]]:
    """`type T…` and `net N…`, in any order."""
    usage = f"right: {line.name} [type TYPE…] [net NETWORK…]"
    rest = list(line.args)
    while rest:
        head = rest.pop(0)
        name = head.text.lower()
        if name not in _SECTIONS:
            raise CorefileError(
                head.place, f"'{head.text}' found where 'type' or 'net' should be; {usage}"
            )
        tokens: list[Token] = []
        while rest and rest[0].text.lower() not in _SECTIONS:
            tokens.append(rest.pop(0))
        if not tokens:
            raise CorefileError(head.place, f"'{head.text}' names none; {usage}")
        yield name, tuple(tokens)
