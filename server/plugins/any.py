"""*any*: a small answer to queries for ANY (RFC 8482)."""

from corefile.arguments import plain
from corefile.directive import Directive
from server.compiled import Rules
from server.compiledrules import IN, Record, Reply, Rule, Type
from server.parts import Context, Parts
from server.readers import character_string

_HINFO = character_string("ANY obsoleted") + character_string("See RFC 8482")

# In signed zones one RRset that exists is the answer (section 4.1): `Answer.one_for_any`.
RULE = Rule(
    types=(Type.ANY,),
    classes=(IN,),
    action=Reply(
        records=(Record(rtype=Type.HINFO, ttl=8482, rdata=_HINFO.hex()),),
        whole=True,
    ),
    signed="pass",
)


def setup(directive: Directive, context: Context) -> Parts:
    plain(directive, 0, 0, "any")
    return Parts(stage=Rules(plugin="any", rules=(RULE,)))
