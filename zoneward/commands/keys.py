"""`zoneward keys`."""

from __future__ import annotations

from pathlib import Path

import click
import dns.name

from keystore import bind
from signer.policy import ALGORITHMS
from zoneward.api import Export, Generate, KeyPair, Lines, ZoneKeys
from zoneward.commands.admin_client import client
from zoneward.commands.options import corefile_options, json_option, print_json, print_table


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
    """Take key pairs over from BIND's files (Kzone.+alg+tag.key and .private)."""
    manager = client(corefile, dns_port)
    for path in files:
        pair = bind.read(path)
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
