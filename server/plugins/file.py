"""*file*: the block answers from zones that the manager loads from files."""

from corefile.directive import Directive
from server.parts import Context, Parts, answer


def setup(directive: Directive, context: Context) -> Parts:
    return answer(directive, context)
