"""A parent zone at deSEC, by its API v1: the child's DS as an RRset.

    registrar desec {
        token file:PATH|env:NAME|credential:NAME
        zone PARENT
        endpoint URL
    }

https://desec.readthedocs.io/en/latest/dns/rrsets.html
"""

import dns.name
import msgspec

from corefile import Directive
from registrars import formats, options
from registrars.http import Client, bearer, quoted
from registrars.plan import done, never_pending, replacement
from registrars.protocol import Capabilities, Context, Deletes, Entry, Plan, Receipt, Wants

OPTIONS = options.Options(endpoint="https://desec.io", secrets=("token",), zone=True)
_TTL = 3600


class RRset(msgspec.Struct):
    """No records: no RRset."""

    subname: str
    type: str
    ttl: int
    records: list[str]


def read(directive: Directive) -> options.Settings:
    return options.read(directive, OPTIONS)


def open(config: options.Settings, context: Context) -> "DeSEC":  # noqa: A001 - a driver's verb
    token = options.resolved(config, context, "registrar desec")["token"]
    signer = bearer(token, "Token")
    return DeSEC(Client("desec", config.endpoint, context.timeout, (token,), signer), config)


class DeSEC:
    """The RRset as a whole."""

    name = "desec"
    capabilities = Capabilities(
        Wants.DS, frozenset({2, 4}), Deletes.REPLACE, lists=True, automatic=True
    )

    def __init__(self, client: Client, config: options.Settings) -> None:
        self._client = client
        self._config = config

    def list(self, zone: dns.name.Name) -> tuple[Entry, ...]:
        return self._rrset(zone)[0]

    def apply(self, plan: Plan) -> Receipt:
        have, ttl = self._rrset(plan.zone)
        entries = replacement(plan, have)
        if entries is not None:
            path, subname = self._place(plan.zone)
            records = [formats.ds_text(entry) for entry in entries]
            # In a list, RRsets are made, changed and, empty, taken away by one call.
            self._client.call("PUT", path, body=[RRset(subname, "DS", ttl, records)])
        return done(plan)

    def poll(self, zone: dns.name.Name, reference: str) -> Receipt:
        return never_pending(zone)

    def close(self) -> None:
        self._client.close()

    def _place(self, child: dns.name.Name) -> tuple[str, str]:
        parent = options.parent_of(self._config, child, "desec")
        subname = child.canonicalize().relativize(parent.canonicalize()).to_text()
        return f"/api/v1/domains/{quoted(formats.domain(parent))}/rrsets/", subname

    def _rrset(self, child: dns.name.Name) -> tuple[tuple[Entry, ...], int]:
        """With its TTL in seconds."""
        path, subname = self._place(child)
        answer = self._client.call("GET", path, query={"type": "DS", "subname": subname})
        found = [
            one
            for one in self._client.read(answer, list[RRset])
            if one.type == "DS" and one.subname == subname
        ]
        texts = [text for one in found for text in one.records]
        entries = self._client.entries(answer, (formats.ds_from_text(text) for text in texts))
        return entries, found[0].ttl if found else _TTL
