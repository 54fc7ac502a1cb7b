"""`zoneward run`: manager and server as two children, each of which may die and come back.

The supervisor has no threads and no state of its own. It execs (never only forks), restarts
with backoff, passes signals on, and ends both in order: the server stops taking queries and
drains, then the manager closes.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from corefile.changes import Watch
from zoneward import logging, welcome
from zoneward.accounts import accounts, remark
from zoneward.checking import CorefileRefused, check
from zoneward.child import Child, ending
from zoneward.client import AdminClient
from zoneward.configuration import RecordingEnviron
from zoneward.environment import for_child
from zoneward.process import Account, stay_private
from zoneward.readiness import Report, look
from zoneward.refusal import OK, REFUSED, USAGE, Refusal
from zoneward.sdnotify import notify
from zoneward.state import StateDirectory

# How long each step of a stop may take before the child is killed, in seconds.
STOP = {"server": 30.0, "manager": 20.0}
# After this long a start says what is still missing.
PATIENCE = 30.0
# How often the supervisor looks while it waits for something, in seconds.
LOOK = 0.1
# It waits so many times as long as a look took.
_LOOK_SHARE = 10
# At a very first start the server has nothing to answer from and waits so long for the
# manager's socket, in seconds.
FIRST = 5.0

_log = logging.get("supervisor")


class Supervisor:
    """Made from a Corefile that was checked. `run` gives the exit code."""

    def __init__(
        self,
        path: Path,
        dns_port: int,
        *,
        debug: bool = False,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """Raises CorefileRefused, Refusal."""
        self._path = path
        self._dns_port = dns_port
        self._environ = environ
        recording = RecordingEnviron(environ)
        self._checked = check(path, dns_port, recording)
        options = self._checked.plan.options
        logging.configure(options.log_level, debug=debug)
        for warning in self._checked.warnings:
            _log.warning(str(warning))
        manager, server = accounts(options)
        remark(options, manager, server)
        self._state = StateDirectory(options.state)
        self._state.prepare(manager, server)
        arguments = ["-conf", str(path.absolute()), "-dns.port", str(dns_port)]
        flags = ["--debug"] if debug else []

        def child(name: str, verb: str, user: Account | None) -> Child:
            scrubbed = for_child(name, self._checked.corefile, environ, recording.asked)
            return Child(name, [*flags, verb, *arguments], scrubbed, user)

        self._manager = child("manager", "manage", manager)
        self._server = child("server", "serve", server)
        self._client = AdminClient(options.admin, patience=5.0)
        self._stop = self._hangup = False
        self._watch = Watch(str(path), dns_port, environ)
        self._watch.follow(self._checked.corefile, time.monotonic())
        self._ready = False
        self._next_look = 0.0
        self._impatient_at = time.monotonic() + PATIENCE
        self._taking_up: tuple[str, float] | None = None
        # Signals wake the loop through a socket (signal.set_wakeup_fd).
        self._woken, self._waker = socket.socketpair()
        for end in (self._woken, self._waker):
            end.setblocking(False)

    def run(self) -> int:
        stay_private()
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        for number in (
            signal.SIGTERM,
            signal.SIGINT,
            signal.SIGHUP,
            signal.SIGUSR1,
            signal.SIGCHLD,
        ):
            signal.signal(number, self._signalled)
        self._manager.start()
        if (self._state.server / "zones").exists():
            self._server.start()
        else:
            self._server.due = time.monotonic() + FIRST
        code = OK
        while not self._stop:
            self._sleep()
            refused = self._reap()
            if refused is not None:
                code = refused
                break
            self._restart()
            if not self._ready and time.monotonic() >= self._next_look:
                self._look()
            if self._watch.changed(time.monotonic()) or self._hangup:
                self._hangup = False
                self._take_up()
            self._tell_server()
        notify("STOPPING=1", self._environ)
        self._end()
        return code

    def _signalled(self, number: int, _: FrameType | None) -> None:
        if number in (signal.SIGTERM, signal.SIGINT):
            self._stop = True
        elif number in (signal.SIGHUP, signal.SIGUSR1):
            self._hangup = True

    def _sleep(self) -> None:
        """Until a signal, or until there is something to look at."""
        waits = [
            max(0.0, child.due - time.monotonic())
            for child in (self._manager, self._server)
            if not child.running
        ]
        if not self._ready or self._taking_up is not None:
            waits.append(max(0.0, self._next_look - time.monotonic()))
        if self._watch.due is not None:
            waits.append(max(0.0, self._watch.due - time.monotonic()))
        select.select([self._woken], [], [], min(waits, default=None))
        self._drain()

    def _reap(self) -> int | None:
        """Take note of children that ended. An exit code when one refused to start at all:
        it has said why, and trying again would not help."""
        for child in (self._manager, self._server):
            code = child.reap()
            if code is None:
                continue
            if not self._ready and code in (REFUSED, USAGE):
                return code
            wait = max(0.0, child.due - time.monotonic())
            _log.error(
                f"the {child.name} ended ({ending(code)}); it is started again"
                + (f" in {wait:.1f} s" if wait else "")
            )
        return None

    def _restart(self) -> None:
        for child in (self._manager, self._server):
            if not child.running and (child.due <= time.monotonic() or self._first(child)):
                child.start()

    def _first(self, child: Child) -> bool:
        """Whether the server's first wait is over before its time."""
        return not child.started and self._state.transfer_socket.exists()

    def _look(self) -> None:
        report = self._report()
        late = time.monotonic() > self._impatient_at
        if report is None:
            if late:
                _log.warning("the manager does not answer yet; still waiting")
                self._impatient_at = time.monotonic() + PATIENCE
            return
        failing = all(row.problem is not None for row in report.missing)
        # Without zones there is nothing but that to wait for.
        if not (report.serves or report.missing or late):
            return
        if report.missing and not (failing and self._settled(report)) and not late:
            return
        self._ready = True
        notify("READY=1", self._environ)
        welcome.show(report, self._checked)

    def _report(self) -> Report | None:
        """Look now. Where that takes long, for thousands of zones, the next look is later: it
        must not keep the manager from what is waited for."""
        began = time.monotonic()
        report = look(self._client, self._state.answering_socket, self._checked.compiled)
        ended = time.monotonic()
        self._next_look = ended + max(LOOK, _LOOK_SHARE * (ended - began))
        return report

    def _settled(self, report: Report) -> bool:
        """Whether what is missing is so for a reason that the manager told."""
        return all(row.serial is None for row in report.missing)

    def _take_up(self) -> None:
        """Check both sides, then the manager takes its own up, then the server."""
        try:
            checked = check(self._path, self._dns_port, self._environ)
        except CorefileRefused as error:
            for line in error.lines:
                _log.error(f"{line}; the configuration before stays in force")
            return
        self._checked = checked
        self._watch.follow(checked.corefile, time.monotonic())
        self._manager.send(signal.SIGHUP)
        self._taking_up = (checked.plan.digest, time.monotonic() + PATIENCE)

    def _tell_server(self) -> None:
        if self._taking_up is None or time.monotonic() < self._next_look:
            return
        digest, deadline = self._taking_up
        report = self._report()
        if report is not None and report.overview.config == digest:
            self._taking_up = None
            self._server.send(signal.SIGHUP)
        elif time.monotonic() > deadline:
            self._taking_up = None
            _log.error("the manager did not take up the Corefile; the server was not told")

    def _end(self) -> None:
        for child in (self._server, self._manager):
            child.send(signal.SIGTERM)
            deadline = time.monotonic() + STOP[child.name]
            self._stop = False
            while child.running:
                if child.reap() is not None:
                    break
                # A second Ctrl-C is impatience.
                if self._stop or time.monotonic() > deadline:
                    _log.warning(f"the {child.name} is killed")
                    child.send(signal.SIGKILL)
                    deadline = time.monotonic() + STOP[child.name]
                    self._stop = False
                select.select([self._woken], [], [], LOOK)
                self._drain()

    def _drain(self) -> None:
        try:
            while self._woken.recv(512):
                continue
        except BlockingIOError:
            return


def main(path: Path, dns_port: int, *, debug: bool) -> int:
    """Raises Refusal."""
    if not path.exists():
        raise Refusal(f"{path}: there is no such file; name the Corefile with -c")
    return Supervisor(path, dns_port, debug=debug).run()
