"""A key pair that is in memory, made ready to sign."""

from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey

import engine
from keystore import algorithms


def signing_key(dnskey: bytes, private: bytearray) -> engine.SigningKey:
    """`private` is PKCS#8 DER, which is wiped. Raises EngineError "key" and ValueError."""
    try:
        if dnskey[3] == algorithms.ED448:
            return _ed448(dnskey, private)
        return engine.SigningKey(dnskey, private)
    finally:
        algorithms.wipe(private)


def _ed448(dnskey: bytes, private: bytearray) -> engine.SigningKey:
    """The engine's crypto library has no Ed448: `cryptography` signs, in batches."""
    key = algorithms.from_pkcs8(private)
    if not isinstance(key, Ed448PrivateKey):
        raise ValueError("the private key is not one of Ed448")

    def sign(messages: list[bytes]) -> list[bytes]:
        return [key.sign(message) for message in messages]

    return engine.SigningKey.external(dnskey, sign)
