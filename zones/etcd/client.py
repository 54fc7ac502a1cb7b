"""A thin client of etcd's v3 API over gRPC: one connection to one member.

What `zones.etcd.follower` needs and no more: pages at a pinned revision, a watch that can be asked
for a sign of life, leases, password authentication, TLS. Every call has a deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TypeVar

import attrs
import grpc
import grpc.aio
from google.protobuf.message import Message

from zones.etcd import rpc_pb2 as rpc

# In seconds: of a small call, and of one that carries a page.
DEADLINE, PAGE_DEADLINE = 3.0, 30.0
# Octets of one message. A value has 1.5 MB at most, and a watch's answers come in fragments of
# little more than a request.
_LARGEST_MESSAGE = 64 << 20
# Keys of one page.
PAGE = 1000

_OPTIONS = (
    ("grpc.max_receive_message_length", _LARGEST_MESSAGE),
    # The name that we gave is the one that is asked: no proxy of the environment.
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
)

A = TypeVar("A", bound=Message)
Item = rpc.KeyValue


class EtcdError(Exception):
    """A call that failed; the message is for a person."""


class Compacted(EtcdError):
    """The revision asked for is not there any more."""


class TooLarge(EtcdError):
    """An answer larger than what is taken."""


class AuthenticationFailed(EtcdError):
    """The name or the password is not taken."""


@attrs.frozen
class Tls:
    """PEM texts; None where nothing of the kind is configured."""

    authority: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = attrs.field(default=None, repr=False)


@attrs.frozen
class Login:
    """A user of etcd's own."""

    name: str
    password: str = attrs.field(repr=False)


@attrs.frozen
class Beat:
    """What a linearizable read said: the cluster's identity and its revision now."""

    cluster: int
    revision: int


@attrs.frozen
class Newest:
    """As of a revision: which one had changed a key of a range last, of those that are there,
    and how many there are."""

    revision: int
    changed: int
    count: int


@attrs.frozen
class Page:
    """Keys in order. `last` says that none follow."""

    items: tuple[Item, ...]
    cluster: int
    revision: int
    last: bool


@attrs.frozen
class Batch:
    """What a watch tells: events, in the order of their revisions, or none for a sign of life."""

    events: tuple[rpc.Event, ...]


_WatchCall = grpc.aio.StreamStreamCall[Message, rpc.WatchResponse]


class Connection:
    """To one endpoint. `close` it."""

    def __init__(self, target: str, tls: Tls | None, login: Login | None) -> None:
        """`target` is HOST:PORT."""
        self.target = target
        self._login = login
        self._token: str | None = None
        self._authenticating = asyncio.Lock()
        self._channel = (
            grpc.aio.insecure_channel(target, options=_OPTIONS)
            if tls is None
            else grpc.aio.secure_channel(
                target,
                grpc.ssl_channel_credentials(tls.authority, tls.key, tls.certificate),
                options=_OPTIONS,
            )
        )

    async def close(self) -> None:
        await self._channel.close(None)

    # --- calls ----------------------------------------------------------------------------

    async def beat(self, key: bytes, deadline: float = DEADLINE) -> Beat:
        """Ask the cluster, by this member: one that is cut off can't answer. Raises EtcdError."""
        request = rpc.RangeRequest(key=key, limit=1, keys_only=True)
        answer = await self._call("KV/Range", request, rpc.RangeResponse, deadline)
        return Beat(answer.header.cluster_id, answer.header.revision)

    async def page(self, start: bytes, end: bytes, revision: int, limit: int = PAGE) -> Page:
        """The keys from `start` to before `end`, as of a revision; 0 is now. Raises Compacted,
        TooLarge, EtcdError."""
        request = rpc.RangeRequest(key=start, range_end=end, limit=limit, revision=revision)
        answer = await self._call("KV/Range", request, rpc.RangeResponse, PAGE_DEADLINE)
        header = answer.header
        return Page(
            tuple(answer.kvs), header.cluster_id, revision or header.revision, not answer.more
        )

    async def newest(self, start: bytes, end: bytes) -> Newest:
        """What tells whether all up to now has been heard. Raises EtcdError."""
        request = rpc.RangeRequest(
            key=start,
            range_end=end,
            limit=1,
            keys_only=True,
            sort_order=rpc.RangeRequest.DESCEND,
            sort_target=rpc.RangeRequest.MOD,
        )
        answer = await self._call("KV/Range", request, rpc.RangeResponse, PAGE_DEADLINE)
        changed = answer.kvs[0].mod_revision if answer.kvs else 0
        return Newest(answer.header.revision, changed, answer.count)

    async def changed(self, key: bytes, revision: int) -> int:
        """Which revision had changed a key last, as of another; 0 where there was none. Raises
        Compacted, EtcdError."""
        request = rpc.RangeRequest(key=key, revision=revision, keys_only=True)
        answer = await self._call("KV/Range", request, rpc.RangeResponse)
        return answer.kvs[0].mod_revision if answer.kvs else 0

    async def granted(self, lease: int) -> int | None:
        """How many seconds a lease was granted for; None when it is no more. Raises EtcdError."""
        request = rpc.LeaseTimeToLiveRequest(ID=lease)
        answer = await self._call("Lease/LeaseTimeToLive", request, rpc.LeaseTimeToLiveResponse)
        return answer.grantedTTL if answer.TTL >= 0 else None

    async def put(self, key: bytes, value: bytes) -> int:
        """Write a key; the revision that it made. Raises EtcdError."""
        request = rpc.PutRequest(key=key, value=value)
        answer = await self._call("KV/Put", request, rpc.PutResponse)
        return answer.header.revision

    async def write(self, *operations: rpc.PutRequest | rpc.DeleteRangeRequest) -> int:
        """Several writes as one revision, 128 at most; gives it. Raises EtcdError."""
        wrapped = [
            rpc.RequestOp(request_put=one)
            if isinstance(one, rpc.PutRequest)
            else rpc.RequestOp(request_delete_range=one)
            for one in operations
        ]
        answer = await self._call("KV/Txn", rpc.TxnRequest(success=wrapped), rpc.TxnResponse)
        return answer.header.revision

    # --- watching -------------------------------------------------------------------------

    async def watch(
        self, start: bytes, end: bytes, revision: int, ask: asyncio.Event
    ) -> AsyncGenerator[Batch, None]:
        """What happens from a revision on. A transaction comes as one Batch. While `ask` is set
        the member is asked for a sign of life, once. Raises Compacted, EtcdError."""
        method = self._channel.stream_stream(
            "/etcdserverpb.Watch/Watch",
            request_serializer=rpc.WatchRequest.SerializeToString,
            response_deserializer=rpc.WatchResponse.FromString,
        )
        create = rpc.WatchCreateRequest(
            key=start, range_end=end, start_revision=revision, fragment=True
        )
        try:
            call = method(metadata=await self._metadata())
            asking = asyncio.create_task(self._ask(call, create, ask))
            try:
                async for batch in _batches(call):
                    yield batch
            finally:
                asking.cancel()
                call.cancel()
        except grpc.aio.AioRpcError as error:
            raise _failure(error) from None

    async def _ask(
        self,
        call: _WatchCall,
        create: rpc.WatchCreateRequest,
        ask: asyncio.Event,
    ) -> None:
        await call.write(rpc.WatchRequest(create_request=create))
        while True:
            await ask.wait()
            ask.clear()
            await call.write(rpc.WatchRequest(progress_request=rpc.WatchProgressRequest()))

    # --- under it all ---------------------------------------------------------------------

    async def _call(
        self, name: str, request: Message, answer: type[A], deadline: float = DEADLINE
    ) -> A:
        """One call; again, once, with a new token where the old one has ended."""
        method: Callable[..., Awaitable[A]] = self._channel.unary_unary(
            f"/etcdserverpb.{name}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=answer.FromString,
        )
        for last in (False, True):
            token = self._token
            try:
                return await method(request, timeout=deadline, metadata=await self._metadata())
            except grpc.aio.AioRpcError as error:
                if last or self._login is None or not _token_has_ended(error):
                    raise _failure(error) from None
            if self._token == token:
                self._token = None
        raise AssertionError("not reached")

    async def _metadata(self) -> tuple[tuple[str, str], ...]:
        """A member that has no leader is to say so, and end its watches."""
        leader = (("hasleader", "true"),)
        if self._login is None:
            return leader
        async with self._authenticating:
            if self._token is None:
                self._token = await self._authenticate(self._login)
        return (*leader, ("token", self._token))

    async def _authenticate(self, login: Login) -> str:
        method: Callable[..., Awaitable[rpc.AuthenticateResponse]] = self._channel.unary_unary(
            "/etcdserverpb.Auth/Authenticate",
            request_serializer=rpc.AuthenticateRequest.SerializeToString,
            response_deserializer=rpc.AuthenticateResponse.FromString,
        )
        request = rpc.AuthenticateRequest(name=login.name, password=login.password)
        try:
            return (await method(request, timeout=DEADLINE)).token
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.INVALID_ARGUMENT:
                raise AuthenticationFailed(
                    f"user {login.name} is refused: {error.details()}"
                ) from None
            if "not enabled" in (error.details() or ""):
                return ""
            raise _failure(error) from None


async def _batches(
    call: _WatchCall,
) -> AsyncGenerator[Batch, None]:
    events: list[rpc.Event] = []
    async for answer in call:
        if answer.canceled:
            if answer.compact_revision:
                raise Compacted(f"etcd has compacted up to revision {answer.compact_revision}")
            raise EtcdError(answer.cancel_reason or "etcd ended the watch")
        events += answer.events
        if answer.fragment:
            continue
        # What a sign of life says of revisions may be ahead of events that are on their way (in
        # etcd 3.4 it always is): only an event's own is to be believed.
        yield Batch(tuple(events))
        events = []
    raise EtcdError("etcd ended the watch")


def _token_has_ended(error: grpc.aio.AioRpcError) -> bool:
    text = error.details() or ""
    return (
        error.code() == grpc.StatusCode.UNAUTHENTICATED or "revision of auth store is old" in text
    )


def _failure(error: grpc.aio.AioRpcError) -> EtcdError:
    text = " ".join((error.details() or error.code().name.lower()).split())
    if "has been compacted" in text:
        return Compacted(text)
    if error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in text:
        return TooLarge(text)
    return EtcdError(text)


def range_end(prefix: bytes) -> bytes:
    """The first key that does not begin with `prefix`, which does not end in 0xff."""
    return prefix[:-1] + bytes([prefix[-1] + 1])
