"""A signer for each zone name, with what all of them share: keystores, registrars, what was
asked of servers and of parents."""

from __future__ import annotations

import os
from concurrent.futures import Executor

import dns.name

from corefile.names import directory_name
from keystore import KeyStore, KeystoreConfig, open_configured
from keystore.files import FileKeyStore
from signer.chain import AnswerCache
from signer.clock import SystemClock
from signer.config import MultiSigner, Observe, ObserveConfig, SignConfig
from signer.dsync import Finder, Herald
from signer.livedtime import LivedTime
from signer.neighbour import Neighbours
from signer.observer import DnsServersView
from signer.parent import DnsParentView
from signer.service import ZoneSigner
from signer.state import StateDatabase
from zoneward.configuration import ManagerPlan
from zoneward.couriers import Couriers
from zoneward.state import StateDirectory


class Signers:
    """`close` when none of them runs any more, nor a thread of the executor."""

    def __init__(self, state: StateDirectory, database: StateDatabase, executor: Executor) -> None:
        self._state = state
        self._database = database
        self._executor = executor
        self._lived = LivedTime(database, SystemClock())
        self._keystores: dict[KeystoreConfig, FileKeyStore] = {}
        self._couriers = Couriers(database)
        self._answers = AnswerCache()
        self._neighbours = Neighbours()

    def make(
        self,
        origin: dns.name.Name,
        sign: SignConfig,
        plan: ManagerPlan,
        own: tuple[tuple[str, int], ...],
    ) -> ZoneSigner:
        """`own` is where this machine's server answers for the zone."""
        memory = self._state.memory(directory_name(str(origin)))
        memory.parent.mkdir(mode=0o700, exist_ok=True)
        return ZoneSigner(
            origin,
            sign,
            self.keystore(sign, plan),
            self._database,
            SystemClock(),
            DnsParentView(sign.parent, cache=self._answers),
            self._executor,
            memory=memory,
            servers=DnsServersView(sign.observe, own=own, neighbours=self._neighbours),
            courier=self._couriers.courier(origin, sign.registrar, plan.directory),
            herald=_herald(origin, sign),
            lived=self._lived,
            everybody=None if sign.multi_signer is None else _everybody(sign.multi_signer),
        )

    def keystore(self, sign: SignConfig, plan: ManagerPlan) -> KeyStore:
        """The store of a zone's keys: its own, or the global one. One object a store."""
        config = sign.keystore or plan.keystore
        if config not in self._keystores:
            self._keystores[config] = open_configured(
                config, self._state.manager, plan.directory, os.environ
            )
        return self._keystores[config]

    def close(self) -> None:
        self._neighbours.close()
        self._couriers.close()
        for store in self._keystores.values():
            store.close()


def _everybody(signers: MultiSigner) -> DnsServersView:
    """Asks all that answer for a zone of several signers."""
    if signers.servers:
        return DnsServersView(ObserveConfig(Observe.ADDRESSES, signers.servers))
    return DnsServersView(ObserveConfig(Observe.ALL))


def _herald(origin: dns.name.Name, sign: SignConfig) -> Herald | None:
    """Where CDS are what carries the DS to the parent."""
    if sign.registrar is not None or sign.parent.island or not sign.policy.cds:
        return None
    return Herald(origin, Finder(sign.parent), SystemClock())
