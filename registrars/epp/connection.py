"""One connection: TLS both ways (RFC 5734 section 9), frames, a deadline for each."""

import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import attrs

from registrars.epp import frames
from registrars.epp.frames import FrameError
from registrars.protocol import RegistrarError

# Alerts about what we are. They come with the first that is read, when the handshake is over.
_OURS = (
    "CERTIFICATE",
    "UNKNOWN_CA",
    "ACCESS_DENIED",
    "HANDSHAKE_FAILURE",
    "ALERT_PROTOCOL_VERSION",
)


@attrs.frozen
class Endpoint:
    """Where to connect, and with what. `certificate` is a file and that of its key; without
    `ca`, the system's authorities are believed. `timeout` in seconds, for each exchange."""

    place: str
    host: str
    port: int
    timeout: float
    certificate: tuple[Path, Path] | None = None
    ca: Path | None = None


class Connection:
    """Every method raises RegistrarError; the connection is of no use after that."""

    def __init__(self, endpoint: Endpoint, clock: Callable[[], float] = time.monotonic) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._deadline = 0.0
        context = _context(endpoint)
        try:
            plain = socket.create_connection((endpoint.host, endpoint.port), endpoint.timeout)
        except OSError as error:
            raise self._failed(error) from None
        try:
            self._socket = context.wrap_socket(plain, server_hostname=endpoint.host)
        except (OSError, ValueError) as error:
            plain.close()
            raise self._failed(error) from None

    def within(self, seconds: float) -> None:
        """All that follows has to be done in this time."""
        self._deadline = self._clock() + seconds

    def send(self, *payloads: bytes) -> None:
        try:
            self._patience()
            self._socket.sendall(b"".join(frames.pack(one) for one in payloads))
        except OSError as error:
            raise self._failed(error) from None

    def receive(self) -> bytes:
        """One frame's XML."""
        try:
            return frames.read(self._some)
        except (OSError, FrameError) as error:
            raise self._failed(error) from None

    def close(self) -> None:
        self._socket.close()

    def _some(self, most: int) -> bytes:
        self._patience()
        return self._socket.recv(most)

    def _patience(self) -> None:
        """A server that sends a little now and then is late all the same."""
        left = self._deadline - self._clock()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)

    def _failed(self, error: Exception) -> RegistrarError:
        place, timeout = self._endpoint.place, self._endpoint.timeout
        if isinstance(error, TimeoutError):
            return RegistrarError(
                place, f"not done within {timeout:g} s", "it is tried again", passing=True
            )
        if isinstance(error, ssl.SSLCertVerificationError):
            return RegistrarError(
                place,
                f"the server's certificate is not believed ({error.verify_message})",
                "see to the host's name and to ca",
            )
        if isinstance(error, ssl.SSLError) and any(one in str(error.reason) for one in _OURS):
            return RegistrarError(
                place,
                f"the server refuses our certificate or TLS ({error.reason})",
                "see to certificate",
            )
        return RegistrarError(place, _text(error), "it is tried again", passing=True)


def _text(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason or error})"
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__
    return str(error)


def _context(endpoint: Endpoint) -> ssl.SSLContext:
    """Read anew for each connection: certificates are renewed. Raises RegistrarError."""
    reading = f"ca {endpoint.ca}"
    try:
        context = ssl.create_default_context(
            cafile=None if endpoint.ca is None else str(endpoint.ca)
        )
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if endpoint.certificate is not None:
            certificate, key = endpoint.certificate
            reading = f"certificate {certificate} {key}"
            context.load_cert_chain(certificate, key, password=_no_passphrase)
    except (OSError, ValueError) as error:
        raise RegistrarError(
            endpoint.place, f"{reading} can't be used ({_text(error)})", "put PEM files there"
        ) from None
    return context


def _no_passphrase() -> str:
    """Else OpenSSL would ask at the terminal."""
    raise ValueError("the key is under a passphrase")
