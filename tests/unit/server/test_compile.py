"""Corefile in, the engine's config and the services out; and what is refused on the way."""

import json
from pathlib import Path

import pytest

import corefile
from corefile.arguments import Endpoint
from corefile.directive import Block, Directive
from server.api import Plugin
from server.compile import Compiled, CompileError, check, compile_corefile
from server.compiled import Answer, Errors, Log, Metrics, Python, Whoami
from server.parts import HealthService, PrometheusService, ReadyService
from server.plugins.log import COMBINED, COMMON
from server.registry import Registry


class Greeter(Plugin):
    types = (16,)
    zones = ("Example.ORG",)
    networks = ("127.0.0.1/8", "::1")
    deadline = 0.25
    on_failure = "pass"


class Broken(Plugin):
    @classmethod
    def setup(cls, directive: Directive, block: Block) -> Plugin:
        raise ZeroDivisionError("oops")


REGISTRY = Registry.of({"greeter": Greeter, "broken": Broken})


def parse(text: str) -> corefile.Corefile:
    return corefile.parse(text, path="Corefile", environ={}, read=Path.read_text)


def compiled(text: str) -> Compiled:
    return compile_corefile(parse(text), REGISTRY)


def errors(text: str) -> list[str]:
    return [str(error) for error in check(parse(text), REGISTRY)]


def test_the_chain_has_canonical_order_whatever_the_corefiles() -> None:
    lines = ["whoami", "log", "file db", "errors", "greeter", "prometheus", "sign"]
    for written in (lines, lines[::-1]):
        (chain,) = compiled("a.test {\n" + "\n".join(written) + "\n}").config.chains
        kinds = [type(stage) for stage in chain.stages]
        assert kinds == [Metrics, Errors, Log, Python, Answer, Whoami]


def test_listeners_routes_and_origins() -> None:
    found = compiled(
        "a.test:5300 b.test:5301 {\n bind 127.0.0.2 ::1\n file db a.test\n}\n.:5300 {\n whoami\n}"
    )
    listeners = [(one.server, one.address, one.port) for one in found.config.listeners]
    assert listeners == [
        ("dns://127.0.0.2:5300", "127.0.0.2", 5300),
        ("dns://[::1]:5300", "::1", 5300),
        ("dns://127.0.0.2:5301", "127.0.0.2", 5301),
        ("dns://[::1]:5301", "::1", 5301),
        ("dns://:5300", "0.0.0.0", 5300),
        ("dns://:5300", "::", 5300),
    ]
    first, second = found.config.chains
    assert first.origins == ("a.test.",)
    assert second.origins == ()
    assert [(one.listener, one.origin, one.chain) for one in found.config.routes] == [
        (0, "a.test.", first.id),
        (1, "a.test.", first.id),
        (2, "b.test.", first.id),
        (3, "b.test.", first.id),
        (4, ".", second.id),
        (5, ".", second.id),
    ]
    assert [(one.id, one.zones, one.bounds) for one in found.blocks] == [
        (first.id, ("a.test.",), ("a.test.", "b.test."))
    ]


def test_without_ipv6_a_block_without_bind_listens_on_ipv4() -> None:
    found = compile_corefile(parse(". {\n whoami\n}"), REGISTRY, ipv6=False)
    assert [one.address for one in found.config.listeners] == ["0.0.0.0"]


def test_one_answer_stage_for_all_zone_data() -> None:
    (chain,) = compiled("a.test {\n auto\n sign\n file db\n}").config.chains
    assert chain.stages == (Answer(plugin="file"),)


def test_a_python_plugin_becomes_a_stage_and_an_instance() -> None:
    text = "a.test {\n greeter\n}\nb.test {\n greeter\n}"
    found = compile_corefile(parse(text), REGISTRY, first_plugin=7)
    assert [chain.stages for chain in found.config.chains] == [
        (
            Python(
                plugin=number,
                name="greeter",
                types=(16,),
                zones=("example.org.",),
                networks=("127.0.0.0/8", "::1/128"),
                deadline_ms=250,
                on_failure="pass",
            ),
        )
        for number in (7, 8)
    ]
    assert [(one.number, one.chain) for one in found.instances] == [
        (7, found.config.chains[0].id),
        (8, found.config.chains[1].id),
    ]


def test_services_are_the_processes_not_the_blocks() -> None:
    lines = "prometheus\n health :8080 {\n lameduck 5s\n }\n ready 127.0.0.1:8182"
    found = compiled(f"a.test {{\n {lines}\n}}\nb.test {{\n {lines}\n}}")
    assert set(found.services) == {
        PrometheusService(Endpoint("127.0.0.1", 9153)),
        HealthService(Endpoint("", 8080), 5.0),
        ReadyService(Endpoint("127.0.0.1", 8182)),
    }


def test_the_json_says_what_kind_a_stage_is() -> None:
    config = json.loads(compiled("a.test:5300 {\n whoami\n log\n}").config.encode())
    assert config["threads"] == 0
    assert config["listeners"][0] == {
        "server": "dns://:5300",
        "address": "0.0.0.0",
        "port": 5300,
        "udp": True,
        "tcp": True,
    }
    assert config["chains"][0]["stages"] == [
        {"kind": "log", "names": ["."], "classes": ["all"], "format": COMMON},
        {"kind": "whoami"},
    ]


@pytest.mark.parametrize(
    ("line", "stage"),
    [
        ("log", Log(names=(".",), classes=("all",), format=COMMON)),
        ("log a.test B.test", Log(names=("a.test.", "b.test."), classes=("all",), format=COMMON)),
        ("log {common}", Log(names=(".",), classes=("all",), format=COMMON)),
        ("log {combined}", Log(names=(".",), classes=("all",), format=COMBINED)),
        (
            'log a.test "{name} {>do}" {\n class denial error denial\n}',
            Log(names=("a.test.",), classes=("denial", "error"), format="{name} {>do}"),
        ),
    ],
)
def test_log(line: str, stage: Log) -> None:
    (chain,) = compiled(f". {{\n{line}\n}}").config.chains
    assert chain.stages == (stage,)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("log {nam}", "2:5: unknown replacement '{nam}' in a log format; did you mean '{name}'?"),
        ('log "{name"', "2:5: a brace without its counterpart in a log format"),
        ("log a..test", "2:5: 'a..test' has an empty label"),
        ("log {\n class good\n}", "3:8: 'good' found where one of all, success, denial, error"),
        ("log {\n classes all\n}", "3:2: unknown option 'classes' of log; did you mean 'class'?"),
        ("whoami me", "2:8: whoami: 'me' is one argument too many; right: whoami"),
        ("bind", "2:1: bind: an argument is missing; right: bind ADDRESS…"),
        ("bind eth0", "2:6: 'eth0' found where an IP address should be"),
        ("prometheus 9153", "2:12: '9153' names no port; right: 9153:PORT"),
        ("health {\n lameduck 5\n}", "3:11: '5' found where a duration"),
        ("ready {\n}", "2:1: ready takes no block in braces"),
        ("errors {\n consolidate 5m (\n}", "3:17: '(' is no regular expression"),
        ("errors {\n consolidate 5m x loud\n}", "3:19: 'loud' found where one of error, warning"),
        ("log {\n class all {\n }\n}", "3:2: class takes no block in braces"),
        ("health {\n lameduck 5s {\n }\n}", "3:2: lameduck takes no block in braces"),
        ("whoami\nwhoami", "3:1: 'whoami' is given a second time in this block; the first is at "),
        ("greeter hello", "2:9: greeter: 'hello' is one argument too many"),
        ("broken", "2:1: the plugin 'broken' failed to set up: ZeroDivisionError: oops"),
        ("forwrad", "2:1: unknown directive 'forwrad'"),
    ],
)
def test_refusals(line: str, expected: str) -> None:
    (error,) = errors(f". {{\n{line}\n}}")
    assert error.startswith(f"Corefile:{expected}")


def test_all_errors_are_told_in_the_order_of_their_places() -> None:
    text = "{\n threads x\n}\ntls://a.test {\n whaomi\n bind x\n health {\n lame 1s\n }\n}"
    assert [error.split(": ")[0] for error in errors(text)] == [
        "Corefile:2:10",
        "Corefile:4:1",
        "Corefile:5:2",
        "Corefile:6:7",
        "Corefile:8:2",
    ]
    with pytest.raises(CompileError) as caught:
        compiled(text)
    assert str(caught.value).count("\n") == 4


def test_a_corefile_without_blocks_is_refused() -> None:
    assert errors("# nothing") == ["Corefile:1:1: no server block; write one like 'example.org {'"]
