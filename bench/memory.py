"""Memory: the slope between two zone sizes, and the process with next to nothing."""

from collections.abc import Mapping
from pathlib import Path

from bench.figures import table
from bench.servers import resident_bytes, start

SERVERS = ("zoneward", "nsd", "knot", "bind")


def run(zones: Mapping[int, Path], folder: Path) -> str:
    """`zones`: signed zones by their number of records."""
    (small, small_zone), (large, large_zone) = sorted(zones.items())
    rows = []
    for name in SERVERS:
        sizes = []
        for label, zone in (("small", small_zone), ("large", large_zone)):
            with start(name, zone, folder / f"{name}-{label}") as server:
                sizes.append(resident_bytes(server.pid))
        slope = (sizes[1] - sizes[0]) / (large - small)
        empty = sizes[0] - slope * small
        rows.append([name, f"{slope:.0f}", f"{empty / 1e6:.0f}"])
    return table("Resident memory of the serving process", ["", "B/record", "MB besides"], rows)
