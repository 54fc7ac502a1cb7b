from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from signhouse import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with ThreadPoolExecutor(2) as executor:
        found = House(tmp_path, executor)
        yield found
        found.database.close()
