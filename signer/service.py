"""One zone's signer: the shell round the pure parts (SKELETON: signatures are settled)."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from datetime import datetime
from pathlib import Path

import dns.name

import engine
from keystore.protocol import KeyStore, StoredKey
from signer.clock import Clock
from signer.config import SignConfig
from signer.hold import Hold
from signer.outcome import Outcome
from signer.parent import ParentView
from signer.state import StateDatabase
from signer.status import KeyStatus, ZoneStatus


class ZoneSigner:
    """Signs one zone name; its variants (blocks, views) share the key set. One task at a
    time may be in `start`, `sign`, `tick` or `accept`: an inner lock sees to it."""

    def __init__(
        self,
        origin: dns.name.Name,
        config: SignConfig,
        keystore: KeyStore,
        database: StateDatabase,
        clock: Clock,
        parent: ParentView,
        executor: Executor,
        *,
        memory: Path | None = None,
    ) -> None:
        """`memory` is the file of verified signatures; None keeps them in memory only."""
        raise NotImplementedError

    @property
    def held(self) -> Hold | None:
        raise NotImplementedError

    async def start(self, served: Mapping[str, engine.Zone]) -> None:
        """Compare our keys with the DNSKEY served (variant -> version) and the parent's DS;
        generate first keys where that is safe, else hold. May be called again (a hold whose
        cause went away is lifted). Raises KeystoreError, StateError."""
        raise NotImplementedError

    async def sign(
        self,
        variant: str,
        base: engine.Zone | None,
        changes: engine.Diff,
        scope: str = "changes",
        *,
        source_serial: int,
    ) -> Outcome:
        """`base` is the variant's signed version on disk. Scopes as in engine.sign."""
        raise NotImplementedError

    async def tick(self) -> bool:
        """Look at the parent where a step waits for it, advance the key states. True when
        the apex key sets (DNSKEY, CDS, CDNSKEY) or signers changed: sign all variants with
        scope "all"."""
        raise NotImplementedError

    async def observed(self, variant: str, serial: int) -> None:
        """Our server was seen to hold this version (it asked for this SOA, or answered it)."""
        raise NotImplementedError

    async def accept(self, variant: str) -> str | None:
        """Let the version through that the content guard holds; sign again afterwards.
        The token accepted, or None when nothing was held."""
        raise NotImplementedError

    async def add_key(self, key: StoredKey) -> None:
        """A key that is in the keystore (imported) becomes one of the zone's."""
        raise NotImplementedError

    def next_due(self) -> datetime | None:
        """When to call `tick` and `sign(…, scope="expiring")` next; UTC."""
        raise NotImplementedError

    def ds_records(self) -> Sequence[bytes]:
        """DS rdata (SHA-256) of the keys that the parent is to know."""
        raise NotImplementedError

    def dnskeys(self) -> Sequence[bytes]:
        """DNSKEY rdata of the same keys, for registrars that want those."""
        raise NotImplementedError

    def key_rows(self) -> Sequence[KeyStatus]:
        raise NotImplementedError

    def status(self) -> ZoneStatus:
        raise NotImplementedError
