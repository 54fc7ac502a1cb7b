"""The order of a chain."""

import pytest

from server.order import CANONICAL, OrderError, Wishes, resolve


def neighbours(order: tuple[str, ...], name: str) -> tuple[str, str]:
    at = order.index(name)
    return order[at - 1], order[at + 1]


def test_built_ins_alone_stand_as_in_coredns() -> None:
    assert resolve({}) == CANONICAL


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        (Wishes(), ("autopath", "file")),
        (Wishes(before=("whoami",)), ("erratic", "whoami")),
        (Wishes(after=("log",)), ("log", "dnstap")),
        (Wishes(before=("log",), after=("prometheus",)), ("errors", "log")),
        (Wishes(before=("not-installed",), after=("nor-this",)), ("view", "")),
    ],
)
def test_a_plugin_stands_where_it_asks_to(wishes: Wishes, expected: tuple[str, str]) -> None:
    order = (*resolve({"mine": wishes}), "")
    assert neighbours(order, "mine") == expected


def test_the_built_ins_keep_their_order_around_plugins() -> None:
    order = resolve({"a": Wishes(before=("log",)), "b": Wishes(after=("file",)), "c": Wishes()})
    assert tuple(name for name in order if name in CANONICAL) == CANONICAL


def test_plugins_can_name_each_other() -> None:
    order = resolve({"late": Wishes(after=("early",)), "early": Wishes(after=("cache",))})
    at = order.index
    assert at("cache") < at("early") < at("late") < at("header")


@pytest.mark.parametrize(
    "plugins",
    [
        {"mine": Wishes(before=("log",), after=("file",))},
        {"a": Wishes(before=("b",)), "b": Wishes(before=("a",))},
        {"a": Wishes(after=("b",)), "b": Wishes(after=("a",))},
    ],
)
def test_circles_are_refused_by_name(plugins: dict[str, Wishes]) -> None:
    with pytest.raises(OrderError) as caught:
        resolve(plugins)
    for name in plugins:
        assert f"'{name}'" in str(caught.value)
