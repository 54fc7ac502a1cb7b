"""The registrars that the Corefile names: opened once each, and a courier for each zone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import dns.name

from corefile.secrets import resolve
from registrars.registry import RegistrarConfig
from signer.clock import SystemClock
from signer.courier import Courier
from signer.state import StateDatabase
from zoneward.freshregistrar import FreshRegistrar

# Calls to registrars that run side by side: each waits for a network.
_CALLS = 8


class Couriers:
    """`close` after the zones' signers."""

    def __init__(self, database: StateDatabase, environ: Mapping[str, str] | None = None) -> None:
        self._database = database
        self._environ = os.environ if environ is None else environ
        self._registrars: dict[RegistrarConfig, FreshRegistrar] = {}
        self._pool = ThreadPoolExecutor(_CALLS, thread_name_prefix="registrar")

    def courier(
        self, origin: dns.name.Name, config: RegistrarConfig | None, directory: Path
    ) -> Courier | None:
        """None where the zone has no registrar. `directory` is the Corefile's."""
        if config is None:
            return None
        registrar = self._registrars.get(config)
        if registrar is None:
            secret = partial(resolve, directory=directory, environ=self._environ)
            registrar = self._registrars[config] = FreshRegistrar(config, directory, secret)
        return Courier(origin, registrar, self._database, SystemClock(), self._pool)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        for registrar in self._registrars.values():
            registrar.close()
