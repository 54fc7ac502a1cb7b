"""The admin API on a Unix socket (0600): what `zoneward zones|keys|ds|status` ask.

Everything that comes in is bounded and typed (zoneward/api.py); a refusal is a Fault with
one line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import dns.exception
import dns.name
import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import engine
from keystore import KeyStore, KeystoreError, StoredKey
from signer.service import ZoneSigner
from signer.state import StateError
from zoneward import delegations, dsadmin, keyadmin, logging, resigning, rows
from zoneward.api import (
    LARGEST_BODY,
    Brake,
    CutsAsk,
    Export,
    Fault,
    Generate,
    KeyPair,
    Lines,
    PlanAsk,
    Trail,
    Word,
    ZoneAsk,
    ZoneKeys,
    ZoneRoll,
)
from zoneward.group import NameGroup
from zoneward.manager import Manager
from zoneward.refusal import Refusal, one_line

_START_TENTHS = 50
_LONGEST_REASON = 200
_LONGEST_TRAIL = 10_000
_FLAGS = {"csk": 257, "ksk": 257, "zsk": 256}

_log = logging.get("admin")

T = TypeVar("T", bound=msgspec.Struct)
_R = TypeVar("_R")
Handler = Callable[[Request], Awaitable[msgspec.Struct | list[msgspec.Struct]]]


def application(manager: Manager) -> Starlette:
    """The ASGI application over a manager."""
    api = _Api(manager)
    routes = [
        Route("/v1/status", _answering(api.status), methods=["GET"]),
        Route("/v1/overview", _answering(api.overview), methods=["GET"]),
        Route("/v1/zones/reload", _answering(api.reload), methods=["POST"]),
        Route("/v1/zones/accept", _answering(api.accept), methods=["POST"]),
        Route("/v1/keys", _answering(api.keys), methods=["GET"]),
        Route("/v1/keys/generate", _answering(api.generate), methods=["POST"]),
        Route("/v1/keys/import", _answering(api.import_key), methods=["POST"]),
        Route("/v1/keys/export", _answering(api.export_key), methods=["POST"]),
        Route("/v1/keys/plan", _answering(api.plan), methods=["POST"]),
        Route("/v1/keys/roll", _answering(api.roll), methods=["POST"]),
        Route("/v1/keys/hold", _answering(api.hold), methods=["POST"]),
        Route("/v1/keys/resume", _answering(api.resume), methods=["POST"]),
        Route("/v1/keys/log", _answering(api.log), methods=["GET"]),
        Route("/v1/zones/resign", _answering(api.resign), methods=["POST"]),
        Route("/v1/ds", _answering(api.ds), methods=["GET"]),
        Route("/v1/ds/forms", _answering(api.ds_forms), methods=["GET"]),
        Route("/v1/ds/plan", _answering(api.ds_plan), methods=["GET"]),
        Route("/v1/ds/check", _answering(api.ds_check), methods=["GET"]),
        Route("/v1/ds/push", _answering(api.ds_push), methods=["POST"]),
        Route("/v1/ds/cuts", _answering(api.cuts), methods=["POST"]),
        Route("/v1/ds/confirm", _answering(api.confirm), methods=["POST"]),
    ]
    return Starlette(routes=routes)


class _Api:
    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    async def status(self, request: Request) -> msgspec.Struct:
        zone = self._zone_asked(request)
        if zone is not None:
            self._group(zone)
        return rows.status(self._manager, zone)

    async def overview(self, _: Request) -> msgspec.Struct:
        return rows.overview(self._manager)

    async def reload(self, request: Request) -> msgspec.Struct:
        groups = self._groups(request)
        for group in groups:
            await _started(group)
        tasks = [task for group in groups for task in group.tasks.values()]
        return Lines(tuple(await asyncio.gather(*(task.reload() for task in tasks))))

    async def accept(self, request: Request) -> msgspec.Struct:
        zone = self._zone_asked(request)
        if zone is None:
            raise Refusal("accept takes a zone")
        lines = [await task.accept() for task in self._group(zone).tasks.values()]
        accepted = tuple(line for line in lines if line is not None)
        if not accepted:
            raise Refusal(f"zone {zone}: nothing is held that could be accepted")
        return Lines(accepted)

    async def keys(self, request: Request) -> list[msgspec.Struct]:
        return [
            ZoneKeys(str(group.origin), tuple(group.signer.key_rows()))
            for group in self._groups(request)
            if group.signer is not None
        ]

    async def generate(self, request: Request) -> msgspec.Struct:
        asked = await _body(request, Generate)
        group, signer = self._signed(_name(asked.zone))
        if asked.role not in _FLAGS:
            raise Refusal(f"role {asked.role!r}: it is csk, ksk or zsk")
        await _started(group)
        avoid = signer.keyset.tags_used
        key = await self._off_loop(
            lambda: self._keystore(group).generate(
                group.origin, asked.algorithm, _FLAGS[asked.role], asked.bits, avoid_tags=avoid
            )
        )
        try:
            return await self._add(group, signer, key, "generated")
        except (KeystoreError, StateError):
            # Nothing has used it, and nothing will.
            await self._off_loop(
                lambda: self._keystore(group).delete(group.origin, key.fingerprint)
            )
            raise

    async def import_key(self, request: Request) -> msgspec.Struct:
        asked = await _body(request, KeyPair)
        group, signer = self._signed(_name(asked.zone))
        await _started(group)
        private = bytearray(asked.private)
        key = await self._off_loop(
            lambda: self._keystore(group).import_(group.origin, asked.dnskey, private)
        )
        return await self._add(group, signer, key, "imported")

    async def export_key(self, request: Request) -> msgspec.Struct:
        asked = await _body(request, Export)
        zone = _name(asked.zone)
        store = self._keystore(self._signed(zone)[0])

        def export() -> KeyPair:
            found = store.find(zone, asked.fingerprint)
            if found is None:
                raise Refusal(
                    f"zone {zone} has no key {asked.fingerprint}; see `zoneward keys list`"
                )
            private = store.export(zone, asked.fingerprint)
            try:
                return KeyPair(str(zone), found.dnskey, bytes(private))
            finally:
                private[:] = bytes(len(private))

        pair = await self._off_loop(export)
        _log.warning(f"zone {zone}: a private key was exported", fingerprint=asked.fingerprint)
        return pair

    async def ds(self, request: Request) -> list[msgspec.Struct]:
        return [
            rows.delegation(group) for group in self._groups(request) if group.signer is not None
        ]

    async def ds_forms(self, request: Request) -> msgspec.Struct:
        return dsadmin.forms(self._one(request, "ds show"))

    async def ds_plan(self, request: Request) -> msgspec.Struct:
        return await dsadmin.plan(self._one(request, "ds plan"))

    async def ds_check(self, request: Request) -> list[msgspec.Struct]:
        signers = [one.signer for one in self._groups(request) if one.signer is not None]
        return list(await asyncio.gather(*map(dsadmin.check, signers)))

    async def ds_push(self, request: Request) -> msgspec.Struct:
        asked = await _body(request, ZoneAsk)
        return await dsadmin.push(self._signed(_name(asked.zone))[1])

    async def cuts(self, request: Request) -> list[msgspec.Struct]:
        asked = await _body(request, CutsAsk)
        group = self._group(_name(asked.zone))
        versions = [task.keeper.current for task in group.tasks.values()]
        if len(versions) != 1:
            raise Refusal(
                f"zone {group.origin} is in {len(versions)} blocks, which may delegate otherwise"
            )
        zone = versions[0]
        if zone is None:
            raise Refusal(f"zone {group.origin} is not loaded; see `zoneward status`")
        children = [_name(child) for child in asked.children]
        return await self._off_loop(lambda: list(delegations.cuts(zone, children)))

    def _one(self, request: Request, what: str) -> ZoneSigner:
        zone = self._zone_asked(request)
        if zone is None:
            raise Refusal(f"{what} takes a zone")
        return self._signed(zone)[1]

    async def plan(self, request: Request) -> msgspec.Struct:
        asked = await _body(request, PlanAsk)
        return await keyadmin.plan(self._signed(_name(asked.zone))[1], asked)

    async def roll(self, request: Request) -> msgspec.Struct:
        asked = await _body(request, ZoneRoll)
        return await keyadmin.roll(*self._signed(_name(asked.zone)), asked.roll)

    async def hold(self, request: Request) -> msgspec.Struct:
        asked = await _body(request, Brake)
        reason = asked.reason.strip()
        if not reason.isprintable() or len(reason) > _LONGEST_REASON:
            raise Refusal(f"a reason is one line of at most {_LONGEST_REASON} characters")
        return Lines(
            tuple(
                [
                    await keyadmin.hold(group, signer, reason or "by a person")
                    for group, signer in self._braked(asked.zone)
                ]
            )
        )

    async def resume(self, request: Request) -> msgspec.Struct:
        asked = await _body(request, Brake)
        lines = [await keyadmin.resume(group, signer) for group, signer in self._braked(asked.zone)]
        found = tuple(line for line in lines if line is not None)
        if not found:
            raise Refusal("no keys are held by a person; what holds a zone, status says")
        return Lines(found)

    def _braked(self, zone: str | None) -> list[tuple[NameGroup, ZoneSigner]]:
        if zone is not None:
            return [self._signed(_name(zone))]
        return [
            (group, group.signer)
            for _, group in sorted(self._manager.groups.items())
            if group.signer is not None
        ]

    async def log(self, request: Request) -> msgspec.Struct:
        zone = self._zone_asked(request)
        if zone is None:
            raise Refusal("log takes a zone")
        _, signer = self._signed(zone)
        return Trail(str(zone), await keyadmin.log(signer, _LONGEST_TRAIL))

    async def resign(self, request: Request) -> msgspec.Struct:
        zone = self._zone_asked(request)
        if zone is None:
            raise Refusal("resign takes a zone")
        group, _ = self._signed(zone)
        name, rtype = request.query_params.get("name"), request.query_params.get("type")
        tasks = list(group.tasks.values())
        if name is None:
            return Lines(tuple(await asyncio.gather(*(task.resign() for task in tasks))))
        wanted: list[Awaitable[str]] = []
        refusals: list[Refusal] = []
        for task in tasks:
            # A name may be in one block's variant of the zone and not in another's.
            current = task.keeper.current
            if current is None:
                refusals.append(Refusal(f"zone {zone} has no version yet; see `zoneward status`"))
                continue
            try:
                target = resigning.named(current, name, rtype)
            except Refusal as refusal:
                refusals.append(refusal)
            else:
                wanted.append(task.resign(target))
        if not wanted:
            raise refusals[0] if refusals else Refusal(f"zone {zone}: nothing of it can be served")
        return Lines(tuple(await asyncio.gather(*wanted)))

    async def confirm(self, request: Request) -> msgspec.Struct:
        asked = await _body(request, Word)
        group, signer = self._signed(_name(asked.zone))
        return await keyadmin.confirm_ds(group, signer, seen=asked.seen)

    async def _add(
        self, group: NameGroup, signer: ZoneSigner, key: StoredKey, verb: str
    ) -> msgspec.Struct:
        await signer.add_key(key)
        line = f"zone {group.origin}: {verb} key {key.tag} ({key.fingerprint})"
        _log.info(line)
        group.rekey()
        return Lines((line,))

    def _keystore(self, group: NameGroup) -> KeyStore:
        assert group.plan.sign is not None
        return self._manager.keystore(group.plan.sign)

    async def _off_loop(self, function: Callable[[], _R]) -> _R:
        return await asyncio.to_thread(function)

    def _zone_asked(self, request: Request) -> dns.name.Name | None:
        text = request.query_params.get("zone")
        return None if text is None else _name(text)

    def _groups(self, request: Request) -> list[NameGroup]:
        zone = self._zone_asked(request)
        if zone is not None:
            return [self._group(zone)]
        return [group for _, group in sorted(self._manager.groups.items())]

    def _group(self, zone: dns.name.Name) -> NameGroup:
        group = self._manager.groups.get(zone)
        if group is None:
            raise Refusal(f"there is no zone {zone} here; see `zoneward zones list`")
        return group

    def _signed(self, zone: dns.name.Name) -> tuple[NameGroup, ZoneSigner]:
        group = self._group(zone)
        if group.signer is None:
            raise Refusal(f"zone {zone} is not signed here; its block has no *sign*")
        return group, group.signer


async def _started(group: NameGroup) -> None:
    """A manager that has just come up is asking our server and the parent: wait for that. Raises
    Refusal when it takes long."""
    for _ in range(_START_TENTHS):
        if group.started:
            return
        await asyncio.sleep(0.1)
    raise Refusal(f"zone {group.origin} can't start yet; see `zoneward status`")


def _answering(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            return _json(await handler(request), 200)
        except (Refusal, KeystoreError, StateError, engine.EngineError) as error:
            return _json(Fault(one_line(error)), 409)
        except Exception as error:  # noqa: BLE001 - a fault of ours is told in one line, too
            _log.error("a request failed", path=request.url.path, reason=one_line(error))
            return _json(Fault(one_line(error)), 500)

    return answer


def _json(value: object, status: int) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


async def _body(request: Request, kind: type[T]) -> T:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > LARGEST_BODY:
            raise Refusal(f"a request is at most {LARGEST_BODY} octets long")
    try:
        return msgspec.json.decode(bytes(data), type=kind)
    except msgspec.DecodeError as error:
        # ValidationError among them; neither repeats what was sent.
        raise Refusal(f"the request is not understood: {error}") from None
    finally:
        data[:] = bytes(len(data))


def _name(text: str) -> dns.name.Name:
    if len(text) > 1024:
        raise Refusal("a zone's name is at most 255 octets long")
    try:
        return dns.name.from_text(text).canonicalize()
    except dns.exception.DNSException as error:
        raise Refusal(f"{text!r} is no zone name: {error}") from None
