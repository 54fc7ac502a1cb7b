"""The root zone of 2018, signed here in every algorithm, as other verifiers see it."""

import subprocess
import time
from pathlib import Path

import dns.rdatatype
import pytest
from keymaker import ALGORITHMS, key, plan, sign_new

import engine

ROOT = Path(__file__).parents[1] / "data" / "root-2018.zone"
DENIALS = {"nsec": None, "nsec3": (0, b"", False), "opt-out": (0, b"\xab\xcd", True)}

pytestmark = pytest.mark.peers


@pytest.fixture(scope="module")
def unsigned(tmp_path_factory: pytest.TempPathFactory) -> engine.Zone:
    lines = ROOT.read_text().splitlines(keepends=True)
    kept = [line for line in lines if line.split()[3] not in ("NSEC", "DNSKEY")]
    path = tmp_path_factory.mktemp("root") / "root.zone"
    path.write_text("".join(kept))
    zone = engine.scan(str(path), b"\0")
    assert zone.signature_count == 0
    assert zone.rrset(b"\0", dns.rdatatype.NSEC) is None
    return zone


def run(*command: str | Path) -> tuple[int, str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


def sign_root(unsigned: engine.Zone, algorithm: int, denial: str, path: Path) -> Path:
    ksk, zsk = key(algorithm, 257), key(algorithm, 256)
    made = sign_new(
        unsigned,
        plan(
            keys=[(ksk, engine.SIGNS_KEYS), (zsk, engine.SIGNS_ZONE)],
            dnskeys=[ksk.dnskey, zsk.dnskey],
            nsec3=DENIALS[denial],
            serial=unsigned.serial + 1,
            now=int(time.time()),
        ),
    )
    made.zone.write_text(str(path))
    return path


@pytest.fixture(scope="module", params=[(a, d) for a in ALGORITHMS for d in DENIALS], ids=str)
def signed(
    request: pytest.FixtureRequest,
    unsigned: engine.Zone,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    algorithm, denial = request.param
    return sign_root(unsigned, algorithm, denial, tmp_path_factory.mktemp("signed") / "root.zone")


@pytest.fixture(scope="module", params=ALGORITHMS.items(), ids=lambda item: item[1])
def damaged(
    request: pytest.FixtureRequest,
    unsigned: engine.Zone,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Signed with NSEC, but for one character of one signature over a DS RRset."""
    path = tmp_path_factory.mktemp("damaged") / "root.zone"
    lines = sign_root(unsigned, request.param[0], "nsec", path).read_text().splitlines()
    at = next(index for index, line in enumerate(lines) if " IN RRSIG DS " in line)
    head, _, signature = lines[at].rpartition(" ")
    other = "A" if signature[20] != "A" else "B"
    lines[at] = f"{head} {signature[:20]}{other}{signature[21:]}"
    path.write_text("\n".join([*lines, ""]))
    return path


CHECKS: dict[str, list[str]] = {
    "dnssec-verify": ["-x", "-o", "."],
    "kzonecheck": ["-o", ".", "-d", "on"],
    "ldns-verify-zone": ["-V", "1"],
}


@pytest.mark.parametrize("peer", CHECKS)
def test_every_verifier_accepts_what_we_sign(signed: Path, peer: str) -> None:
    code, output = run(peer, *CHECKS[peer], signed)
    assert code == 0, output


@pytest.mark.parametrize("peer", CHECKS)
def test_every_verifier_looks_at_the_signatures(damaged: Path, peer: str) -> None:
    """Else its consent above would mean nothing: a verifier passes over what it can't do."""
    code, output = run(peer, *CHECKS[peer], damaged)
    assert code != 0, output
