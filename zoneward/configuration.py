"""A Corefile, read by both of its owners: what `check` prints and what `run` starts with."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs
import dns.inet
import dns.name

import corefile
from corefile import Block, Corefile, CorefileError, CorefileWarning, Place
from corefile.arguments import Endpoint, address
from corefile.ids import digest
from corefile.options import Options
from corefile.paths import base
from keystore import KeystoreConfig, read_directive
from signer.config import SignConfig
from signer.directive import read_sign
from signer.policy import PolicyError
from zones.auto import AutoDirectory
from zones.config import AnyZone, BlockSpec, EtcdZone, ZoneSpec, compile_block
from zones.etcd.config import EtcdConfig


@attrs.frozen
class BlockPlan:
    """What the manager does for one block: which zones, signed how. `sign` is None where
    zones are served as they are; `sign_origins` are those that it is for."""

    id: str
    zones: tuple[AnyZone, ...]
    autos: tuple[AutoDirectory, ...]
    etcds: tuple[EtcdConfig, ...]
    sign: SignConfig | None
    sign_origins: tuple[dns.name.Name, ...]
    place: Place = attrs.field(eq=False)
    #: Where the server of this machine listens for the block, to see what it shows.
    listens: tuple[tuple[str, int], ...] = attrs.field(eq=False, default=())

    def signed(self, origin: dns.name.Name) -> SignConfig | None:
        """How a zone of this block is signed; None where it isn't."""
        if self.sign is None:
            return None
        named = origin in self.sign_origins
        found = bool(self.autos or self.etcds)
        below = found and any(origin.is_subdomain(top) for top in self.sign_origins)
        return self.sign if named or below else None


@attrs.frozen
class ManagerPlan:
    """The manager's half of a Corefile. `digest` tells one configuration from another."""

    path: Path
    options: Options
    keystore: KeystoreConfig
    publish: Endpoint | None
    blocks: tuple[BlockPlan, ...]
    warnings: tuple[CorefileWarning, ...]
    digest: str

    @property
    def directory(self) -> Path:
        """What relative paths in the Corefile count from."""
        return self.path.parent


class RecordingEnviron(Mapping[str, str]):
    """An environment that remembers which variables a Corefile's text asked for."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self._environ[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._environ)

    def __len__(self) -> int:
        return len(self._environ)


def load(path: Path, dns_port: int, environ: Mapping[str, str] = os.environ) -> Corefile:
    """Parse a Corefile. Raises CorefileError."""
    return corefile.load(str(path), dns_port=dns_port, environ=environ)


def plan_manager(parsed: Corefile) -> ManagerPlan:
    """Read what is the manager's. Raises CorefileError at the first mistake."""
    path = Path(parsed.path)
    options = Options.of(parsed)
    found = [(block, compile_block(block, base(block, path.parent))) for block in parsed.blocks]
    specs = [spec for _, spec in found if spec is not None]
    blocks = tuple(
        attrs.evolve(_plan_block(spec, base(block, path.parent)), listens=_listens(block))
        for block, spec in found
        if spec is not None
    )
    _refuse_disagreement(blocks)
    return ManagerPlan(
        path=path,
        options=options,
        keystore=read_directive(options.keystore),
        publish=None if options.publish is None else _publish(options),
        blocks=blocks,
        warnings=tuple(warning for spec in specs for warning in spec.warnings),
        digest=digest(parsed),
    )


def _listens(block: Block) -> tuple[tuple[str, int], ...]:
    """By *bind*, or on the loopback interface among all others."""
    named = [token.text for line in block.all("bind") for token in line.args]
    addresses = [text for text in named if dns.inet.is_address(text)] or ["127.0.0.1"]
    ports = sorted({key.port for key in block.keys if key.scheme == "dns"})
    return tuple((address, port) for address in addresses for port in ports)


def _plan_block(spec: BlockSpec, directory: Path) -> BlockPlan:
    zones = {zone.origin: zone for zone in spec.zones}
    if spec.sign is None:
        return BlockPlan(spec.id, spec.zones, spec.autos, spec.etcds, None, (), spec.place)
    sign = read_sign(spec.sign, directory)
    origins = sign.zones or spec.origins
    if sign.database_file is not None:
        # CoreDNS's pair `sign DBFILE` and `file DBFILE.signed`: sign the one, and what the
        # other would hold is served from here.
        for origin in origins:
            other = zones.get(origin)
            if isinstance(other, EtcdZone):
                raise CorefileError(
                    spec.sign.place,
                    f"sign: {origin} is loaded from {other.where} at {other.place}; leave out "
                    "DBFILE: a bare `sign` signs it",
                )
            reload = None if other is None else other.reload
            zones[origin] = ZoneSpec(origin, sign.database_file, reload or 60.0, spec.sign.place)
    for zone in zones.values():
        if isinstance(zone, EtcdZone) and zone.volatile and zone.origin in origins:
            _check_longest_ttl(zone, sign)
    unknown = [origin for origin in origins if origin not in zones]
    if unknown and not (spec.autos or spec.etcds):
        raise CorefileError(
            spec.sign.place,
            f"sign: nothing in this block loads {unknown[0]}; right: sign DBFILE, or "
            "`file DBFILE` beside it",
        )
    return BlockPlan(
        spec.id, tuple(zones.values()), spec.autos, spec.etcds, sign, origins, spec.place
    )


def _check_longest_ttl(zone: EtcdZone, sign: SignConfig) -> None:
    """Any writer may put a TTL as long as is taken, and it would hold up all other changes.
    Raises CorefileError."""
    try:
        sign.policy.check_ttl(zone.config.times.most, "etcd: max-lease-ttl")
    except PolicyError as error:
        raise CorefileError(zone.place, f"{error}; lower max-lease-ttl") from None


def shared(sign: SignConfig | None) -> SignConfig | None:
    """What the blocks that serve one name have to agree about, since they share its keys: all
    but where their data is."""
    if sign is None:
        return None
    return attrs.evolve(sign, database_file=None, zones=(), signed_directory=None)


def _refuse_disagreement(blocks: tuple[BlockPlan, ...]) -> None:
    first: dict[dns.name.Name, BlockPlan] = {}
    for block in blocks:
        for zone in block.zones:
            other = first.setdefault(zone.origin, block)
            if shared(other.signed(zone.origin)) != shared(block.signed(zone.origin)):
                raise CorefileError(
                    zone.place,
                    f"{zone.origin} is signed otherwise here than by the block at {other.place}; "
                    "a name's blocks share its keys: give both the same sign options",
                )


def _publish(options: Options) -> Endpoint:
    directive = options.publish
    assert directive is not None
    if len(directive.args) != 1 or directive.body is not None:
        raise CorefileError(directive.place, "publish: right: publish ADDRESS:PORT")
    return address(directive.args[0])
