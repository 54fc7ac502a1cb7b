"""Which process interprets which directive; nobody else looks at its arguments."""

from collections.abc import Collection, Mapping
from typing import Literal

from corefile.arguments import nearest
from corefile.directive import Corefile
from corefile.place import CorefileError

Owner = Literal["manager", "server"]

OWNER: Mapping[str, Owner] = {
    "file": "manager",
    "auto": "manager",
    "etcd": "manager",
    "sign": "manager",
    "bind": "server",
    "ready": "server",
    "health": "server",
    "prometheus": "server",
    "errors": "server",
    "log": "server",
    "dnstap": "server",
    "mirror": "server",
    "whoami": "server",
    "acl": "server",
    "any": "server",
    "bufsize": "server",
    "reload": "server",
    "cancel": "server",
    "chaos": "server",
    "debug": "server",
    "erratic": "server",
    "header": "server",
    "hosts": "server",
    "loadbalance": "server",
    "local": "server",
    "minimal": "server",
    "nsid": "server",
    "rewrite": "server",
    "root": "server",
    "template": "server",
    "timeouts": "server",
    "firewall": "server",
    "rpz": "server",
    "rrl": "server",
    "cache": "server",
    "loop": "server",
    "forward": "server",
    "proxy": "server",
    "view": "server",
}

GLOBALS: Mapping[str, Owner | Literal["both"]] = {
    "state": "both",
    "admin": "manager",
    "threads": "server",
    "keystore": "manager",
    "publish": "manager",
    "manager": "server",
    "metrics": "manager",
    "user": "both",
    "server-user": "both",
    "log": "both",
}

# Directives whose presence says that a block serves zones which the manager provides.
ZONE_DATA = ("file", "auto", "etcd", "sign")

# CoreDNS's directives that this version does not have; named so that its users are told so
# instead of being offered a similar word.
ABSENT = frozenset(
    {
        *("metadata", "geoip", "tls", "trace", "pprof", "dns64", "tsig", "dnssec"),
        *("transfer", "route53", "azure", "clouddns", "k8s_external", "kubernetes"),
        *("autopath", "secondary", "grpc"),
        *("multisocket", "quic", "nomad"),
    }
)


def unknown_directives(corefile: Corefile, plugins: Collection[str] = ()) -> list[CorefileError]:
    """One error for each directive that neither we nor the `plugins` installed beside us know."""
    known = {*OWNER, *plugins}
    return [
        CorefileError(directive.place, _unknown(directive.name, known))
        for block in corefile.blocks
        for directive in block.directives
        if directive.name not in known
    ]


def _unknown(name: str, known: set[str]) -> str:
    if name in ABSENT:
        return (
            f"'{name}' is a directive of CoreDNS that this version of Zoneward does not have; "
            f"it has {', '.join(sorted(known))}"
        )
    if name in GLOBALS:
        return (
            f"'{name}' is a global option; it belongs into the block '{{ … }}' at the head of "
            "the Corefile"
        )
    return f"unknown directive '{name}'" + nearest(name, known)
