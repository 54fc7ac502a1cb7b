"""*cache* in a Corefile: what it compiles to, and what is refused where."""

from pathlib import Path

import pytest

import corefile
from server.compile import CompileError, compile_corefile
from server.compiled import Cache, Prefetch, Side
from server.registry import Registry


def compiled(body: str) -> Cache:
    text = "a.test b.test {\n" + body + "\n}"
    parsed = corefile.parse(text, path="Corefile", environ={}, read=Path.read_text)
    (chain,) = compile_corefile(parsed, Registry.of({})).config.chains
    (stage,) = chain.stages
    assert isinstance(stage, Cache)
    return stage


ZONES = ("a.test.", "b.test.")


def cache(
    *,
    zones: tuple[str, ...] = ZONES,
    success: tuple[int, int, int] = (9984, 3600, 5),
    denial: tuple[int, int, int] = (9984, 1800, 5),
    off: tuple[tuple[str, ...], tuple[str, ...]] = ((), ()),
    prefetch: Prefetch | None = None,
    servfail_seconds: int = 5,
    stale: tuple[int, bool] = (0, False),
    keep_ttl: bool = False,
) -> Cache:
    def side(three: tuple[int, int, int], disabled: tuple[str, ...]) -> Side:
        return Side(capacity=three[0], most_ttl=three[1], least_ttl=three[2], disabled=disabled)

    return Cache(
        zones=zones,
        success=side(success, off[0]),
        denial=side(denial, off[1]),
        servfail_seconds=servfail_seconds,
        prefetch=prefetch or Prefetch(),
        serve_stale_seconds=stale[0],
        serve_stale_verify=stale[1],
        keep_ttl=keep_ttl,
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("cache", cache()),
        ("cache 30", cache(success=(9984, 30, 5), denial=(9984, 30, 5))),
        ("cache 3", cache(success=(9984, 3, 3), denial=(9984, 3, 3))),
        ("cache Example.ORG", cache(zones=("example.org.",))),
        (
            "cache 60 c.test d.test",
            cache(zones=("c.test.", "d.test."), success=(9984, 60, 5), denial=(9984, 60, 5)),
        ),
        ("cache {\nsuccess 5000\n}", cache(success=(5000, 3600, 5))),
        ("cache {\nsuccess 10 100 20\n}", cache(success=(1024, 100, 20))),
        ("cache 60 {\ndenial 2000 30\n}", cache(success=(9984, 60, 5), denial=(2000, 30, 5))),
        (
            "cache {\nprefetch 10\n}",
            cache(prefetch=Prefetch(amount=10, duration_ms=60_000, percentage=10)),
        ),
        (
            "cache {\nprefetch 5 2m 20%\n}",
            cache(prefetch=Prefetch(amount=5, duration_ms=120_000, percentage=20)),
        ),
        ("cache {\nserve_stale\n}", cache(stale=(3600, False))),
        ("cache {\nserve_stale 30m verify\n}", cache(stale=(1800, True))),
        ("cache {\nserve_stale 1m immediate\n}", cache(stale=(60, False))),
        ("cache {\nservfail 0\n}", cache(servfail_seconds=0)),
        ("cache {\nservfail 1500ms\n}", cache(servfail_seconds=2)),
        ("cache {\ndisable denial\n}", cache(off=((), ZONES))),
        (
            "cache {\ndisable success x.a.test\ndisable denial y.a.test\n}",
            cache(off=(("x.a.test.",), ("y.a.test.",))),
        ),
        ("cache {\nkeepttl\n}", cache(keep_ttl=True)),
    ],
)
def test_lines(line: str, expected: Cache) -> None:
    assert compiled(line) == expected


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("cache 0", "2:7: 0 is out of range; a whole number from 1 to"),
        ("cache -5", "2:7: -5 is out of range"),
        ("cache {\nsuccess\n}", "3:1: success: an argument is missing; right: success CAPACITY"),
        ("cache {\nsuccess many\n}", "3:9: 'many' found where a whole number"),
        ("cache {\nprefetch 5 1m 5%\n}", "3:15: '5%' found where a share from 10% to 90%"),
        ("cache {\nprefetch 5 1m 20\n}", "3:15: '20' found where a share"),
        ("cache {\nserve_stale 1h often\n}", "3:16: 'often' found where one of immediate, verify"),
        ("cache {\nservfail 10m\n}", "3:10: 10m is out of range; it has to be at most 300s"),
        ("cache {\ndisable all\n}", "3:9: 'all' found where one of success, denial"),
        ("cache {\nservestale\n}", "3:1: unknown option 'servestale' of cache; did you mean"),
        ("cache\ncache", "3:1: 'cache' is given a second time"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(body: str, error: str) -> None:
    with pytest.raises(CompileError) as raised:
        compiled(body)
    assert str(raised.value).startswith(f"Corefile:{error}")
