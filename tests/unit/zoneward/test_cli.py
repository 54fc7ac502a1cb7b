"""The command: spellings, exit codes, one line for what is wrong, never a traceback."""

import io
import logging as stdlib_logging
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from zoneward import logging
from zoneward.child import ending
from zoneward.refusal import Refusal, one_line
from zoneward.sdnotify import notify

GOOD = "example.org:5399 {\n    file db.example.org\n    sign {\n        parent none\n    }\n}\n"


def zoneward(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "zoneward", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "Corefile").write_text(GOOD)
    return tmp_path


@pytest.mark.parametrize("spelling", ["-c", "-conf", "--corefile"])
def test_check_takes_the_corefile_as_coredns_spells_it(directory: Path, spelling: str) -> None:
    done = zoneward("check", spelling, "Corefile", "-dns.port", "5353", cwd=directory)
    assert (done.returncode, done.stdout) == (0, "Corefile: good, 1 server block\n")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("example.org {\n    fil db\n}\n", "Corefile:2:5: unknown directive 'fil'"),
        ("example.org {\n    file\n}\n", "Corefile:2:5: file: an argument is missing"),
        ("example.org {\n    sign\n}\n", "Corefile:2:5: sign: nothing in this block loads"),
        ("example.org {\n    file db\n", "Corefile:"),
        ("{\n    thraeds 3\n}\nexample.org {\n    whoami\n}\n", "Corefile:2:5: unknown global"),
    ],
)
@pytest.mark.parametrize("command", ["check", "run", "manage"])
def test_a_corefile_with_a_mistake_is_refused_with_its_place(
    directory: Path, command: str, text: str, line: str
) -> None:
    (directory / "Corefile").write_text(text)
    done = zoneward(command, "-c", "Corefile", cwd=directory)
    assert done.returncode == 1
    assert line in done.stderr
    assert "Traceback" not in done.stderr
    assert not (directory / "state").exists()


def test_every_mistake_is_told(directory: Path) -> None:
    (directory / "Corefile").write_text("a.test {\n    fil db\n    sing\n}\n")
    done = zoneward("check", cwd=directory)
    assert [line.split(": ")[0] for line in done.stderr.splitlines()] == [
        "Corefile:2:5",
        "Corefile:3:5",
    ]


@pytest.mark.parametrize(
    "arguments",
    [("zones", "list"), ("keys", "list"), ("ds", "show"), ("status",), ("zones", "reload")],
)
def test_without_a_manager_the_commands_say_what_to_do(
    directory: Path, arguments: tuple[str, ...]
) -> None:
    done = zoneward(*arguments, cwd=directory)
    assert done.returncode == 1
    assert done.stderr == (
        "zoneward: state/run/admin.sock: no manager is running there; start one with "
        "`zoneward run`, or name its Corefile with -c\n"
    )


@pytest.mark.parametrize("arguments", [("frobnicate",), ("sign",), ("check", "--no-such")])
def test_wrong_usage_is_exit_code_2(directory: Path, arguments: tuple[str, ...]) -> None:
    done = zoneward(*arguments, cwd=directory)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_missing_corefile_is_named(tmp_path: Path) -> None:
    done = zoneward("run", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.endswith("there is no such file; name the Corefile with -c\n")


def test_conf_alone_runs_as_it_does_in_coredns(tmp_path: Path) -> None:
    done = zoneward("-conf", "Nope", "-dns.port", "1053", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.endswith("Nope: there is no such file; name the Corefile with -c\n")
    done = zoneward(cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: ")


def test_one_line_whatever_the_error_says() -> None:
    assert one_line(Refusal("a\nb")) == "a b"
    assert one_line(FileNotFoundError(2, "No such file", "db")) == "db: No such file"
    assert one_line(KeyError("x")).startswith("an unexpected KeyError: 'x'; this is a bug")


def test_a_log_line_is_one_line_and_has_no_traceback() -> None:
    out = io.StringIO()
    before, root = structlog.get_config(), stdlib_logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logging.configure("info", stream=out)
    try:
        logging.get("test").error("a\nb\x1b[31m", zone="example.org.", path="/a b")
        try:
            raise ValueError("inside")
        except ValueError as error:
            logging.get("test").warning("failed", exc_info=error)
        logging.get("test").debug("not shown")
    finally:
        # Others look at what is printed where nobody has configured anything.
        structlog.configure(**before)
        root.handlers[:] = handlers
        root.setLevel(level)
    first, second = out.getvalue().splitlines()
    assert first.endswith('error   a\\x0ab\\x1b[31m path="/a b" zone=example.org.')
    assert first[:4].isdecimal()
    assert first[10] == "T"
    assert second.endswith("warning failed (ValueError: inside)")


def test_systemd_is_told_where_it_listens(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "notify")})
        assert listener.recv(64) == b"READY=1"
    notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "notify")})
    notify("READY=1", {})


def test_how_a_process_ended_is_told_in_words() -> None:
    assert ending(1) == "exit code 1"
    assert ending(-9) == "killed by SIGKILL"
