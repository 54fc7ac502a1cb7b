"""A parent zone at Cloudflare, by its API v4: the child's DS as DNS records.

    registrar cloudflare {
        token file:PATH|env:NAME|credential:NAME
        zone PARENT
        endpoint URL
    }

https://developers.cloudflare.com/api/resources/dns/subresources/records/
"""

from typing import Generic, TypeVar

import dns.name
import msgspec

from corefile import Directive
from registrars import formats, options
from registrars.http import Answer, Client, bearer, quoted
from registrars.plan import never_pending, one_by_one
from registrars.protocol import Capabilities, Context, Deletes, Entry, Plan, Receipt, Wants

T = TypeVar("T")
OPTIONS = options.Options(endpoint="https://api.cloudflare.com", secrets=("token",), zone=True)
_TTL = 3600
_MOST = "100"


class Told(msgspec.Struct, Generic[T]):
    success: bool
    result: T


class Zone(msgspec.Struct):
    id: str
    name: str


class Data(msgspec.Struct):
    key_tag: int
    algorithm: int
    digest_type: int
    digest: str


class Record(msgspec.Struct):
    id: str
    name: str
    type: str
    data: Data


class New(msgspec.Struct):
    name: str
    data: Data
    type: str = "DS"
    ttl: int = _TTL


def read(directive: Directive) -> options.Settings:
    return options.read(directive, OPTIONS)


def open(config: options.Settings, context: Context) -> "Cloudflare":  # noqa: A001 - a driver's verb
    token = options.resolved(config, context, "registrar cloudflare")["token"]
    client = Client("cloudflare", config.endpoint, context.timeout, (token,), bearer(token))
    return Cloudflare(client, config)


class Cloudflare:
    """Each record by its id."""

    name = "cloudflare"
    capabilities = Capabilities(Wants.DS, frozenset({2, 4}), Deletes.ID, lists=True, automatic=True)

    def __init__(self, client: Client, config: options.Settings) -> None:
        self._client = client
        self._config = config

    def list(self, zone: dns.name.Name) -> tuple[Entry, ...]:
        return self._records(zone, self._path(zone))

    def apply(self, plan: Plan) -> Receipt:
        path = self._path(plan.zone)

        def add(entry: Entry) -> None:
            data = Data(entry.tag, entry.algorithm, entry.digest_type, formats.hex_digest(entry))
            record = New(formats.domain(plan.zone), data)
            self._read(self._client.call("POST", path, body=record), Told[Record])

        def remove(entry: Entry) -> None:
            self._client.remove(path, entry.id)

        return one_by_one(plan, self._records(plan.zone, path), add, remove)

    def poll(self, zone: dns.name.Name, reference: str) -> Receipt:
        return never_pending(zone)

    def close(self) -> None:
        self._client.close()

    def _path(self, child: dns.name.Name) -> str:
        parent = formats.domain(options.parent_of(self._config, child, "cloudflare"))
        answer = self._client.call("GET", "/client/v4/zones", query={"name": parent})
        ids = [one.id for one in self._read(answer, Told[list[Zone]]) if one.name == parent]
        if len(ids) != 1:
            raise self._client.error(
                answer.place,
                f"the token sees {len(ids)} zones named {parent}",
                "see to its rights (Zone: Read, DNS: Edit), or set zone",
            )
        return f"/client/v4/zones/{quoted(ids[0])}/dns_records"

    def _records(self, child: dns.name.Name, path: str) -> tuple[Entry, ...]:
        name = formats.domain(child)
        query = {"type": "DS", "name": name, "per_page": _MOST}
        answer = self._client.call("GET", path, query=query)
        # A filter that is not heeded must not have us take away another name's DS.
        return self._client.entries(
            answer,
            (
                formats.ds_entry(
                    one.data.key_tag,
                    one.data.algorithm,
                    one.data.digest_type,
                    one.data.digest,
                    one.id,
                )
                for one in self._read(answer, Told[list[Record]])
                if one.name.lower() == name and one.type == "DS"
            ),
        )

    def _read(self, answer: Answer, kind: type[Told[T]]) -> T:
        told = self._client.read(answer, kind)
        if not told.success:
            raise self._client.refused(answer)
        return told.result
