"""Which users manager and server run as, when started as root."""

from __future__ import annotations

import os

from corefile.options import Options
from zoneward import logging
from zoneward.process import Account, account, account_if_there

_log = logging.get("supervisor")


def accounts(options: Options) -> tuple[Account | None, Account | None]:
    """The users of manager and server; None stays who we are. Raises Refusal."""
    if os.geteuid() != 0:
        return None, None
    manager = account(options.user, "user") if options.user else account_if_there("zoneward")
    if options.server_user:
        return manager, account(options.server_user, "server-user")
    return manager, account_if_there("zoneward-server") or manager


def remark(options: Options, manager: Account | None, server: Account | None) -> None:
    """Say, in one line, where the two are less apart than they could be."""
    if os.geteuid() != 0:
        if options.user or options.server_user:
            _log.warning("`user` and `server-user` need root to start; both run as this user")
        else:
            _log.info("manager and server share this user; started as root they get one each")
    elif manager is None or server is None:
        who = "the server runs" if manager else "the manager runs"
        if manager is server:
            who = "manager and server run"
        _log.warning(
            f"{who} as root: create the users zoneward and zoneward-server, or name others with "
            "`user` and `server-user`"
        )
    elif manager.uid == server.uid:
        _log.warning(f"manager and server share the user {manager.name}; set `server-user`")
