"""Every plugin has its page."""

import re
from pathlib import Path

import pytest

from corefile.owners import OWNER
from server.plugins import BUILT_IN

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("name", sorted(OWNER))
def test_each_plugin_has_a_page_in_the_same_form(name: str) -> None:
    text = (ROOT / "docs" / "plugins" / f"{name}.md").read_text()
    assert text.startswith(f"# {name}\n\n## Name\n\n*{name}* - ")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert [one for one in headings if one in ("Name", "Syntax", "Examples", "Bugs")] == [
        "Name",
        "Syntax",
        "Examples",
        "Bugs",
    ]


def test_owners_and_built_ins_are_the_same_set() -> None:
    assert set(OWNER) == set(BUILT_IN)
