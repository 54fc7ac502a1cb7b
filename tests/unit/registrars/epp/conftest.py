from collections.abc import Iterator
from pathlib import Path

import eppserver
import pytest
from eppscene import OTHER, ZONE, Scene


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A registry with two domains of ours. Whatever a scenario does, no client may have sent a
    frame that the schemas don't have."""
    server, authority = eppserver.make(tmp_path)
    authority.client("client")
    (tmp_path / "password").write_text(eppserver.PASSWORD + "\n")
    for zone in (ZONE, OTHER):
        server.registry.add(zone.to_text(omit_final_dot=True))
    with server.running():
        scene = Scene(server, authority, tmp_path)
        try:
            yield scene
        finally:
            for one in scene.opened:
                one.close()
    assert server.violations == []
