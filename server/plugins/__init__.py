"""The built-in plugins: one module each, with its grammar, its defaults, what it compiles to.

Each has `setup(directive, context) -> Parts`, which raises CorefileError.
"""

from collections.abc import Callable, Mapping

from corefile.directive import Directive
from server.parts import Context, Parts
from server.plugins import (
    acl,
    auto,
    bind,
    bufsize,
    cache,
    cancel,
    chaos,
    debug,
    dnstap,
    errors,
    etcd,
    file,
    firewall,
    forward,
    header,
    health,
    hosts,
    loadbalance,
    local,
    log,
    loop,
    minimal,
    mirror,
    nsid,
    prometheus,
    proxy,
    ready,
    reload,
    rewrite,
    root,
    rpz,
    rrl,
    sign,
    template,
    timeouts,
    view,
    whoami,
)
from server.plugins import (
    any as any_,
)

Setup = Callable[[Directive, Context], Parts]

BUILT_IN: Mapping[str, Setup] = {
    "acl": acl.setup,
    "any": any_.setup,
    "auto": auto.setup,
    "bind": bind.setup,
    "bufsize": bufsize.setup,
    "cache": cache.setup,
    "cancel": cancel.setup,
    "chaos": chaos.setup,
    "debug": debug.setup,
    "dnstap": dnstap.setup,
    "errors": errors.setup,
    "etcd": etcd.setup,
    "file": file.setup,
    "firewall": firewall.setup,
    "forward": forward.setup,
    "header": header.setup,
    "health": health.setup,
    "hosts": hosts.setup,
    "loadbalance": loadbalance.setup,
    "local": local.setup,
    "log": log.setup,
    "loop": loop.setup,
    "minimal": minimal.setup,
    "mirror": mirror.setup,
    "nsid": nsid.setup,
    "prometheus": prometheus.setup,
    "proxy": proxy.setup,
    "ready": ready.setup,
    "reload": reload.setup,
    "rewrite": rewrite.setup,
    "root": root.setup,
    "rpz": rpz.setup,
    "rrl": rrl.setup,
    "sign": sign.setup,
    "template": template.setup,
    "timeouts": timeouts.setup,
    "view": view.setup,
    "whoami": whoami.setup,
}
