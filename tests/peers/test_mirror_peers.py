"""*mirror*: packets as tcpdump reads them, and another server's answers beside ours."""

import re
import subprocess
from pathlib import Path

import httpx
import peers
from house import House, until
from ports import free_port

ORIGIN = "example.org."
ZONE = """$ORIGIN example.org.
$TTL 300
@ SOA ns hostmaster 1 3600 900 86400 120
@ NS ns
ns A 192.0.2.53
www A 192.0.2.80
www A 192.0.2.81
mail A 192.0.2.25
alias CNAME WWW
"""
QUESTIONS = [("www", "A"), ("mail", "A"), ("alias", "A"), ("no", "A"), ("www", "TXT"), ("", "SOA")]


def ask_all(house: House, *, tcp: bool) -> None:
    for name, rtype in QUESTIONS:
        house.ask(f"{name}.{ORIGIN}".lstrip("."), rtype, dnssec=False, tcp=tcp)


def test_packets_are_what_tcpdump_takes_them_for(house: House, tmp_path: Path) -> None:
    captured = tmp_path / "captured"
    house.corefile(
        f".:@PORT@ {{\n bind @ADDRESS@\n whoami\n mirror pcap {captured} {{\n answers\n }}\n}}"
    )
    house.start("serve")
    until(captured.exists, 20, "the file")
    for tcp in (False, True):
        ask_all(house, tcp=tcp)
    house.stop()
    lines = shown(captured, "-T", "domain")
    assert len([line for line in lines if " A? mail.example.org." in line]) == 4
    assert len(lines) == 2 * 2 * len(QUESTIONS)
    assert not [line for line in lines if re.search("bad|incorrect|malformed|truncated", line)]
    # It looks at sums where it does not look into messages.
    sums = shown(captured)
    assert len([line for line in sums if "udp sum ok" in line]) == 2 * len(QUESTIONS)
    assert len([line for line in sums if "(correct)" in line]) == 2 * len(QUESTIONS)


def shown(captured: Path, *options: str) -> list[str]:
    """A line for each packet."""
    command = ["tcpdump", *options, "-nn", "-vv", "-r", str(captured)]
    read = subprocess.run(command, capture_output=True, text=True, check=True)
    return re.sub(r"\n\s+", " ", read.stdout).splitlines()


def test_another_servers_answers_are_compared_with_ours(house: House, tmp_path: Path) -> None:
    (tmp_path / "zone").write_text(ZONE)
    house.write("ours", ZONE.replace("192.0.2.25", "192.0.2.26"))
    where, port = peers.door("nsd", house.address)
    metric = free_port(house.address)
    with peers.running("nsd", tmp_path / "nsd", where, port, [(ORIGIN, tmp_path / "zone")]):
        house.corefile(
            f"{ORIGIN}:@PORT@ {{\n bind @ADDRESS@\n file ours\n mirror server {where}:{port}\n"
            f" prometheus @ADDRESS@:{metric}\n}}"
        )
        house.run()
        ask_all(house, tcp=False)

        def compared() -> dict[str, int]:
            text = httpx.get(f"http://{house.address}:{metric}/metrics").text
            found = re.findall(r'zoneward_mirror_compared_total{.*result="(\w+)".*} (\d+)', text)
            return {result: int(number) for result, number in found}

        until(lambda: sum(compared().values()) == len(QUESTIONS), 10, "all compared")
        assert compared() == {"same": len(QUESTIONS) - 1, "answer": 1}
        house.stop()
