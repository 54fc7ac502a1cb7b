"""The order of a chain: CoreDNS's for its directives, before and after for those of others.

A Corefile can be written in any order; the chain comes out the same.
"""

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

import attrs

CANONICAL = (
    *("root", "metadata", "geoip", "cancel", "tls", "timeouts", "reload", "nsid", "bufsize"),
    *("bind", "debug", "trace", "ready", "health", "pprof", "prometheus", "errors", "log"),
    *("dnstap", "mirror", "rrl", "local", "dns64", "any", "chaos", "loadbalance", "tsig"),
    *("rewrite", "acl", "firewall", "rpz", "cache", "header", "dnssec", "minimal"),
    *("template", "transfer", "hosts", "route53"),
    *("azure", "clouddns", "k8s_external", "kubernetes", "autopath", "file", "auto"),
    *("secondary", "etcd", "loop", "forward", "grpc", "erratic", "whoami", "sign", "view"),
)

# Where a plugin goes that says nothing: it sees what is logged and counted, ahead of the zones.
_DEFAULT_BEFORE = "file"


class OrderError(Exception):
    """Plugins whose wishes can't be met together."""


@attrs.frozen
class Wishes:
    """Where a plugin wants to stand. Names that nobody has are passed over: a plugin may name
    another that is not installed."""

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


def resolve(plugins: Mapping[str, Wishes]) -> tuple[str, ...]:
    """The whole order, plugins put as late as their wishes allow. Raises OrderError with the
    circle's members when there is one."""
    known = {*CANONICAL, *plugins}
    graph: TopologicalSorter[str] = TopologicalSorter()
    graph.add(CANONICAL[0])
    for earlier, later in pairwise(CANONICAL):
        graph.add(later, earlier)
    for name, wishes in plugins.items():
        graph.add(name, *(other for other in wishes.after if other in known))
        for other in _bounds(name, plugins):
            if other in known:
                graph.add(other, name)
    try:
        graph.prepare()
    except CycleError as error:
        circle = [name for name in error.args[1] if name in plugins] or error.args[1]
        names = ", ".join(sorted({f"'{name}'" for name in circle}))
        raise OrderError(
            f"the order that {names} asks for can't be had: it would have to stand before itself"
        ) from None
    order: list[str] = []
    ready: list[str] = []
    while graph.is_active():
        ready += graph.get_ready()
        ready.sort(key=lambda name: (name in plugins, name))
        name = ready.pop(0)
        order.append(name)
        graph.done(name)
    return tuple(order)


def _bounds(name: str, plugins: Mapping[str, Wishes]) -> Sequence[str]:
    """What a plugin stands before: what it says, else what follows the last one that it
    stands after."""
    seen: set[str] = set()
    at = -1
    waiting = [name]
    while waiting:
        current = waiting.pop()
        wishes = plugins[current]
        if wishes.before:
            if current == name:
                return wishes.before
            continue
        for other in wishes.after:
            if other in CANONICAL:
                at = max(at, CANONICAL.index(other))
            elif other in plugins and other not in seen:
                seen.add(other)
                waiting.append(other)
    if at < 0:
        return (_DEFAULT_BEFORE,)
    return CANONICAL[at + 1 : at + 2]
