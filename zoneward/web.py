"""uvicorn inside a loop that is ours: no signal handlers, no lifespan, no access log; on Unix
sockets only for the users that may."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from corefile.arguments import Endpoint
from zoneward import logging
from zoneward.refusal import Refusal

_log = logging.get("admin")
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid
_LARGEST_HEAD = 16 * 1024


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the process's own affair."""
        yield


class _OwnUsersOnly(H11Protocol):
    """Ends connections of users other than root and the one that runs this process: the
    socket's mode says the same, and a mode can be changed by mistake."""

    def connection_made(self, transport: Any) -> None:
        peer = transport.get_extra_info("socket")
        raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, uid, _ = _CREDENTIALS.unpack(raw)
        if not may_ask(uid, os.geteuid()):
            _log.warning("a user who may not was turned away", uid=uid, pid=pid)
            transport.abort()
            return
        super().connection_made(transport)


def may_ask(peer: int, ours: int) -> bool:
    """Whether a user may use the admin socket: root, and who runs the manager."""
    return peer in (0, ours)


class Web:
    """One listening application; `run` until cancelled."""

    def __init__(self, app: ASGIApp, sock: socket.socket) -> None:
        self._socket = sock
        local = sock.family == socket.AF_UNIX
        self._server = _Server(
            uvicorn.Config(
                app,
                http=_OwnUsersOnly if local else H11Protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                h11_max_incomplete_event_size=_LARGEST_HEAD,
                limit_concurrency=64,
                timeout_graceful_shutdown=2,
            )
        )

    async def run(self) -> None:
        await self._server.serve(sockets=[self._socket])

    def stop(self) -> None:
        self._server.should_exit = True


def unix_socket(path: Path) -> socket.socket:
    """A listening socket with mode 0600. Raises Refusal."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    mask = os.umask(0o177)
    try:
        path.unlink(missing_ok=True)
        sock.bind(str(path))
    except OSError as error:
        sock.close()
        raise Refusal(
            f"admin {path}: can't listen: {error.strerror or error}; name another with the "
            "global option `admin`"
        ) from error
    finally:
        os.umask(mask)
    return sock


def tcp_socket(endpoint: Endpoint, option: str) -> socket.socket:
    """A bound socket. Raises Refusal that names the `option` of the Corefile."""
    family = socket.AF_INET6 if ":" in endpoint.address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((endpoint.address, endpoint.port))
    except OSError as error:
        sock.close()
        raise Refusal(
            f"{option} {endpoint}: can't listen: {error.strerror or error}; choose another "
            "address or port, or stop what uses it"
        ) from error
    return sock
