"""The HTTP responder: what it answers, and that it survives what it is sent."""

import asyncio
import socket

import pytest

from corefile.arguments import Endpoint
from server.http import HttpServer, Response


async def good() -> Response:
    return Response(200, b"OK")


async def wrong() -> Response:
    raise ZeroDivisionError


def exchange(*requests: bytes) -> list[bytes]:
    """Each request on a connection of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.7.1", 0))
        port: int = probe.getsockname()[1]

    async def run() -> list[bytes]:
        server = HttpServer(Endpoint("127.0.7.1", port), {"/health": good, "/broken": wrong})
        await server.start()
        replies = []
        for request in requests:
            reader, writer = await asyncio.open_connection("127.0.7.1", port)
            writer.write(request)
            if not request.endswith(b"\r\n\r\n"):
                writer.write_eof()
            try:
                replies.append(await reader.read())
            except ConnectionError:
                replies.append(b"")
            writer.close()
        await server.stop()
        return replies

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET /health HTTP/1.1", b"200 OK"),
        (b"GET /health?full=1 HTTP/1.0", b"200 OK"),
        (b"GET / HTTP/1.1", b"404 Not Found"),
        (b"GET /../etc/passwd HTTP/1.1", b"404 Not Found"),
        (b"POST /health HTTP/1.1", b"405 Method Not Allowed"),
        (b"GET /broken HTTP/1.1", b"500 Internal Server Error"),
        (b"GET /health", b"400 Bad Request"),
        (b"\xff\xfe\x00", b"400 Bad Request"),
    ],
)
def test_statuses(request_line: bytes, status: bytes) -> None:
    (reply,) = exchange(request_line + b"\r\nHost: a\r\n\r\n")
    assert reply.startswith(b"HTTP/1.1 " + status + b"\r\n")


def test_the_body_and_its_length() -> None:
    got, headed = exchange(b"GET /health HTTP/1.1\r\n\r\n", b"HEAD /health HTTP/1.1\r\n\r\n")
    assert got.endswith(b"Content-Length: 2\r\nConnection: close\r\n\r\nOK")
    assert headed.endswith(b"Content-Length: 2\r\nConnection: close\r\n\r\n")


def test_half_a_request_and_too_long_a_one_harm_nobody() -> None:
    replies = exchange(b"GET /he", b"GET /" + b"a" * 100_000, b"GET /health HTTP/1.1\r\n\r\n")
    assert replies[:2] == [b"", b""]
    assert replies[2].startswith(b"HTTP/1.1 200")


def test_an_address_in_use_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.7.2", 0))
        other.listen()
        port = other.getsockname()[1]
        server = HttpServer(Endpoint("127.0.7.2", port), {})
        with pytest.raises(OSError, match=rf"127\.0\.7\.2:{port} can't be listened on"):
            asyncio.run(server.start())
