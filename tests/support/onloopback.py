"""A Corefile from anywhere, made one that runs on this machine and asks nobody outside of it."""

import ipaddress
from collections.abc import Callable
from pathlib import Path

import attrs
from ports import free_port

from corefile import Block, Corefile, Directive, Place, Token
from corefile.printer import to_text

_HERE = Place("Corefile", 1, 1)
# Where what an example has in the system's directories is: below its own.
_SYSTEM = ("/etc/zoneward", "/var/lib/zoneward")
_HTTP = ("health", "ready", "prometheus")


@attrs.frozen
class OnLoopback:
    """Addresses are 127.62.`number`.N; names that no address stands for are asked of
    `upstream`, ADDRESS:PORT. Each port stands for one other: `port` for 53."""

    number: int
    directory: Path
    upstream: str
    port: int = attrs.field(init=False)
    _addresses: dict[str, str] = attrs.field(init=False, factory=dict)
    _ports: dict[str, int] = attrs.field(init=False, factory=dict)
    _doors: dict[int, int] = attrs.field(init=False, factory=dict)

    @port.default
    def _free(self) -> int:
        return free_port(self.own)

    @property
    def own(self) -> str:
        """Of a block without *bind*, and of what is HTTP."""
        return f"127.62.{self.number}.1"

    def text(self, parsed: Corefile) -> str:
        options = tuple(self._option(line) for line in parsed.options if line.name != "state")
        blocks = tuple(map(self._block, parsed.blocks))
        return to_text(attrs.evolve(parsed, options=options, blocks=blocks))

    def door(self, port: int) -> int:
        """What stands for the port of a block."""
        if port == 53:
            return self.port
        while self._doors.get(port) in (None, self.port):
            self._doors[port] = free_port(self.own)
        return self._doors[port]

    def _block(self, block: Block) -> Block:
        keys = tuple(attrs.evolve(key, port=self.door(key.port)) for key in block.keys)
        lines = [self._directive(line) for line in block.directives]
        if block.directive("bind") is None:
            lines.append(_line("bind", self.own))
        return attrs.evolve(block, keys=keys, directives=tuple(lines))

    def _directive(self, line: Directive) -> Directive:
        line = _each_token(line, self._path)
        if line.name == "bind":
            return _with(line, *(self._address(token.text) for token in line.args))
        if line.name in _HTTP:
            return _with(line, self._endpoint(line.args[0].text if line.args else line.name))
        if line.name in ("forward", "proxy"):
            return _with(line, line.args[0].text, *map(self._upstream, line.args[1:]))
        if line.name == "etcd":
            return self._etcd(line)
        return self._without_parent(line) if line.name == "sign" else line

    def _option(self, line: Directive) -> Directive:
        line = _each_token(line, self._path)
        if line.name in ("metrics", "manager", "publish"):
            first, *rest = (token.text for token in line.args)
            return _with(line, self._endpoint(first), *rest)
        return line

    def _path(self, text: str) -> str:
        for prefix in _SYSTEM:
            text = text.replace(prefix, str(self.directory) + prefix)
        return text

    def _address(self, text: str) -> str:
        known = self._addresses
        if text not in known:
            known[text] = f"127.62.{self.number}.{len(known) + 2}"
        return known[text]

    def _endpoint(self, text: str) -> str:
        if text not in self._ports:
            self._ports[text] = free_port(self.own)
        return f"{self.own}:{self._ports[text]}"

    def _upstream(self, token: Token) -> str:
        """Another server; where it is the machine itself, the block asks itself."""
        try:
            itself = ipaddress.ip_address(token.text).is_loopback
        except ValueError:
            itself = False
        return f"{self.own}:{self.port}" if itself else self.upstream

    def _etcd(self, line: Directive) -> Directive:
        """Nobody is there."""
        body = [one for one in line.body or () if one.name != "endpoint"]
        scheme = "https" if line.option("tls") else "http"
        body.append(_line("endpoint", f"{scheme}://{self._endpoint('etcd')}"))
        return attrs.evolve(line, body=tuple(body))

    def _without_parent(self, line: Directive) -> Directive:
        body = [one for one in line.body or () if one.name != "parent"]
        return attrs.evolve(line, body=(*body, _line("parent", "none")))


def _line(name: str, *words: str) -> Directive:
    return Directive(name, _HERE, tuple(Token(word, _HERE) for word in words))


def _with(line: Directive, *words: str) -> Directive:
    return attrs.evolve(line, args=tuple(Token(word, _HERE) for word in words))


def _each_token(line: Directive, change: Callable[[str], str]) -> Directive:
    args = tuple(attrs.evolve(token, text=change(token.text)) for token in line.args)
    body = None if line.body is None else tuple(_each_token(one, change) for one in line.body)
    return attrs.evolve(line, args=args, body=body)
