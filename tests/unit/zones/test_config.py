"""*file* and *auto*: what is taken, what is refused and where."""

from pathlib import Path

import dns.name
import pytest

import corefile
from corefile import CorefileError
from zones.config import DEFAULT_RELOAD, BlockSpec, compile_block


def compiled(text: str) -> BlockSpec | None:
    parsed = corefile.parse(text, path="/etc/Corefile", environ={}, read=lambda _: "")
    return compile_block(parsed.blocks[0], Path("/etc"))


def refused(text: str) -> str:
    with pytest.raises(CorefileError) as caught:
        compiled(text)
    return str(caught.value)


def test_a_file_serves_the_zones_of_its_block() -> None:
    spec = compiled("example.org example.com {\n file db.both\n}")
    assert spec is not None
    assert [(str(zone.origin), zone.path, zone.reload) for zone in spec.zones] == [
        ("example.org.", Path("/etc/db.both"), DEFAULT_RELOAD),
        ("example.com.", Path("/etc/db.both"), DEFAULT_RELOAD),
    ]
    assert spec.sign is None


def test_a_file_may_name_its_zones_and_its_polling() -> None:
    spec = compiled(
        "test {\n file /srv/db a.test {\n reload 5s\n }\n file db b.test {\n reload 0\n}\n}"
    )
    assert spec is not None
    assert [(str(zone.origin), zone.path, zone.reload) for zone in spec.zones] == [
        ("a.test.", Path("/srv/db"), 5.0),
        ("b.test.", Path("/etc/db"), None),
    ]


def test_auto_has_the_defaults_of_coredns() -> None:
    spec = compiled("test {\n auto {\n directory zones\n }\n}")
    assert spec is not None
    (auto,) = spec.autos
    assert auto.directory == Path("/etc/zones")
    assert auto.pattern.pattern == r"db\.(.*)"
    assert auto.template == "{1}"
    assert auto.origins == (dns.name.from_text("test."),)


def test_a_block_without_zone_data_is_none_of_the_managers() -> None:
    assert compiled("test {\n whoami\n}") is None


def test_fallthrough_is_taken_with_a_warning() -> None:
    spec = compiled("test {\n file db {\n fallthrough\n }\n}")
    assert spec is not None
    assert [str(warning) for warning in spec.warnings] == [
        "/etc/Corefile:3:2: warning: fallthrough of file has no effect: a name that a zone "
        "denies is denied"
    ]


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("test {\n file\n}", "/etc/Corefile:2:2", "an argument is missing"),
        ("test {\n file db {\n relaod 1m\n }\n}", "/etc/Corefile:3:2", "did you mean 'reload'"),
        ("test {\n file db {\n reload soon\n }\n}", "/etc/Corefile:3:9", "a duration"),
        ("test {\n file a\n file b\n}", "/etc/Corefile:3:2", "already loaded from /etc/a"),
        ("test {\n auto {\n }\n}", "/etc/Corefile:2:2", "directory DIR"),
        ("test {\n auto {\n directory z ( {1}\n }\n}", "/etc/Corefile:3:14", "regular expression"),
        ("test {\n sign a\n sign b\n}", "/etc/Corefile:3:2", "a second time"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(text: str, where: str, what: str) -> None:
    line = refused(text)
    assert line.startswith(where)
    assert what in line
