"""BIND's key files: `Kexample.org.+013+12345.key` and `.private`, format 1.3.

Timing metadata is read past and not written: the state database is where a key's times are.
"""

import base64
import binascii
import logging
import stat
from pathlib import Path

import attrs
import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from keystore import algorithms
from keystore.dnskey import Dnskey, belongs_together, key_tag
from keystore.durable import write
from keystore.protocol import KeystoreError

_log = logging.getLogger(__name__)
_NAMES = {
    8: "RSASHA256",
    10: "RSASHA512",
    13: "ECDSAP256SHA256",
    14: "ECDSAP384SHA384",
    15: "ED25519",
    16: "ED448",
}
_RSA_FIELDS = (
    "Modulus",
    "PublicExponent",
    "PrivateExponent",
    "Prime1",
    "Prime2",
    "Exponent1",
    "Exponent2",
    "Coefficient",
)
_EC_BYTES = {13: 32, 14: 48}


@attrs.frozen
class KeyPair:
    """Both halves of a key; `private` is PKCS#8 DER, which whoever takes it wipes."""

    zone: dns.name.Name
    dnskey: bytes
    private: bytearray = attrs.field(repr=False)


def base_name(zone: dns.name.Name, dnskey: bytes) -> str:
    """`Kexample.org.+013+12345`."""
    text = zone.canonicalize().to_text()
    return f"K{text}+{dnskey[3]:03d}+{key_tag(dnskey):05d}".replace("/", "%2F")


def key_base(path: Path) -> Path:
    """The common base of a pair's two files, whichever of the three names was given."""
    if path.suffix in (".key", ".private"):
        return path.with_suffix("")
    return path


def read(path: Path) -> KeyPair:
    """Read a pair; `path` is its base name, or either file. Raises KeystoreError."""
    base = key_base(path)
    public = base.with_name(base.name + ".key")
    private = base.with_name(base.name + ".private")
    zone, dnskey = _read_public(public)
    key = _read_private(private, dnskey[3])
    der = algorithms.to_pkcs8(key)
    if not belongs_together(dnskey, der):
        algorithms.wipe(der)
        raise KeystoreError(
            str(private), f"is not the private half of {public}", "give both halves of one pair"
        )
    return KeyPair(zone, dnskey, der)


def read_directory(directory: Path, zone: dns.name.Name) -> list[KeyPair]:
    """All pairs of a zone in a directory. Raises KeystoreError."""
    prefix = f"K{zone.canonicalize().to_text()}+".lower()
    try:
        names = sorted(entry.name for entry in directory.iterdir())
    except OSError as error:
        raise KeystoreError(
            str(directory), f"can't be read ({error.strerror})", "name a directory of key pairs"
        ) from error
    return [
        read(directory / name)
        for name in names
        if name.lower().startswith(prefix) and name.endswith(".private")
    ]


def save(directory: Path, zone: dns.name.Name, dnskey: bytes, private: bytearray) -> Path:
    """Write a pair, both files with mode 0600, and give its base. `private` is wiped.
    Raises KeystoreError."""
    base = directory / base_name(zone, dnskey)
    try:
        text = _private_text(dnskey[3], algorithms.from_pkcs8(private))
        record = dns.rdata.from_wire(
            dns.rdataclass.IN, dns.rdatatype.DNSKEY, dnskey, 0, len(dnskey)
        )
        public = f"{zone.canonicalize().to_text()} IN DNSKEY {record.to_text(chunksize=0)}\n"
        write(base.with_name(base.name + ".private"), text)
        write(base.with_name(base.name + ".key"), public.encode("ascii"))
    except OSError as error:
        raise KeystoreError(
            str(base), f"can't be written ({error.strerror})", "see to disk and rights"
        ) from error
    finally:
        algorithms.wipe(private)
    return base


def _read_public(path: Path) -> tuple[dns.name.Name, bytes]:
    remedy = "give a pair of files that dnssec-keygen wrote"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise KeystoreError(str(path), f"can't be read ({reason})", remedy) from error
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition(";")[0].split()
        if not words:
            continue
        upper = [word.upper() for word in words]
        if "DNSKEY" not in upper:
            continue
        at = upper.index("DNSKEY")
        try:
            zone = dns.name.from_text(words[0])
            rdata = dns.rdata.from_text(
                dns.rdataclass.IN, dns.rdatatype.DNSKEY, " ".join(words[at + 1 :])
            ).to_digestable()
            return zone, Dnskey(rdata).rdata
        except (dns.exception.DNSException, ValueError) as error:
            raise KeystoreError(f"{path}:{number}", f"no DNSKEY record ({error})", remedy) from None
    raise KeystoreError(str(path), "holds no DNSKEY record", remedy)


def _read_private(path: Path, algorithm: int) -> algorithms.PrivateKey:
    remedy = "give a pair of files that dnssec-keygen wrote"
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o044:
            _log.warning("%s: others can read this private key; chmod 600 it", path)
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise KeystoreError(str(path), f"can't be read ({reason})", remedy) from error
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields[name.strip()] = value.strip()
    version = fields.get("Private-key-format", "")
    if not version.startswith("v1."):
        raise KeystoreError(str(path), "is not in the format v1.x", remedy)
    if fields.get("Algorithm", "").split(" ")[0] != str(algorithm):
        raise KeystoreError(str(path), f"is not of the .key file's algorithm {algorithm}", remedy)
    try:
        return _private_key(algorithm, fields)
    except (KeyError, ValueError, binascii.Error) as error:
        # The cause may quote the key: only its kind is told.
        raise KeystoreError(
            str(path), f"holds no whole private key ({type(error).__name__})", remedy
        ) from None


def _private_key(algorithm: int, fields: dict[str, str]) -> algorithms.PrivateKey:
    def octets(name: str) -> bytes:
        return base64.b64decode(fields[name], validate=True)

    if algorithm in (algorithms.RSASHA256, algorithms.RSASHA512):
        n, e, d, p, q, dmp1, dmq1, iqmp = (
            int.from_bytes(octets(name), "big") for name in _RSA_FIELDS
        )
        return rsa.RSAPrivateNumbers(
            p, q, d, dmp1, dmq1, iqmp, rsa.RSAPublicNumbers(e, n)
        ).private_key()
    secret = octets("PrivateKey")
    if algorithm in _EC_BYTES:
        if len(secret) > _EC_BYTES[algorithm]:
            raise ValueError("too long")
        curve = ec.SECP256R1() if algorithm == algorithms.ECDSAP256 else ec.SECP384R1()
        return ec.derive_private_key(int.from_bytes(secret, "big"), curve)
    if algorithm == algorithms.ED25519:
        return ed25519.Ed25519PrivateKey.from_private_bytes(secret)
    if algorithm == algorithms.ED448:
        return ed448.Ed448PrivateKey.from_private_bytes(secret)
    raise ValueError("unknown algorithm")


def _private_text(algorithm: int, key: algorithms.PrivateKey) -> bytearray:
    text = bytearray(
        b"Private-key-format: v1.3\n" + f"Algorithm: {algorithm} ({_NAMES[algorithm]})\n".encode()
    )
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.private_numbers()
        public = numbers.public_numbers
        values = (
            public.n,
            public.e,
            numbers.d,
            numbers.p,
            numbers.q,
            numbers.dmp1,
            numbers.dmq1,
            numbers.iqmp,
        )
        for name, value in zip(_RSA_FIELDS, values, strict=True):
            raw = value.to_bytes((value.bit_length() + 7) // 8, "big")
            text += f"{name}: ".encode() + base64.b64encode(raw) + b"\n"
        return text
    if isinstance(key, ec.EllipticCurvePrivateKey):
        raw = key.private_numbers().private_value.to_bytes(_EC_BYTES[algorithm], "big")
    else:
        raw = key.private_bytes_raw()
    text += b"PrivateKey: " + base64.b64encode(raw) + b"\n"
    return text
