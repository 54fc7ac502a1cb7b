"""The plugins that decide, and those that are settings, in a Corefile: what they compile to, and
what is refused where."""

import logging
from pathlib import Path

import pytest

import corefile
from server.api import Plugin
from server.compile import Compiled, CompileError, compile_corefile
from server.compiled import Answer, Cname, Feed, Python, Rpz, Rules, Timeouts
from server.compiledrules import Drop, Pass, Rate, Reply, Rule
from server.registry import Registry
from zones.config import ZoneSpec
from zoneward.configuration import plan_manager


class Slow(Plugin):
    deadline = 3.0


def parse(text: str, path: str = "Corefile") -> corefile.Corefile:
    return corefile.parse(text, path=path, environ={}, read=Path.read_text)


def compiled(body: str, zone: str = ".", path: str = "Corefile") -> Compiled:
    text = zone + " {\n" + body + "\n}"
    return compile_corefile(parse(text, path), Registry.of({"slow": Slow}))


def stage(body: str, zone: str = ".") -> object:
    (chain,) = compiled(body, zone).config.chains
    (found,) = chain.stages
    return found


def rules(body: str, zone: str = ".") -> tuple[Rule, ...]:
    found = stage(body, zone)
    assert isinstance(found, Rules)
    return found.rules


ALLOW = Rule(action=Pass(), mark="allowed")
BLOCK = Reply(rcode=5, extended=15)


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("allow", ALLOW),
        ("block", Rule(action=BLOCK, mark="blocked")),
        ("drop", Rule(action=Drop(), mark="dropped")),
        ("FILTER", Rule(action=Reply(extended=17), signed="refuse", mark="filtered")),
        ("drop type A TXT a", Rule(action=Drop(), types=(1, 16), mark="dropped")),
        ("drop type TYPE65280", Rule(action=Drop(), types=(65280,), mark="dropped")),
        ("drop type * A", Rule(action=Drop(), mark="dropped")),
        (
            "drop net 10.1.2.3/8 192.0.2.1 2001:db8::1 type MX",
            Rule(
                action=Drop(),
                types=(15,),
                networks=("10.0.0.0/8", "192.0.2.1/32", "2001:db8::1/128"),
                mark="dropped",
            ),
        ),
        ("drop net 10.0.0.0/8 *", Rule(action=Drop(), mark="dropped")),
    ],
)
def test_acl(line: str, rule: Rule) -> None:
    assert rules(f"acl {{\n{line}\n}}") == (rule, ALLOW)


def test_acl_holds_for_the_blocks_zones_or_those_that_it_names() -> None:
    body = "acl {\ndrop\n}\nacl B.test c.test {\nblock\n}"
    assert [rule.below for rule in rules(body, "a.test")] == [
        ("a.test.",),
        ("b.test.", "c.test."),
        (),
    ]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("acl {\nforbid\n}", "3:1: unknown action 'forbid' of acl"),
        ("acl {\nblock A\n}", "3:7: 'A' found where 'type' or 'net' should be; right: block"),
        ("acl {\nblock type\n}", "3:7: 'type' names none"),
        ("acl {\nblock type A net\n}", "3:14: 'net' names none"),
        ("acl {\nblock type ADDR\n}", "3:12: 'ADDR' found where a record type"),
        ("acl {\nblock net 10.0.0.0/33\n}", "3:11: '10.0.0.0/33' found where a network"),
        ("acl {\nallow\n}\nacl {\nblock net x\n}", "6:11: 'x' found where a network"),
        ("acl a..test {\nallow\n}", "2:5: 'a..test' has an empty label"),
        ("firewall {\nforbid\n}", "3:1: unknown action 'forbid' of firewall"),
        ("firewall {\ndry\n}", "3:1: unknown action 'dry' of firewall"),
        ("firewall x", "2:10: firewall: 'x' is one argument too many"),
        ("firewall {\ndrop nam x\n}", "3:6: unknown condition 'nam'; did you mean 'name'"),
        ("firewall {\ndrop name type A\n}", "3:6: 'name' has no value"),
        ("firewall {\ndrop name a name b\n}", "3:13: 'name' is given a second time in this line"),
        ("firewall {\ndrop transport quic\n}", "3:16: 'quic' found where one of udp, tcp"),
        ("firewall {\ndrop to 192.0.2.1\n}", "3:1: drop: 'to' is of spoof"),
        ("firewall {\nspoof name a\n}", "3:1: spoof: right: spoof to ADDRESS…|NAME"),
        ("firewall {\nspoof to a 192.0.2.1\n}", "3:10: 'a' found where an address should be"),
        ("firewall {\nallow rate 5\n}", "3:1: allow: 'rate' is a limit"),
        ("firewall {\ndrop rate 0\n}", "3:11: 0 is out of range"),
        ("firewall {\ndrop rate 5 answer 10.0.0.0/8\n}", "3:1: drop: 'answer' and 'rate' don't"),
        ("firewall {\ndrop prefix 24\n}", "3:1: drop: 'prefix' says for whom 'rate' holds"),
        ("firewall {\ndrop rate 5 prefix 33\n}", "3:20: 33 is out of range"),
        ("rpz", "2:1: rpz: an argument is missing; right: rpz ZONE"),
        ("rpz a.test", "2:1: rpz: where is the feed? right: 'file PATH' or 'transfer from"),
        ("rpz a {\nfile x\ntransfer from ::1\n}", "2:1: rpz: where is the feed?"),
        ("rpz a {\ntransfer to ::1\n}", "3:10: 'to' found; right: transfer from ADDRESS"),
        ("rpz a {\ntransfer from ::1\nreload 5s\n}", "4:1: 'reload' is of 'file'"),
        ("rpz a {\nfile x\ntsig k hmac-sha256 env:K\n}", "4:1: 'tsig' is of 'transfer'"),
        ("rpz a {\ntransfer from ::1\ntsig k md5 env:K\n}", "4:8: 'md5' found where one of"),
        ("rpz a {\ntransfer from ::1\ntsig k hmac-sha256 K\n}", "4:20: a secret is given by"),
        ("rpz a.test {\nfile x\npolicy deny\n}", "4:8: 'deny' found where one of given, "),
        ("rpz a.test {\nfile x\npolicy cname\n}", "4:1: policy: an argument is missing"),
        ("rpz a.test {\nfiles x\n}", "3:1: unknown option 'files' of rpz; did you mean 'file'?"),
        ("rpz a {\nfile x\n}\nrpz A {\nfile y\n}", "5:5: the feed a. is given twice"),
        ("rrl {\nslip-ratio 11\n}", "3:12: 11 is out of range"),
        ("rrl {\nwindow 0\n}", "3:8: 0 is out of range"),
        ("rrl {\nmax-table-size 5\n}", "3:1: unknown option 'max-table-size' of rrl"),
        ("any one", "2:5: any: 'one' is one argument too many; right: any"),
        ("chaos {\n}", "2:1: chaos takes no block in braces"),
        ("local host", "2:7: local: 'host' is one argument too many"),
        ("hosts /dev/null {\nttl 0\n}", "3:5: 0 is out of range; a whole number from 1 to 65535"),
        ("hosts /dev/null {\nno_reverse x\n}", "3:12: no_reverse: 'x' is one argument too many"),
        ("hosts /dev/null {\nreload 5\n}", "3:8: '5' found where a duration"),
        ("hosts /dev/null {\n192.0.2.1\n}", "3:1: hosts: '192.0.2.1' has no name; right: ADDRESS"),
        ("hosts /dev/null {\nfalthrough\n}", "3:1: hosts: 'falthrough' found where an address"),
        ("hosts /dev/null {\nno_reverse {\n}\n}", "3:1: no_reverse takes no block in braces"),
        ("hosts /dev/null {\nfallthrough {\n}\n}", "3:1: fallthrough takes no block in braces"),
        ("hosts /dev/null a..b", "2:17: 'a..b' has an empty label"),
        ("hosts /dev/null {\nttl 1\nttl 2\n}", "4:1: 'ttl' of hosts is given a second time"),
        ("root", "2:1: root: an argument is missing; right: root PATH"),
        ("debug on", "2:7: debug: 'on' is one argument too many"),
        ("cancel 5", "2:8: '5' found where a duration"),
        ("timeouts", "2:1: timeouts: a line is missing; right: read|write|idle DURATION"),
        ("timeouts {\nread 0.5s\n}", "3:6: 0.5s is out of range; it has to be at least 1s"),
        ("timeouts {\nidle 86401\n}", "3:6: 86401s is out of range; it has to be at most 86400s"),
        ("timeouts {\nidle 1m2\n}", "3:6: '1m2' found where a duration"),
        ("timeouts {\nconnect 5s\n}", "3:1: unknown option 'connect' of timeouts"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(body: str, error: str) -> None:
    with pytest.raises(CompileError) as raised:
        compiled(body)
    (found,) = raised.value.errors
    assert str(found).startswith(f"Corefile:{error}")


def test_what_is_of_the_chain_and_of_the_process() -> None:
    body = "chaos\ndebug\ncancel 1s\nslow\ntimeouts {\nidle 60s\n}\nany\nfile db"
    found = compiled(body)
    (chain,) = found.config.chains
    assert (chain.any_class, found.debug) == (True, True)
    assert chain.stages[-1] == Answer(plugin="file", one_for_any=True)
    (slow,) = [one for one in chain.stages if isinstance(one, Python)]
    assert slow.deadline_ms == 1000
    assert {listener.timeouts for listener in found.config.listeners} == {
        Timeouts(read_ms=3000, write_ms=5000, idle_ms=60_000)
    }


@pytest.mark.parametrize("name", ["auto", "etcd", "file", "sign"])
def test_any_holds_for_zones_wherever_they_come_from(name: str) -> None:
    (chain,) = compiled(f"{name} db\nany").config.chains
    assert chain.stages[-1] == Answer(plugin=name, one_for_any=True)


@pytest.mark.parametrize(
    ("lines", "milliseconds"),
    [
        ("read 1s\nwrite 2s\nidle 3s", (1000, 2000, 3000)),
        ("read 7\nwrite 1.5s\nidle 86400", (7000, 1500, 86_400_000)),
        ("write 9", (3000, 9000, 10_000)),
    ],
)
def test_timeouts(lines: str, milliseconds: tuple[int, int, int]) -> None:
    found = compiled(f"timeouts {{\n{lines}\n}}")
    read, write, idle = milliseconds
    assert {listener.timeouts for listener in found.config.listeners} == {
        Timeouts(read_ms=read, write_ms=write, idle_ms=idle)
    }


def test_cancel_makes_no_deadline_longer() -> None:
    found = stage("cancel\nslow")
    assert isinstance(found, Python)
    assert found.deadline_ms == 3000


def test_root_is_where_relative_paths_begin(tmp_path: Path) -> None:
    inner = tmp_path / "zones"
    inner.mkdir()
    (inner / "hosts").write_text("192.0.2.1 a.test\n")
    (inner / "db").write_text("")
    text = "a.test {\n root zones\n hosts hosts\n file db\n auto b.test {\n directory .\n }\n}"
    parsed = parse(text, str(tmp_path / "Corefile"))
    found = compile_corefile(parsed, Registry.of({}))
    assert found.warnings == ()
    assert [one.path for one in found.refills] == [inner / "hosts"]
    (block,) = plan_manager(parsed).blocks
    assert [zone.path for zone in block.zones] == [inner / "db"]
    assert [auto.directory for auto in block.autos] == [inner]


def test_paths_in_an_imported_file_count_from_the_corefile(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "lines").write_text("hosts hosts\nforward . resolv.conf\nfile db\n")
    (tmp_path / "parts" / "rooted").write_text("root zones\nhosts hosts\n")
    (tmp_path / "zones").mkdir()
    for place in (tmp_path, tmp_path / "zones"):
        (place / "hosts").write_text("192.0.2.1 a.test\n")
    (tmp_path / "resolv.conf").write_text("nameserver 192.0.2.53\n")
    path = tmp_path / "Corefile"
    path.write_text("a.test {\n import parts/lines\n}\nb.test {\n import parts/rooted\n}\n")
    parsed = corefile.load(str(path), environ={})
    found = compile_corefile(parsed, Registry.of({}))
    assert found.warnings == ()
    assert [one.path for one in found.refills] == [tmp_path / "hosts", tmp_path / "zones/hosts"]
    (block,) = plan_manager(parsed).blocks
    assert [zone.path for zone in block.zones if isinstance(zone, ZoneSpec)] == [tmp_path / "db"]


def test_a_root_that_is_not_there_is_a_warning(tmp_path: Path) -> None:
    found = compiled("root nowhere", path=str(tmp_path / "Corefile"))
    assert [str(one) for one in found.warnings] == [
        f"{tmp_path}/Corefile:2:6: warning: there is no directory {tmp_path}/nowhere"
    ]


def test_a_firewalls_conditions() -> None:
    body = "firewall {\ndrop net 10.1.2.3/8 suffix A.test type MX a transport tcp rate 5\n}"
    (rule,) = rules(body)
    assert rule == Rule(
        networks=("10.0.0.0/8",),
        below=("a.test.",),
        types=(1, 15),
        transports=("tcp",),
        rate=Rate(per_second=5, burst=5, v4=24, v6=56),
        action=Drop(),
        label="drop net 10.1.2.3/8 suffix A.test type MX a transport tcp rate 5",
    )


def test_firewalls_of_a_block_are_one_list() -> None:
    body = "firewall {\nallow\n}\nfirewall {\ndry_run\ndrop\n}"
    assert [(type(rule.action), rule.dry) for rule in rules(body)] == [(Pass, False), (Drop, True)]


@pytest.mark.parametrize("action", ["nxdomain", "dry nodata", "spoof to 192.0.2.1"])
def test_a_firewall_forges_nothing_in_a_signed_zone_and_says_so(action: str) -> None:
    body = f"firewall {{\n{action} name b.a.test\n}}"
    (warning,) = compiled(f"sign db\n{body}", "a.test").warnings
    assert str(warning).startswith("Corefile:4:1: warning: ")
    assert compiled(body, "a.test").warnings == ()


def test_feeds_of_a_block_are_one_stage(tmp_path: Path) -> None:
    feeds = ("a.test {\nfile a\n}", "b.test {\nfile b\npolicy cname C.test\nlog\n}")
    found = compiled("\n".join(f"rpz {one}" for one in feeds))
    (chain,) = found.config.chains
    assert chain.stages == (
        Rpz(
            feeds=(
                Feed(feed="a.test. a", zone="a.test."),
                Feed(feed="b.test. b", zone="b.test.", policy=Cname(cname="c.test."), log=True),
            )
        ),
    )
    assert [str(one.path) for one in found.refills] == ["a", "b"]
    assert [str(one).split(": warning: ")[1] for one in found.warnings] == [
        "there is no file a; the feed is empty so far",
        "there is no file b; the feed is empty so far",
    ]


@pytest.mark.parametrize("line", ["hosts /dev/null"])
def test_what_a_signed_zone_does_not_take_is_a_warning(line: str) -> None:
    found = compiled(f"sign db\n{line}", "a.test")
    (warning,) = found.warnings
    name = line.split()[0]
    assert str(warning).startswith(f"Corefile:3:1: warning: '{name}' changes no answer of a zone")
    assert compiled(line, "a.test").warnings == ()


def test_hosts_without_its_file_has_its_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    found = compiled("hosts nowhere {\n192.0.2.1 a.test\nreload 0\n}")
    assert found.refills == ()
    (warning,) = found.warnings
    assert str(warning).startswith("Corefile:2:7: warning: nowhere can't be read")
    (chain,) = found.config.chains
    (only,) = chain.stages
    assert isinstance(only, Rules)
    assert ("a.test.",) in [rule.names for rule in only.rules]
