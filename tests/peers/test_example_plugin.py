"""The example plugin as its users get it: built as a wheel, installed by pip beside Zoneward,
named in a Corefile, asked something."""

import os
import re
import signal
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Iterator
from pathlib import Path

import dns.edns
import dns.exception
import dns.message
import dns.query
import dns.rcode
import pytest
from ports import free_port

import zoneward

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "plugin"
ADDRESS = "127.0.7.5"
PATIENCE = 60.0


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment: this one's packages, and the plugin from a wheel."""
    directory = tmp_path_factory.mktemp("plugin")
    run(
        *(sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"),
        *(
            "--no-deps",
            "--no-build-isolation",
            "--wheel-dir",
            directory,
            copy_of_example(directory),
        ),
    )
    (wheel,) = directory.glob("zoneward_blocklist-*.whl")
    venv.create(directory / "venv", with_pip=False)
    binary = directory / "venv" / "bin" / "python"
    (packages,) = (directory / "venv").glob("lib/python3*/site-packages")
    # What is installed here is visible there, however it was installed.
    seen = [sysconfig.get_path("purelib"), str(Path(zoneward.__file__).parents[1])]
    (packages / "beside.pth").write_text(
        "".join(f"import site; site.addsitedir({path!r})\n" for path in seen)
    )
    run(
        *(sys.executable, "-m", "pip", "--python", binary, "install", "--quiet"),
        *("--disable-pip-version-check", "--no-index", "--no-deps", wheel),
    )
    return binary


def copy_of_example(directory: Path) -> Path:
    """So that building leaves nothing in the tree."""
    target = directory / "source"
    for path in EXAMPLE.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            copy = target / path.relative_to(EXAMPLE)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    return target


def run(*command: object) -> str:
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def corefile(directory: Path, port: int) -> Path:
    """The example of the plugin's own page, on an address and port of the test's."""
    (text,) = re.findall(
        r"^~~~ corefile-with-blocklist\n(.*?)^~~~$",
        (EXAMPLE / "README.md").read_text(),
        re.MULTILINE | re.DOTALL,
    )
    assert "bind 127.0.0.1\n" in text
    assert ":5300" in text
    path = directory / "Corefile"
    path.write_text(text.replace("127.0.0.1", ADDRESS).replace(":5300", f":{port}"))
    return path


@pytest.fixture(scope="module")
def port(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """`zoneward run`, up and answering."""
    directory = tmp_path_factory.mktemp("run")
    port = free_port(ADDRESS)
    path = corefile(directory, port)
    log = (directory / "log").open("wb")
    process = subprocess.Popen(
        [str(python), "-P", "-m", "zoneward", "run", "-c", str(path)],
        stdout=log,
        stderr=subprocess.STDOUT,
        env={"PATH": os.environ["PATH"], "HOME": str(directory)},
    )
    try:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                ask("up.example.org", port, timeout=0.5)
                break
            except (OSError, dns.exception.DNSException):
                text = (directory / "log").read_text()
                assert process.poll() is None, text
                assert time.monotonic() < end, text
                time.sleep(0.05)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(PATIENCE)
        log.close()
    assert code == 0, (directory / "log").read_text()


def ask(name: str, port: int, timeout: float = 5.0) -> dns.message.Message:
    query = dns.message.make_query(name, "A", use_edns=0)
    return dns.query.udp(query, ADDRESS, timeout=timeout, port=port)


@pytest.mark.parametrize("name", ["internal.example.org", "a.b.INTERNAL.example.org"])
def test_what_is_listed_is_refused(port: int, name: str) -> None:
    reply = ask(name, port)
    assert reply.rcode() == dns.rcode.REFUSED
    (error,) = [one for one in reply.options if isinstance(one, dns.edns.EDEOption)]
    assert error.code == dns.edns.EDECode.BLOCKED


@pytest.mark.parametrize(
    "name", ["example.org", "www.internal.example.org", "notinternal.example.org"]
)
def test_all_else_goes_on(port: int, name: str) -> None:
    reply = ask(name, port)
    assert reply.rcode() == dns.rcode.NOERROR
    assert reply.additional, "whoami answered"


def test_check_knows_the_plugin_and_refuses_its_mistakes(python: Path, tmp_path: Path) -> None:
    path = corefile(tmp_path, 5300)
    run(python, "-P", "-m", "zoneward", "check", "-c", path)
    path.write_text(path.read_text().replace("except", "excpet"))
    done = subprocess.run(
        [str(python), "-P", "-m", "zoneward", "check", "-c", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert ":4:9: unknown option 'excpet' of blocklist; did you mean 'except'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_package_the_directive_is_unknown(tmp_path: Path) -> None:
    path = corefile(tmp_path, 5300)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "zoneward", "check", "-c", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert ":3:5: unknown directive 'blocklist'" in done.stderr
