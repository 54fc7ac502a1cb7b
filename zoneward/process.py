"""What a child process does about itself at its start, and how privileges are given up."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import resource
import signal
import sys

import attrs

from zoneward.refusal import Refusal

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4


def end_with_parent(parent: int | None) -> None:
    """Have the kernel send SIGTERM when the process that started this one ends (prctl(2)).
    Set here and not between fork and exec, where no Python may run; so the parent may be
    gone already, which is looked at afterwards."""
    if parent is None:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise Refusal(f"prctl(PR_SET_PDEATHSIG): {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:
        sys.exit(0)


def stay_private() -> None:
    """No core dump, and no look into the memory for other processes of this user: the
    environment may hold a passphrase (prctl(2))."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def allow_descriptors() -> None:
    """Take all the descriptors that the system grants: peers' connections must not leave too
    few for what is ours."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def lower_priority(by: int = 5) -> None:
    """Let the process that answers queries go first."""
    with contextlib.suppress(OSError):
        os.nice(by)


@attrs.frozen
class Account:
    """A user that a child runs as."""

    name: str
    uid: int
    gid: int


def account(name: str, option: str) -> Account:
    """Look a user up. Raises Refusal that names the `option` of the Corefile."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise Refusal(
            f"{option}: there is no user '{name}'; create it (`useradd --system {name}`) or "
            "name another"
        ) from None
    return Account(name, entry.pw_uid, entry.pw_gid)


def account_if_there(name: str) -> Account | None:
    """The user, or None where the machine has none of that name."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(name, entry.pw_uid, entry.pw_gid)


class _CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapData(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


_PR_SET_KEEPCAPS = 8
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_NET_BIND_SERVICE = 1 << 10


def become(uid: int, gid: int, *, low_ports: bool) -> None:
    """Give up root for a user, before any thread runs; with `low_ports` all that is kept of
    it is the right to bind ports below 1024 (capabilities(7)). Raises Refusal."""
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        if low_ports:
            libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
        try:
            # The groups that it was given to read zone files.
            os.initgroups(pwd.getpwuid(uid).pw_name, gid)
        except KeyError:
            os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    except OSError as error:
        raise Refusal(f"can't become user {uid}: {error.strerror}") from error
    for needed in (os.__file__, __file__):
        # Modules are imported later, too: better said here than met in the middle.
        if not os.access(needed, os.R_OK):
            raise Refusal(
                f"{needed}: user {uid} can't read it; install Python and Zoneward where every "
                "user may read, such as /opt, or run as another user"
            )
    if not low_ports:
        return
    # The lower 32 capabilities, then the upper.
    data = (_CapData * 2)()
    data[0].effective = data[0].permitted = _CAP_NET_BIND_SERVICE
    header = _CapHeader(_CAPABILITY_VERSION_3, 0)
    if libc.capset(ctypes.byref(header), ctypes.byref(data)) != 0:
        raise Refusal(f"can't drop capabilities: {os.strerror(ctypes.get_errno())}")
