"""TransIP, by its REST API v6: the whole set of DNSKEY in.

    registrar transip {
        login NAME
        private-key file:PATH|env:NAME|credential:NAME
        anywhere
        endpoint URL
    }

*anywhere* asks for tokens that hold from every address, not only from those on the account's
list. https://api.transip.nl/rest/docs.html
"""

import base64
import secrets
from collections.abc import Callable

import dns.name
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from corefile import Directive
from registrars import formats, options
from registrars.http import Answer, Client, bearer, quoted
from registrars.plan import done, never_pending, replacement
from registrars.protocol import (
    Capabilities,
    Context,
    Deletes,
    Entry,
    Plan,
    Receipt,
    RegistrarError,
    Wants,
)

OPTIONS = options.Options(
    endpoint="https://api.transip.nl",
    secrets=("private-key",),
    words=("login",),
    flags=("anywhere",),
)


class Key(msgspec.Struct, rename="camel"):
    key_tag: int
    flags: int
    algorithm: int
    public_key: str


class Keys(msgspec.Struct):
    entries: list[Key] = msgspec.field(name="dnsSecEntries")


class Token(msgspec.Struct):
    token: str


class Login(msgspec.Struct):
    """A wish for a token; `label` and `nonce` are never used twice."""

    login: str
    nonce: str
    label: str
    global_key: bool
    read_only: bool = False
    expiration_time: str = "30 minutes"


def read(directive: Directive) -> options.Settings:
    return options.read(directive, OPTIONS)


def open(config: options.Settings, context: Context) -> "TransIP":  # noqa: A001 - a driver's verb
    pem = options.resolved(config, context, "registrar transip")["private-key"]
    try:
        key = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise RegistrarError(
            "registrar transip",
            "private-key is no RSA key in PEM",
            "put the one from TransIP there",
        )
    client = Client("transip", config.endpoint, context.timeout, (pem,), lambda *request: {})
    return TransIP(client, key, config.word("login"), anywhere=bool(config.word("anywhere")))


class TransIP:
    """All keys at once."""

    name = "transip"
    capabilities = Capabilities(Wants.DNSKEY, deletes=Deletes.REPLACE, lists=True, automatic=True)

    def __init__(
        self, client: Client, key: rsa.RSAPrivateKey, login: str, *, anywhere: bool
    ) -> None:
        self._client = client
        self._key = key
        self._login = login
        self._anywhere = anywhere
        self._token = ""

    def list(self, zone: dns.name.Name) -> tuple[Entry, ...]:
        answer = self._call("GET", _path(zone))
        return self._client.entries(
            answer,
            (
                formats.dnskey_entry(zone, key.flags, key.algorithm, key.public_key)
                for key in self._client.read(answer, Keys).entries
            ),
        )

    def apply(self, plan: Plan) -> Receipt:
        entries = replacement(plan, self.list(plan.zone))
        if entries is not None:
            keys = [
                Key(entry.tag, entry.flags or 257, entry.algorithm, formats.base64_key(entry))
                for entry in entries
            ]
            self._call("PUT", _path(plan.zone), Keys(keys))
        return done(plan)

    def poll(self, zone: dns.name.Name, reference: str) -> Receipt:
        return never_pending(zone)

    def close(self) -> None:
        self._client.close()

    def _call(self, method: str, path: str, body: Keys | None = None) -> Answer:
        """With the token at hand, or with a new one where that has run out."""
        if self._token:
            signer = bearer(self._token)
            answer = self._client.call(method, path, body=body, also=(401,), signer=signer)
            if answer.status != 401:
                return answer
        self._token = self._new_token()
        return self._client.call(method, path, body=body, signer=bearer(self._token))

    def _new_token(self) -> str:
        nonce = secrets.token_hex(8)
        wish = Login(self._login, nonce, f"zoneward {nonce}", self._anywhere)
        answer = self._client.call("POST", "/v6/auth", body=wish, signer=signed(self._key))
        token = self._client.read(answer, Token).token
        self._client.hide(token)
        return token


def signed(key: rsa.RSAPrivateKey) -> Callable[[str, str, bytes], dict[str, str]]:
    """The signature over a body that a token is given for."""

    def signer(method: str, url: str, body: bytes) -> dict[str, str]:
        signature = key.sign(body, padding.PKCS1v15(), hashes.SHA512())
        return {"signature": base64.b64encode(signature).decode()}

    return signer


def _path(zone: dns.name.Name) -> str:
    return f"/v6/domains/{quoted(formats.domain(zone))}/dnssec"
