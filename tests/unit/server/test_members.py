"""What a block's catalog may say."""

import pytest
from fakemanager import catalog, zone

from corefile.link import catalog_name
from server.members import CatalogError, members

BLOCK = "b-0123"
CATALOG = catalog_name(BLOCK)


def test_members_of_a_catalog() -> None:
    assert members(catalog(BLOCK, "a.test.", "x.b.test."), ["a.test.", "b.test."]) == {
        "a.test.",
        "x.b.test.",
    }


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], "the catalog's version is not 2"),
        ([f'version.{CATALOG} 0 IN TXT "1"'], "the catalog's version is not 2"),
        (
            [f'version.{CATALOG} 0 IN TXT "2"', f"x.zones.{CATALOG} 0 IN PTR other.test."],
            "other.test. lies outside of the block's keys",
        ),
        (
            [
                f'version.{CATALOG} 0 IN TXT "2"',
                f"x.zones.{CATALOG} 0 IN PTR a.test.",
                f"x.zones.{CATALOG} 0 IN PTR b.a.test.",
            ],
            "has more than one PTR record",
        ),
    ],
)
def test_catalogs_that_are_refused(lines: list[str], expected: str) -> None:
    with pytest.raises(CatalogError, match=expected):
        members(zone(CATALOG, 1, *lines), ["a.test."])


def test_what_is_no_member_is_passed_over() -> None:
    lines = [
        f'version.{CATALOG} 0 IN TXT "2"',
        f"x.zones.{CATALOG} 0 IN PTR a.test.",
        f'group.x.zones.{CATALOG} 0 IN TXT "g"',
        f"coo.x.zones.{CATALOG} 0 IN PTR other.test.",
        f"ext.{CATALOG} 0 IN PTR other.test.",
    ]
    assert members(zone(CATALOG, 1, *lines), ["a.test."]) == {"a.test."}
