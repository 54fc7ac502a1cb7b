"""Registrars' drivers as tests open them, and keys to give them."""

from collections.abc import Mapping
from pathlib import Path

import dns.name

from corefile import Directive, parse
from corefile.secrets import resolve
from registrars import registry
from registrars.plan import difference, suited
from registrars.protocol import Context, Entry, Plan, Progress, Receipt, Registrar

ZONE = dns.name.from_text("example.org.")


def directive(text: str) -> Directive:
    """A *registrar* line with its body."""
    read = parse(
        "example.org {\n" + text + "\n}\n", path="Corefile", environ={}, read=lambda path: ""
    )
    return read.blocks[0].directives[0]


def context(secrets: Mapping[str, str], timeout: float = 20.0) -> Context:
    """Secrets as environment variables."""
    here = Path("/")
    return Context(lambda at: resolve(at, directory=here, environ=secrets), here, timeout)


def opened(text: str, secrets: Mapping[str, str], timeout: float = 20.0) -> Registrar:
    return registry.open(registry.read(directive(text)), context(secrets, timeout))


def key(number: int, zone: dns.name.Name = ZONE, digest: int = 2) -> Entry:
    """Of ECDSA P-256's size; each number another."""
    return Entry.of_dnskey(zone, bytes((1, 1, 3, 13)) + bytes([number]) * 63 + b"\1", digest)


def twins(zone: dns.name.Name = ZONE) -> tuple[Entry, Entry]:
    """Two keys with one tag: it is a sum (RFC 4034 appendix B)."""
    one, other = bytes((5, 6, 7, 8)), bytes((7, 8, 5, 6))
    first, second = (
        Entry.of_dnskey(zone, bytes((1, 1, 3, 13)) + part + bytes(60)) for part in (one, other)
    )
    assert first.tag == second.tag
    assert first.ds != second.ds
    return first, second


def planned(
    driver: Registrar, zone: dns.name.Name, wanted: tuple[Entry, ...], ours: tuple[Entry, ...]
) -> Plan:
    return difference(zone, driver.list(zone), suited(wanted, driver.capabilities), ours)


def bring_about(
    driver: Registrar, zone: dns.name.Name, wanted: tuple[Entry, ...], ours: tuple[Entry, ...]
) -> list[Receipt]:
    """As the service does: plan, apply, ask until it is over, plan anew, until nothing is left."""
    receipts: list[Receipt] = []
    for _ in range(8):
        plan = planned(driver, zone, wanted, ours)
        if not plan:
            return receipts
        receipts += ask(driver, zone, driver.apply(plan))
        assert receipts[-1].progress is Progress.ACCEPTED, receipts[-1]
    raise AssertionError(f"never done: {receipts}")


def ask(driver: Registrar, zone: dns.name.Name, receipt: Receipt) -> list[Receipt]:
    """Poll until the operation is over."""
    receipts = [receipt]
    for _ in range(20):
        if receipts[-1].progress is not Progress.PENDING:
            return receipts
        assert receipts[-1].reference
        receipts.append(driver.poll(zone, receipts[-1].reference))
    raise AssertionError(f"never over: {receipts}")
