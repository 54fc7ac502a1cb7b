"""GoDaddy, by its domains API v2: DS in, an action does it.

    registrar godaddy {
        customer ID
        key file:PATH|env:NAME|credential:NAME
        secret file:PATH|env:NAME|credential:NAME
        endpoint URL
    }

https://developer.godaddy.com/doc/endpoint/domains
"""

import dns.name
import msgspec

from corefile import Directive
from registrars import formats, options
from registrars.http import Client, quoted
from registrars.plan import done, left_to_add, left_to_remove
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
    endpoint="https://api.godaddy.com", secrets=("key", "secret"), words=("customer",)
)
_ALGORITHMS = {
    5: "RSASHA1",
    7: "RSASHA1_NSEC3_SHA1",
    8: "RSASHA256",
    10: "RSASHA512",
    13: "ECDSAP256SHA256",
    14: "ECDSAP384SHA384",
    15: "ED25519",
    16: "ED448",
}
_DIGESTS = {1: "SHA1", 2: "SHA256", 4: "SHA384"}
_ADD, _REMOVE = "DNSSEC_CREATE", "DNSSEC_DELETE"
_OVER = {"SUCCESS": Progress.ACCEPTED, "FAILED": Progress.REFUSED, "CANCELLED": Progress.REFUSED}


class Record(msgspec.Struct, rename="camel"):
    """A DS; algorithm and digest type by name."""

    algorithm: str
    key_tag: int
    digest_type: str
    digest: str


class Domain(msgspec.Struct, rename="camel"):
    dnssec_records: list[Record] | None = None


class Reason(msgspec.Struct):
    code: str = ""
    message: str = ""


class Action(msgspec.Struct):
    """`status` is ACCEPTED, AWAITING, PENDING, SUCCESS, FAILED or CANCELLED."""

    status: str
    reason: Reason | None = None


def read(directive: Directive) -> options.Settings:
    return options.read(directive, OPTIONS)


def open(config: options.Settings, context: Context) -> "GoDaddy":  # noqa: A001 - a driver's verb
    secrets = options.resolved(config, context, "registrar godaddy")
    header = {"authorization": f"sso-key {secrets['key']}:{secrets['secret']}"}
    client = Client(
        "godaddy", config.endpoint, context.timeout, secrets.values(), lambda *request: header
    )
    return GoDaddy(client, config.word("customer"))


class GoDaddy:
    """Each DS by its value. One action at a time: what is to go waits for what is new."""

    name = "godaddy"
    capabilities = Capabilities(
        Wants.DS, frozenset({2, 4}), Deletes.VALUE, lists=True, polls=True, automatic=True
    )

    def __init__(self, client: Client, customer: str) -> None:
        self._client = client
        self._customer = customer

    def list(self, zone: dns.name.Name) -> tuple[Entry, ...]:
        query = {"includes": "dnssecRecords"}
        answer = self._client.call("GET", self._path(zone), query=query)
        records = self._client.read(answer, Domain).dnssec_records or ()
        return self._client.entries(
            answer,
            (
                formats.ds_entry(
                    one.key_tag,
                    _number(_ALGORITHMS, one.algorithm),
                    _number(_DIGESTS, one.digest_type),
                    one.digest,
                )
                for one in records
            ),
        )

    def apply(self, plan: Plan) -> Receipt:
        have = self.list(plan.zone)
        path = f"{self._path(plan.zone)}/dnssecRecords"
        steps = (
            ("PATCH", left_to_add(plan, have), _ADD),
            ("DELETE", left_to_remove(plan, have), _REMOVE),
        )
        if any(entries for _, entries, _ in steps):
            for _, _, action in steps:
                receipt = self.poll(plan.zone, action)
                if receipt.progress is Progress.PENDING:
                    # Begun by an apply of which nobody knows; a second action would be refused.
                    return receipt
        for method, entries, action in steps:
            if entries:
                self._client.call(method, path, body=[self._record(plan, one) for one in entries])
                return Receipt(Progress.PENDING, f"{plan.zone} has {action} under way", action)
        return done(plan)

    def poll(self, zone: dns.name.Name, reference: str) -> Receipt:
        path = f"{self._path(zone)}/actions/{quoted(reference)}"
        answer = self._client.call("GET", path, also=(404,))
        if answer.status == 404:
            return Receipt(Progress.ACCEPTED, f"{reference} is no longer known")
        action = self._client.read(answer, Action)
        reason = action.reason or Reason()
        text = " ".join(f"{reference} is {action.status} {reason.code} {reason.message}".split())
        return Receipt(
            _OVER.get(action.status, Progress.PENDING), self._client.scrubbed(text), reference
        )

    def close(self) -> None:
        self._client.close()

    def _path(self, zone: dns.name.Name) -> str:
        name = quoted(formats.domain(zone))
        return f"/v2/customers/{quoted(self._customer)}/domains/{name}"

    def _record(self, plan: Plan, entry: Entry) -> Record:
        algorithm, digest = _ALGORITHMS.get(entry.algorithm), _DIGESTS.get(entry.digest_type)
        if algorithm is None or digest is None:
            raise self._client.error(
                f"godaddy {plan.zone}",
                f"has no name for algorithm {entry.algorithm} or digest type {entry.digest_type}",
                "roll to another algorithm",
            )
        return Record(algorithm, entry.tag, digest, formats.hex_digest(entry))


def _number(names: dict[int, str], name: str) -> int:
    for number, known in names.items():
        if known == name:
            return number
    raise ValueError(f"unknown {name}")
