"""*dnstap* as fstrm_capture takes it and dnstap-ldns reads it: every query and every answer.

ZONEWARD_TAPPED is how many queries; a million take minutes.
"""

import contextlib
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from asking import ask_all
from house import PORT, House, until
from ports import free_port
from prometheus_client.parser import text_string_to_metric_families

NUMBER = int(os.environ.get("ZONEWARD_TAPPED", "20000"))
CONTENT_TYPE = "protobuf:dnstap.Dnstap"


@contextlib.contextmanager
def capturing(file: Path, *listen: str) -> Iterator[subprocess.Popen[bytes]]:
    """Ends with everything on disk."""
    process = subprocess.Popen(["fstrm_capture", "-t", CONTENT_TYPE, "-w", str(file), *listen])
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(20)


def read(file: Path) -> list[list[str]]:
    """The words of each message: date, time, mnemonic, addresses, transport, size, question."""
    shown = subprocess.run(
        ["dnstap-ldns", "-q", "-r", str(file)], capture_output=True, text=True, check=True
    )
    return [line.split() for line in shown.stdout.splitlines()]


def metrics(house: House, port: int) -> dict[str, float]:
    text = httpx.get(f"http://{house.address}:{port}/metrics").text
    return {
        sample.name.removeprefix("zoneward_dnstap_"): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("zoneward_dnstap_")
    }


def serve(house: House, target: str, *more: str) -> int:
    port = free_port(house.address)
    house.corefile(
        f".:@PORT@ {{\n bind @ADDRESS@\n whoami\n prometheus @ADDRESS@:{port}\n"
        f" dnstap {target} {' '.join(more)}\n}}"
    )
    house.start("serve")

    def is_connected() -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return metrics(house, port).get("connected") == 1
        return False

    until(is_connected, 20, f"a connection\n{house.log}")
    return port


def names(number: int) -> list[str]:
    return [f"n{index}.example.org." for index in range(number)]


@pytest.mark.parametrize("transport", ["unix", "tcp"])
def test_every_query_and_every_answer_arrives(house: House, tmp_path: Path, transport: str) -> None:
    if transport == "unix":
        listen, target = ["-u", str(tmp_path / "s")], str(tmp_path / "s")
    else:
        port = free_port(house.address)
        listen = ["-a", house.address, "-p", str(port)]
        target = f"tcp://{house.address}:{port}"
    captured = tmp_path / "captured"
    with capturing(captured, *listen):
        metric = serve(house, target, "full")
        assert ask_all(house.address, PORT, names(NUMBER)) == NUMBER
        until(lambda: metrics(house, metric)["sent_total"] == 2 * NUMBER, 30, "all sent")
        assert metrics(house, metric)["dropped_total"] == 0
        house.stop()
    messages = read(captured)
    assert Counter(words[2] for words in messages) == {"CQ": NUMBER, "CR": NUMBER}
    for kind in ("CQ", "CR"):
        asked = {words[6] for words in messages if words[2] == kind}
        assert len(asked) == NUMBER


def test_a_receiver_that_stops_costs_copies_and_no_answer(house: House, tmp_path: Path) -> None:
    number = 16_000
    captured = tmp_path / "captured"
    with capturing(captured, "-u", str(tmp_path / "s")) as process:
        metric = serve(house, str(tmp_path / "s"), "full")
        process.send_signal(signal.SIGSTOP)
        assert ask_all(house.address, PORT, names(number)) == number
        assert metrics(house, metric)["dropped_total"] > 0
        process.send_signal(signal.SIGCONT)

        def accounted() -> bool:
            found = metrics(house, metric)
            return found["sent_total"] + found["dropped_total"] == 2 * number

        until(accounted, 20, "each message to be sent or dropped")
        sent = metrics(house, metric)["sent_total"]
        house.stop()
    assert len(read(captured)) == sent


def test_a_receiver_that_dies_is_followed_by_the_next(house: House, tmp_path: Path) -> None:
    socket = tmp_path / "s"
    with capturing(tmp_path / "first", "-u", str(socket)) as process:
        metric = serve(house, str(socket))
        assert ask_all(house.address, PORT, names(100)) == 100
        until(lambda: metrics(house, metric)["sent_total"] == 200, 10, "the first hundred")
        process.kill()
    assert ask_all(house.address, PORT, names(100)) == 100
    with capturing(tmp_path / "second", "-u", str(socket)):
        until(lambda: metrics(house, metric)["sent_total"] == 400, 10, "the second hundred")
        house.stop()
    assert len(read(tmp_path / "second")) == 200
