"""The registrars that the Corefile names: opened once each, and a courier for each zone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import dns.name

from corefile.secrets import resolve
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
from signer.clock import SystemClock
from signer.courier import Courier
from signer.state import StateDatabase
from zoneward import logging

# Calls to registrars that run side by side: each waits for a network.
_CALLS = 8

_log = logging.get("registrar")


class Couriers:
    """`close` after the zones' signers."""

    def __init__(self, database: StateDatabase, environ: Mapping[str, str] | None = None) -> None:
        self._database = database
        self._environ = os.environ if environ is None else environ
        self._registrars: dict[RegistrarConfig, Registrar] = {}
        self._pool = ThreadPoolExecutor(_CALLS, thread_name_prefix="registrar")

    def courier(
        self, origin: dns.name.Name, config: RegistrarConfig | None, directory: Path
    ) -> Courier | None:
        """None where the zone has no registrar. `directory` is the Corefile's."""
        if config is None:
            return None
        registrar = self._registrars.get(config)
        if registrar is None or isinstance(registrar, Unopened):
            registrar = self._registrars[config] = self._open(config, directory)
        return Courier(origin, registrar, self._database, SystemClock(), self._pool)

    def _open(self, config: RegistrarConfig, directory: Path) -> Registrar:
        secret = partial(resolve, directory=directory, environ=self._environ)
        try:
            return registry.open(config, Context(secret, directory))
        except RegistrarError as error:
            _log.error(f"registrar {config.name}: {error}")
            return Unopened(config.name, error)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        for registrar in self._registrars.values():
            registrar.close()


class Unopened:
    """In place of a registrar whose credentials can't be had: it says so each time. The next
    reload of the Corefile tries again."""

    capabilities = Capabilities(Wants.EITHER, lists=True, automatic=True)

    def __init__(self, name: str, error: RegistrarError) -> None:
        self.name = name
        self._error = error

    def list(self, zone: dns.name.Name) -> tuple[Entry, ...]:
        raise self._error

    def apply(self, plan: Plan) -> Receipt:
        raise self._error

    def poll(self, zone: dns.name.Name, reference: str) -> Receipt:
        raise self._error

    def close(self) -> None:
        """Nothing is open."""
