"""Gandi, by its API v5: DNSKEY in, the registry makes the DS.

    registrar gandi {
        token file:PATH|env:NAME|credential:NAME
        scheme Bearer|Apikey
        endpoint URL
    }

https://api.gandi.net/docs/domains/
"""

import dns.name
import msgspec

from corefile import Directive
from registrars import formats, options
from registrars.http import Client, bearer, quoted
from registrars.plan import never_pending, one_by_one
from registrars.protocol import Capabilities, Context, Deletes, Entry, Plan, Receipt, Wants

OPTIONS = options.Options(
    endpoint="https://api.gandi.net",
    secrets=("token",),
    # Personal access tokens, and the API keys that came before them.
    choices=(("scheme", ("Bearer", "Apikey")),),
)
_SEP = 0x0001


class Key(msgspec.Struct):
    """One of a domain's keys."""

    id: int | str
    algorithm: int
    type: str
    public_key: str


class New(msgspec.Struct):
    algorithm: int
    type: str
    public_key: str


def read(directive: Directive) -> options.Settings:
    return options.read(directive, OPTIONS)


def open(config: options.Settings, context: Context) -> "Gandi":  # noqa: A001 - a driver's verb
    token = options.resolved(config, context, "registrar gandi")["token"]
    signer = bearer(token, config.word("scheme"))
    return Gandi(Client("gandi", config.endpoint, context.timeout, (token,), signer))


class Gandi:
    """Each key by its id."""

    name = "gandi"
    capabilities = Capabilities(Wants.DNSKEY, deletes=Deletes.ID, lists=True, automatic=True)

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self, zone: dns.name.Name) -> tuple[Entry, ...]:
        answer = self._client.call("GET", _path(zone))
        return self._client.entries(
            answer,
            (
                formats.dnskey_entry(
                    zone,
                    257 if key.type == "ksk" else 256,
                    key.algorithm,
                    key.public_key,
                    str(key.id),
                )
                for key in self._client.read(answer, list[Key])
            ),
        )

    def apply(self, plan: Plan) -> Receipt:
        path = _path(plan.zone)

        def add(entry: Entry) -> None:
            kind = "ksk" if (entry.flags or 0) & _SEP else "zsk"
            key = New(entry.algorithm, kind, formats.base64_key(entry))
            self._client.call("POST", path, body=key)

        def remove(entry: Entry) -> None:
            self._client.remove(path, entry.id)

        return one_by_one(plan, self.list(plan.zone), add, remove)

    def poll(self, zone: dns.name.Name, reference: str) -> Receipt:
        return never_pending(zone)

    def close(self) -> None:
        self._client.close()


def _path(zone: dns.name.Name) -> str:
    return f"/v5/domain/domains/{quoted(formats.domain(zone))}/dnskeys"
