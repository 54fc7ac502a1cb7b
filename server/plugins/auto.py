"""*auto*: the block answers from the zones that the manager finds in a directory."""

from corefile.directive import Directive
from server.parts import Context, Parts, answer


def setup(directive: Directive, context: Context) -> Parts:
    return answer(directive, context)
