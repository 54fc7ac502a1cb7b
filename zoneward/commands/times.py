"""Points in time and spans, as command-line arguments."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from corefile import CorefileError, Place, Token
from corefile.arguments import duration


class Moment(click.ParamType[int, Any]):
    """ISO 8601 (UTC where it has no zone), YYYYMMDDHHMMSS as in RRSIG, or Unix seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        text = str(value)
        try:
            if len(text) == 14 and text.isdecimal():
                found = datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
            elif text.isdecimal():
                return int(text)
            else:
                found = datetime.fromisoformat(text)
        except ValueError:
            self.fail(f"{text!r} is no time; right: 2026-03-03T00:00:00Z", param, ctx)
        if found.tzinfo is None:
            found = found.replace(tzinfo=UTC)
        return int(found.timestamp())


class Span(click.ParamType[int, Any]):
    """A duration as in the Corefile: 14d, 1h30m. Seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return int(duration(Token(str(value), Place("", 1, 1))))
        except CorefileError as error:
            self.fail(error.message, param, ctx)
