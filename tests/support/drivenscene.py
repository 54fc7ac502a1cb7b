"""Zones of one Zoneward under a parent from Debian, whose DS a driver carries there, and nobody
else could."""

import re
from collections.abc import Mapping
from contextlib import ExitStack
from typing import NamedTuple

import dns.name
import dns.rdtypes.ANY.DS
import parents
from house import House
from liveblock import TTL, block
from livescene import Scene
from parents import API_KEY, KEY_NAME, SECRET, Delegating, Parent
from parentzone import PARENT
from ports import free_port
from registrar import ds_record
from validator import EAGER, PLAIN, Validator

_PARENT = """parent {address}:{port} {{
    anchor parent.anchor
}}
observe @ADDRESS@:@PORT@
cds none"""
_UPDATE = f"""registrar rfc2136 {{address}}:{{port}} {{{{
    tsig {KEY_NAME} file:secret
    ttl {TTL}s
}}}}"""
_API = f"""registrar powerdns {{{{
    endpoint {{http}}
    key file:secret
    ttl {TTL}s
}}}}"""


class Way(NamedTuple):
    """How the DS gets there: to which server, by which driver."""

    parent: str
    driver: str = "rfc2136"

    def __str__(self) -> str:
        return f"{self.parent} by {self.driver}"


class Move(NamedTuple):
    """What the driver did, by key tags."""

    verb: str
    tag: int


class Delegation(NamedTuple):
    """A zone, as its parent has it."""

    parent: Parent
    child: dns.name.Name

    def ds(self) -> frozenset[dns.rdtypes.ANY.DS.DS]:
        return frozenset(map(ds_record, self.parent.ds(self.child.to_text())))


class DrivenScene(Scene):
    """One of several side by side: asked less often each, and looked at less often."""

    answers = 20
    look, read, edit_within = 0.5, 2, 4

    def __init__(self, stage: "Stage", name: str, policy: str) -> None:
        super().__init__(stage.house, name)
        self.stage = stage
        self.driver = stage.way.driver
        self._policy = policy

    def block(self, parent: Parent) -> str:
        """Of the Corefile."""
        lines = (_PARENT, _UPDATE if self.driver == "rfc2136" else _API)
        where = {"address": parent.address, "port": parent.port, "http": parent.http}
        told = (line.format_map(where) for line in lines)
        return block(self.zone, self.file, *told, self._policy)

    def moves(self) -> list[Move]:
        """What the driver did to this zone's DS, from the first on."""
        found = []
        for line in self.moves_told():
            found += [
                Move(verb, int(tag))
                for verb, tags in re.findall(r"(add|remove) ([\d, ]+)", line)
                for tag in tags.split(", ")
            ]
        return found

    def moves_told(self) -> list[str]:
        said = f" {self.origin}: ds: {self.driver}: "
        return [line for line in self.house.lines(said) if line.endswith(": accepted")]


class Stage:
    """`start`, the scenarios, `end`."""

    def __init__(self, house: House, way: Way) -> None:
        self.house = house
        self.way = way
        self.scenes: dict[str, DrivenScene] = {}
        self._ends = ExitStack()

    def start(self, policies: Mapping[str, str]) -> None:
        """A scene for each zone by its first label and its policy. Whatever comes up, `end`
        ends."""
        house, kind = self.house, self.way.parent
        self.scenes = {name: DrivenScene(self, name, text) for name, text in policies.items()}
        delegating = Delegating(PARENT.to_text(), tuple(self.children()), house.address, TTL)
        address = "127.0.0.1" if kind == "bind" else house.address
        self.parent = self._ends.enter_context(
            parents.running(
                kind,
                house.directory / "parent",
                address,
                free_port(address),
                free_port(address),
                delegating,
            )
        )
        house.write("parent.anchor", f"{self.parent.anchor}\n")
        house.write("secret", f"{SECRET if self.way.driver == 'rfc2136' else API_KEY}\n")
        for scene in self.scenes.values():
            scene.parent = Delegation(self.parent, scene.origin)
            scene.edit()
        house.corefile(*(scene.block(self.parent) for scene in self.scenes.values()))
        house.run()
        trusted = _Trusted(self.parent, tuple(scene.origin for scene in self.scenes.values()))
        resolvers = []
        for name, options in (("plain", PLAIN), ("eager", EAGER)):
            resolver = Validator(house.directory, name, trusted, house.address, options)
            self._ends.callback(resolver.end)
            resolvers.append(resolver)
        for scene in self.scenes.values():
            self._ends.callback(scene.end)
            scene.watched_by(resolvers, pause=0.025)

    def children(self, but: DrivenScene | None = None) -> list[str]:
        """Their names, all or all but one."""
        return [one.origin.to_text() for one in self.scenes.values() if one is not but]

    def end(self) -> None:
        self._ends.close()


class _Trusted(NamedTuple):
    parent: Parent
    children: tuple[dns.name.Name, ...]

    @property
    def address(self) -> str:
        return self.parent.address

    @property
    def port(self) -> int:
        return self.parent.port

    @property
    def anchor(self) -> str:
        return self.parent.anchor
