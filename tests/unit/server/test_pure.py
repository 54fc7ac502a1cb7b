"""Freshness of copies, consolidation of errors, log lines, histograms: the pure parts."""

import logging
import re
import struct

import pytest

from server.consolidate import Consolidator
from server.counters import DURATION_BUCKETS, SIZE_BUCKETS
from server.freshness import Timers, believable_contact, poll_interval, retry_interval, valid_until
from server.logs import Formatter, harmless
from server.parts import Consolidation

PREFIX = "plugin/errors [b]: "


@pytest.mark.parametrize(
    ("contact", "expire", "expiration", "expected"),
    [
        (1000, 600, None, 1600),
        (1000, 600, 5000, 1600),
        (1000, 600, 1200, 1200),
        (0, 600, 5000, 600),
    ],
)
def test_a_copy_ends_at_expire_or_its_first_signatures_end(
    contact: int, expire: int, expiration: int | None, expected: int
) -> None:
    assert valid_until(contact, expire, expiration) == expected


def test_contacts_on_disk() -> None:
    assert believable_contact(900, 1000) == 900
    assert believable_contact(1100, 1000) == 1000
    assert believable_contact(None, 1000) == 0


@pytest.mark.parametrize(("expire", "seconds"), [(604800, 30), (30, 10), (6, 2), (1, 1), (0, 1)])
def test_three_chances_before_a_copy_expires(expire: int, seconds: float) -> None:
    assert poll_interval(expire) == seconds


@pytest.mark.parametrize(
    ("zones", "poll", "retry"), [(1, 30, 2), (60, 30, 2), (150, 75, 3), (10_000, 5000, 200)]
)
def test_many_zones_that_notify_tells_of_are_asked_for_more_rarely(
    zones: int, poll: float, retry: float
) -> None:
    assert poll_interval(604800, zones) == poll
    assert retry_interval(zones) == retry
    assert poll_interval(30, zones) == 10, "a copy that expires soon is asked for in time"


def test_timers_of_an_soa() -> None:
    soa = b"\x02ns\0\x01h\0" + struct.pack("!5I", 7, 3600, 600, 86400, 300)
    assert Timers.of(soa) == Timers(serial=7, refresh=3600, retry=600, expire=86400)
    with pytest.raises(ValueError, match="SOA rdata of 21 octets"):
        Timers.of(b"\0" * 21)


def test_errors_are_counted_and_told_once_a_period() -> None:
    rules = [
        Consolidation(re.compile("time"), 10.0, logging.WARNING),
        Consolidation(re.compile(".*"), 60.0, logging.ERROR),
    ]
    consolidator = Consolidator(PREFIX, rules)
    assert consolidator.takes(PREFIX + "SERVFAIL a. A: timed out", 100.0)
    assert consolidator.takes(PREFIX + "SERVFAIL b. A: timed out", 105.0)
    assert consolidator.takes(PREFIX + "SERVFAIL c. A: refused", 105.0)
    assert consolidator.due(109.9) == []
    assert consolidator.due(110.0) == [
        (logging.WARNING, PREFIX + "2 errors like 'time' occurred in last 10s")
    ]
    assert consolidator.due(111.0) == []
    assert consolidator.due(float("inf")) == [
        (logging.ERROR, PREFIX + "1 errors like '.*' occurred in last 60s")
    ]


def test_the_prefix_does_not_match() -> None:
    consolidator = Consolidator(PREFIX, [Consolidation(re.compile("plugin"), 1.0, 40)])
    assert not consolidator.takes(PREFIX + "SERVFAIL a. A: x", 0.0)


def test_log_lines() -> None:
    record = logging.LogRecord("n", logging.WARNING, "p", 1, "zone %s\n\x1b[2J", ("a",), None)
    record.created, record.msecs = 1700000000.25, 250.0
    assert Formatter().format(record) == ("2023-11-14T22:13:20.250Z warning zone a\\x0a\\x1b[2J")
    assert harmless("grün") == "grün"


def test_buckets_are_coredns() -> None:
    assert DURATION_BUCKETS[0] == 0.00025
    assert DURATION_BUCKETS[-1] == 8.192
    assert SIZE_BUCKETS[-1] == 64000
