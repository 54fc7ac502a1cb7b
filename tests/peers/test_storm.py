"""The manager killed again and again while its zone is edited; and its state lost."""

import random
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import dns.dnssec
import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rdata
import dns.rdatatype
import pytest
from house import PORT, ZONE, House, until

import engine
from corefile.names import name_wire

pytestmark = pytest.mark.peers

SIGNED = """
example.org:@PORT@ {
    bind @ADDRESS@
    file db.example.org
    sign {
        parent none
    }
}
"""
PLAIN = """
example.com:@PORT@ {
    bind @ADDRESS@
    file db.example.com
}
"""


class Watcher:
    """Asks for the SOA all the time: what each serial was, in order, and what went wrong."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.seen: dict[int, str] = {}
        self.wrong: list[str] = []

    def look(self) -> None:
        query = dns.message.make_query("example.org", "SOA", want_dnssec=True)
        try:
            reply = dns.query.udp(query, self._house.address, timeout=1, port=PORT)
        except (OSError, dns.exception.DNSException) as error:
            self.wrong.append(repr(error))
            return
        if reply.rcode() != dns.rcode.NOERROR:
            self.wrong.append(dns.rcode.to_text(reply.rcode()))
            return
        soa, signature = sorted(reply.answer, key=lambda rrset: rrset.rdtype)
        serial = soa[0].serial
        # An ECDSA signature is another each time: it tells two signings of a serial apart.
        if self.seen.setdefault(serial, signature[0].to_text()) != signature[0].to_text():
            self.wrong.append(f"serial {serial} has two contents")
        if serial < max(self.seen):
            self.wrong.append(f"serial {serial} after {max(self.seen)}")

    @contextmanager
    def watching(self) -> Iterator[None]:
        done = threading.Event()

        def watch() -> None:
            while not done.wait(0.005):
                self.look()

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def test_a_storm_of_edits_and_deaths(house: House) -> None:
    house.write("db.example.org", ZONE)
    house.corefile(SIGNED)
    house.start("serve")
    server = house.process
    luck = random.Random(house.address)
    watcher = Watcher(house)
    manager = None
    try:
        manager = house.start("manage")
        until(lambda: house.answer("www.example.org"), 20, f"an answer\n{house.log}")
        dnskey = house.answer("example.org", "DNSKEY")
        with watcher.watching():
            for life in range(40):
                if life >= 8 and len(watcher.seen) > 5:
                    break
                end = time.monotonic() + luck.uniform(0.8, 2.6)
                edit = 0
                while time.monotonic() < end:
                    edit += 1
                    house.write("db.example.org", f"{ZONE}life A 10.0.{life}.{edit}\n")
                    time.sleep(luck.uniform(0.05, 0.4))
                manager.send_signal(signal.SIGKILL)
                manager.wait()
                manager = house.start("manage")
            house.write("db.example.org", ZONE + "life A 192.0.2.99\n")
            until(lambda: house.answer("life.example.org") == ["192.0.2.99"], 20, house.log)
        assert watcher.wrong == []
        assert len(watcher.seen) > 5
        assert house.answer("example.org", "DNSKEY") == dnskey
    finally:
        for process in (manager, server):
            if process is not None:
                process.terminate()
                process.wait(30)
    (directory,) = (house.directory / "state" / "manager" / "zones").glob("*/example.org")
    zone = engine.ZoneStore(str(directory)).load()
    assert zone is not None
    assert engine.verify(zone, at=int(time.time())).failure_count == 0
    assert zone.origin == name_wire("example.org.")


def test_lost_state_makes_no_key_and_stops_no_answer(house: House) -> None:
    for name in ("example.org", "example.com"):
        house.write(f"db.{name}", ZONE)
    house.corefile(SIGNED, PLAIN)
    house.run()
    for name in ("a", "b"):
        # The file's serial stays: what is served counts up.
        house.write("db.example.com", ZONE + f"{name} A 192.0.2.1\n")
        until(lambda name=name: house.answer(f"{name}.example.com"), 5, "the edit")
    dnskey = house.answer("example.org", "DNSKEY")
    tag = dns.dnssec.key_id(dns.rdata.from_text("IN", "DNSKEY", dnskey[0]))
    house.stop()
    shutil.rmtree(house.directory / "state" / "manager")
    house.write("db.example.com", ZONE + "c A 192.0.2.1\n")
    house.start()
    held = f"example.org. is held: DNSKEY {tag} is in what is served, and there is no key here"
    until(lambda: house.lines(held), 15, f"a hold\n{house.log}")
    assert all("zoneward restore" in line for line in house.lines(held))
    assert house.answer("example.org", "DNSKEY") == dnskey
    assert not list((house.directory / "state" / "manager").glob("keys/*/*.json"))
    # What is not signed goes on, above the serial that the server holds.
    until(lambda: house.answer("c.example.com"), 5, f"the zone's next version\n{house.log}")
    assert house.serial("example.com") == 4


def test_taking_sign_out_of_the_corefile_unsigns_nothing_unasked(house: House) -> None:
    house.write("db.example.org", ZONE)
    house.corefile(SIGNED)
    house.run()
    dnskey = house.answer("example.org", "DNSKEY")
    house.corefile(PLAIN.replace("example.com", "example.org"))
    assert house.process is not None
    house.process.send_signal(signal.SIGHUP)
    until(lambda: house.lines("held: it is not signed any more"), 10, house.log)
    assert house.answer("example.org", "DNSKEY") == dnskey
    # Nor does the next start.
    house.stop()
    house.start()
    until(lambda: len(house.lines("held: it is not signed any more")) == 2, 20, house.log)
    until(lambda: house.serial("example.org"), 10, f"answers again\n{house.log}")
    assert house.answer("example.org", "DNSKEY") == dnskey
    assert house.command("zones", "accept", "example.org").returncode == 0
    until(lambda: house.serial("example.org") == 2, 10, house.log)
    assert house.answer("example.org", "DNSKEY") == []
