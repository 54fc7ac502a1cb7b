"""*reload*: the Corefile is looked at now and then, and taken in when it changes."""

from corefile.changes import read_reload
from corefile.directive import Directive
from server.parts import Context, Parts


def setup(directive: Directive, context: Context) -> Parts:
    """Who looks is `corefile.changes.Watch`: the supervisor's, or a server's that has none."""
    read_reload(directive)
    return Parts()
