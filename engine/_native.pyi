"""The engine's Python face: the contract between the Rust core and the rooms.

Only bytes, ints, strings and handles cross. Names are uncompressed wire bytes (RFC 1035
section 3.1), as ``dns.name.Name.to_wire()`` gives them; rdata is uncompressed wire; times
are Unix seconds. Every call that can take more than a millisecond releases the GIL.
A bug in the engine (a Rust panic) reaches Python as EngineError with code "bug".
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Self, final

__version__: str

class EngineError(Exception):
    """`code` is stable and machine readable; `place` is file:line:column, a path or an owner."""

    code: str
    place: str | None
    message: str

class ScanError(EngineError):
    """A zone file with errors; all of them, up to the limit asked for."""

    problems: list[Problem]

@final
class Problem:
    """One error of a zone file; line and column count from 1."""

    file: str
    line: int
    column: int
    message: str

# --- zones ---------------------------------------------------------------------------

def scan(
    path: str,
    origin: bytes,
    *,
    default_ttl: int | None = None,
    max_problems: int = 20,
    foreign: Callable[[int, str, bytes], bytes] | None = None,
) -> Zone:
    """Read an RFC 1035 zone file. `foreign(rtype, text, origin)` gives the wire rdata of
    a type that the scanner does not know; it raises ValueError on bad text.
    Raises ScanError; EngineError "io" when the file can't be read."""

def scan_text(
    text: bytes,
    origin: bytes,
    *,
    name: str = "<text>",
    default_ttl: int | None = None,
    max_problems: int = 20,
    foreign: Callable[[int, str, bytes], bytes] | None = None,
) -> Zone: ...
@final
class RRset:
    """One RRset with its signatures. `ours` says that the signer made it, not the source."""

    owner: bytes
    rtype: int
    ttl: int
    rdatas: list[bytes]
    signatures: list[bytes]
    ours: bool

@final
class Zone:
    """An immutable version of a zone; cheap to hold and to share between threads."""

    origin: bytes
    serial: int
    record_count: int  # signatures included
    name_count: int  # owners that hold records; no empty non-terminals
    rrset_count: int  # RRSIG not counted as RRsets
    signature_count: int
    @staticmethod
    def load(path: str) -> Zone:
        """Read a snapshot. Raises EngineError "snapshot" (version, checksum, truncation)."""
    def save(self, path: str) -> None:
        """Write a snapshot: a new file, fsynced, renamed over `path`, directory fsynced."""
    def rrset(self, owner: bytes, rtype: int) -> RRset | None: ...
    def rrsets_at(self, owner: bytes) -> list[RRset]: ...
    def __iter__(self) -> Iterator[RRset]:
        """All RRsets in canonical order of owners (RFC 4034 section 6.1), lazily."""
    def write_text(self, path: str, *, foreign: Callable[[int, bytes], str] | None = None) -> None:
        """Zone-file text in canonical order, absolute names, one record a line."""
    def to_text(self, *, foreign: Callable[[int, bytes], str] | None = None) -> str: ...
    def apply(self, diff: Diff) -> Zone:
        """The next version. Raises EngineError "conflict" when a removed record is not
        there or the diff starts at another serial."""
    def difference(self, other: Zone) -> Diff:
        """What takes this version to `other`, signatures and SOA included."""
    def source(self, *, keep_dnskey: bool = False) -> Zone:
        """A copy without what a signer makes: RRSIG, NSEC, NSEC3, NSEC3PARAM, records that
        are `ours`, and unless `keep_dnskey`, DNSKEY, and CDS and CDNSKEY of the apex."""
    def digest(self) -> bytes:
        """SHA-384 over all records in canonical form and order."""
    def earliest_expiration(self) -> int | None:
        """The least RRSIG expiration in the zone."""
    def heap_bytes(self) -> int: ...

@final
class Diff:
    """Records removed and added between two versions (RFC 1995 section 2)."""

    from_serial: int
    to_serial: int
    removed_count: int
    added_count: int
    owners: list[bytes]
    def __bool__(self) -> bool: ...
    def removed(self) -> list[tuple[bytes, int, int, bytes]]: ...  # owner, rtype, ttl, rdata
    def added(self) -> list[tuple[bytes, int, int, bytes]]: ...

def source_changes(last: Zone | None, new: Zone) -> Diff:
    """The difference between two readings of a source; the SOA's serial does not count as
    one. Without `last`, all of `new` is added."""

# --- signing --------------------------------------------------------------------------

@final
class SigningKey:
    """A private key ready to sign. Its memory is wiped when it is dropped."""

    algorithm: int
    tag: int
    dnskey: bytes  # rdata
    def __new__(cls, dnskey: bytes, private: bytearray) -> Self:
        """`private` is PKCS#8 DER; the buffer is wiped. Raises EngineError "key" when the
        two halves don't belong together (shown by a signature that is verified)."""
    @staticmethod
    def external(dnskey: bytes, signer: Callable[[list[bytes]], list[bytes]]) -> SigningKey:
        """A key that Python holds (HSM, KMS, Ed448): `signer` gets whole messages and
        gives signatures in DNSSEC's form. Each one is verified before it is used."""

SIGNS_KEYS: int  # 1: the DNSKEY, CDS and CDNSKEY RRsets
SIGNS_ZONE: int  # 2: all other RRsets

@final
class SignPlan:
    def __new__(
        cls,
        *,
        keys: Sequence[tuple[SigningKey, int]],
        dnskeys: Sequence[bytes],
        dnskey_ttl: int,
        cds: Sequence[bytes] = ...,
        cdnskeys: Sequence[bytes] = ...,
        nsec3: tuple[int, bytes, bool] | None = None,
        serial: int,
        inception: int,
        expiration: int,
        jitter: int = 0,
        refresh_before: int,
        resign: Sequence[tuple[bytes, int | None]] = ...,
        threads: int = 0,
    ) -> Self:
        """`nsec3` is iterations, salt, opt-out; None means NSEC. A signature that expires
        before `refresh_before` is replaced, and in any scope those of `resign`: owners, each
        with one type, or None for all RRsets there. Expirations are spread over the `jitter`
        seconds before `expiration`. `threads` 0 means one a core. Without keys the zone
        becomes unsigned. Raises EngineError "plan" on what can't be: a role without a key,
        times that contradict one another."""

@final
class Signed:
    zone: Zone
    diff: Diff | None  # None when `base` was unsigned or there was no base
    made: int  # RRsets signed anew
    kept: int  # RRsets that were looked at and kept their signatures
    changed: bool  # false: `zone` is the base itself, serial and all

def sign(base: Zone | None, changes: Diff, plan: SignPlan, *, scope: str = "changes") -> Signed:
    """Apply a source's changes to a signed version and sign what they touch.

    `scope` "changes" touches the changed owners, their neighbours in the denial chain, the
    SOA and the apex key sets where the plan's differ; "expiring" also what expires before
    `refresh_before`; "all" reconsiders every RRset (new keys, new denial), still keeping
    signatures that the plan would make the same way. When nothing differs, `changed` is
    False. Incoming RRSIG, NSEC, NSEC3, NSEC3PARAM, DNSKEY, and CDS and CDNSKEY of the apex in
    `changes` are passed over; the plan has them. A base with another kind of denial, or another negative
    TTL, gets its whole chain anew in any scope.
    Raises EngineError "conflict" (CNAME beside other data, record outside the zone…), "serial"
    (the plan's does not come after the base's), "nsec3" (hashes that collide or don't fit
    into a name), "key" (an external signer failed, or its signature does not verify)."""

# --- verifying ------------------------------------------------------------------------

@final
class Failure:
    """One reason why a validator would refuse something. `code` is stable: no-signature,
    bad-signature, expired, not-yet-valid, unknown-key, missing-algorithm, ttl, no-ds-path,
    denial-missing, denial-wrong, denial-bitmap, denial-extra, signed-glue, signed-cut,
    orphan-signature, no-keys, structure."""

    owner: bytes
    rtype: int
    code: str
    message: str

@final
class Report:
    failures: list[Failure]  # at most max_failures
    failure_count: int
    verified: int  # signatures computed in this call
    remembered: int  # signatures known from `memory`
    earliest_expiration: int | None

@final
class VerifyMemory:
    """Digests of (RRset, RRSIG, DNSKEY) that verified once; a file that is only a hint."""

    def __new__(cls, path: str | None = None) -> Self: ...
    def save(self) -> None: ...
    def __len__(self) -> int: ...

def verify(
    zone: Zone,
    *,
    at: int,
    ds: Sequence[Sequence[bytes]] = ...,
    memory: VerifyMemory | None = None,
    since: Zone | None = None,
    max_failures: int = 100,
    threads: int = 0,
) -> Report:
    """Check a signed zone as the strictest validator would, at time `at`. Each element of
    `ds` is a DS RRset (rdatas) that a cache may hold. With `since`, a version that was
    verified before, only what differs from it and the apex are looked at."""

def key_tag(dnskey: bytes) -> int: ...
def ds_digest(owner: bytes, dnskey: bytes, digest_type: int) -> bytes:
    """DS rdata (RFC 4034 section 5.1.4; digest types 1, 2, 4)."""

def nsec3_hash(name: bytes, iterations: int, salt: bytes) -> bytes: ...

# --- disk -----------------------------------------------------------------------------

@final
class ZoneStore:
    """A directory with one zone's snapshot and the journal of differences since.
    Layout is versioned and checksummed; frames have a CRC; a torn last frame is cut off,
    any other damage raises EngineError "store"."""

    def __new__(cls, directory: str) -> Self: ...
    def load(self) -> Zone | None: ...
    def append(self, diff: Diff) -> None:
        """On disk, fsynced, when this returns. Raises EngineError "io" on a full disk,
        with the journal as it was before."""
    def replace(self, zone: Zone) -> None:
        """A new snapshot; the journal's older differences are kept while they chain."""
    def history(self, serial: int) -> list[Diff] | None:
        """The differences from `serial` to the newest version; None when not known."""
    def journal_bytes(self) -> int:
        """Octets of differences that are not in the snapshot: what `replace` would fold."""

# --- transfer -------------------------------------------------------------------------

@final
class TsigKey:
    def __new__(cls, name: bytes, algorithm: str, secret: bytes) -> Self: ...

@final
class TransferRequest:
    """A parsed query of a peer. kind: "soa", "axfr", "ixfr", "notify"."""

    origin: bytes
    kind: str
    serial: int | None
    key: bytes | None  # name of the TSIG key that verified

@final
class TransferAnswer:
    """The messages of an answer, one after the other."""

    def __iter__(self) -> TransferAnswer: ...
    def __next__(self) -> bytes: ...

@final
class TransferServer:
    """Sans-I/O: messages in, messages out, without the two-byte length prefix."""

    def __new__(cls, keys: Sequence[TsigKey]) -> Self: ...
    def parse(self, message: bytes, now: int) -> TransferRequest:
        """Raises EngineError "malformed" or "tsig" (whose `reply` attribute is the error
        message to send back, or None)."""
    def answer(
        self, request: TransferRequest, zone: Zone, history: Sequence[Diff] | None, now: int
    ) -> TransferAnswer:
        """SOA answer, AXFR, or IXFR when `history` leads from the request's serial
        (falls back to AXFR otherwise; RFC 1995 section 4)."""
    def refuse(self, request: TransferRequest, rcode: int, now: int) -> bytes: ...
    def acknowledge(self, request: TransferRequest, now: int) -> bytes: ...

@final
class TransferClient:
    """One transfer in. Raises EngineError "difference" when an IXFR does not fit `base` (the
    whole zone is to be asked for), "transfer" on anything else that is not right."""

    def __new__(
        cls,
        origin: bytes,
        base: Zone | None,
        key: TsigKey | None,
        *,
        max_octets: int = 8 << 30,
    ) -> Self:
        """A primary's version that is older than `base` (RFC 1982) is an error; where two
        serials can't be compared it is taken. `max_octets` bounds the memory for records."""
    def request(self, message_id: int, now: int) -> bytes:
        """IXFR when there is a base, else AXFR."""
    def feed(self, message: bytes, now: int) -> bool:
        """True when the transfer is complete."""
    def zone(self) -> Zone | None:
        """The new version; None when the base is up to date."""
    def diffs(self) -> list[Diff] | None:
        """The IXFR's differences; None when the answer was a full transfer."""

def notify_message(origin: bytes, serial: int, key: TsigKey | None, message_id: int, now: int) -> bytes: ...

# --- server ---------------------------------------------------------------------------

@final
class ParkedQuery:
    """A query that waits for a Python stage."""

    plugin: int
    name: bytes
    rtype: int
    qclass: int
    dnssec_ok: bool
    client: str
    client_port: int
    transport: str  # "udp", "tcp"
    def wire(self) -> bytes: ...
    def proceed(self) -> bytes | None:
        """Run the rest of the chain. The reply's wire, or None when the query was parked
        again, for a later Python stage or an upstream, or dropped; what comes of it comes to
        `on_reply`."""
    def on_reply(self, callback: Callable[[bytes | None], None]) -> None:
        """Called once: with the reply's wire, or None when the query was dropped. At once if
        that is known; else in `Server.take`, so that no thread of the engine waits for the
        interpreter."""
    def reply(self, wire: bytes) -> None:
        """Answer; the stages entered before see it. Oversized replies are truncated."""
    def drop(self) -> None: ...
    def fail(self) -> None:
        """What the stage is configured to do on failure: SERVFAIL, or passed over."""

@final
class Server:
    """The query path: sockets, threads, chains, zones. Configured by JSON (server/compiled.py
    holds the schema's Python side; engine/core/src/server/config.rs the other)."""

    def __new__(cls) -> Self: ...
    def bind(self, config: bytes) -> None:
        """Open the sockets that `config` names; no thread runs yet. Raises EngineError
        "bind" with the address as place."""
    def start(self) -> None: ...
    def configure(self, config: bytes) -> None:
        """Swap to a new configuration; sockets that stay are kept open, no query is lost.
        Raises EngineError "bind" or "config" and leaves the old one running."""
    def publish(self, chain: str, zone: Zone, valid_until: int) -> None:
        """Serve a version in a chain until Unix time `valid_until`, then SERVFAIL with an
        extended error."""
    def withdraw(self, chain: str, origin: bytes) -> None:
        """Forget a zone: SERVFAIL with EDE 14 while it is configured."""
    def refill(self, chain: str, plugin: str, rules: bytes) -> None:
        """Put others in the place of the rules that `plugin` has in a chain: a JSON array of
        server/compiledrules.py's Rule. Raises EngineError "config"."""
    def fill_list(self, list: str, text: bytes) -> tuple[int, int]:
        """Put a list of names in the place of the one that rules call `list`, which is empty until
        then; before `bind`, or while queries come. A line is a name, "*.name" for all below it,
        ".name" for both, a line of a hosts file, or "||name^". Gives how many names there are, and
        how many lines could not be read. Raises EngineError "size"."""
    def fill_feed(self, feed: str, zone: Zone) -> tuple[int, int, int, int, int]:
        """Put a response policy zone in the place of the one that *rpz* calls `feed`, as
        `fill_list` does. Gives how many triggers there are by name, by client and by answer, how
        many by name server, which are passed over, and how many could not be read."""
    def plugin_fd(self) -> int:
        """An eventfd that is readable when `take` has something."""
    def take(self) -> list[ParkedQuery]:
        """Queries that were parked since the last call. Before that, callbacks of `on_reply`
        that are due are called."""
    def drain_log(self) -> list[tuple[int, str]]:
        """(logging level, line) from the bounded ring; also how many were dropped."""
    def stats(self) -> bytes:
        """JSON of counters and histograms (shape: server/counters.py)."""
    def lameduck(self) -> None: ...
    def close(self) -> None:
        """Stop taking queries, finish those under way, join every thread."""

def check_pattern(pattern: str) -> None:
    """Raises EngineError "config" for what is no regular expression: RE2's syntax, of octets."""

@final
class Pattern:
    """A regular expression as the configuration may hold it. Time to match grows with the text
    only. `groups` are the names of its groups, the whole first, which has none.
    Raises EngineError "pattern"."""

    groups: list[str | None]
    def __new__(cls, text: str) -> Self: ...
    def match_in(self, text: str) -> list[str] | None:
        """What the groups matched, anywhere in `text`; empty for one that is not in it."""

# --- process --------------------------------------------------------------------------

def protect_process() -> list[str]:
    """No core dumps, not dumpable (Linux prctl), memory locked where allowed. Gives what
    could not be done, as lines for the log."""

def boot_time() -> float:
    """CLOCK_BOOTTIME in seconds."""
