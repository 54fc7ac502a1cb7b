"""*rpz* beside BIND: the same feeds in front of the same upstream, the same answers."""

import random
from pathlib import Path

import pytest
import rpzpeer
from answering import answering
from peers import door

import engine
from corefile.names import name_wire

QUESTIONS = 2000


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_feeds_give_the_same_answers(seed: int, tmp_path: Path, address: str) -> None:
    chance = random.Random(seed)
    above = engine.scan_text(rpzpeer.upstream_zone(chance).encode(), name_wire(rpzpeer.ORIGIN))
    feeds = []
    for number, share in enumerate((0.15, 0.4)):
        path = tmp_path / f"feed{number}"
        path.write_text(rpzpeer.feed(chance, share))
        feeds.append((f"feed{number}.example", path))
    asked = rpzpeer.questions(chance, QUESTIONS)
    _, port = door("bind", address)
    policies = "\n".join(f"rpz {origin} {{\nfile {path}\n}}" for origin, path in feeds)
    with answering(address, "file db", rpzpeer.ORIGIN) as upstream:
        upstream.publish(above)
        forward = f"forward . {upstream.address}:{upstream.port}"
        with (
            rpzpeer.bind(tmp_path, port, (upstream.address, upstream.port), feeds),
            answering(address, f"{policies}\n{forward}") as ours,
        ):
            for source in ("127.0.0.1", "127.0.0.9"):
                theirs = rpzpeer.ask("127.0.0.1", port, asked, source)
                mine = rpzpeer.ask(ours.address, ours.port, asked, source)
                differing = [
                    (question, one, other)
                    for question, one, other in zip(asked, mine, theirs, strict=True)
                    if one != other
                ]
                assert differing == []
