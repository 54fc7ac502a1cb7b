"""*rrl*: limits on replies of one kind to one client."""

from corefile.arguments import count, known_options, number_of_arguments, only_once, plain
from corefile.directive import Directive
from server.compiled import Limit
from server.parts import Context, Parts

_RATES = (
    *("responses-per-second", "nodata-per-second", "nxdomains-per-second"),
    *("referrals-per-second", "errors-per-second", "requests-per-second"),
)
_OPTIONS = (
    *_RATES,
    *("window", "slip-ratio", "ipv4-prefix-length", "ipv6-prefix-length", "report-only"),
)
_MOST = 1_000_000


def setup(directive: Directive, _context: Context) -> Parts:
    number_of_arguments(directive, 0, 0, "rrl { responses-per-second NUMBER … }")
    known_options(directive, _OPTIONS)
    only_once(directive, _OPTIONS)
    responses = _number(directive, "responses-per-second", 0)
    of_kind = {name: _number(directive, name, responses) for name in _RATES[1:-1]}
    report = directive.option("report-only")
    if report is not None:
        plain(report, 0, 0, "report-only")
    limit = Limit(
        responses=responses,
        nodata=of_kind["nodata-per-second"],
        nxdomains=of_kind["nxdomains-per-second"],
        referrals=of_kind["referrals-per-second"],
        errors=of_kind["errors-per-second"],
        requests=_number(directive, "requests-per-second", 0),
        window=_number(directive, "window", 15, least=1, most=3600),
        slip=_number(directive, "slip-ratio", 2, most=10),
        v4=_number(directive, "ipv4-prefix-length", 24, most=32),
        v6=_number(directive, "ipv6-prefix-length", 56, most=128),
        dry=report is not None,
    )
    return Parts(stage=limit)


def _number(
    directive: Directive, name: str, default: int, *, least: int = 0, most: int = _MOST
) -> int:
    line = directive.option(name)
    if line is None:
        return default
    plain(line, 1, 1, f"{name} NUMBER")
    return count(line.args[0], least=least, most=most)
