"""A plan drawn: a lane for each key's records, on a dated UTC axis; one self-contained SVG.

States are told by colour, by how high their bar is and by its letter, so that the picture can
be read without colours too. The colours are Okabe and Ito's, which the colour-blind tell apart.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from xml.sax.saxutils import escape

import attrs

from signer.keyset import Key, KeySet, RecordKind, State
from signer.planner import Plan, what

_WIDTH, _LEFT, _RIGHT, _TOP = 1200, 110, 30, 96
_LANE, _GAP = 24, 14
_COLOURS = {
    State.RUMOURED: "#56B4E9",
    State.OMNIPRESENT: "#009E73",
    State.UNRETENTIVE: "#E69F00",
}
_HEIGHTS = {State.RUMOURED: 0.5, State.OMNIPRESENT: 1.0, State.UNRETENTIVE: 0.5}
_SAYS = {
    State.RUMOURED: "rumoured: in some caches",
    State.OMNIPRESENT: "omnipresent: in all caches",
    State.UNRETENTIVE: "unretentive: being forgotten",
}
_STEPS = (60, 300, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600)
_DAYS = (1, 2, 7, 14, 30, 61, 91, 182, 365)
_DAY = 86400


@attrs.frozen
class _Bar:
    begin: float
    end: float
    state: State


def draw(plan: Plan, wall: Callable[[float], float]) -> str:
    """`wall` gives Unix seconds for a moment of the plan, which is in lived seconds."""
    end = max([plan.begin + 60, plan.until if not plan.ended else _last(plan)])
    keys = _keys(plan)
    lanes = [(key, kind) for key in keys for kind, _ in key.records]
    height = _TOP + len(lanes) * _LANE + len(keys) * (_LANE + _GAP) + 64
    scale = (_WIDTH - _LEFT - _RIGHT) / (end - plan.begin)

    def at(moment: float) -> float:
        return round(_LEFT + (moment - plan.begin) * scale, 1)

    title = f"Key plan of {plan.origin} from {_date(wall(plan.begin))} UTC"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" role="img" aria-labelledby="title" '
        'font-family="DejaVu Sans, Verdana, sans-serif" font-size="12" fill="#222">',
        f'<title id="title">{escape(title)}</title>',
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="20" y="30" font-size="17" font-weight="bold">{escape(title)}</text>',
        *_legend(),
        *_axis(plan, end, at, wall, height - 58),
    ]
    y = float(_TOP)
    last = _final(plan)
    for key in keys:
        name = what(last if last.key(key.fingerprint) else plan.before, key.fingerprint)
        parts.append(f"<g><title>{escape(f'{name}, fingerprint {key.fingerprint}')}</title>")
        for number, (kind, _) in enumerate(key.records):
            if number == 0:
                parts.append(f'<text x="20" y="{y + 16}" font-weight="bold">{escape(name)}</text>')
            parts.append(
                f'<text x="{_LEFT - 10}" y="{y + 16}" text-anchor="end">{kind.value}</text>'
                f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y + _LANE - 3}" '
                f'y2="{y + _LANE - 3}" stroke="#ccc"/>'
            )
            parts += [_bar(bar, y, at, wall) for bar in _bars(plan, key.fingerprint, kind, end)]
            y += _LANE
        parts.append("</g>")
        y += _GAP
    if plan.stopped is not None:
        parts.append(
            f'<text x="20" y="{height - 16}" fill="#B00020" font-weight="bold">'
            f"stops: {escape(str(plan.stopped))}</text>"
        )
    elif plan.deadline is not None:
        parts.append(
            f'<text x="20" y="{height - 16}" fill="#B00020" font-weight="bold">'
            f"the signatures of the lost key end {_date(wall(plan.deadline))} UTC</text>"
        )
    return "\n".join([*parts, "</svg>", ""])


def _last(plan: Plan) -> float:
    last = plan.steps[-1].at if plan.steps else plan.begin
    return last + max(3600.0, (last - plan.begin) * 0.05)


def _final(plan: Plan) -> KeySet:
    return plan.steps[-1].keyset if plan.steps else plan.before


def _keys(plan: Plan) -> list[Key]:
    """All keys that have anything to show, in the order in which they came."""
    found: dict[str, Key] = {}
    for keyset in (plan.before, *(step.keyset for step in plan.steps)):
        for key in keyset.keys:
            if not key.all_hidden():
                found.setdefault(key.fingerprint, key)
    return list(found.values())


def _bars(plan: Plan, fingerprint: str, kind: RecordKind, end: float) -> list[_Bar]:
    bars: list[_Bar] = []
    since, state = plan.begin, _state(plan.before, fingerprint, kind)
    for step in plan.steps:
        new = _state(step.keyset, fingerprint, kind)
        if new is not state:
            bars.append(_Bar(since, step.at, state))
            since, state = step.at, new
    bars.append(_Bar(since, end, state))
    return [bar for bar in bars if bar.state is not State.HIDDEN and bar.end > bar.begin]


def _state(keyset: KeySet, fingerprint: str, kind: RecordKind) -> State:
    key = keyset.key(fingerprint)
    return State.HIDDEN if key is None else key.state(kind) or State.HIDDEN


def _bar(bar: _Bar, y: float, at: Callable[[float], float], wall: Callable[[float], float]) -> str:
    height = round((_LANE - 6) * _HEIGHTS[bar.state], 1)
    x, width = at(bar.begin), max(1.0, round(at(bar.end) - at(bar.begin), 1))
    top = round(y + _LANE - 3 - height, 1)
    says = f"{bar.state.value} {_date(wall(bar.begin))} to {_date(wall(bar.end))} UTC"
    letter = (
        f'<text x="{x + 3}" y="{y + _LANE - 5}" font-size="10" fill="#000">'
        f"{bar.state.letter}</text>"
        if width >= 12
        else ""
    )
    return (
        f'<rect x="{x}" y="{top}" width="{width}" height="{height}" '
        f'fill="{_COLOURS[bar.state]}"><title>{escape(says)}</title></rect>{letter}'
    )


def _legend() -> list[str]:
    parts, x = [], 20
    for state, says in _SAYS.items():
        height = round(14 * _HEIGHTS[state], 1)
        parts.append(
            f'<rect x="{x}" y="{58 - height}" width="22" height="{height}" '
            f'fill="{_COLOURS[state]}"/><text x="{x + 28}" y="57">{state.letter} {says}</text>'
        )
        x += 250
    return parts


def _axis(
    plan: Plan,
    end: float,
    at: Callable[[float], float],
    wall: Callable[[float], float],
    bottom: int,
) -> list[str]:
    """Dated grid lines; UTC days where there is room for them, else hours."""
    parts = []
    begin, span = wall(plan.begin), end - plan.begin
    for tick in _ticks(begin, begin + span):
        x = at(plan.begin + (tick - begin))
        moment = datetime.fromtimestamp(tick, UTC)
        day = span > 3 * _DAY or (moment.hour, moment.minute) == (0, 0)
        label = moment.strftime("%Y-%m-%d" if day else "%H:%M")
        parts.append(
            f'<line x1="{x}" x2="{x}" y1="{_TOP - 8}" y2="{bottom + 16}" stroke="#e4e4e4"/>'
            f'<text x="{x}" y="{_TOP - 14}" font-size="11" text-anchor="middle">{label}</text>'
        )
    return parts


def _ticks(begin: float, end: float) -> list[float]:
    span = end - begin
    sizes = [float(step) for step in _STEPS] + [float(days * _DAY) for days in _DAYS]
    size = next((size for size in sizes if span / size <= 9), sizes[-1])
    first = datetime.fromtimestamp(begin, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    found, moment = [], first
    while moment.timestamp() <= end:
        if moment.timestamp() >= begin:
            found.append(moment.timestamp())
        moment += timedelta(seconds=size)
    return found


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%d %H:%M")
