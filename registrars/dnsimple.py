"""DNSimple, by its API v2: DS or DNSKEY in, as the top-level domain wants it.

    registrar dnsimple {
        account NUMBER
        token file:PATH|env:NAME|credential:NAME
        data ds|key
        endpoint URL
    }

https://developer.dnsimple.com/v2/domains/dnssec/
"""

import dns.name
import msgspec

from corefile import Directive
from registrars import formats, options
from registrars.http import Client, bearer, quoted
from registrars.plan import never_pending, one_by_one
from registrars.protocol import Capabilities, Context, Deletes, Entry, Plan, Receipt, Wants

OPTIONS = options.Options(
    endpoint="https://api.dnsimple.com",
    secrets=("token",),
    words=("account",),
    choices=(("data", ("ds", "key")),),
)
_PAGES = 50


class Record(msgspec.Struct):
    """A delegation signer record; its numbers come as strings, and the half of the data that
    the top-level domain has no use for as null."""

    id: int
    algorithm: int
    digest: str | None = None
    digest_type: int | None = None
    keytag: int | None = None
    public_key: str | None = None


class Pages(msgspec.Struct):
    total_pages: int = 1


class Page(msgspec.Struct):
    data: list[Record]
    pagination: Pages = msgspec.field(default_factory=Pages)


def read(directive: Directive) -> options.Settings:
    return options.read(directive, OPTIONS)


def open(config: options.Settings, context: Context) -> "DNSimple":  # noqa: A001 - a driver's verb
    token = options.resolved(config, context, "registrar dnsimple")["token"]
    client = Client("dnsimple", config.endpoint, context.timeout, (token,), bearer(token))
    return DNSimple(client, config.word("account"), keys=config.word("data") == "key")


class DNSimple:
    """Each record by its id."""

    name = "dnsimple"

    def __init__(self, client: Client, account: str, *, keys: bool) -> None:
        self.capabilities = Capabilities(
            Wants.DNSKEY if keys else Wants.DS,
            frozenset({2} if keys else {2, 4}),
            Deletes.ID,
            lists=True,
            automatic=True,
        )
        self._client = client
        self._account = account
        self._keys = keys

    def list(self, zone: dns.name.Name) -> tuple[Entry, ...]:
        found: tuple[Entry, ...] = ()
        for page in range(1, _PAGES + 1):
            answer = self._client.call("GET", self._path(zone), query={"page": str(page)})
            told = self._client.read(answer, Page, strict=False)
            found += self._client.entries(answer, (_entry(zone, one) for one in told.data))
            if page >= told.pagination.total_pages:
                break
        return found

    def apply(self, plan: Plan) -> Receipt:
        path = self._path(plan.zone)

        def add(entry: Entry) -> None:
            fields = {"algorithm": str(entry.algorithm)}
            if self._keys:
                fields["public_key"] = formats.base64_key(entry)
            else:
                fields["digest"] = formats.hex_digest(entry)
                fields["digest_type"] = str(entry.digest_type)
                fields["keytag"] = str(entry.tag)
            self._client.call("POST", path, body=fields)

        def remove(entry: Entry) -> None:
            self._client.remove(path, entry.id)

        return one_by_one(plan, self.list(plan.zone), add, remove)

    def poll(self, zone: dns.name.Name, reference: str) -> Receipt:
        return never_pending(zone)

    def close(self) -> None:
        self._client.close()

    def _path(self, zone: dns.name.Name) -> str:
        name = quoted(formats.domain(zone))
        return f"/v2/{quoted(self._account)}/domains/{name}/ds_records"


def _entry(zone: dns.name.Name, record: Record) -> Entry:
    if record.public_key:
        return formats.dnskey_entry(zone, 257, record.algorithm, record.public_key, str(record.id))
    if record.keytag is None or record.digest_type is None or record.digest is None:
        raise ValueError(f"record {record.id} has neither a key nor a digest")
    return formats.ds_entry(
        record.keytag, record.algorithm, record.digest_type, record.digest, str(record.id)
    )
