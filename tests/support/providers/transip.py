"""TransIP v6: https://api.transip.nl/rest/docs.html"""

import base64

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from providers.ovh import key_tag
from providers.web import Provider, Refusal, Reply, Request, base64_text, exactly

PATH = "/v6/domains/example.org/dnssec"
KEY = rsa.generate_private_key(65537, 2048)


class TransIP(Provider):
    name = "transip"
    secrets = {
        "private-key": KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    }
    options = "login alice"

    def __init__(self) -> None:
        super().__init__()
        self.tokens: set[str] = set()
        self.nonces: set[str] = set()

    def is_change(self, request: Request) -> bool:
        return request.method == "PUT"

    def answer(self, request: Request) -> Reply:
        if (request.method, request.path) == ("POST", "/v6/auth"):
            return self._authenticate(request)
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.tokens:
            return self.error(401, "Your access token has been revoked.")
        if request.path != PATH:
            return self.error(404, "Domain with name not found")
        if request.method == "GET":
            entries = [
                {
                    "keyTag": key_tag(flags, algorithm, key),
                    "flags": flags,
                    "algorithm": algorithm,
                    "publicKey": key,
                }
                for flags, algorithm, key in self.stored.values()
            ]
            return Reply(200, {"dnsSecEntries": entries})
        if request.method == "PUT":
            body = request.json()
            exactly(body, {"dnsSecEntries": list})
            keys = []
            for key in body["dnsSecEntries"]:
                exactly(key, {"keyTag": int, "flags": int, "algorithm": int, "publicKey": str})
                new = (key["flags"], key["algorithm"], base64_text(key["publicKey"]))
                if key["keyTag"] != key_tag(*new):
                    raise Refusal("keyTag is not the key's")
                keys.append(new)
            self.stored = {self.new_id(): key for key in keys}
            return Reply(204)
        raise Refusal("no such call")

    def _authenticate(self, request: Request) -> Reply:
        signature = request.headers.get("signature", "")
        try:
            KEY.public_key().verify(
                base64.b64decode(signature, validate=True),
                request.body,
                padding.PKCS1v15(),
                hashes.SHA512(),
            )
        except (InvalidSignature, ValueError):
            return self.error(401, "The signature is invalid.")
        body = request.json()
        exactly(
            body,
            {
                "login": str,
                "nonce": str,
                "label": str,
                "global_key": bool,
                "read_only": bool,
                "expiration_time": str,
            },
        )
        if body["login"] != "alice":
            return self.error(401, "The login is unknown.")
        if not 6 <= len(body["nonce"]) <= 32 or body["nonce"] in self.nonces:
            return self.error(409, "The nonce was used before.")
        self.nonces.add(body["nonce"])
        token = f"eyJ.{self.new_id()}.token-of-alice"
        self.tokens.add(token)
        return Reply(201, {"token": token})

    def error(self, status: int, message: str) -> Reply:
        return Reply(status, {"error": message})
