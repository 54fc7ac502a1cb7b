"""Full signing, verifying and loading: wall time of whole commands, interleaved."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.figures import compared
from bench.work import ORIGIN

ZONEWARD = str(Path(sys.executable).parent / "zoneward")


def timed(command: list[str], folder: Path) -> float:
    """Wall seconds of a command; ends the run when it fails."""
    began = time.monotonic()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    took = time.monotonic() - began
    if done.returncode:
        tail = (done.stderr or done.stdout)[-400:]
        raise SystemExit(f"bench: {' '.join(command)} failed:\n{tail}")
    return took


def interleaved(
    what: str, commands: Mapping[str, Callable[[], list[str]]], folder: Path, rounds: int
) -> str:
    results: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds):
        for name, command in commands.items():
            results[name].append(timed(command(), folder))
        print(f"{what}: round {number + 1} of {rounds}", file=sys.stderr)
    return compared(what, "s", results)


def make_keys(folder: Path) -> str:
    """One ECDSA P-256 key in BIND's form, made by BIND; gives its base name."""
    command = ["dnssec-keygen", "-q", "-K", str(folder), "-a", "13", "-f", "KSK", ORIGIN]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def signing(zone: Path, folder: Path, rounds: int) -> str:
    """All sign with one ECDSA P-256 key and NSEC, on all cores where they can."""
    folder.mkdir(parents=True, exist_ok=True)
    key = make_keys(folder)
    knot = folder / "knot"
    knot.mkdir(exist_ok=True)
    (knot / "knot.conf").write_text(f"""\
database:
    storage: "{knot}"
policy:
  - id: p
    algorithm: ecdsap256sha256
    single-type-signing: on
    signing-threads: {os.cpu_count()}
zone:
  - domain: {ORIGIN}
    file: "{knot}/zone"
    dnssec-signing: on
    dnssec-policy: p
""")

    def knot_command() -> list[str]:
        shutil.copy(zone, knot / "zone")
        return ["kzonesign", "-c", f"{knot}/knot.conf", "-o", f"{knot}", ORIGIN]

    def ours() -> list[str]:
        command = [ZONEWARD, "sign", str(zone), "--origin", ORIGIN, "--keys", str(folder)]
        return [*command, "-o", f"{folder}/ours.signed"]

    def bind() -> list[str]:
        command = ["dnssec-signzone", "-P", "-S", "-z", "-o", ORIGIN, "-K", str(folder)]
        return [*command, "-f", f"{folder}/bind.signed", str(zone)]

    def ldns() -> list[str]:
        command = ["ldns-signzone", "-o", ORIGIN, "-f", f"{folder}/ldns.signed"]
        return [*command, str(zone), f"{folder}/{key}"]

    return interleaved(
        "Signing, whole command",
        {
            "zoneward": ours,
            "kzonesign": knot_command,
            "ldns-signzone": ldns,
            "dnssec-signzone": bind,
        },
        folder,
        rounds,
    )


def verifying(signed: Path, folder: Path, rounds: int) -> str:
    return interleaved(
        "Verifying, whole command",
        {
            "zoneward": lambda: [ZONEWARD, "verify", str(signed), "--origin", ORIGIN],
            "kzonecheck": lambda: ["kzonecheck", "-d", "on", "-o", ORIGIN, str(signed)],
        },
        folder,
        rounds,
    )


def loading(signed: Path, folder: Path, rounds: int) -> str:
    """Reading the signed zone's text into a zone that could be served, and no more."""
    scan = (
        "import sys, dns.name, engine; "
        "engine.scan(sys.argv[1], dns.name.from_text(sys.argv[2]).to_wire())"
    )
    return interleaved(
        "Loading the signed zone's text",
        {
            "zoneward": lambda: [sys.executable, "-c", scan, str(signed), ORIGIN],
            "nsd-checkzone": lambda: ["nsd-checkzone", ORIGIN, str(signed)],
        },
        folder,
        rounds,
    )
