"""Every Corefile in the documentation is one that works, and every plugin has its page."""

import re
from pathlib import Path

import pytest

import corefile
from corefile.owners import OWNER
from server.compile import check
from server.plugins import BUILT_IN
from server.registry import Registry
from zoneward.configuration import plan_manager

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
_FENCE = re.compile(r"^(~~~|```) *corefile\n(.*?)^\1$", re.MULTILINE | re.DOTALL)

EXAMPLES = [
    pytest.param(found[2], id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    for number, found in enumerate(_FENCE.finditer(page.read_text()), 1)
]


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= len(BUILT_IN)


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_passes_check(text: str) -> None:
    parsed = corefile.parse(text, path="Corefile", environ={}, read=Path.read_text)
    assert check(parsed, Registry.of({})) == []
    plan_manager(parsed)


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
