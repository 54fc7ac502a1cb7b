"""A registrar as its secrets are now: one that is rotated in its file is used from the next
question on, and one that can't be had is looked for again each time."""

import threading
from collections.abc import Callable
from pathlib import Path

import dns.name

from corefile.arguments import SecretReference
from corefile.secrets import SecretError
from registrars import registry
from registrars.protocol import (
    Capabilities,
    Context,
    Entry,
    Plan,
    Receipt,
    Registrar,
    RegistrarError,
    Wants,
)
from registrars.registry import RegistrarConfig
from zoneward import logging

# Of one whose credentials can't be had: it is asked, and says so.
_UNKNOWN = Capabilities(Wants.EITHER, lists=True, automatic=True)

_log = logging.get("registrar")


class FreshRegistrar:
    """Follows `registrars.protocol.Registrar`; may be used by many threads."""

    def __init__(
        self, config: RegistrarConfig, directory: Path, resolve: Callable[[SecretReference], bytes]
    ) -> None:
        """`resolve` gives the octets behind a reference, and raises SecretError."""
        self.name = config.name
        self._config = config
        self._directory = directory
        self._resolve = resolve
        self._lock = threading.Lock()
        # Other threads may be in the middle of a call to one that has been replaced.
        self._retired: list[Registrar] = []
        self._current, self._used = self._open()
        if isinstance(self._current, RegistrarError):
            _log.error(f"registrar {self.name}: {self._current}")

    @property
    def capabilities(self) -> Capabilities:
        current = self._current
        return _UNKNOWN if isinstance(current, RegistrarError) else current.capabilities

    def list(self, zone: dns.name.Name) -> tuple[Entry, ...]:
        return self._now().list(zone)

    def apply(self, plan: Plan) -> Receipt:
        return self._now().apply(plan)

    def poll(self, zone: dns.name.Name, reference: str) -> Receipt:
        return self._now().poll(zone, reference)

    def close(self) -> None:
        with self._lock:
            for driver in (*self._retired, self._current):
                if not isinstance(driver, RegistrarError):
                    driver.close()

    def _now(self) -> Registrar:
        with self._lock:
            if isinstance(self._current, RegistrarError) or self._changed():
                self._renew()
            if isinstance(self._current, RegistrarError):
                raise self._current
            return self._current

    def _changed(self) -> bool:
        try:
            return any(self._resolve(one) != value for one, value in self._used.items())
        except SecretError:
            # In the middle of being replaced, or gone: what was read works as long as it does.
            return False

    def _renew(self) -> None:
        new, self._used = self._open()
        if isinstance(self._current, RegistrarError):
            self._current = new
        elif isinstance(new, RegistrarError):
            _log.error(f"registrar {self.name}: its new secrets are not taken: {new}")
        else:
            _log.info(f"registrar {self.name}: its secrets were replaced")
            self._retired.append(self._current)
            self._current = new

    def _open(self) -> tuple[Registrar | RegistrarError, dict[SecretReference, bytes]]:
        """The driver, or why there is none; and the secrets that were read for it."""
        used: dict[SecretReference, bytes] = {}

        def secret(reference: SecretReference) -> bytes:
            used[reference] = self._resolve(reference)
            return used[reference]

        try:
            return registry.open(self._config, Context(secret, self._directory)), used
        except RegistrarError as error:
            return error, used
