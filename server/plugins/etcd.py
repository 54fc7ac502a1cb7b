"""*etcd*: the block answers from zones that the manager makes of keys in etcd.

Its arguments are the manager's; here its presence alone counts. The content comes by transfer.
"""

from corefile.directive import Directive
from server.compiled import Answer
from server.parts import Context, Parts


def setup(directive: Directive, context: Context) -> Parts:
    return Parts(stage=Answer(plugin="etcd"))
