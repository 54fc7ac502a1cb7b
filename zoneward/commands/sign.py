"""`zoneward sign`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click
import dns.exception
import dns.name

import engine
from keystore import algorithms, bind
from signer.policy import ALGORITHMS, Nsec3
from zones import foreign
from zones.serial import following
from zoneward import offline
from zoneward.commands.times import Moment, Span
from zoneward.progress import Progress
from zoneward.refusal import Refusal

_CSK = 257
_HOUR, _DAY = 3600, 86400
_SHOWN = 10


@click.command()
@click.argument("zonefile", type=click.Path(path_type=Path))
@click.option("--origin", required=True, help="The zone's name.")
@click.option(
    "--keys",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Sign with the zone's key pairs in this directory (BIND's files).",
)
@click.option(
    "--generate",
    "generate",
    type=click.Choice(list(ALGORITHMS), case_sensitive=False),
    multiple=True,
    help="Make a key (CSK) and write it beside OUT; once for each algorithm.",
)
@click.option("--nsec3", is_flag=True, help="NSEC3 (RFC 5155) instead of NSEC.")
@click.option("--iterations", type=click.IntRange(0, 500), default=0, show_default=True)
@click.option("--salt", default="-", help="NSEC3 salt in hexadecimal; - is none.")
@click.option("--opt-out", is_flag=True, help="NSEC3 opt-out.")
@click.option("--serial", default="keep", help="keep, increment, unixtime or a number.")
@click.option("--inception", type=Moment(), help="Default: an hour ago.")
@click.option("--expiration", type=Moment(), help="Default: --validity from now.")
@click.option("--validity", type=Span(), default="14d", show_default=True)
@click.option("--jitter", type=Span(), default="0", help="Spread expirations over this long.")
@click.option("--dnskey-ttl", type=Span(), default="1h", show_default=True)
@click.option("--verify", is_flag=True, help="Verify the result before it is written.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, allow_dash=True),
    help="Default: ZONEFILE.signed; - is standard output.",
)
def sign(
    zonefile: Path,
    origin: str,
    directory: Path | None,
    generate: tuple[str, ...],
    nsec3: bool,
    iterations: int,
    salt: str,
    opt_out: bool,
    serial: str,
    inception: int | None,
    expiration: int | None,
    validity: int,
    jitter: int,
    dnskey_ttl: int,
    verify: bool,
    output: Path | None,
) -> None:
    """Sign a zone file. Prints the DS records for the parent on standard error."""
    if bool(directory) == bool(generate):
        raise click.UsageError("one of --keys and --generate is needed")
    name = _name(origin)
    out = output or zonefile.with_name(zonefile.name + ".signed")
    to_stdout = str(out) == "-"
    now = int(time.time())
    with Progress(f"reading {zonefile}"):
        zone = offline.scan(zonefile, name)
    if directory is not None:
        pairs = bind.read_directory(directory, name)
        if not pairs:
            raise Refusal(f"{directory}: holds no key pair of {name} (K{name}+…)")
    else:
        pairs = [_generate(name, text, Path() if to_stdout else out.parent) for text in generate]
    dnskeys = [pair.dnskey for pair in pairs]
    started = time.monotonic()
    with Progress("signing"):
        signed = offline.sign(
            zone,
            pairs,
            nsec3=Nsec3(iterations, _salt(salt), opt_out) if nsec3 else None,
            times=offline.Times(
                now - _HOUR if inception is None else inception,
                now + validity if expiration is None else expiration,
                jitter,
            ),
            dnskey_ttl=dnskey_ttl,
            serial=_serial(serial, zone.serial, now),
        )
    seconds = time.monotonic() - started
    if verify:
        _verify(signed.zone, now if inception is None else inception)
    with Progress("writing"):
        if to_stdout:
            sys.stdout.write(signed.zone.to_text(foreign=foreign.write))
        else:
            signed.zone.write_text(str(out), foreign=foreign.write)
    click.echo(
        f"{name}: serial {signed.zone.serial}, signed {signed.made} RRsets in {seconds:.2f} s"
        + ("" if to_stdout else f", wrote {out}"),
        err=True,
    )
    for line in offline.ds_of(name, dnskeys):
        click.echo(line, err=True)


def _generate(name: dns.name.Name, algorithm: str, directory: Path) -> bind.KeyPair:
    number = ALGORITHMS[algorithm.upper()]
    key = algorithms.make(number, None)
    rdata = algorithms.dnskey(key, number, _CSK)
    base = bind.save(directory, name, rdata, algorithms.to_pkcs8(key))
    click.echo(f"{name}: made the key {base}.key, {base}.private", err=True)
    return bind.KeyPair(name, rdata, algorithms.to_pkcs8(key))


def _verify(zone: engine.Zone, at: int) -> None:
    with Progress("verifying"):
        report = engine.verify(zone, at=at, max_failures=_SHOWN)
    if report.failure_count:
        lines = [offline.failure_line(failure) for failure in report.failures]
        lines.append(f"{report.failure_count} failures; nothing was written")
        raise Refusal("\n".join(lines))


def _name(text: str) -> dns.name.Name:
    try:
        return dns.name.from_text(text).canonicalize()
    except dns.exception.DNSException as error:
        raise click.UsageError(f"--origin: {text!r} is no zone name: {error}") from None


def _salt(text: str) -> bytes:
    try:
        salt = b"" if text == "-" else bytes.fromhex(text)
    except ValueError:
        raise click.UsageError(f"--salt: {text!r} is not hexadecimal") from None
    if len(salt) > 255:
        raise click.UsageError("--salt: at most 255 octets")
    return salt


def _serial(text: str, source: int, now: int) -> int | None:
    if text == "keep":
        return None
    if text == "increment":
        return following(source)
    if text == "unixtime":
        return now % (1 << 32)
    if text.isdecimal() and int(text) < 1 << 32:
        return int(text)
    raise click.UsageError("--serial: keep, increment, unixtime or a number below 2^32")
