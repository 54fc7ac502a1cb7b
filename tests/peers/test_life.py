"""Zoneward alive: edits, deaths of either process, a stop, a new Corefile."""

import json
import os
import signal
import socket
import time
from pathlib import Path

import dns.edns
import dns.rcode
import pytest
from house import ZONE, House, until

pytestmark = pytest.mark.peers

BLOCK = """
@ZONE@:@PORT@ {
    bind @ADDRESS@
    file db.@ZONE@
    sign {
        parent none
    }
    errors
}
"""
NAMES = ("example.org", "www.example.org", "nowhere.example.org")


def block(zone: str) -> str:
    return BLOCK.replace("@ZONE@", zone)


def keys(house: House) -> list[tuple[str, str, int]]:
    """What the keys are, apart from the states that they pass through."""
    zones = json.loads(house.command("keys", "list", "--json").stdout)
    return [
        (key["fingerprint"], key["created"], key["tag"]) for zone in zones for key in zone["keys"]
    ]


@pytest.fixture
def signed(house: House) -> House:
    """One signed zone, up and answering."""
    house.write("db.example.org", ZONE)
    house.corefile(block("example.org"))
    house.run()
    return house


def test_run_tells_a_newcomer_what_is_needed_next(signed: House) -> None:
    out = signed.out
    assert "example.org.  serial 1, signed, at " in out
    assert "    example.org. DS " in out
    assert f"dig @{signed.address} -p 5300 +dnssec example.org. SOA" in out
    ds = signed.command("ds", "show").stdout.strip()
    assert ds.replace(" IN ", " ") in out


def test_an_edit_is_in_signed_answers_within_two_seconds(signed: House) -> None:
    began = time.monotonic()
    signed.write("db.example.org", ZONE + "new A 192.0.2.99\n")
    until(lambda: signed.answer("new.example.org"), 2, f"the new record\n{signed.log}")
    assert time.monotonic() - began < 2
    reply = signed.ask("new.example.org")
    assert any(rrset.rdtype == dns.rdatatype.RRSIG for rrset in reply.answer)
    # The new A, its NSEC, the NSEC before it, the SOA.
    assert signed.lines("zone example.org. serial 2: signed 4 RRsets, kept")
    # A name that is there already gets another address: its A and the SOA.
    text = ZONE.replace("192.0.2.80", "192.0.2.81") + "new A 192.0.2.99\n"
    signed.write("db.example.org", text)
    until(lambda: signed.answer("www.example.org") == ["192.0.2.81"], 2, "the new address")
    assert signed.lines("zone example.org. serial 3: signed 2 RRsets, kept")


def test_a_touched_file_changes_nothing(signed: House) -> None:
    before = signed.everything("example.org", NAMES)
    signed.write("db.example.org", "; a comment\n" + ZONE)
    done = signed.command("zones", "reload", "example.org")
    assert done.stdout == "zone example.org. serial 1: nothing changed\n"
    assert signed.everything("example.org", NAMES) == before


def test_a_killed_manager_comes_back_and_changes_nothing(signed: House) -> None:
    before = signed.everything("example.org", NAMES)
    before_keys = keys(signed)
    served = len(signed.lines("is served"))
    first = signed.kill("manage")
    for _ in range(20):
        assert signed.ask("www.example.org").rcode() == dns.rcode.NOERROR
    until(lambda: signed.child("manage") != first, 10, "another manager")
    until(lambda: len(signed.lines("the manager runs")) == 2, 10, "the manager runs")
    until(lambda: signed.command("status").returncode == 0, 10, "its status")
    # Once more round its queue, so that nothing is still under way.
    assert "nothing changed" in signed.command("zones", "reload").stdout
    time.sleep(1)
    assert signed.everything("example.org", NAMES) == before
    assert keys(signed) == before_keys
    assert len(signed.lines(": signed ")) == 1
    assert len(signed.lines("is served")) == served
    signed.write("db.example.org", ZONE + "new A 192.0.2.99\n")
    until(lambda: signed.answer("new.example.org"), 5, f"an edit after it\n{signed.log}")


def test_a_killed_server_is_back_within_a_second(signed: House) -> None:
    before = signed.everything("example.org", NAMES)
    pid = signed.child("serve")
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    until(lambda: signed.answer("www.example.org", timeout=0.05), 10, "an answer")
    assert time.monotonic() - began < 1
    assert signed.everything("example.org", NAMES) == before
    # One that dies again so soon waits before it is tried once more.
    signed.kill("serve")
    said = "the server ended (killed by SIGKILL); it is started again in 0.5 s"
    until(lambda: signed.lines(said), 5, said)
    until(lambda: signed.answer("www.example.org"), 10, "an answer after that")


def test_a_stop_is_clean_and_a_new_start_signs_nothing(signed: House) -> None:
    before = signed.everything("example.org", NAMES)
    assert signed.stop(signal.SIGINT) == 0
    assert not list((signed.directory / "state" / "run").iterdir())
    signed.run()
    assert signed.everything("example.org", NAMES) == before
    assert len(signed.lines(": signed ")) == 1


def test_children_end_when_the_supervisor_is_killed(signed: House) -> None:
    pids = [signed.child("manage"), signed.child("serve")]
    assert signed.process is not None
    signed.process.kill()
    signed.process.wait()
    for pid in pids:
        until(lambda pid=pid: not Path(f"/proc/{pid}").exists(), 20, f"the end of {pid}")


def test_a_new_corefile_is_taken_up_and_a_wrong_one_is_not(signed: House) -> None:
    assert signed.process is not None
    signed.write("db.example.com", ZONE)
    signed.corefile(block("example.org"), block("example.com"))
    signed.process.send_signal(signal.SIGHUP)
    until(lambda: signed.answer("www.example.com"), 10, f"the new zone\n{signed.log}")
    assert signed.answer("www.example.org")
    signed.corefile(block("example.org").replace("sign", "sing"))
    signed.process.send_signal(signal.SIGHUP)
    until(lambda: signed.lines("unknown directive 'sing'"), 5, "a word about it")
    assert signed.lines("the configuration before stays in force")
    assert signed.answer("www.example.com")
    signed.corefile(block("example.org"))
    signed.process.send_signal(signal.SIGHUP)
    until(lambda: not signed.answer("www.example.com"), 10, f"its end\n{signed.log}")
    assert signed.answer("www.example.org")
    assert len(signed.lines("zone example.org. serial 1: signed")) == 1


def test_auto_follows_its_directory(house: House) -> None:
    (house.directory / "zones").mkdir()
    house.write("zones/db.a.test", ZONE)
    house.corefile(
        "test:@PORT@ {\n bind @ADDRESS@\n auto {\n  directory zones\n }\n"
        " sign {\n  parent none\n }\n}"
    )
    house.run()
    assert house.answer("www.a.test")
    house.write("zones/db.b.test", ZONE)
    until(lambda: house.answer("www.b.test"), 5, f"a zone that appears\n{house.log}")
    (house.directory / "zones/db.b.test").unlink()
    until(lambda: not house.answer("www.b.test"), 5, f"a zone that goes\n{house.log}")
    assert house.answer("www.a.test")


SHORT = """
example.org:@PORT@ {
    bind @ADDRESS@
    file db.example.org
    sign {
        parent none
        validity 14s
        refresh 6s
        jitter 0
        propagation 0
        max-zone-ttl 2s
        dnskey-ttl 2s
    }
}
"""


def test_without_a_manager_answers_end_with_the_first_signature(house: House) -> None:
    house.write(
        "db.example.org", ZONE.replace("$TTL 300", "$TTL 2").replace("86400 300", "86400 2")
    )
    house.corefile(SHORT)
    house.run()
    house.kill("manage", signal.SIGSTOP)
    reply = house.ask("www.example.org")
    (signatures,) = [rrset for rrset in reply.answer if rrset.rdtype == dns.rdatatype.RRSIG]
    expiration = min(
        rdata.expiration
        for name in ("example.org", "www.example.org", "mail.example.org", "ns1.example.org")
        for rrset in house.ask(name, "ANY" if name == "example.org" else "A").answer
        if rrset.rdtype == dns.rdatatype.RRSIG
        for rdata in rrset
    )
    assert signatures
    # The server may die meanwhile: it has its copy on disk.
    house.kill("serve")
    until(lambda: house.answer("www.example.org"), 3, "an answer from the copy on disk")
    while time.time() < expiration - 1:
        assert house.ask("www.example.org").rcode() == dns.rcode.NOERROR
        time.sleep(0.1)
    time.sleep(max(0.0, expiration + 0.5 - time.time()))
    late = house.ask("www.example.org")
    assert late.rcode() == dns.rcode.SERVFAIL
    assert not late.answer
    assert any(isinstance(option, dns.edns.EDEOption) for option in late.options)
    house.kill("manage", signal.SIGCONT)
    until(lambda: house.answer("www.example.org"), 20, f"new signatures\n{house.log}")


def test_without_a_manager_answers_end_with_the_expire_of_the_soa(house: House) -> None:
    house.write("db.example.org", ZONE.replace("3600 900 86400", "1 1 6"))
    house.corefile("example.org:@PORT@ {\n bind @ADDRESS@\n file db.example.org\n}")
    house.run()
    # As long as there is contact, it does not end.
    deadline = time.monotonic() + 8
    while time.monotonic() < deadline:
        assert house.ask("www.example.org").rcode() == dns.rcode.NOERROR
        time.sleep(0.2)
    house.kill("manage", signal.SIGSTOP)
    stopped = time.monotonic()
    assert house.ask("www.example.org").rcode() == dns.rcode.NOERROR
    until(lambda: house.ask("www.example.org").rcode() == dns.rcode.SERVFAIL, 12, "the end")
    assert time.monotonic() - stopped < 8
    house.kill("manage", signal.SIGCONT)
    until(lambda: house.answer("www.example.org"), 35, "the manager's return")


def test_serve_alone_answers_from_its_copy(signed: House) -> None:
    before = signed.everything("example.org", NAMES)
    assert signed.stop() == 0
    signed.start("serve")
    until(lambda: signed.answer("www.example.org"), 10, f"an answer\n{signed.log}")
    assert signed.everything("example.org", NAMES) == before
    done = signed.command("zones", "list")
    assert done.returncode == 1
    assert "no manager is running there" in done.stderr
    assert signed.stop() == 0


def test_systemd_hears_when_it_is_ready_and_when_it_stops(house: House) -> None:
    path = house.directory / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        listener.settimeout(10)
        house.environ["NOTIFY_SOCKET"] = str(path)
        house.write("db.example.org", ZONE)
        house.corefile(block("example.org"))
        house.run()
        assert listener.recv(64) == b"READY=1"
        assert house.answer("www.example.org")
        assert house.stop() == 0
        assert listener.recv(64) == b"STOPPING=1"


def test_a_backup_from_before_a_change_comes_back_with_the_same_keys(signed: House) -> None:
    before_keys = keys(signed)
    ds = signed.command("ds", "show").stdout
    assert signed.command("backup", "saved").returncode == 0
    signed.write("db.example.org", ZONE + "new A 192.0.2.99\n")
    until(lambda: signed.serial("example.org") == 2, 5, "the edit")
    assert signed.command("restore", "saved", "--force").returncode == 1
    assert signed.stop() == 0
    assert "--force" in signed.command("restore", "saved").stderr
    assert signed.command("restore", "saved", "--force").returncode == 0
    signed.run()
    assert signed.command("ds", "show").stdout == ds
    assert keys(signed) == before_keys
    # The server holds serial 2 of a content that the manager has forgotten: what comes next
    # is above it.
    until(lambda: (signed.serial("example.org") or 0) > 2, 15, f"a newer serial\n{signed.log}")
    assert signed.answer("new.example.org") == ["192.0.2.99"]
