"""*loop*: a probe at the start finds out whether what is forwarded comes back."""

import secrets

from corefile.arguments import plain
from corefile.directive import Directive
from server.compiled import Loop
from server.parts import Context, Parts


def setup(directive: Directive, context: Context) -> Parts:
    plain(directive, 0, 0, "loop")
    zone = context.block.zones[0] if context.block.zones else "."
    below = "" if zone == "." else zone
    # A name that nobody else asks for, as CoreDNS makes it.
    probe = f"{secrets.randbits(63)}.{secrets.randbits(63)}.{below}"
    return Parts(stage=Loop(probe=probe))
