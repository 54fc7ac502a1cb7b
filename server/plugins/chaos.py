"""*chaos*: who we are, for queries of class CH."""

from collections.abc import Sequence

import engine
from corefile.arguments import no_body
from corefile.directive import Directive
from server.compiled import Rules
from server.compiledrules import CH, Record, Reply, Rule, Type
from server.parts import Context, Parts
from server.readers import character_string, hostname

_AUTHORS = ("The authors of Zoneward",)


def setup(directive: Directive, context: Context) -> Parts:
    no_body(directive)
    texts = [token.text for token in directive.args]
    version = texts[0] if texts else f"Zoneward-{engine.__version__}"
    rules = (
        _rule(("version.bind.", "version.server."), [version]),
        _rule(("hostname.bind.", "id.server."), [hostname()]),
        _rule(("authors.bind.",), sorted({*texts[1:]}) or _AUTHORS),
    )
    return Parts(stage=Rules(plugin="chaos", rules=rules), any_class=True)


def _rule(names: tuple[str, ...], texts: Sequence[str]) -> Rule:
    records = tuple(
        Record(rtype=Type.TXT, ttl=0, rdata=character_string(text).hex()) for text in texts
    )
    return Rule(
        names=names,
        classes=(CH,),
        types=(Type.TXT,),
        action=Reply(records=records, whole=True),
    )
