"""What CoreDNS's expressions say of a query: their tree to a condition, its types checked."""

import ipaddress
from collections.abc import Callable, Mapping

import attrs

import engine
from corefile.arguments import nearest
from corefile.lexer import Token
from corefile.place import CorefileError, CorefileWarning, Place
from server.compiledtests import TCP, UDP, Address, How, Name, Number, NumberOf
from server.conditions import All, Condition, Either, Not
from server.expressions import Array, Call, Negation, Node, Operation, Text, Truth
from server.expressions import Number as NumberNode
from server.readers import rdata_type

_MOST = 2**32 - 1
_CLASSES: Mapping[str, int] = {"IN": 1, "CS": 2, "CH": 3, "HS": 4, "NONE": 254, "ANY": 255}
_PROTOCOLS: Mapping[str, int] = {"tcp": TCP, "udp": UDP}
_MIRRORED: Mapping[str, str] = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_NAMED: Mapping[str, How] = {
    "contains": "contains",
    "startsWith": "starts",
    "endsWith": "ends",
    "matches": "matches",
}

# What a function gives: a number; a text that stands for one; an address; a name.
_COUNTS: Mapping[str, NumberOf] = {
    "size": "size",
    "bufsize": "bufsize",
    "id": "id",
    "opcode": "opcode",
}
_WORDS: Mapping[str, NumberOf] = {
    "type": "type",
    "class": "class",
    "proto": "protocol",
    "port": "port",
    "server_port": "server_port",
}
_ADDRESSES = ("client_ip", "server_ip")
_FUNCTIONS = (*_COUNTS, *_WORDS, *_ADDRESSES, "name", "do", "incidr")
# CoreDNS's functions, and what is said of them.
_ABSENT: Mapping[str, str] = {
    "metadata": "no plugin here gives any metadata",
}


@attrs.frozen
class Reading:
    """A condition, and what is odd about it."""

    condition: Condition
    warnings: tuple[CorefileWarning, ...]


def read(tree: Node) -> Reading:
    """Raises CorefileError."""
    reader = _Reader()
    return Reading(reader.condition(tree), tuple(reader.warnings))


class _Reader:
    def __init__(self) -> None:
        self.warnings: list[CorefileWarning] = []

    def condition(self, node: Node) -> Condition:
        match node:
            case Truth(value):
                return All() if value else Either()
            case Negation(operand):
                return Not(self.condition(operand))
            case Operation("&&", operands):
                return All(tuple(map(self.condition, operands)))
            case Operation("||", operands):
                return Either(tuple(map(self.condition, operands)))
            case Operation(operator, (left, right), place):
                return self._comparison(operator, left, right, place)
            case Call("do"):
                _arguments(node, 0)
                return Number(of="do", ranges=((1, 1),))
            case Call("incidr"):
                return _within(node)
            case Call(function, _, place):
                _known(node)
                raise CorefileError(place, f"{function}() has to be compared with something")
            case _:
                raise CorefileError(
                    node.place,
                    "something that holds or doesn't should stand here, as type() == 'A'",
                )

    def _comparison(self, operator: str, left: Node, right: Node, place: Place) -> Condition:
        if operator in ("==", "!="):
            for truth, other in ((left, right), (right, left)):
                if isinstance(truth, Truth):
                    inner = self.condition(other)
                    return inner if truth.value == (operator == "==") else Not(inner)
        if operator in _MIRRORED and isinstance(right, Call) and not isinstance(left, Call):
            left, right, operator = right, left, _MIRRORED[operator]
        if not isinstance(left, Call):
            raise CorefileError(
                left.place, f"a function such as name() should stand on a side of '{operator}'"
            )
        _known(left)
        _arguments(left, 0)
        if operator in _NAMED:
            return self._named(_NAMED[operator], left, right, place)
        if operator == "in":
            if not isinstance(right, Array):
                raise CorefileError(right.place, "a list in brackets should stand here")
            return Either(tuple(self._equals(left, item) for item in right.items))
        if operator in ("==", "!="):
            same = self._equals(left, right)
            return same if operator == "==" else Not(same)
        return _ordered(operator, left, right)

    def _named(self, how: How, call: Call, right: Node, place: Place) -> Condition:
        if call.function != "name":
            raise CorefileError(
                place, f"only name() is looked into; {call.function}() takes ==, != and in"
            )
        text = _text(right)
        if how == "matches":
            try:
                engine.check_pattern(text)
            except engine.EngineError as error:
                raise CorefileError(
                    right.place, f"'{text}' is no regular expression: {error.message}"
                ) from None
        return Name(how=how, texts=(text,))

    def _equals(self, call: Call, right: Node) -> Condition:
        function = call.function
        if function in _COUNTS:
            value = _number(right)
            return Number(of=_COUNTS[function], ranges=((value, value),))
        if function in _WORDS:
            value = _VALUES[function](_text(right), right.place)
            return Number(of=_WORDS[function], ranges=((value, value),))
        if function in _ADDRESSES:
            return _address(function, _network(_text(right), right.place, is_address=True))
        if function == "name":
            return Name(how="equals", texts=(self._name(_text(right), right.place),))
        raise CorefileError(
            call.place, f"{function}() holds or doesn't; it is compared with nothing"
        )

    def _name(self, text: str, place: Place) -> str:
        """As CoreDNS compares it: what can't be a name is none, and no error."""
        if not text.endswith(".") or text != text.lower():
            self.warnings.append(
                CorefileWarning(
                    place,
                    f"name() is never '{text}': it is in lower case and ends in a dot",
                )
            )
        return text


def _known(call: Call) -> None:
    if call.function in _ABSENT:
        raise CorefileError(
            call.place, f"{call.function}() is not understood: {_ABSENT[call.function]}"
        )
    if call.function not in _FUNCTIONS:
        raise CorefileError(
            call.place,
            f"unknown function '{call.function}'" + nearest(call.function, _FUNCTIONS),
        )


def _arguments(call: Call, count: int) -> None:
    if len(call.args) != count:
        raise CorefileError(
            call.place, f"{call.function}() takes {count or 'no'} arguments, not {len(call.args)}"
        )


def _text(node: Node) -> str:
    if not isinstance(node, Text):
        raise CorefileError(node.place, "a text should stand here, in single quotes")
    return node.value


def _number(node: Node) -> int:
    if not isinstance(node, NumberNode):
        raise CorefileError(node.place, "a number should stand here")
    return node.value


def _ordered(operator: str, call: Call, right: Node) -> Condition:
    if call.function not in _COUNTS:
        raise CorefileError(call.place, f"{call.function}() is no number: it has no order")
    value = _number(right)
    below = operator in ("<", ">=")
    # Up to where `<`, or `<=`, holds; `>=` and `>` are their opposites.
    end = value - 1 if below else value
    lower: Condition = (
        Number(of=_COUNTS[call.function], ranges=((0, end),)) if end >= 0 else Either()
    )
    return lower if operator in ("<", "<=") else Not(lower)


def _within(call: Call) -> Condition:
    _arguments(call, 2)
    of, network = call.args
    if not isinstance(of, Call) or of.function not in _ADDRESSES:
        raise CorefileError(of.place, "client_ip() or server_ip() should stand here")
    _arguments(of, 0)
    return _address(of.function, _network(_text(network), network.place, is_address=False))


def _address(function: str, network: str) -> Address:
    return Address(of="client" if function == "client_ip" else "server", networks=(network,))


def _network(text: str, place: Place, *, is_address: bool) -> str:
    """An address, in brackets or without, or ADDRESS/LENGTH, as canonical CIDR text."""
    try:
        if is_address:
            bare = text.removeprefix("[").removesuffix("]")
            return str(ipaddress.ip_network(ipaddress.ip_address(bare)))
        if "/" not in text:
            raise ValueError
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        right = "an address such as 192.0.2.1" if is_address else "a network such as 192.0.2.0/24"
        raise CorefileError(place, f"'{text}' found where {right} should be") from None


def _type(text: str, place: Place) -> int:
    if text != text.upper():
        raise CorefileError(place, f"type() is in capitals; '{text.upper()}' is right")
    return rdata_type(Token(text, place))


def _port(text: str, place: Place) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and int(text) <= 65535):
        raise CorefileError(place, f"'{text}' is no port; a number up to 65535 is, in quotes")
    return int(text)


def _one_of(known: Mapping[str, int]) -> Callable[[str, Place], int]:
    def value(text: str, place: Place) -> int:
        if text not in known:
            raise CorefileError(place, f"'{text}' found where one of {', '.join(known)} should be")
        return known[text]

    return value


_VALUES: Mapping[str, Callable[[str, Place], int]] = {
    "type": _type,
    "class": _one_of(_CLASSES),
    "proto": _one_of(_PROTOCOLS),
    "port": _port,
    "server_port": _port,
}
