"""`zoneward serve`: the process that faces the internet.

It imports no more than `server` may (an import contract holds it to that): no code that can
read a private key is in its reach.
"""

import argparse
import asyncio
import logging
import os
import pwd
import signal
import sys
from collections.abc import Sequence

import engine
from corefile import CorefileError
from server.compile import CompileError
from server.logs import configure
from server.service import Service, ServiceError
from zoneward.process import allow_descriptors, end_with_parent
from zoneward.refusal import REFUSED, Refusal
from zoneward.sdnotify import notify

_log = logging.getLogger("zoneward.server")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server; gives the exit code. What is wrong is one line on standard error."""
    given = _parse(sys.argv[1:] if arguments is None else arguments)
    configure("info")
    try:
        end_with_parent(given.parent)
        allow_descriptors()
        service = Service(
            given.conf,
            dns_port=given.dns_port,
            environ=dict(os.environ),
            # A supervisor looks for both sides.
            watches=given.parent is None,
        )
        configure(service.log_level)
        service.bind()
        # Under a supervisor, who to be was its decision, and so is what there is to say of it.
        if given.parent is None:
            _drop_privileges(given.user or service.options.server_user or service.options.user)
        for line in engine.protect_process():
            _log.debug("%s", line)
        asyncio.run(_serve(service))
    except (CorefileError, CompileError, ServiceError, Refusal) as error:
        print(error, file=sys.stderr)  # noqa: T201 -- the command's own words
        return REFUSED
    return 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="zoneward serve", description="Answer queries from the zones that a manager signs."
    )
    parser.add_argument(
        "-c", "--conf", "-conf", default="Corefile", metavar="COREFILE", help="the Corefile"
    )
    parser.add_argument(
        "--dns-port", "-dns.port", type=int, default=53, help="the port of keys that name none"
    )
    parser.add_argument("--user", help="as root: whom to be once the sockets are open")
    parser.add_argument("--parent", type=int, help="end when the process with this id does")
    return parser.parse_args(arguments)


async def _serve(service: Service) -> None:
    loop = asyncio.get_running_loop()
    stop, hurry = asyncio.Event(), asyncio.Event()

    def end() -> None:
        if stop.is_set():
            hurry.set()
        stop.set()
        notify("STOPPING=1")

    reloads: set[asyncio.Task[bool]] = set()

    def reload() -> None:
        task = loop.create_task(service.reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGTERM, end)
    loop.add_signal_handler(signal.SIGINT, end)
    for number in (signal.SIGHUP, signal.SIGUSR1):
        loop.add_signal_handler(number, reload)
    await service.run(stop, hurry, lambda: notify("READY=1"))


def _drop_privileges(name: str | None) -> None:
    """Become another user. Raises Refusal."""
    if os.geteuid() != 0:
        return
    if name is None:
        _log.warning("running as root: name a user with the global option `server-user`")
        return
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise Refusal(f"there is no user '{name}'; create it, or name another") from None
    os.initgroups(name, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


if __name__ == "__main__":
    sys.exit(main())
