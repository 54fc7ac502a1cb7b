"""Every Corefile in the documentation, and of `examples`, is one that works: `check` takes it, and
a manager and a server that are started with it answer."""

import asyncio
import functools
from collections import Counter
from pathlib import Path

import dns.asyncquery
import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype
import pytest
import responder
from bothhalves import managed, served
from onloopback import OnLoopback
from pageexamples import EXAMPLES, Example, unlabelled

import corefile
import keystore.opening
from corefile import Block
from corefile.names import encloses
from keystore.files import FileKeyStore
from server.plugins import BUILT_IN
from server.service import ServiceError
from zoneward import checking

# What is asked where it is not for the SOA of example.org, or of the block's zone.
QUESTIONS = {
    "docs/plugins/chaos.md 1": ("version.bind.", "TXT", "CH"),
    "docs/plugins/erratic.md 1": ("example.org.", "A", "IN"),
    "docs/plugins/erratic.md 2": ("example.org.", "A", "IN"),
    "docs/plugins/template.md 1": ("ip-10-0-0-7.example.", "A", "IN"),
    "docs/plugins/template.md 2": ("a.invalid.", "A", "IN"),
}
# What comes of it where that is not NOERROR from each block.
OUTCOMES = {
    # We are none of those that may ask.
    "docs/plugins/acl.md 1": ["REFUSED"],
    # No etcd is there. Which zones its last example has, nobody else knows.
    "docs/plugins/etcd.md 1": ["SERVFAIL"],
    "docs/plugins/etcd.md 2": ["SERVFAIL"],
    "docs/plugins/etcd.md 3": ["REFUSED"],
    "docs/plugins/loop.md 1": ["a loop"],
    "docs/plugins/template.md 2": ["NXDOMAIN"],
}
PATIENCE = 30.0


def test_there_are_examples_of_every_plugin() -> None:
    pages = Counter(example.name.split()[0] for example in EXAMPLES)
    assert [name for name in BUILT_IN if not pages[f"docs/plugins/{name}.md"]] == []
    assert pages["README.md"]
    assert pages["examples/Corefile"]
    assert unlabelled() == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_passes_check(example: Example, tmp_path: Path) -> None:
    checking.check(example.write(tmp_path), 53, {})


def test_every_example_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "0" / "credentials"))
    cheap = functools.partial(FileKeyStore, memory_kib=64, iterations=1, lanes=1)
    monkeypatch.setattr(keystore.opening, "FileKeyStore", cheap)
    found = asyncio.run(_all(tmp_path))
    assert found == {
        name: OUTCOMES.get(name, ["NOERROR"] * len(outcome)) for name, outcome in found.items()
    }


async def _all(directory: Path) -> dict[str, list[str]]:
    """By example, what each block answers."""
    async with responder.server(_upstream, "127.62.0.1") as port:
        outcomes = await asyncio.gather(
            *(
                _outcome(example, OnLoopback(number, directory / str(number), f"127.62.0.1:{port}"))
                for number, example in enumerate(EXAMPLES)
            )
        )
    return {example.name: outcome for example, outcome in zip(EXAMPLES, outcomes, strict=True)}


def _upstream(query: dns.message.Message) -> dns.message.Message:
    return dns.message.make_response(query, recursion_available=True)


async def _outcome(example: Example, here: OnLoopback) -> list[str]:
    here.directory.mkdir()
    path = example.write(here.directory)
    path.write_text(here.text(corefile.load(str(path), environ={})))
    expected = iter(OUTCOMES.get(example.name, ()))
    try:
        async with managed(path), served(path):
            return [
                await _answer(example, block, next(expected, "NOERROR"))
                for block in corefile.load(str(path)).blocks
            ]
    except Exception as error:  # noqa: BLE001 -- told beside the example's name
        loops = isinstance(error, ServiceError) and "loop" in str(error)
        return ["a loop" if loops else f"{type(error).__name__}: {error}"]


async def _answer(example: Example, block: Block, expected: str) -> str:
    """Asked until it is what is expected, or for too long: zones have to be signed first."""
    zone = "example.org." if encloses(block.zones[0], "example.org.") else block.zones[0]
    question = QUESTIONS.get(example.name, (zone, "SOA", "IN"))
    bound = block.directive("bind")
    assert bound is not None
    address, port = bound.args[0].text, block.keys[0].port
    loop = asyncio.get_running_loop()
    end = loop.time() + PATIENCE
    while True:
        query = dns.message.make_query(*question, use_edns=0)
        try:
            reply = await dns.asyncquery.udp(query, address, timeout=2, port=port)
            said = dns.rcode.to_text(reply.rcode())
        except dns.exception.Timeout:
            said = "no answer"
        if said == expected or loop.time() > end:
            return said
        await asyncio.sleep(0.05)
