"""Both sides of a Corefile, read as their owners will: before anything starts, and for
`zoneward check`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import attrs

from corefile import Corefile, CorefileError, CorefileWarning
from server.compile import Compiled, CompileError, compile_corefile
from zoneward.configuration import ManagerPlan, load, plan_manager
from zoneward.refusal import Refusal


@attrs.frozen
class Checked:
    """A Corefile that both owners can use."""

    corefile: Corefile
    plan: ManagerPlan
    compiled: Compiled

    @property
    def warnings(self) -> tuple[CorefileWarning, ...]:
        return (*self.corefile.warnings, *self.plan.warnings, *self.compiled.warnings)


class CorefileRefused(Refusal):
    """All that is wrong with a Corefile, one line each, in the order of their places."""

    def __init__(self, errors: list[CorefileError]) -> None:
        lines = dict.fromkeys(str(error) for error in sorted(errors, key=lambda e: e.place))
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)


def check(path: Path, dns_port: int, environ: Mapping[str, str] = os.environ) -> Checked:
    """Raises CorefileRefused."""
    errors: list[CorefileError] = []
    try:
        corefile = load(path, dns_port, environ)
    except CorefileError as error:
        raise CorefileRefused([error]) from error
    compiled: Compiled | None = None
    plan: ManagerPlan | None = None
    try:
        compiled = compile_corefile(corefile)
    except CompileError as error:
        errors += error.errors
    try:
        plan = plan_manager(corefile)
    except CorefileError as error:
        errors.append(error)
    if errors or compiled is None or plan is None:
        raise CorefileRefused(errors)
    return Checked(corefile, plan, compiled)
