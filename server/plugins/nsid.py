"""*nsid*: the server's identifier, for those who ask for it (RFC 5001)."""

from corefile.arguments import no_body
from corefile.directive import Directive
from corefile.place import CorefileError
from server.compiled import Nsid
from server.parts import Context, Parts
from server.readers import hostname

# The option has to fit beside an answer.
_LONGEST = 255


def setup(directive: Directive, context: Context) -> Parts:
    no_body(directive)
    text = " ".join(token.text for token in directive.args) or hostname()
    data = text.encode()
    if len(data) > _LONGEST:
        raise CorefileError(
            directive.place, f"nsid: {len(data)} octets; at most {_LONGEST} are allowed"
        )
    return Parts(stage=Nsid(data=data.hex()))
