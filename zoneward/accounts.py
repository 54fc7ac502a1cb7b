"""Which users manager and server run as, when started as root."""

from __future__ import annotations

import os

from corefile.options import Options
from zoneward import logging
from zoneward.process import Account, account, account_if_there

_log = logging.get("supervisor")


def accounts(options: Options) -> tuple[Account | None, Account | None]:
    """The users of manager and server; None stays who we are. What is less than it could be
    is said in one line. Raises Refusal."""
    if os.geteuid() != 0:
        if options.user or options.server_user:
            _log.warning("`user` and `server-user` need root to start; both run as this user")
        else:
            _log.info("manager and server share this user; started as root they get one each")
        return None, None
    manager = account(options.user, "user") if options.user else account_if_there("zoneward")
    if options.server_user:
        server: Account | None = account(options.server_user, "server-user")
    else:
        server = account_if_there("zoneward-server") or manager
    if manager is None or server is None:
        who = (
            "manager and server run"
            if manager is server
            else ("the manager runs" if manager is None else "the server runs")
        )
        _log.warning(
            f"{who} as root: create the users zoneward and zoneward-server, or name others with "
            "`user` and `server-user`"
        )
    elif manager.uid == server.uid:
        _log.warning(f"manager and server share the user {manager.name}; set `server-user`")
    return manager, server
