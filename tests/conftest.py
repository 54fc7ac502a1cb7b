import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--zone-years", default="1000", help="how many zone-years of rollovers to live through"
    )
    parser.addoption(
        "--etcd-keys", default="10000", help="how many keys the largest zone in etcd has"
    )
    parser.addoption(
        "--every-death",
        action="store_true",
        help="kill rollovers also at the steps that only note the time",
    )
