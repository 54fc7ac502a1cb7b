"""All orders of all steps, none left out: the rules by themselves, and the whole machine.

What the stories in `orders` and `steps` reach is gone through to the end: no mix of caches is
bogus, no DS goes that nobody asked to go, no version stands on nothing, and from each moment
there is a way to the end.
"""

import pytest
from orders import STORIES as ORDERS
from orders import Exploration as Orders
from steps import Exploration as Steps
from stories import LONG
from stories import STORIES as STEPS


@pytest.mark.parametrize("name", ORDERS)
def test_the_rules_alone_keep_every_order_safe(name: str) -> None:
    found = Orders(ORDERS[name]).run()
    assert not found.bogus, found.bogus
    assert found.stuck is None, found.stuck
    assert found.moments > len(found.rows) / 2 > 1


@pytest.mark.parametrize("name", STEPS)
def test_the_machine_is_safe_whatever_comes_first(
    name: str, request: pytest.FixtureRequest
) -> None:
    """The longest stories go to the end only in the long run."""
    long = int(request.config.getoption("--zone-years")) > 1000
    found = Steps(STEPS[name]).run(1_000_000 if long or name not in LONG else 250)
    assert not found.wrong, found.wrong
    assert found.moments > len(STEPS[name].wishes) + 1
