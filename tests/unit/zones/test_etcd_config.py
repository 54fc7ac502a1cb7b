"""*etcd*: what is taken, as CoreDNS has it, and what is refused and where."""

from pathlib import Path

import dns.name
import pytest

import corefile
from corefile import CorefileError
from corefile.arguments import SecretReference
from zones.config import BlockSpec, EtcdZone, compile_block
from zones.etcd.client import EtcdError, Login, Tls
from zones.etcd.config import EtcdConfig, TlsFiles
from zoneward.configuration import plan_manager


def compiled(text: str) -> BlockSpec:
    parsed = corefile.parse(text, path="/etc/Corefile", environ={}, read=lambda _: "")
    spec = compile_block(parsed.blocks[0], Path("/etc"))
    assert spec is not None
    return spec


def config(*lines: str) -> EtcdConfig:
    body = "".join(f"  {line}\n" for line in lines)
    (zone,) = compiled(f"example.org {{\n etcd {{\n{body} }}\n}}").zones
    assert isinstance(zone, EtcdZone)
    return zone.config


def refused(text: str) -> str:
    with pytest.raises(CorefileError) as caught:
        compiled(text)
    return str(caught.value)


def test_a_bare_directive_has_the_defaults_of_coredns() -> None:
    spec = compiled("skydns.local example.org {\n etcd\n}")
    assert [str(zone.origin) for zone in spec.zones] == ["skydns.local.", "example.org."]
    (first, _) = spec.zones
    assert isinstance(first, EtcdZone)
    assert first.where == "etcd localhost:2379 /skydns/local/skydns/"
    found = first.config
    assert found.cluster.endpoints == ("localhost:2379",)
    assert not found.cluster.encrypted
    assert found.cluster.login() is None
    assert (found.times.least, found.times.most) == (30, 86400)


def test_bounds_of_leases_are_durations_or_seconds() -> None:
    times = config("min-lease-ttl 60", "max-lease-ttl 1h").times
    assert (times.least, times.most) == (60, 3600)


def test_zones_may_be_named() -> None:
    spec = compiled(". {\n etcd skydns.local 2.0.192.in-addr.arpa {\n path /x\n }\n}")
    assert [zone.where for zone in spec.zones] == [
        "etcd localhost:2379 /x/local/skydns/",
        "etcd localhost:2379 /x/arpa/in-addr/192/0/2/",
    ]


def test_several_endpoints_are_members_of_one_cluster() -> None:
    found = config("endpoint http://a:1234 b", "endpoint http://[2001:db8::1] http://a:1234")
    assert found.cluster.endpoints == ("a:1234", "b:2379", "[2001:db8::1]:2379")


@pytest.mark.parametrize(
    ("line", "files"),
    [
        ("tls", TlsFiles()),
        ("tls ca.pem", TlsFiles(authority=Path("/etc/ca.pem"))),
        ("tls c.pem k.pem", TlsFiles(Path("/etc/c.pem"), Path("/etc/k.pem"))),
        ("tls c k /x/ca", TlsFiles(Path("/etc/c"), Path("/etc/k"), Path("/x/ca"))),
    ],
)
def test_tls_takes_none_to_three_files(line: str, files: TlsFiles) -> None:
    found = config("endpoint https://a", line)
    assert found.cluster.encrypted
    assert found.cluster.tls == files


def test_an_https_endpoint_is_encrypted_without_tls_too() -> None:
    assert config("endpoint https://a").cluster.encrypted


PEM = b"-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----"


@pytest.mark.parametrize("name", ["bundle", "deadbeef.0"])
def test_without_an_authority_the_systems_are_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "bundle"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    cluster = config("endpoint https://a").cluster
    with pytest.raises(EtcdError, match="the system has no certificate authorities; name one"):
        cluster.security()
    (tmp_path / "README").write_text("no certificate")
    (tmp_path / name).write_bytes(b"# Of a test\n" + PEM)
    assert cluster.security() == Tls(authority=PEM)


def test_a_password_is_a_reference(tmp_path: Path) -> None:
    found = config("credentials dns env:ETCD_PASSWORD").cluster
    assert found.credentials is not None
    assert found.credentials.password == SecretReference("env", "ETCD_PASSWORD")
    assert found.login({"ETCD_PASSWORD": "geheim"}) == Login("dns", "geheim")
    with pytest.raises(EtcdError, match="the password of dns can't be read: env:ETCD_PASSWORD"):
        found.login({})


def test_a_password_in_the_corefile_is_taken_with_a_warning_and_never_shown() -> None:
    spec = compiled("example.org {\n etcd {\n credentials dns geheim\n }\n}")
    (warning,) = spec.warnings
    assert "better by reference" in warning.message
    (zone,) = spec.zones
    assert isinstance(zone, EtcdZone)
    assert zone.config.cluster.login({}) == Login("dns", "geheim")
    assert "geheim" not in repr(spec) + str(warning) + repr(zone.config.cluster.login({}))


def test_whole_zones_are_found_at_run_time() -> None:
    spec = compiled("org test {\n etcd {\n layout zonefile\n path /zones\n }\n}")
    assert spec.zones == ()
    (found,) = spec.etcds
    assert found.prefix == b"/zones/"
    assert found.where(dns.name.from_text("a.test.")) == "etcd localhost:2379 /zones/a.test"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        # A writer's TTL must not be able to hold up the zone.
        (
            "etcd\n sign {\n refresh 12h\n validity 2d\n jitter 1h\n parent none\n }",
            "lower max-lease-ttl",
        ),
        ("etcd\n sign db.example.org", "leave out DBFILE: a bare `sign` signs it"),
    ],
)
def test_what_does_not_go_with_sign_is_refused(text: str, problem: str) -> None:
    parsed = corefile.parse(
        f"example.org {{\n {text}\n}}", path="/etc/Corefile", environ={}, read=lambda _: ""
    )
    with pytest.raises(CorefileError) as caught:
        plan_manager(parsed)
    assert problem in str(caught.value)


def test_fallthrough_is_taken_with_a_warning() -> None:
    (warning,) = compiled("example.org {\n etcd {\n fallthrough\n }\n}").warnings
    assert "no effect" in warning.message


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("etcd {\n pth /x\n}", "unknown option 'pth' of etcd; did you mean 'path'"),
        ("etcd {\n path\n}", "path: an argument is missing"),
        ("etcd {\n endpoint\n}", "endpoint: an argument is missing"),
        ("etcd {\n endpoint ftp://a\n}", "'ftp://a' found where a URL"),
        ("etcd {\n endpoint http://a:99999\n}", "found where a URL"),
        ("etcd {\n endpoint http://a/v3\n}", "found where a URL"),
        ("etcd {\n endpoint http://a https://b\n}", "the same scheme"),
        ("etcd {\n endpoint http://a\n tls ca.pem\n}", "'http://a' is without TLS"),
        ("etcd {\n tls a b c d\n}", "'d' is one argument too many"),
        ("etcd {\n credentials dns\n}", "credentials: an argument is missing"),
        ("etcd {\n min-lease-ttl 2h\n max-lease-ttl 1h\n}", "min-lease-ttl (7200 s) is above"),
        ("etcd {\n min-lease-ttl 5x\n}", "'5x' found where a duration"),
        ("etcd {\n layout redis\n}", "'redis' found where one of skydns, zonefile"),
        ("etcd {\n gather 1h\n}", "1h is out of range"),
        ("etcd {\n max-entries 0\n}", "0 is out of range"),
        ("etcd {\n path /a\n path /b\n}", "'path' of etcd is given a second time"),
        ("etcd {\n layout zonefile\n max-entries 5\n}", "Corefile:4:2: etcd: max-entries is for"),
        ("etcd {\n min-lease-ttl 5s\n layout zonefile\n}", ":3:2: etcd: min-lease-ttl is for"),
        ("etcd {\n max-lease-ttl 5s\n layout zonefile\n}", ":3:2: etcd: max-lease-ttl is for"),
        ("etcd\n etcd", "example.org. is already loaded from etcd"),
        ("file db\n etcd", "example.org. is already loaded from /etc/db"),
        ("etcd example.org a.example.org", "a.example.org. is inside example.org."),
    ],
)
def test_what_is_refused(text: str, problem: str) -> None:
    assert problem in refused(f"example.org {{\n {text}\n}}")
