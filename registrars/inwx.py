"""INWX, by JSON-RPC (DomRobot): DNSKEY in, at once or when the registry has done it.

    registrar inwx {
        user NAME
        password file:PATH|env:NAME|credential:NAME
        totp file:PATH|env:NAME|credential:NAME
        endpoint URL
    }

*totp* is the secret behind the second factor (RFC 6238), where the account has one.
https://www.inwx.de/en/help/apidoc
"""

import base64
import binascii
import hashlib
import hmac
import threading
import time
from typing import Any, TypeVar

import dns.name
import msgspec

from corefile import Directive
from registrars import formats, options
from registrars.http import Answer, Client
from registrars.plan import left_to_add, left_to_remove
from registrars.protocol import (
    Capabilities,
    Context,
    Deletes,
    Entry,
    Plan,
    Progress,
    Receipt,
    RegistrarError,
    Wants,
)

T = TypeVar("T")
OPTIONS = options.Options(
    endpoint="https://api.domrobot.com",
    secrets=("password",),
    optional_secrets=("totp",),
    words=("user",),
)
_DONE, _PENDING, _NOT_THERE = 1000, 1001, 2303
_NOT_LOGGED_IN = (2002, 2200)
# Failed without the request's fault, and too many sessions (RFC 5730 section 3).
_PASSING = (2400, 2500, 2501, 2502)


class Told(msgspec.Struct, rename="camel"):
    """The codes are those of EPP."""

    code: int
    msg: str = ""
    reason: str = ""
    res_data: msgspec.Raw = msgspec.Raw(b"{}")


class LoggedIn(msgspec.Struct):
    tfa: str = "0"


class Key(msgspec.Struct, rename="camel"):
    id: int
    flag_id: int
    algorithm_id: int
    public_key: str
    status: str = "OK"


class Keys(msgspec.Struct):
    dnskey: list[Key] = []


_Listed = tuple[Answer, list[Key]]


def read(directive: Directive) -> options.Settings:
    return options.read(directive, OPTIONS)


def open(config: options.Settings, context: Context) -> "INWX":  # noqa: A001 - a driver's verb
    secrets = options.resolved(config, context, "registrar inwx")
    totp: bytes | None = None
    if "totp" in secrets:
        text = "".join(secrets["totp"].split()).upper().rstrip("=")
        try:
            totp = base64.b32decode(text + "=" * (-len(text) % 8))
        except binascii.Error:
            raise RegistrarError(
                "registrar inwx", "totp is no base32", "put the secret of the second factor there"
            ) from None
    client = Client("inwx", config.endpoint, context.timeout, secrets.values(), lambda *request: {})
    return INWX(client, config.word("user"), secrets["password"], totp)


class INWX:
    """Each key by its id. A session is kept, and begun anew when it is over."""

    name = "inwx"
    capabilities = Capabilities(
        Wants.DNSKEY, deletes=Deletes.ID, lists=True, polls=True, automatic=True
    )

    def __init__(self, client: Client, user: str, password: str, totp: bytes | None) -> None:
        self._client = client
        self._login = {"user": user, "pass": password, "lang": "en"}
        self._totp = totp
        self._in = False
        self._lock = threading.Lock()

    def list(self, zone: dns.name.Name) -> tuple[Entry, ...]:
        answer, keys = self._keys(zone)
        return self._client.entries(
            answer,
            (
                formats.dnskey_entry(
                    zone, key.flag_id, key.algorithm_id, key.public_key, str(key.id)
                )
                for key in keys
            ),
        )

    def apply(self, plan: Plan) -> Receipt:
        have = self.list(plan.zone)
        name = formats.domain(plan.zone)
        pending = False
        for entry in left_to_add(plan, have):
            line = (
                f"{name}. IN DNSKEY {entry.flags} 3 {entry.algorithm} {formats.base64_key(entry)}"
            )
            _, told = self._call(
                "dnssec.adddnskey",
                {
                    "domainName": name,
                    "dnskey": line,
                    "ds": f"{name}. IN DS {formats.ds_text(entry)}",
                    "calculateDigest": False,
                },
            )
            pending = pending or told.code == _PENDING
        if pending:
            # What is to go waits until what is new has arrived.
            return self._pending(plan.zone)
        for entry in left_to_remove(plan, have):
            _, told = self._call("dnssec.deletednskey", {"key": int(entry.id)}, also=_NOT_THERE)
            pending = pending or told.code == _PENDING
        if pending:
            return self._pending(plan.zone)
        return Receipt(Progress.ACCEPTED, f"{plan.zone} is there as planned")

    def poll(self, zone: dns.name.Name, reference: str) -> Receipt:
        _, keys = self._keys(zone, gone=True)
        waiting = [key for key in keys if key.status not in ("OK", "DELETED")]
        if not waiting:
            return Receipt(Progress.ACCEPTED, f"{zone} has nothing under way")
        failed = [key for key in waiting if "FAIL" in key.status or "ERROR" in key.status]
        text = ", ".join(f"key {key.id} is {key.status}" for key in failed or waiting)
        return Receipt(Progress.REFUSED if failed else Progress.PENDING, text, reference)

    def close(self) -> None:
        self._client.close()

    def _pending(self, zone: dns.name.Name) -> Receipt:
        # The keys' status is all that there is to ask after; it needs no name of its own.
        return Receipt(Progress.PENDING, f"{zone} is with the registry", formats.domain(zone))

    def _keys(self, zone: dns.name.Name, *, gone: bool = False) -> _Listed:
        answer, told = self._call("dnssec.listkeys", {"domainName": formats.domain(zone)})
        keys = self._decoded(answer, told, Keys).dnskey
        return answer, [key for key in keys if gone or not key.status.startswith("DELETE")]

    def _call(
        self, method: str, params: dict[str, Any], *, also: int = _DONE
    ) -> tuple[Answer, Told]:
        with self._lock:
            if not self._in:
                self._log_in()
            answer, told = self._ask(method, params)
            if told.code in _NOT_LOGGED_IN:
                self._log_in()
                answer, told = self._ask(method, params)
        if told.code not in (_DONE, _PENDING, also):
            raise self._refused(answer, told)
        return answer, told

    def _log_in(self) -> None:
        self._in = False
        answer, told = self._ask("account.login", self._login)
        if told.code == _DONE and self._decoded(answer, told, LoggedIn).tfa != "0":
            if self._totp is None:
                raise self._client.error(
                    answer.place, "the account wants a second factor", "set totp"
                )
            answer, told = self._ask("account.unlock", {"tan": totp(self._totp, time.time())})
        if told.code != _DONE:
            raise self._refused(answer, told)
        self._in = True

    def _ask(self, method: str, params: dict[str, Any]) -> tuple[Answer, Told]:
        request = {"method": method, "params": params}
        answer = self._client.call("POST", "/jsonrpc/", body=request)
        return answer, self._client.read(answer, Told, strict=False)

    def _decoded(self, answer: Answer, told: Told, kind: type[T]) -> T:
        content = bytes(told.res_data)
        # PHP's empty table is a list.
        shown = Answer(
            answer.place, answer.status, answer.headers, b"{}" if content == b"[]" else content
        )
        return self._client.read(shown, kind, strict=False)

    def _refused(self, answer: Answer, told: Told) -> RegistrarError:
        said = f"{told.code} ({told.msg}{'; ' if told.reason else ''}{told.reason})"
        if told.code in _PASSING:
            return self._client.error(
                answer.place, f"fails with {said}", "it is tried again", passing=True
            )
        if told.code in (2200, 2201, 2202):
            return self._client.error(answer.place, f"refused: {said}", "see to the credentials")
        return self._client.error(answer.place, f"refused: {said}", "see what it says")


def totp(secret: bytes, now: float) -> str:
    """The six digits of RFC 6238 at a time in seconds since 1970."""
    digest = hmac.new(secret, int(now // 30).to_bytes(8, "big"), hashlib.sha1).digest()
    at = digest[-1] & 15
    number = int.from_bytes(digest[at : at + 4], "big") & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"
