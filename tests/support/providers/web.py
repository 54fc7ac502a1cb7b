"""A local HTTP server that gives each request to a provider's state machine, or to a fault."""

import base64
import json
import socket
import ssl
import threading
import urllib.parse
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

import attrs

from registrars.protocol import Entry


@attrs.frozen
class Request:
    """Header names in lower case; `url` as the client wrote it, for signatures."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes
    url: str

    def json(self) -> Any:
        """Raises Refusal where it is none, or is not said to be."""
        if self.headers.get("content-type") != "application/json":
            raise Refusal("content-type is not application/json")
        return json.loads(self.body)


@attrs.frozen
class Reply:
    status: int
    body: Any = None
    headers: dict[str, str] = attrs.Factory(dict)

    @property
    def content(self) -> bytes:
        if self.body is None or isinstance(self.body, bytes):
            return self.body or b""
        return json.dumps(self.body).encode()


class Refusal(Exception):
    """A request that is not as the documents say."""


@attrs.frozen
class Fault:
    """What happens to the next request for which `when` holds, in place of the provider's
    answer. `after`: the provider does its part before. No reply: the connection is cut."""

    reply: Reply | None
    when: Callable[[Request], bool] = lambda request: True
    after: bool = False


class Provider:
    """One account. `stored` maps ids to DS (tag, algorithm, digest type, DIGEST) or keys
    (flags, algorithm, base64). Those who work later do so after `delay` polls."""

    name: str
    secrets: Mapping[str, str]
    options: str = ""
    zone = "example.org."
    unknown = "unknown.example."
    changes = frozenset({"POST", "PUT", "PATCH", "DELETE"})

    def __init__(self) -> None:
        self.stored: dict[str, tuple[Any, ...]] = {}
        self.delay = 1
        self._last = 100

    def new_id(self) -> str:
        self._last += 1
        return str(self._last)

    def corefile(self, endpoint: str) -> str:
        lines = [f"    {name} env:{name}" for name in self.secrets]
        lines += [f"    {line}" for line in self.options.splitlines()]
        return "\n".join((f"registrar {self.name} {{", *lines, f"    endpoint {endpoint}", "}"))

    def holds(self, entry: Entry) -> bool:
        return bool({ds_of(entry), key_of(entry)} & set(self.stored.values()))

    def is_change(self, request: Request) -> bool:
        """Whether a request would change DS at the provider."""
        return request.method in self.changes

    def answer(self, request: Request) -> Reply:
        raise NotImplementedError

    def error(self, status: int, message: str) -> Reply:
        """In the shape of this provider's errors."""
        raise NotImplementedError


def ds_of(entry: Entry) -> tuple[Any, ...]:
    return entry.tag, entry.algorithm, entry.digest_type, entry.digest.hex().upper()


def key_of(entry: Entry) -> tuple[Any, ...]:
    assert entry.public_key is not None
    return entry.flags, entry.algorithm, base64.b64encode(entry.public_key).decode()


def exactly(value: Any, shape: Mapping[str, type]) -> None:
    """An object with these fields and no others, each of its type; a boolean is no number."""
    if not isinstance(value, dict):
        raise Refusal(f"{value!r} is no object")
    if set(value) != set(shape):
        raise Refusal(f"fields {sorted(value)} where {sorted(shape)} should be")
    for name, kind in shape.items():
        if type(value[name]) is not kind:
            raise Refusal(f"{name} is {value[name]!r}, no {kind.__name__}")


def hexadecimal(text: str, digest_type: int) -> str:
    """A digest of the length that its type has (RFC 4034, 4509, 6605)."""
    if len(text) != {1: 40, 2: 64, 4: 96}.get(digest_type):
        raise Refusal(f"a digest of {len(text)} digits for type {digest_type}")
    try:
        bytes.fromhex(text)
    except ValueError:
        raise Refusal("a digest that is not hexadecimal") from None
    return text.upper()


def base64_text(text: str) -> str:
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        raise Refusal("a public key that is not base64") from None
    return text


class LocalServer:
    """On a loopback port of its own. `requests` are all that came, `complaints` what was not as
    the documents say."""

    def __init__(self, provider: Provider, tls: ssl.SSLContext | None = None) -> None:
        self.provider = provider
        self.requests: list[Request] = []
        self.complaints: list[str] = []
        self.faults: list[Fault] = []
        # Asked at each request whether this one goes wrong.
        self.chance: Callable[[], Fault | None] = lambda: None
        self.hang = threading.Event()
        self.hanging = False
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body are two segments: the second would wait for a delayed ACK.
            disable_nagle_algorithm = True

            def handle_any(self) -> None:
                server._handle(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Tests read `requests`."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        if tls is not None:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        scheme = "http" if tls is None else "https"
        self.endpoint = f"{scheme}://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.02}
        )

    def __enter__(self) -> "LocalServer":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.hang.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        size = int(handler.headers.get("content-length", "0"))
        target = urllib.parse.urlsplit(handler.path)
        request = Request(
            handler.command,
            target.path,
            dict(urllib.parse.parse_qsl(target.query, keep_blank_values=True)),
            {name.lower(): value for name, value in handler.headers.items()},
            handler.rfile.read(size),
            self.endpoint + handler.path,
        )
        with self._lock:
            self.requests.append(request)
            reply = self._reply(request)
        if self.hanging:
            self.hang.wait()
        if reply is None:
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        try:
            handler.send_response(reply.status)
            for name, value in reply.headers.items():
                handler.send_header(name, value)
            if reply.status != 204:
                handler.send_header("content-type", "application/json")
                handler.send_header("content-length", str(len(reply.content)))
            handler.end_headers()
            if reply.status != 204:
                handler.wfile.write(reply.content)
        except OSError:
            handler.close_connection = True

    def _reply(self, request: Request) -> Reply | None:
        fault = next((one for one in self.faults if one.when(request)), None)
        if fault is None:
            fault = self.chance()
        else:
            self.faults.remove(fault)
        if fault is not None:
            if fault.after:
                self._by_the_book(request)
            return fault.reply
        return self._by_the_book(request)

    def _by_the_book(self, request: Request) -> Reply:
        for name in ("accept", "user-agent"):
            if name not in request.headers:
                self.complaints.append(f"no {name}")
        try:
            return self.provider.answer(request)
        except Refusal as refusal:
            self.complaints.append(f"{request.method} {request.path}: {refusal}")
            return self.provider.error(400, str(refusal))
