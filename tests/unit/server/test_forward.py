"""*forward* and *proxy* in a Corefile: what they compile to, and what is refused where."""

from pathlib import Path

import pytest

import corefile
from corefile.place import CorefileError
from server.compile import CompileError, compile_corefile
from server.compiled import Forward, Upstream
from server.registry import Registry

PLAIN = Forward(origin=".", upstreams=(Upstream(address="192.0.2.53", port=53),))


def compiled(body: str, path: str = "Corefile") -> list[Forward]:
    text = ". {\n" + body + "\n}"
    parsed = corefile.parse(text, path=path, environ={}, read=Path.read_text)
    (chain,) = compile_corefile(parsed, Registry.of({})).config.chains
    found: list[Forward] = []
    for stage in chain.stages:
        assert isinstance(stage, Forward)
        found.append(stage)
    return found


def one(body: str) -> Forward:
    (stage,) = compiled(body)
    return stage


def changed(**changes: object) -> Forward:
    fields = {name: getattr(PLAIN, name) for name in PLAIN.__struct_fields__}
    return Forward(**(fields | changes))


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        ("", {}),
        ("except a.test B.test", {"excepted": ("a.test.", "b.test.")}),
        ("except a.test\nexcept b.test A.test", {"excepted": ("a.test.", "b.test.")}),
        ("force_tcp", {"force_tcp": True}),
        ("prefer_udp", {"prefer_udp": True}),
        ("expire 20s", {"expire_ms": 20_000}),
        ("max_fails 0", {"max_fails": 0}),
        ("max_connect_attempts 3", {"max_connect_attempts": 3}),
        ("policy round_robin", {"policy": "round_robin"}),
        ("policy sequential", {"policy": "sequential"}),
        ("health_check 5s", {"health_interval_ms": 5000}),
        (
            "health_check 250ms no_rec domain example.org",
            {
                "health_interval_ms": 250,
                "health_recursion": False,
                "health_domain": "example.org.",
            },
        ),
        ("max_concurrent 1000", {"max_concurrent": 1000}),
        ("next NXDOMAIN servfail\nnext REFUSED", {"next": (3, 2, 5)}),
        ("failover SERVFAIL REFUSED", {"failover": (2, 5)}),
        ("failfast_all_unhealthy_upstreams", {"failfast": True}),
    ],
)
def test_options(options: str, changes: dict[str, object]) -> None:
    assert one(f"forward . 192.0.2.53 {{\n{options}\n}}") == changed(**changes)


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("192.0.2.1 192.0.2.2:5353", ["192.0.2.1:53", "192.0.2.2:5353"]),
        ("dns://192.0.2.1 DNS://192.0.2.1:54", ["192.0.2.1:53", "192.0.2.1:54"]),
        ("2001:db8::1 [2001:db8::2]:5353 [2001:db8::3]", None),
    ],
)
def test_upstreams(text: str, addresses: list[str] | None) -> None:
    expected = addresses or ["2001:db8::1:53", "2001:db8::2:5353", "2001:db8::3:53"]
    found = [f"{each.address}:{each.port}" for each in one(f"forward . {text}").upstreams]
    assert found == expected


def test_a_file_beside_the_corefile_names_upstreams(tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text(
        "# nameserver 192.0.2.9\nsearch example.org\nnameserver 192.0.2.1\nnameserver 2001:db8::1\n"
    )
    (stage,) = compiled("forward . resolv.conf 192.0.2.2", str(tmp_path / "Corefile"))
    assert [each.address for each in stage.upstreams] == ["192.0.2.1", "2001:db8::1", "192.0.2.2"]


SCOPED = "nameserver fe80::1%eth0\n"
PASSED = (
    "'resolv.conf' names fe80::1%eth0, which is passed over: an address with a scope is not taken"
)


@pytest.mark.parametrize(
    ("file", "line", "addresses"),
    [
        (SCOPED + "nameserver 192.0.2.1\n", "forward . resolv.conf", ["192.0.2.1"]),
        (SCOPED, "forward . resolv.conf 192.0.2.2", ["192.0.2.2"]),
        (SCOPED, "proxy . 192.0.2.2 resolv.conf", ["192.0.2.2"]),
    ],
)
def test_a_nameserver_with_a_scope_is_passed_over_with_a_warning(
    tmp_path: Path, file: str, line: str, addresses: list[str]
) -> None:
    (tmp_path / "resolv.conf").write_text(file)
    path = str(tmp_path / "Corefile")
    parsed = corefile.parse(f". {{\n{line}\n}}", path=path, environ={}, read=Path.read_text)
    found = compile_corefile(parsed, Registry.of({}))
    (stage,) = found.config.chains[0].stages
    assert isinstance(stage, Forward)
    assert [each.address for each in stage.upstreams] == addresses
    assert found.warnings[-1].message == PASSED


@pytest.mark.parametrize(
    ("file", "error"),
    [
        ("search example.org\n", "'resolv.conf' has no nameserver line; name an address in its"),
        (SCOPED, f"{PASSED}, and there is no other; name an address"),
        ("nameserver dns.test\n", "'resolv.conf' names the server 'dns.test', no address"),
    ],
)
def test_a_file_that_names_no_upstream_is_refused(tmp_path: Path, file: str, error: str) -> None:
    (tmp_path / "resolv.conf").write_text(file)
    with pytest.raises(CompileError) as raised:
        compiled("forward . resolv.conf", str(tmp_path / "Corefile"))
    (found,) = raised.value.errors
    assert found.message.startswith(error)


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("10.1.0.0/16", "1.10.in-addr.arpa."),
        ("0/25.2.0.192.in-addr.arpa", "0/25.2.0.192.in-addr.arpa."),
    ],
)
def test_from_may_be_an_address_range_or_a_part_of_an_octet(text: str, origin: str) -> None:
    assert one(f"forward {text} 192.0.2.53").origin == origin


def test_lines_stay_in_their_order() -> None:
    found = compiled("forward b.test 192.0.2.1\nproxy a.test 192.0.2.2\nforward . 192.0.2.3")
    assert [stage.origin for stage in found] == ["b.test.", "a.test.", "."]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("forward .", "2:1: forward: an argument is missing; right: forward FROM TO…"),
        ("forward . nowhere", "2:11: 'nowhere' is no address, and there is no such file"),
        ("forward . tls://192.0.2.1", "2:11: 'tls://' is not asked by this version"),
        ("forward . 192.0.2.1:99999", "2:11: '99999' in '192.0.2.1:99999' is no port"),
        ("forward . fe80::1%eth0", "2:11: 'fe80::1%eth0': an address with a scope"),
        ("forward 10.0.0.0/9 192.0.2.1", "2:9: '10.0.0.0/9' is 128 reverse zones"),
        ("forward . " + "192.0.2.1 " * 16, "2:161: 16 upstreams; forward takes 15 at most"),
        ("forward . 192.0.2.1 {\ntls\n}", "3:1: 'tls' is an option of CoreDNS's forward"),
        ("forward . 192.0.2.1 {\npolicy best\n}", "3:8: 'best' found where one of random"),
        ("forward . 192.0.2.1 {\nforce_udp\n}", "3:1: unknown option 'force_udp' of forward"),
        ("forward . 192.0.2.1 {\nexpire 1\n}", "3:8: '1' found where a duration"),
        ("forward . 192.0.2.1 {\nfailover NOERROR\n}", "3:10: 'NOERROR' found where one of"),
        ("forward . 192.0.2.1 {\nhealth_check 1s domain\n}", "3:17: health_check: domain names"),
        ("forward . 192.0.2.1 {\nforce_tcp\nforce_tcp\n}", "4:1: 'force_tcp' of forward is given"),
        ("proxy . 192.0.2.1 {\nprotocol grpc\n}", "3:10: the protocol 'grpc' is not spoken"),
        ("proxy . 192.0.2.1 {\nfail_timeout 10\n}", "3:14: '10' found where a duration"),
        ("proxy . 192.0.2.1 {\nmax_conns x\n}", "3:11: 'x' found where a whole number"),
        ("proxy . 192.0.2.1 {\nspray all\n}", "3:7: spray: 'all' is one argument too many"),
        ("proxy . 192.0.2.1 {\nspray\nspray\n}", "4:1: 'spray' of proxy is given a second time"),
        ("proxy . 192.0.2.1 {\nhealth_check /health\n}", "3:1: unknown option 'health_check'"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(body: str, error: str) -> None:
    with pytest.raises(CompileError) as raised:
        compiled(body)
    (found,) = raised.value.errors
    assert isinstance(found, CorefileError)
    assert str(found).startswith(f"Corefile:{error}")


def test_proxy_is_taken_as_forward_with_a_warning() -> None:
    text = (
        ".:5300 {\n errors\n health\n prometheus :9153\n proxy . 192.0.2.53 {\n"
        "  policy first\n  protocol dns force_tcp\n  max_fails 1\n  fail_timeout 10s\n"
        "  max_conns 5\n  spray\n }\n}"
    )
    parsed = corefile.parse(text, path="Corefile", environ={}, read=Path.read_text)
    found = compile_corefile(parsed, Registry.of({}))
    assert found.config.chains[0].stages[-1] == changed(
        policy="sequential", force_tcp=True, max_fails=1
    )
    assert [str(warning) for warning in found.warnings] == [
        "Corefile:5:2: warning: 'proxy' went out of CoreDNS with version 1.5; it is taken as "
        "'forward': write that"
    ]
