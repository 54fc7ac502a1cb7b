"""Porkbun, by its JSON API v3: DS in, named by its key tag.

    registrar porkbun {
        key file:PATH|env:NAME|credential:NAME
        secret file:PATH|env:NAME|credential:NAME
        endpoint URL
    }

https://porkbun.com/api/json/v3/documentation
"""

import dns.name
import msgspec

from corefile import Directive
from registrars import formats, options
from registrars.http import Answer, Client, quoted
from registrars.plan import left_to_add, left_to_remove, never_pending, one_by_one, same
from registrars.protocol import Capabilities, Context, Deletes, Entry, Plan, Receipt, Wants

OPTIONS = options.Options(endpoint="https://api.porkbun.com/api/json/v3", secrets=("key", "secret"))


class Record(msgspec.Struct, rename="camel"):
    """A DS; its numbers come as strings."""

    key_tag: int
    alg: int
    digest_type: int
    digest: str


class Told(msgspec.Struct):
    status: str
    # An empty table comes as a list.
    records: dict[str, Record] | list[Record] = []


def read(directive: Directive) -> options.Settings:
    return options.read(directive, OPTIONS)


def open(config: options.Settings, context: Context) -> "Porkbun":  # noqa: A001 - a driver's verb
    secrets = options.resolved(config, context, "registrar porkbun")
    client = Client(
        "porkbun", config.endpoint, context.timeout, secrets.values(), lambda *request: {}
    )
    return Porkbun(client, secrets["key"], secrets["secret"])


class Porkbun:
    """Of two DS with one tag it can tell neither: it lists one and deletes both."""

    name = "porkbun"
    capabilities = Capabilities(Wants.DS, deletes=Deletes.TAG, lists=True, automatic=True)

    def __init__(self, client: Client, key: str, secret: str) -> None:
        self._client = client
        self._credentials = {"apikey": key, "secretapikey": secret}

    def list(self, zone: dns.name.Name) -> tuple[Entry, ...]:
        answer, told = self._ask(f"/dns/getDnssecRecords/{_domain(zone)}")
        records = told.records
        return self._client.entries(
            answer,
            (
                formats.ds_entry(
                    one.key_tag, one.alg, one.digest_type, one.digest, str(one.key_tag)
                )
                for one in (records.values() if isinstance(records, dict) else records)
            ),
        )

    def apply(self, plan: Plan) -> Receipt:
        have = self.list(plan.zone)
        self._no_twins(plan, have)

        def add(entry: Entry) -> None:
            self._ask(
                f"/dns/createDnssecRecord/{_domain(plan.zone)}",
                keyTag=str(entry.tag),
                alg=str(entry.algorithm),
                digestType=str(entry.digest_type),
                digest=formats.hex_digest(entry),
            )

        def remove(entry: Entry) -> None:
            self._ask(f"/dns/deleteDnssecRecord/{_domain(plan.zone)}/{entry.tag}")

        return one_by_one(plan, have, add, remove)

    def poll(self, zone: dns.name.Name, reference: str) -> Receipt:
        return never_pending(zone)

    def close(self) -> None:
        self._client.close()

    def _no_twins(self, plan: Plan, have: tuple[Entry, ...]) -> None:
        """Refuse what would add a twin, or delete one that stays (.ru, 2024)."""
        going = left_to_remove(plan, have)
        stay = [one for one in (*have, *plan.after) if not any(same(one, other) for other in going)]
        new = left_to_add(plan, have)
        tags = {one.tag for one in going} & {one.tag for one in stay}
        tags |= {one.tag for one in new} & {one.tag for one in have}
        if tags or len({one.tag for one in new}) < len(new):
            raise self._client.error(
                f"porkbun {plan.zone}",
                "two DS have one key tag, and Porkbun names them by nothing else",
                "change them by hand, or roll to a key with another tag",
            )

    def _ask(self, path: str, **fields: str) -> tuple[Answer, Told]:
        answer = self._client.call("POST", path, body={**self._credentials, **fields})
        told = self._client.read(answer, Told, strict=False)
        if told.status != "SUCCESS":
            raise self._client.refused(answer)
        return answer, told


def _domain(zone: dns.name.Name) -> str:
    return quoted(formats.domain(zone))
