"""The suite's EPP registry running, and drivers for it as a Corefile would open them."""

import base64
import time
from collections.abc import Callable
from pathlib import Path

import attrs
import dns.name
from eppcerts import Authority
from eppregistry import Row
from eppserver import EppServer

from corefile import Directive, parse
from corefile.secrets import resolve
from registrars import registry
from registrars.epp.connection import Connection, Endpoint
from registrars.epp.driver import Epp
from registrars.epp.session import Account, Session
from registrars.epp.settings import Settings
from registrars.protocol import Context, Entry, Registrar

ZONE = dns.name.from_text("example.org.")
OTHER = dns.name.from_text("other.example.")


def key(number: int, zone: dns.name.Name = ZONE, digest: int = 2) -> Entry:
    return Entry.of_dnskey(zone, bytes((1, 1, 3, 13)) + bytes([number]) * 64, digest)


def line(head: str, *options: str) -> Directive:
    """A `registrar …` line, read as the Corefile is."""
    body = "".join(f"        {one}\n" for one in options)
    text = f"example.org {{\n    {head} {{\n{body}    }}\n}}\n"
    read = parse(text, path="Corefile", environ={}, read=lambda path: "")
    return read.blocks[0].directives[0]


@attrs.define
class Scene:
    server: EppServer
    authority: Authority
    directory: Path
    opened: list[Registrar] = attrs.field(factory=list)

    def options(self, *more: str, wants: str = "ds") -> tuple[str, ...]:
        given = {one.split()[0] for one in more}
        usual = (
            "login ClientX file:password",
            f"wants {wants}",
            "certificate client.pem client.key",
            "ca registry-ca.pem",
        )
        return (*(one for one in usual if one.split()[0] not in given), *more)

    def open(
        self, *more: str, wants: str = "ds", timeout: float = 20.0, host: str = "127.0.0.1"
    ) -> Registrar:
        head = f"registrar epp {host}:{self.server.port}"
        config = registry.read(line(head, *self.options(*more, wants=wants)))
        context = Context(
            lambda at: resolve(at, directory=self.directory, environ={}), self.directory, timeout
        )
        self.opened.append(registry.open(config, context))
        return self.opened[-1]

    def timed(self, clock: Callable[[], float]) -> Registrar:
        """One that counts its idle time by another clock."""
        head = f"registrar epp 127.0.0.1:{self.server.port}"
        config = registry.read(line(head, *self.options())).settings
        assert isinstance(config, Settings)
        endpoint = Endpoint(
            config.place,
            config.host,
            config.port,
            20.0,
            (self.directory / "client.pem", self.directory / "client.key"),
            self.authority.certificate,
        )
        account = Account(config.identity, self.server.password, config.objects, config.extensions)
        session = Session(endpoint, account, lambda at: Connection(at, time.monotonic), clock)
        self.opened.append(Epp(config, session))
        return self.opened[-1]

    def rows(self, zone: dns.name.Name = ZONE) -> list[Row]:
        return self.server.registry.domains[zone.to_text(omit_final_dot=True)].rows

    def put(self, *entries: Entry, zone: dns.name.Name = ZONE) -> None:
        """What the registry has before a scenario."""
        self.rows(zone).extend(row(one, self.server.registry.form) for one in entries)


def row(entry: Entry, form: str = "dsData") -> Row:
    """As the registry keeps it."""
    if form == "dsData":
        head = (entry.tag, entry.algorithm, entry.digest_type, entry.digest.hex().upper())
        return tuple(str(one) for one in head)
    assert entry.dnskey is not None
    flags = int.from_bytes(entry.dnskey[:2], "big")
    text = base64.b64encode(entry.dnskey[4:]).decode()
    return (str(flags), str(entry.dnskey[2]), str(entry.dnskey[3]), text)
