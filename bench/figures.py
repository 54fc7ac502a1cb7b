"""Figures of interleaved rounds: medians of paired ratios, and their intervals."""

import statistics
from collections.abc import Mapping, Sequence

import attrs


@attrs.frozen
class Ratio:
    """Ours to a peer's, paired by round: the median and the least and greatest between
    which it lies with some 95 % (distribution-free, from the order statistics)."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f}–{self.high:.2f})"


def paired(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """Raises ValueError without a whole round."""
    ratios = sorted(a / b for a, b in zip(ours, theirs, strict=True))
    if not ratios:
        raise ValueError("no round was valid")
    # Of seven rounds, the second and the sixth bound the median with 87 %, the first and the
    # seventh with 98 %: the wider is printed.
    return Ratio(statistics.median(ratios), ratios[0], ratios[-1])


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(row: Sequence[str]) -> str:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        return "  ".join(cells)

    return "\n".join([f"\n{title}", line(header), *(line(row) for row in rows)])


def compared(
    title: str, unit: str, results: Mapping[str, Sequence[float]], *, ours: str = "zoneward"
) -> str:
    """A row for each competitor: its median in `unit`, and ours in ratio to it."""
    rows = []
    for name, values in results.items():
        ratio = "" if name == ours else str(paired(results[ours], values))
        rows.append([name, f"{statistics.median(values):.3g}", ratio])
    return table(title, ["", unit, "zoneward in ratio to it"], rows)
