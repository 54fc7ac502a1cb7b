"""How the commands find the manager that they ask."""

from __future__ import annotations

from pathlib import Path

from corefile import CorefileError
from corefile.options import Options
from zoneward import configuration
from zoneward.client import AdminClient
from zoneward.refusal import Refusal


def client(corefile: Path, dns_port: int) -> AdminClient:
    """The manager of a Corefile. Raises Refusal."""
    return AdminClient(options(corefile, dns_port).admin)


def options(corefile: Path, dns_port: int) -> Options:
    """The Corefile's global options. Raises Refusal."""
    try:
        return Options.of(configuration.load(corefile, dns_port))
    except CorefileError as error:
        raise Refusal(f"{error}; name the Corefile with -c") from error
