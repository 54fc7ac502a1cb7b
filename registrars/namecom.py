"""Name.com, by its Core API, or the v4 that came before: DS in, named by its digest.

    registrar namecom {
        user NAME
        token file:PATH|env:NAME|credential:NAME
        api core|v4
        endpoint URL
    }

https://docs.name.com, https://www.name.com/api-docs/DNSSECs
"""

import base64

import dns.name
import msgspec

from corefile import Directive
from registrars import formats, options
from registrars.http import Client, quoted
from registrars.plan import never_pending, one_by_one
from registrars.protocol import Capabilities, Context, Deletes, Entry, Plan, Receipt, Wants

OPTIONS = options.Options(
    endpoint="https://api.name.com",
    secrets=("token",),
    words=("user",),
    choices=(("api", ("core", "v4")),),
)
_ROOTS = {"core": "/core/v1", "v4": "/v4"}
_PAGES = 50


class Record(msgspec.Struct, rename="camel"):
    key_tag: int
    algorithm: int
    digest_type: int
    digest: str


class Named(Record, rename="camel"):
    """As v4 wants it told."""

    domain_name: str


class Page(msgspec.Struct, rename="camel"):
    dnssec: list[Record] = []
    next_page: int = 0


def read(directive: Directive) -> options.Settings:
    return options.read(directive, OPTIONS)


def open(config: options.Settings, context: Context) -> "NameCom":  # noqa: A001 - a driver's verb
    token = options.resolved(config, context, "registrar namecom")["token"]
    basic = base64.b64encode(f"{config.word('user')}:{token}".encode()).decode()
    header = {"authorization": f"Basic {basic}"}
    client = Client(
        "namecom", config.endpoint, context.timeout, (token, basic), lambda *request: header
    )
    return NameCom(client, config.word("api"))


class NameCom:
    """Each DS by its digest."""

    name = "namecom"
    capabilities = Capabilities(
        Wants.DS, frozenset({2, 4}), Deletes.DIGEST, lists=True, automatic=True
    )

    def __init__(self, client: Client, api: str) -> None:
        self._client = client
        self._api = api

    def list(self, zone: dns.name.Name) -> tuple[Entry, ...]:
        found: tuple[Entry, ...] = ()
        page = 1
        for _ in range(_PAGES):
            answer = self._client.call("GET", self._path(zone), query={"page": str(page)})
            told = self._client.read(answer, Page)
            found += self._client.entries(
                answer,
                (
                    formats.ds_entry(
                        one.key_tag, one.algorithm, one.digest_type, one.digest, one.digest
                    )
                    for one in told.dnssec
                ),
            )
            page = told.next_page
            if not page:
                break
        return found

    def apply(self, plan: Plan) -> Receipt:
        path = self._path(plan.zone)

        def add(entry: Entry) -> None:
            fields = (entry.tag, entry.algorithm, entry.digest_type, formats.hex_digest(entry))
            v4 = self._api == "v4"
            record = Named(*fields, formats.domain(plan.zone)) if v4 else Record(*fields)
            self._client.call("POST", path, body=record)

        def remove(entry: Entry) -> None:
            self._client.remove(path, entry.id)

        return one_by_one(plan, self.list(plan.zone), add, remove)

    def poll(self, zone: dns.name.Name, reference: str) -> Receipt:
        return never_pending(zone)

    def close(self) -> None:
        self._client.close()

    def _path(self, zone: dns.name.Name) -> str:
        return f"{_ROOTS[self._api]}/domains/{quoted(formats.domain(zone))}/dnssec"
