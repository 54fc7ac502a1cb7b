"""A parent zone in a PowerDNS Authoritative Server, by its HTTP API: the child's DS as an RRset.

    registrar powerdns {
        endpoint URL
        key file:PATH|env:NAME|credential:NAME
        server ID
        zone PARENT
        ttl DURATION
    }

The API speaks no TLS by itself, so *endpoint* may be http to another machine; then the network
between has to be trusted with the key. https://doc.powerdns.com/authoritative/http-api/zone.html
"""

import dns.name
import msgspec

from corefile import Directive
from registrars import formats, options
from registrars.http import Client, quoted
from registrars.plan import done, never_pending, replacement
from registrars.protocol import Capabilities, Context, Deletes, Entry, Plan, Receipt, Wants

OPTIONS = options.Options(
    secrets=("key",), optional_words=("server",), zone=True, ttl=True, plain=True
)
_TTL = 3600


class Record(msgspec.Struct):
    content: str
    disabled: bool = False


class RRset(msgspec.Struct):
    name: str
    type: str
    ttl: int
    records: list[Record]


class Change(RRset):
    changetype: str = "REPLACE"


class Zone(msgspec.Struct):
    rrsets: list[RRset]


def read(directive: Directive) -> options.Settings:
    return options.read(directive, OPTIONS)


def open(config: options.Settings, context: Context) -> "PowerDNS":  # noqa: A001 - a driver's verb
    key = options.resolved(config, context, "registrar powerdns")["key"]
    client = Client(
        "powerdns", config.endpoint, context.timeout, (key,), lambda *request: {"x-api-key": key}
    )
    return PowerDNS(client, config)


class PowerDNS:
    """The RRset as a whole."""

    name = "powerdns"
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
            records = [Record(formats.ds_text(entry)) for entry in entries]
            change = Change(
                _owner(plan.zone),
                "DS",
                self._config.ttl or ttl,
                records,
                "REPLACE" if records else "DELETE",
            )
            self._client.call("PATCH", self._path(plan.zone), body={"rrsets": [change]})
        return done(plan)

    def poll(self, zone: dns.name.Name, reference: str) -> Receipt:
        return never_pending(zone)

    def close(self) -> None:
        self._client.close()

    def _path(self, child: dns.name.Name) -> str:
        parent = options.parent_of(self._config, child, "powerdns")
        # Their own escape, which a path through any proxy keeps.
        zone = quoted(_owner(parent).replace("/", "=2F"))
        server = quoted(self._config.word("server") or "localhost")
        return f"/api/v1/servers/{server}/zones/{zone}"

    def _rrset(self, child: dns.name.Name) -> tuple[tuple[Entry, ...], int]:
        """With its TTL in seconds."""
        owner = _owner(child)
        query = {"rrset_name": owner, "rrset_type": "DS"}
        answer = self._client.call("GET", self._path(child), query=query)
        # Servers before 4.7 don't heed the filter.
        found = [
            one
            for one in self._client.read(answer, Zone).rrsets
            if one.type == "DS" and one.name.lower() == owner
        ]
        texts = [one.content for rrset in found for one in rrset.records if not one.disabled]
        entries = self._client.entries(answer, (formats.ds_from_text(text) for text in texts))
        return entries, found[0].ttl if found else _TTL


def _owner(name: dns.name.Name) -> str:
    return name.canonicalize().to_text()
