"""`zoneward keys`."""

from __future__ import annotations

from pathlib import Path

import click
import dns.name

from keystore import bind
from keystore.dnskey import SEP_FLAG
from signer.policy import ALGORITHMS
from zoneward.api import (
    Brake,
    Export,
    Generate,
    KeyPair,
    Lines,
    PlanAsk,
    PlanView,
    RollAsk,
    Trail,
    ZoneKeys,
    ZoneRoll,
)
from zoneward.commands.admin_client import client
from zoneward.commands.options import corefile_options, json_option, print_json, print_table
from zoneward.commands.times import Moment


@click.group()
def keys() -> None:
    """The zones' keys. Private halves stay encrypted in the keystore."""


@keys.command("list")
@click.argument("zone", required=False)
@corefile_options
@json_option
def list_(zone: str | None, corefile: Path, dns_port: int, as_json: bool) -> None:
    """Keys by zone, with what each is used for."""
    found = client(corefile, dns_port).get("/keys", list[ZoneKeys], zone=zone)
    if as_json:
        print_json(found)
        return
    print_table(
        ("ZONE", "TAG", "ROLE", "ALGORITHM", "CREATED", "USE", "FINGERPRINT"),
        [
            (
                zone_keys.zone,
                str(key.tag),
                key.role,
                key.algorithm,
                key.created,
                " ".join(
                    word
                    for word, so in (("published", key.published), ("signs", key.signing))
                    if so
                )
                or "-",
                key.fingerprint,
            )
            for zone_keys in found
            for key in zone_keys.keys
        ],
    )


@keys.command()
@click.argument("zone")
@click.option(
    "--algorithm",
    type=click.Choice(list(ALGORITHMS), case_sensitive=False),
    default="ECDSAP256SHA256",
    show_default=True,
)
@click.option("--role", type=click.Choice(["csk", "ksk", "zsk"]), default="csk", show_default=True)
@click.option("--bits", type=click.IntRange(1024, 4096), help="For RSA.")
@corefile_options
def generate(
    zone: str, algorithm: str, role: str, bits: int | None, corefile: Path, dns_port: int
) -> None:
    """Make a key for a zone and keep it in the keystore."""
    asked = Generate(zone, role, ALGORITHMS[algorithm.upper()], bits)
    for line in client(corefile, dns_port).post("/keys/generate", Lines, asked).lines:
        click.echo(line)


@keys.command("import")
@click.argument("zone")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@corefile_options
def import_(zone: str, files: tuple[Path, ...], corefile: Path, dns_port: int) -> None:
    """Take key pairs over from BIND's files (Kzone.+alg+tag.key and .private). Name all keys of
    the zone at once: what one key makes of it is not what two do."""
    manager = client(corefile, dns_port)
    # Keys without the SEP flag first: nothing is signed before one comes that the DS leads to.
    pairs = sorted(map(bind.read, files), key=lambda pair: pair.dnskey[1] & SEP_FLAG)
    for pair in pairs:
        body = KeyPair(zone, pair.dnskey, bytes(pair.private))
        pair.private[:] = bytes(len(pair.private))
        for line in manager.post("/keys/import", Lines, body).lines:
            click.echo(line)


@keys.command()
@click.argument("zone")
@click.argument("fingerprint")
@click.option(
    "-o",
    "--output",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Where the two files go.",
)
@corefile_options
def export(zone: str, fingerprint: str, directory: Path, corefile: Path, dns_port: int) -> None:
    """Write a key pair as BIND's files, mode 0600: the private key is in the clear there."""
    manager = client(corefile, dns_port)
    pair = manager.post("/keys/export", KeyPair, Export(zone, fingerprint))
    base = bind.save(directory, dns.name.from_text(zone), pair.dnskey, bytearray(pair.private))
    click.echo(f"{base}.key and {base}.private")


@keys.command()
@click.argument("zone")
@click.option("--until", type=Moment(), help="How far to look; a year by default.")
@click.option("--svg", type=click.Path(path_type=Path, dir_okay=False), help="Draw it here.")
@corefile_options
@json_option
def plan(
    zone: str, until: int | None, svg: Path | None, corefile: Path, dns_port: int, as_json: bool
) -> None:
    """What will happen to a zone's keys and when, with the reason for each wait."""
    asked = PlanAsk(zone, until, svg is not None)
    found = client(corefile, dns_port).post("/keys/plan", PlanView, asked)
    if svg is not None and found.svg is not None:
        svg.write_text(found.svg, encoding="utf-8")
    if as_json:
        print_json(found)
        return
    _show_plan(found)
    if svg is not None:
        click.echo(f"drawn in {svg}")


def _show_plan(found: PlanView) -> None:
    for step in found.steps:
        click.echo(step.at)
        for reason in step.why:
            click.echo(f"    after: {reason}")
        for line in step.doing:
            click.echo(f"    {line}")
        for line in step.moves:
            click.echo(f"    {line}")
    if found.deadline is not None:
        click.echo(f"it has to end before {found.deadline}: then signatures of a lost key end")
    if found.stopped is not None:
        click.echo(f"stops here: validators would refuse {found.stopped}")
    elif not found.steps:
        click.echo(f"{found.zone}: nothing is going to happen until {found.until}")
    elif not found.ended:
        click.echo(f"… and so on after {found.until}")


@keys.command()
@click.argument("zone")
@click.option("--ksk", is_flag=True, help="A new KSK.")
@click.option("--zsk", is_flag=True, help="A new ZSK.")
@click.option("--csk", is_flag=True, help="A new CSK.")
@click.option("--algorithm", type=click.Choice(list(ALGORITHMS), case_sensitive=False))
@click.option("--lost", metavar="KEY", help="This key's private half is gone, or known to others.")
@click.option("--insecure", is_flag=True, help="Withdraw the DS, then the signatures.")
@click.option("--secure", is_flag=True, help="Come back from there.")
@click.option("--now", is_flag=True, help="Also while the key's own rollover runs. No wait is cut.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@corefile_options
def roll(
    zone: str,
    ksk: bool,
    zsk: bool,
    csk: bool,
    algorithm: str | None,
    lost: str | None,
    insecure: bool,
    secure: bool,
    now: bool,
    yes: bool,
    corefile: Path,
    dns_port: int,
) -> None:
    """Begin a rollover: of all keys, or of those named. Shows the plan and asks first."""
    manager = client(corefile, dns_port)
    roles = (("ksk", ksk), ("zsk", zsk), ("csk", csk))
    asked = RollAsk(
        tuple(name for name, wanted in roles if wanted),
        None if algorithm is None else ALGORITHMS[algorithm.upper()],
        lost,
        insecure,
        secure,
        now,
    )
    found = manager.post("/keys/plan", PlanView, PlanAsk(zone, roll=asked))
    _show_plan(found)
    if found.stopped is not None and not yes:
        click.echo("The rollover would stop there and wait for a person.")
    if not yes:
        click.confirm(f"Begin that for {found.zone}?", abort=True)
    for line in manager.post("/keys/roll", Lines, ZoneRoll(zone, asked)).lines:
        click.echo(line)


@keys.command()
@click.argument("zone", required=False)
@click.option("--all", "everything", is_flag=True, help="All zones.")
@click.option("--reason", default="", help="For status and the audit log.")
@corefile_options
def hold(zone: str | None, everything: bool, reason: str, corefile: Path, dns_port: int) -> None:
    """The brake: nothing of a zone's keys moves until `resume`; signing goes on."""
    _zone_or_all(zone, everything)
    for line in client(corefile, dns_port).post("/keys/hold", Lines, Brake(zone, reason)).lines:
        click.echo(line)


@keys.command()
@click.argument("zone", required=False)
@click.option("--all", "everything", is_flag=True, help="All zones.")
@corefile_options
def resume(zone: str | None, everything: bool, corefile: Path, dns_port: int) -> None:
    """Take the brake off."""
    _zone_or_all(zone, everything)
    for line in client(corefile, dns_port).post("/keys/resume", Lines, Brake(zone)).lines:
        click.echo(line)


def _zone_or_all(zone: str | None, everything: bool) -> None:
    if (zone is None) != everything:
        raise click.UsageError("name a zone, or say --all")


@keys.command()
@click.argument("zone")
@corefile_options
@json_option
def log(zone: str, corefile: Path, dns_port: int, as_json: bool) -> None:
    """The audit trail of a zone's keys, oldest first."""
    found = client(corefile, dns_port).get("/keys/log", Trail, zone=zone)
    if as_json:
        print_json(found)
        return
    for entry in found.entries:
        click.echo(f"{entry.at}  {entry.actor}  {entry.action}: {entry.detail}".rstrip(": "))
