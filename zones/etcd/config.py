"""*etcd*, read: which cluster, which keys, which zones."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import attrs
import dns.name

from corefile import Block, CorefileError, CorefileWarning, Directive, Place
from corefile.arguments import (
    SECRET_KINDS,
    SecretReference,
    choice,
    duration,
    integer,
    known_options,
    number_of_arguments,
    only_once,
    seconds,
)
from corefile.arguments import zones as zone_arguments
from corefile.lexer import Token
from corefile.secrets import SecretError, resolve
from zones.etcd.client import EtcdError, Login, Tls
from zones.etcd.skydns import LeaseTimes, prefix

# CoreDNS's.
DEFAULT_ENDPOINT, DEFAULT_PATH = "http://localhost:2379", "skydns"
_PORT = 2379
# How long a burst of changes is gathered at most, in seconds, and how long it may be told to be.
GATHER, LONGEST_GATHER = 0.02, 10.0
#: Keys of one zone that are taken.
MOST_ENTRIES = 1_000_000

# What OpenSSL finds a certificate of a directory by: a hash of its subject.
_HASHED = re.compile(r"[0-9a-f]{8}\.\d+", re.ASCII)
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)

Layout = Literal["skydns", "zonefile"]
_LAYOUTS: tuple[Layout, ...] = ("skydns", "zonefile")

_ONCE = {
    *("path", "endpoint", "credentials", "tls", "min-lease-ttl", "max-lease-ttl", "fallthrough"),
    *("layout", "gather", "max-entries"),
}
# Options that mean nothing for keys that are whole zones.
_OF_SKYDNS = {"min-lease-ttl", "max-lease-ttl", "max-entries"}


@attrs.frozen
class TlsFiles:
    """Paths of PEM files; None where there is none. Without an authority, the system's."""

    certificate: Path | None = None
    key: Path | None = None
    authority: Path | None = None


@attrs.frozen
class Credentials:
    """A user of etcd's. The password is a reference, or stands in the Corefile."""

    user: str
    password: SecretReference | str = attrs.field(repr=False)


@attrs.frozen
class Cluster:
    """Where etcd is and how it is reached. `endpoints` are HOST:PORT; `directory` is what
    relative paths count from."""

    endpoints: tuple[str, ...]
    encrypted: bool
    tls: TlsFiles
    credentials: Credentials | None
    directory: Path

    def security(self) -> Tls | None:
        """Read anew each time, so that certificates can be renewed. Raises EtcdError."""
        if not self.encrypted:
            return None
        # gRPC has authorities of its own, which are not the system's.
        own = self.tls.authority
        return Tls(
            _system_authorities() if own is None else _content(own),
            _content(self.tls.certificate),
            _content(self.tls.key),
        )

    def login(self, environ: Mapping[str, str] = os.environ) -> Login | None:
        """Raises EtcdError when the password can't be read."""
        found = self.credentials
        if found is None:
            return None
        if isinstance(found.password, str):
            return Login(found.user, found.password)
        try:
            secret = resolve(found.password, directory=self.directory, environ=environ)
            return Login(found.user, secret.decode())
        except SecretError as error:
            raise EtcdError(f"the password of {found.user} can't be read: {error}") from None
        except UnicodeDecodeError:
            raise EtcdError(f"the password of {found.user} is no UTF-8 text") from None


@attrs.frozen
class EtcdConfig:
    """One *etcd* directive. `gather` in seconds."""

    cluster: Cluster
    path: str
    layout: Layout
    times: LeaseTimes
    gather: float
    most_entries: int
    origins: tuple[dns.name.Name, ...]

    @property
    def prefix(self) -> bytes:
        """What all keys of the layout zonefile begin with."""
        path = self.path.strip("/")
        return f"/{path}/".encode() if path else b"/"

    def where(self, origin: dns.name.Name) -> str:
        """A zone's keys or key, for a person."""
        key = (
            prefix(self.path, origin).decode()
            if self.layout == "skydns"
            else self.prefix.decode() + str(origin).removesuffix(".")
        )
        return f"etcd {self.cluster.endpoints[0]} {key}"


def read_etcd(
    directive: Directive, block: Block, directory: Path, warnings: list[CorefileWarning]
) -> EtcdConfig:
    """Raises CorefileError."""
    known_options(directive, _ONCE)
    only_once(directive, _ONCE - {"endpoint"})
    origins = tuple(
        dns.name.from_text(name) for name in zone_arguments(directive.args) or block.zones
    )
    if (line := directive.option("fallthrough")) is not None:
        warnings.append(
            CorefileWarning(
                line.place,
                "fallthrough of etcd has no effect: a name that a zone denies is denied",
            )
        )
    layout = _layout(directive)
    if layout == "skydns":
        _refuse_nested(origins, directive.place)
    else:
        _refuse_limits(directive)
    return EtcdConfig(
        cluster=_cluster(directive, directory, warnings),
        path=_path(directive),
        layout=layout,
        times=_times(directive),
        gather=_gather(directive),
        most_entries=_most_entries(directive),
        origins=origins,
    )


def _refuse_nested(origins: tuple[dns.name.Name, ...], place: Place) -> None:
    for inner in origins:
        for outer in origins:
            if inner != outer and inner.is_subdomain(outer):
                raise CorefileError(
                    place,
                    f"etcd: {inner} is inside {outer}, whose keys are above its own: the layout "
                    f"has no delegations; leave {inner} out",
                )


def _refuse_limits(directive: Directive) -> None:
    for line in directive.body or ():
        if line.name in _OF_SKYDNS:
            raise CorefileError(
                line.place,
                f"etcd: {line.name} is for the layout skydns: a zone of the layout zonefile has "
                "its own TTLs, and is one key; leave it out",
            )


def _layout(directive: Directive) -> Layout:
    line = directive.option("layout")
    if line is None:
        return "skydns"
    number_of_arguments(line, 1, 1, "layout skydns|zonefile")
    chosen = choice(line.args[0], _LAYOUTS)
    return "zonefile" if chosen == "zonefile" else "skydns"


def _path(directive: Directive) -> str:
    line = directive.option("path")
    if line is None:
        return DEFAULT_PATH
    number_of_arguments(line, 1, 1, "path PATH, as in /skydns")
    return line.args[0].text.strip("/")


def _times(directive: Directive) -> LeaseTimes:
    default = LeaseTimes()
    found = []
    for name, value in (("min-lease-ttl", default.least), ("max-lease-ttl", default.most)):
        line = directive.option(name)
        if line is None:
            found.append(value)
            continue
        number_of_arguments(line, 1, 1, f"{name} DURATION")
        found.append(int(seconds(line.args[0], least=1, most=(1 << 31) - 1)))
    if found[0] > found[1]:
        raise CorefileError(
            directive.place,
            f"etcd: min-lease-ttl ({found[0]} s) is above max-lease-ttl ({found[1]} s)",
        )
    return LeaseTimes(found[0], found[1])


def _gather(directive: Directive) -> float:
    line = directive.option("gather")
    if line is None:
        return GATHER
    number_of_arguments(line, 1, 1, "gather DURATION")
    return duration(line.args[0], most=LONGEST_GATHER)


def _most_entries(directive: Directive) -> int:
    line = directive.option("max-entries")
    if line is None:
        return MOST_ENTRIES
    number_of_arguments(line, 1, 1, "max-entries NUMBER")
    return integer(line.args[0], least=1, most=100 * MOST_ENTRIES)


def _cluster(directive: Directive, directory: Path, warnings: list[CorefileWarning]) -> Cluster:
    tokens = [token for line in directive.options("endpoint") for token in line.args]
    for line in directive.options("endpoint"):
        number_of_arguments(line, 1, None, "endpoint URL…")
    tls = _tls(directive, directory)
    found = [_endpoint(token) for token in tokens]
    if tls is not None:
        for token, (scheme, _) in zip(tokens, found, strict=True):
            if scheme == "http":
                raise CorefileError(
                    token.place,
                    f"'{token.text}' is without TLS and `tls` is given; right: https://…",
                )
    schemes = {scheme or ("https" if tls else "http") for scheme, _ in found} or {
        "https" if tls else "http"
    }
    if len(schemes) > 1:
        raise CorefileError(
            tokens[0].place, "endpoints with TLS and without it; give all the same scheme"
        )
    default = urlsplit(DEFAULT_ENDPOINT).netloc
    return Cluster(
        endpoints=tuple(dict.fromkeys(target for _, target in found)) or (default,),
        encrypted=schemes == {"https"},
        tls=tls or TlsFiles(),
        credentials=_credentials(directive, warnings),
        directory=directory,
    )


def _endpoint(token: Token) -> tuple[str, str]:
    """A scheme, which may be empty, and HOST:PORT."""
    scheme, found, rest = token.text.partition("://")
    if not found:
        scheme, rest = "", token.text
    try:
        parts = urlsplit(f"//{rest}")
        host, port = parts.hostname, parts.port or _PORT
    except ValueError:
        host, port = None, 0
    if not host or scheme not in ("", "http", "https") or parts.path.strip("/"):
        raise CorefileError(
            token.place, f"'{token.text}' found where a URL such as {DEFAULT_ENDPOINT} should be"
        )
    return scheme, f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _tls(directive: Directive, directory: Path) -> TlsFiles | None:
    line = directive.option("tls")
    if line is None:
        return None
    number_of_arguments(line, 0, 3, "tls [CERT KEY] [CA]")
    paths = [directory / token.text for token in line.args]
    match paths:
        case []:
            return TlsFiles()
        case [authority]:
            return TlsFiles(authority=authority)
        case [certificate, key]:
            return TlsFiles(certificate, key)
        case _:
            return TlsFiles(*paths)


def _credentials(directive: Directive, warnings: list[CorefileWarning]) -> Credentials | None:
    line = directive.option("credentials")
    if line is None:
        return None
    number_of_arguments(line, 2, 2, "credentials USER PASSWORD-REFERENCE")
    user, password = line.args[0].text, line.args[1].text
    kind, colon, name = password.partition(":")
    if colon and name and kind in SECRET_KINDS:
        return Credentials(user, SecretReference(kind, name))
    # CoreDNS has it so; what was found is not repeated.
    warnings.append(
        CorefileWarning(
            line.args[1].place,
            "the password of etcd stands in the Corefile; better by reference: file:PATH, "
            "env:NAME or credential:NAME",
        )
    )
    return Credentials(user, password)


def _content(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise EtcdError(f"{path}: {error.strerror or error}") from None


def _system_authorities() -> bytes:
    """PEM texts of those that OpenSSL takes here, by SSL_CERT_FILE and SSL_CERT_DIR too. Raises
    EtcdError where there are none."""
    paths = ssl.get_default_verify_paths()
    files = [] if paths.cafile is None else [Path(paths.cafile)]
    if paths.capath is not None:
        found = (path for path in Path(paths.capath).iterdir() if _HASHED.fullmatch(path.name))
        # Links may lead nowhere.
        files += sorted(path for path in found if path.is_file())
    # What is in a bundle is in the directory too, as a rule.
    texts = dict.fromkeys(one for path in files for one in _PEM.findall(path.read_bytes()))
    if not texts:
        raise EtcdError("the system has no certificate authorities; name one: tls [CERT KEY] CA")
    return b"\n".join(texts)
