"""Key pairs of the DNSSEC algorithms: making them, and their form in DNSKEY rdata.

RSA keys are laid out as in RFC 3110 section 2, ECDSA as in RFC 6605 section 4, Ed25519 and
Ed448 as in RFC 8080 section 3.
"""

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

PrivateKey = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
)

RSASHA256, RSASHA512, ECDSAP256, ECDSAP384, ED25519, ED448 = 8, 10, 13, 14, 15, 16

_CURVES: dict[int, type[ec.EllipticCurve]] = {ECDSAP256: ec.SECP256R1, ECDSAP384: ec.SECP384R1}
_PROTOCOL = 3  # RFC 4034 section 2.1.2
DEFAULT_RSA_BITS = 2048


def make(algorithm: int, bits: int | None) -> PrivateKey:
    """Raises ValueError for an algorithm or a length that can't be made."""
    if algorithm in (RSASHA256, RSASHA512):
        size = bits or DEFAULT_RSA_BITS
        if not 1024 <= size <= 4096:
            raise ValueError(f"an RSA key has 1024 to 4096 bits (RFC 5702), not {size}")
        return rsa.generate_private_key(public_exponent=65537, key_size=size)
    if bits is not None:
        raise ValueError("only RSA keys have a length to choose")
    if algorithm in _CURVES:
        return ec.generate_private_key(_CURVES[algorithm]())
    if algorithm == ED25519:
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm == ED448:
        return ed448.Ed448PrivateKey.generate()
    raise ValueError(f"algorithm {algorithm} is not one that can sign here")


def public_bytes(key: PrivateKey, algorithm: int) -> bytes:
    """The public key field. Raises ValueError when the key is not of that algorithm."""
    if algorithm in (RSASHA256, RSASHA512) and isinstance(key, rsa.RSAPrivateKey):
        numbers = key.public_key().public_numbers()
        exponent = numbers.e.to_bytes((numbers.e.bit_length() + 7) // 8, "big")
        modulus = numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")
        short = len(exponent) < 256
        length = bytes([len(exponent)]) if short else b"\0" + len(exponent).to_bytes(2, "big")
        return length + exponent + modulus
    if (
        algorithm in _CURVES
        and isinstance(key, ec.EllipticCurvePrivateKey)
        and isinstance(key.curve, _CURVES[algorithm])
    ):
        point = key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        return point[1:]
    if (algorithm == ED25519 and isinstance(key, ed25519.Ed25519PrivateKey)) or (
        algorithm == ED448 and isinstance(key, ed448.Ed448PrivateKey)
    ):
        return key.public_key().public_bytes_raw()
    raise ValueError(f"the private key is not one of algorithm {algorithm}")


def dnskey(key: PrivateKey, algorithm: int, flags: int) -> bytes:
    """DNSKEY rdata (RFC 4034 section 2.1)."""
    head = flags.to_bytes(2, "big") + bytes([_PROTOCOL, algorithm])
    return head + public_bytes(key, algorithm)


def to_pkcs8(key: PrivateKey) -> bytearray:
    return bytearray(
        key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def from_pkcs8(der: bytes | bytearray) -> PrivateKey:
    """Raises ValueError for what is no private key of a kind used in DNSSEC."""
    key = serialization.load_der_private_key(der, password=None)
    kinds = (
        rsa.RSAPrivateKey,
        ec.EllipticCurvePrivateKey,
        ed25519.Ed25519PrivateKey,
        ed448.Ed448PrivateKey,
    )
    if not isinstance(key, kinds):
        raise ValueError("not a key of a DNSSEC algorithm")
    return key


def wipe(buffer: bytearray) -> None:
    """Overwrite in place: what Python allows. Copies that a library made are its own."""
    buffer[:] = bytes(len(buffer))
