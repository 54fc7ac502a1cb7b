"""OVHcloud, by its API: the whole set of DNSKEY in, a task does it.

    registrar ovh {
        application-key file:PATH|env:NAME|credential:NAME
        application-secret file:PATH|env:NAME|credential:NAME
        consumer-key file:PATH|env:NAME|credential:NAME
        endpoint URL
    }

https://eu.api.ovh.com/console/?section=%2Fdomain
"""

import hashlib
import time

import dns.name
import msgspec

from corefile import Directive
from registrars import formats, options
from registrars.http import Client, quoted
from registrars.plan import done, replacement
from registrars.protocol import (
    Capabilities,
    Context,
    Deletes,
    Entry,
    Plan,
    Progress,
    Receipt,
    Wants,
)

OPTIONS = options.Options(
    endpoint="https://eu.api.ovh.com",
    secrets=("application-key", "application-secret", "consumer-key"),
)


class Key(msgspec.Struct, rename="camel"):
    algorithm: int
    flags: int
    public_key: str
    tag: int


class Listed(Key, rename="camel"):
    id: int
    status: str = ""


class Task(msgspec.Struct):
    """`status` is todo, doing, done, error or cancelled."""

    id: int
    status: str
    comment: str | None = None


def read(directive: Directive) -> options.Settings:
    return options.read(directive, OPTIONS)


def open(config: options.Settings, context: Context) -> "OVH":  # noqa: A001 - a driver's verb
    return OVH(config, context.timeout, options.resolved(config, context, "registrar ovh"))


class OVH:
    """All keys at once; what is listed while a task runs may be what was."""

    name = "ovh"
    capabilities = Capabilities(
        Wants.DNSKEY, deletes=Deletes.REPLACE, lists=True, polls=True, automatic=True
    )

    def __init__(self, config: options.Settings, timeout: float, secrets: dict[str, str]) -> None:
        self._client = Client("ovh", config.endpoint, timeout, secrets.values(), self._signed)
        self._secrets = secrets
        # Their clock less our monotonic one: ours of the day may be wrong, or be set.
        self._ahead: float | None = None

    def list(self, zone: dns.name.Name) -> tuple[Entry, ...]:
        self._set_clock()
        path = f"{_path(zone)}/dsRecord"
        ids = self._client.call("GET", path)
        found: tuple[Entry, ...] = ()
        for number in self._client.read(ids, list[int]):
            answer = self._client.call("GET", f"{path}/{number}", also=(404,))
            if answer.status == 404:
                continue
            key = self._client.read(answer, Listed)
            if key.status != "removed":
                found += self._client.entries(
                    answer,
                    (
                        formats.dnskey_entry(
                            zone, flags, key.algorithm, key.public_key, str(key.id)
                        )
                        for flags in (key.flags,)
                    ),
                )
        return found

    def apply(self, plan: Plan) -> Receipt:
        entries = replacement(plan, self.list(plan.zone))
        if entries is None:
            return done(plan)
        keys = [
            Key(entry.algorithm, entry.flags or 257, formats.base64_key(entry), entry.tag)
            for entry in entries
        ]
        answer = self._client.call("POST", f"{_path(plan.zone)}/dsRecord", body={"keys": keys})
        return _receipt(self._client.read(answer, Task))

    def poll(self, zone: dns.name.Name, reference: str) -> Receipt:
        self._set_clock()
        answer = self._client.call("GET", f"{_path(zone)}/task/{quoted(reference)}", also=(404,))
        if answer.status == 404:
            return Receipt(Progress.ACCEPTED, f"task {reference} is no longer known")
        return _receipt(self._client.read(answer, Task))

    def close(self) -> None:
        self._client.close()

    def _set_clock(self) -> None:
        if self._ahead is None:
            answer = self._client.call("GET", "/1.0/auth/time", signer=lambda *request: {})
            self._ahead = self._client.read(answer, int) - time.monotonic()

    def _signed(self, method: str, url: str, body: bytes) -> dict[str, str]:
        now = str(int(time.monotonic() + (self._ahead or 0.0)))
        secret, consumer = self._secrets["application-secret"], self._secrets["consumer-key"]
        text = "+".join((secret, consumer, method, url, body.decode(), now))
        # Theirs to choose; it is no hash of a password.
        signature = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        return {
            "x-ovh-application": self._secrets["application-key"],
            "x-ovh-consumer": consumer,
            "x-ovh-timestamp": now,
            "x-ovh-signature": f"$1${signature}",
        }


def _path(zone: dns.name.Name) -> str:
    return f"/1.0/domain/{quoted(formats.domain(zone))}"


def _receipt(task: Task) -> Receipt:
    progress = {"done": Progress.ACCEPTED, "error": Progress.REFUSED, "cancelled": Progress.REFUSED}
    comment = " ".join((task.comment or "").split())
    return Receipt(
        progress.get(task.status, Progress.PENDING),
        f"task {task.id} is {task.status}" + (f": {comment}" if comment else ""),
        str(task.id),
    )
