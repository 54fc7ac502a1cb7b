"""A driver at its provider's stand-in, as a world's registrar: what the stand-in has is what the
parent gets."""

from collections.abc import Callable, Iterable

import attrs
import dns.name

from registrars import formats
from registrars.protocol import Capabilities, Entry, Plan, Receipt, Registrar


@attrs.define
class Wired:
    """`stored` gives the DS (tag, algorithm, type, digest) and keys (flags, algorithm, base64)
    that the provider has now."""

    driver: Registrar
    zone: dns.name.Name
    stored: Callable[[], Iterable[tuple[object, ...]]]

    @property
    def name(self) -> str:
        return self.driver.name

    @property
    def capabilities(self) -> Capabilities:
        return self.driver.capabilities

    @property
    def has(self) -> list[Entry]:
        return [self._entry(fields) for fields in self.stored()]

    def list(self, zone: dns.name.Name) -> tuple[Entry, ...]:
        return self.driver.list(zone)

    def apply(self, plan: Plan) -> Receipt:
        return self.driver.apply(plan)

    def poll(self, zone: dns.name.Name, reference: str) -> Receipt:
        return self.driver.poll(zone, reference)

    def close(self) -> None:
        self.driver.close()

    def _entry(self, fields: tuple[object, ...]) -> Entry:
        match fields:
            case (int(tag), int(algorithm), int(kind), str(digest)):
                return formats.ds_entry(tag, algorithm, kind, digest)
            case (int(flags), int(algorithm), str(key)):
                return formats.dnskey_entry(self.zone, flags, algorithm, key)
        raise AssertionError(fields)
