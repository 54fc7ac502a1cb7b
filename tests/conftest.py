import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--zone-years", default="1000", help="how many zone-years of rollovers to live through"
    )
