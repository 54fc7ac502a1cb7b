"""The server's process from outside: what it loads, how it starts, refuses and ends."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rcode
import pytest
from fakemanager import LINK, zone
from house import until
from ports import free_port

import corefile
from corefile import block_id
from server.copies import CopyStore

ADDRESS = "127.0.7.6"
ROOMS_OF_KEYS = {"keystore", "registrars", "signer", "zones"}
# Each of them costs more time to load than the server has for its start.
HEAVY = {"prometheus_client", "structlog", "httpx", "starlette", "uvicorn", "apscheduler", "dns"}


def serve(directory: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "zoneward.serve", "-c", "Corefile", *arguments],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.PIPE,
        text=True,
    )


def ask(port: int, patience: float = 20.0) -> dns.message.Message:
    """Asks until there is an answer: the sockets may not be open yet."""
    query = dns.message.make_query("www.a.test", "A")
    end = time.monotonic() + patience
    while True:
        try:
            return dns.query.udp(query, ADDRESS, timeout=1, port=port)
        except (OSError, dns.exception.Timeout):
            assert time.monotonic() < end
            time.sleep(0.02)


def prepared(directory: Path) -> int:
    """A Corefile and, in the state directory, a copy of its zone as an earlier run left it."""
    port = free_port(ADDRESS)
    text = f"a.test:{port} {{\n bind {ADDRESS}\n file db\n}}\n"
    (directory / "Corefile").write_text(text)
    block = block_id(corefile.load(str(directory / "Corefile")).blocks[0])
    server = directory / "state" / "server"
    server.mkdir(parents=True)
    (server / "link.key").write_text(LINK.hex())
    copies = CopyStore(server / "zones" / block)
    copies.save("a.test.", zone("a.test.", 1, "www.a.test. 60 IN A 192.0.2.1"), None, now())
    return port


def now() -> int:
    return int(time.time())


def test_it_loads_no_room_that_reads_keys_and_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys, zoneward.serve; print(*sys.modules)"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "engine" in loaded
    assert loaded & ROOMS_OF_KEYS == set()
    assert loaded & HEAVY == set()


def test_it_answers_from_its_copy_without_a_manager_and_ends_cleanly(tmp_path: Path) -> None:
    port = prepared(tmp_path)
    process = serve(tmp_path)
    try:
        reply = ask(port)
        assert reply.rcode() == dns.rcode.NOERROR
        assert reply.answer[0][0].to_text() == "192.0.2.1"
    finally:
        process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors


def test_after_a_kill_it_comes_back_with_its_copy(tmp_path: Path) -> None:
    port = prepared(tmp_path)
    process = serve(tmp_path)
    assert ask(port).rcode() == dns.rcode.NOERROR
    process.kill()
    process.communicate()
    process = serve(tmp_path)
    try:
        assert ask(port).rcode() == dns.rcode.NOERROR
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_a_copy_past_its_expire_time_is_servfail(tmp_path: Path) -> None:
    port = prepared(tmp_path)
    (contact,) = tmp_path.glob("state/server/zones/*/a.test/contact")
    contact.write_text(f"{now() - 3601}\n")
    process = serve(tmp_path)
    try:
        assert ask(port).rcode() == dns.rcode.SERVFAIL
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_a_wrong_corefile_does_not_end_a_running_server(tmp_path: Path) -> None:
    port = prepared(tmp_path)
    process = serve(tmp_path)
    try:
        assert ask(port).rcode() == dns.rcode.NOERROR
        (tmp_path / "Corefile").write_text("a.test {\n whaomi\n}\n")
        process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert ask(port).rcode() == dns.rcode.NOERROR
    finally:
        process.terminate()
    _, errors = process.communicate(timeout=20)
    assert "Corefile:2:2: unknown directive 'whaomi'; did you mean 'whoami'?" in errors
    assert "Traceback" not in errors


def test_a_changed_corefile_is_taken_in(tmp_path: Path) -> None:
    port = free_port(ADDRESS)
    text = f".:{port} {{\n bind {ADDRESS}\n reload 2s 1s\n chaos NAME\n}}\n"
    (tmp_path / "Corefile").write_text(text.replace("NAME", "CoreDNS-001"))
    process = serve(tmp_path)
    query = dns.message.make_query("version.bind", "TXT", "CH")

    def version() -> str:
        reply = dns.query.udp(query, ADDRESS, timeout=1, port=port)
        return reply.answer[0][0].to_text()

    try:
        ask(port)
        assert version() == '"CoreDNS-001"'
        (tmp_path / "Corefile").write_text(text.replace("NAME", "CoreDNS-002"))
        until(lambda: version() == '"CoreDNS-002"', 10, "the change is seen")
        (tmp_path / "Corefile").write_text(text.replace("NAME", "CoreDNS-003"))
        process.send_signal(signal.SIGUSR1)
        until(lambda: version() == '"CoreDNS-003"', 10, "the signal is heard")
    finally:
        process.terminate()
        process.communicate(timeout=20)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.test {\n whaomi\n}\n", "Corefile:2:2: unknown directive 'whaomi'; did you mean"),
        ("a.test {\n", "Corefile:1:8: this '{' is never closed: a '}' is missing"),
        (None, "Corefile:1:1: the file can't be read: No such file or directory"),
        (f"a.test:PORT {{\n bind {ADDRESS}\n whoami\n}}\n", "stop what listens there"),
        ("a.test:1053 {\n bind 192.0.2.77\n whoami\n}\n", "192.0.2.77"),
    ],
)
def test_what_is_wrong_at_the_start_is_one_line(
    tmp_path: Path, text: str | None, expected: str
) -> None:
    with socket.socket() as other:
        other.bind((ADDRESS, 0))
        other.listen()
        if text is not None:
            text = text.replace("PORT", str(other.getsockname()[1]))
            (tmp_path / "Corefile").write_text(text)
        process = serve(tmp_path)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    (line,) = [one for one in errors.splitlines() if " warning " not in one]
    assert expected in line
