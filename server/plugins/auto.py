"""*auto*: the block answers from the zones that the manager finds in a directory.

Its arguments are the manager's; here its presence alone counts. The content comes by transfer.
"""

from corefile.directive import Directive
from server.compiled import Answer
from server.parts import Context, Parts


def setup(directive: Directive, context: Context) -> Parts:
    return Parts(
        stage=Answer(plugin="auto", one_for_any=context.block.directive("any") is not None)
    )
