"""A small HTTP responder for health, readiness and metrics.

It answers GET and HEAD, one request a connection, and looks at nothing but the path; what a
framework would add here is start-up time and surface in the process that faces the internet.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import attrs

from corefile.arguments import Endpoint

_log = logging.getLogger("zoneward.server.http")

_LONGEST_HEAD = 8192
_PATIENCE = 10.0
_MOST_CONNECTIONS = 64
_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


@attrs.frozen
class Response:
    """`body` is sent as it is."""

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"


Handler = Callable[[], Awaitable[Response]]


class HttpServer:
    """One listening address, or Unix socket (mode 0600), with its paths."""

    def __init__(self, endpoint: Endpoint | Path, paths: Mapping[str, Handler]) -> None:
        self._endpoint = endpoint
        self._paths = dict(paths)
        self._servers: asyncio.Server | None = None
        self._open = 0

    async def start(self) -> None:
        """Raises OSError, its text with the address in it."""
        try:
            self._servers = await self._listen(self._endpoint)
        except OSError as error:
            raise OSError(
                error.errno, f"{self._endpoint} can't be listened on: {error.strerror or error}"
            ) from None

    async def _listen(self, endpoint: Endpoint | Path) -> asyncio.Server:
        if isinstance(endpoint, Endpoint):
            return await asyncio.start_server(
                self._accept, endpoint.address or None, endpoint.port, limit=_LONGEST_HEAD
            )
        with contextlib.suppress(FileNotFoundError):
            endpoint.unlink()
        server = await asyncio.start_unix_server(self._accept, endpoint, limit=_LONGEST_HEAD)
        endpoint.chmod(0o600)
        return server

    def serve(self, paths: Mapping[str, Handler]) -> None:
        """Other paths from now on."""
        self._paths = dict(paths)

    async def stop(self) -> None:
        if self._servers is not None:
            self._servers.close()
            await self._servers.wait_closed()
            if isinstance(self._endpoint, Path):
                with contextlib.suppress(FileNotFoundError):
                    self._endpoint.unlink()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open <= _MOST_CONNECTIONS:
                async with asyncio.timeout(_PATIENCE):
                    await self._exchange(reader, writer)
        except (OSError, TimeoutError, EOFError, asyncio.LimitOverrunError):
            # The client went away, dawdled, or sent too much: nobody is left to be told.
            return
        finally:
            self._open -= 1
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, response = await self._respond(head)
        body = b"" if method == b"HEAD" else response.body
        writer.write(
            f"HTTP/1.1 {response.status} {_REASONS[response.status]}\r\n"
            f"Content-Type: {response.content_type}\r\n"
            f"Content-Length: {len(response.body)}\r\n"
            "Connection: close\r\n\r\n".encode()
            + body
        )
        await writer.drain()

    async def _respond(self, head: bytes) -> tuple[bytes, Response]:
        words = head.split(b"\r\n", 1)[0].split(b" ")
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            return b"GET", Response(400, b"bad request\n")
        method, target, _ = words
        if method not in {b"GET", b"HEAD"}:
            return method, Response(405, b"only GET and HEAD\n")
        handler = self._paths.get(target.split(b"?", 1)[0].decode("latin-1"))
        if handler is None:
            return method, Response(404, b"not found\n")
        try:
            return method, await handler()
        except Exception:  # noqa: BLE001 -- the scrape fails, the server does not
            _log.exception("the answer for %s failed", target.decode("latin-1"))
            return method, Response(500, b"internal error\n")
