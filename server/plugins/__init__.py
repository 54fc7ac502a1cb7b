"""The built-in plugins: one module each, with its grammar, its defaults, what it compiles to.

Each has `setup(directive, context) -> Parts`, which raises CorefileError.
"""

from collections.abc import Callable, Mapping

from corefile.directive import Directive
from server.parts import Context, Parts
from server.plugins import (
    auto,
    bind,
    cache,
    errors,
    file,
    forward,
    health,
    log,
    loop,
    prometheus,
    proxy,
    ready,
    sign,
    whoami,
)

Setup = Callable[[Directive, Context], Parts]

BUILT_IN: Mapping[str, Setup] = {
    "auto": auto.setup,
    "bind": bind.setup,
    "cache": cache.setup,
    "errors": errors.setup,
    "file": file.setup,
    "forward": forward.setup,
    "health": health.setup,
    "log": log.setup,
    "loop": loop.setup,
    "prometheus": prometheus.setup,
    "proxy": proxy.setup,
    "ready": ready.setup,
    "sign": sign.setup,
    "whoami": whoami.setup,
}
