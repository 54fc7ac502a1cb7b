"""A copy of etcd's keys on disk, with the revision that it is of: one file, so that the two can't
fall apart. A start goes on from there by a watch; without it, or when etcd has compacted that
revision, everything is listed."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import attrs
import msgspec

from zones.etcd.follower import Mark

_MAGIC = b"zoneward-etcd-2\n"
_DIGEST = 32


class CopiedItem(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A key as it was taken. `granted`: seconds of its lease, where that is known."""

    key: bytes
    value: bytes
    lease: int
    granted: int | None


class _Content(msgspec.Struct, frozen=True, array_like=True):
    prefix: bytes
    cluster: int
    revision: int
    witness: bytes
    changed: int
    items: Sequence[CopiedItem]


@attrs.frozen
class Copy:
    mark: Mark
    items: Sequence[CopiedItem]


def short_key(key: bytes, longest: int) -> bytes:
    """What a key is kept under: itself up to `longest` octets, else less of it, and by a digest no
    other. A longer one is refused, and etcd takes keys of a megabyte."""
    if len(key) <= longest:
        return key
    return key[:longest] + b"/" + hashlib.sha256(key).hexdigest().encode()


def save(path: Path, prefix: bytes, copy: Copy) -> None:
    """Replace the file. Its loss costs a listing, so it is not fsynced. Raises OSError."""
    mark = copy.mark
    content = _Content(prefix, mark.cluster, mark.revision, mark.witness, mark.changed, copy.items)
    body = msgspec.msgpack.encode(content)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    # Values may be secrets of those who put them there.
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:  # noqa: PTH123
        out.write(_MAGIC + hashlib.sha256(body).digest() + body)
    fresh.replace(path)


def load(path: Path, prefix: bytes) -> Copy | None:
    """What was saved; None where there is nothing, or it is damaged or of another prefix."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        content = path.read_bytes()
        head, digest = content[: len(_MAGIC)], content[len(_MAGIC) : len(_MAGIC) + _DIGEST]
        body = content[len(_MAGIC) + _DIGEST :]
        if head != _MAGIC or hashlib.sha256(body).digest() != digest:
            return None
        found = msgspec.msgpack.decode(body, type=_Content)
        if found.prefix == prefix:
            mark = Mark(found.cluster, found.revision, found.witness, found.changed)
            return Copy(mark, found.items)
    return None
