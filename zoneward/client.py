"""The commands' end of the admin socket."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import httpx
import msgspec

from zoneward.api import Fault
from zoneward.refusal import Refusal

# Signing a large zone takes its time before `zones reload` answers.
PATIENCE = 600.0

T = TypeVar("T")


class AdminClient:
    """Asks the manager behind a socket. Every method raises Refusal."""

    def __init__(self, socket: Path, *, patience: float = PATIENCE) -> None:
        self._socket = socket
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(socket)),
            base_url="http://zoneward",
            timeout=httpx.Timeout(patience, connect=5.0),
        )

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, kind: type[T], **query: str | None) -> T:
        return self._ask("GET", path, kind, query, None)

    def post(
        self, path: str, kind: type[T], body: msgspec.Struct | None = None, **query: str | None
    ) -> T:
        return self._ask("POST", path, kind, query, body)

    def _ask(
        self,
        method: str,
        path: str,
        kind: type[T],
        query: dict[str, str | None],
        body: msgspec.Struct | None,
    ) -> T:
        params = {name: value for name, value in query.items() if value is not None}
        content = None if body is None else msgspec.json.encode(body)
        try:
            reply = self._http.request(method, f"/v1{path}", params=params, content=content)
        except httpx.ConnectError as error:
            raise Refusal(self._nobody(str(error))) from error
        except httpx.TimeoutException as error:
            raise Refusal(f"{self._socket}: the manager does not answer; see its log") from error
        except httpx.HTTPError as error:
            raise Refusal(f"{self._socket}: {error}; see the manager's log") from error
        try:
            if reply.status_code != httpx.codes.OK:
                raise Refusal(msgspec.json.decode(reply.content, type=Fault).error)
            return msgspec.json.decode(reply.content, type=kind)
        except msgspec.DecodeError as error:
            raise Refusal(
                f"{self._socket}: the manager answered what this version does not "
                f"understand ({error}); use the command of its version"
            ) from error

    def _nobody(self, reason: str) -> str:
        if "Permission denied" in reason:
            return f"{self._socket}: may not be opened; run this as the manager's user or as root"
        return (
            f"{self._socket}: no manager is running there; start one with `zoneward run`, or "
            "name its Corefile with -c"
        )
