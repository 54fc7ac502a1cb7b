"""Gandi v5: https://api.gandi.net/docs/domains/"""

from providers.web import Provider, Refusal, Reply, Request, base64_text, exactly

PATH = "/v5/domain/domains/example.org/dnskeys"


class Gandi(Provider):
    name = "gandi"
    secrets = {"token": "pat-9f8e7d6c5b4a"}

    def answer(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer {self.secrets['token']}":
            return self.error(401, "The server could not verify that you authorized to access it")
        if not request.path.startswith(PATH):
            return self.error(404, "Can't find that domain")
        rest = request.path.removeprefix(PATH)
        if rest == "" and request.method == "GET":
            return Reply(200, [self._key(id_) for id_ in self.stored])
        if rest == "" and request.method == "POST":
            body = request.json()
            exactly(body, {"algorithm": int, "type": str, "public_key": str})
            if body["type"] not in ("ksk", "zsk"):
                raise Refusal("type is neither ksk nor zsk")
            flags = 257 if body["type"] == "ksk" else 256
            key = (flags, body["algorithm"], base64_text(body["public_key"]))
            if key in self.stored.values():
                return self.error(409, "This key is already there")
            self.stored[self.new_id()] = key
            return Reply(202, {"message": "Domain dnskey creation is in progress"})
        if rest.startswith("/") and request.method == "DELETE":
            if self.stored.pop(rest[1:], None) is None:
                return self.error(404, "Can't find that key")
            return Reply(202, {"message": "Domain dnskey deletion is in progress"})
        raise Refusal("no such call")

    def _key(self, id_: str) -> dict[str, object]:
        flags, algorithm, key = self.stored[id_]
        return {
            "id": int(id_),
            "algorithm": algorithm,
            "digest": "ab" * 32,
            "digest_type": 2,
            "keytag": 12345,
            "type": "ksk" if flags == 257 else "zsk",
            "public_key": key,
        }

    def error(self, status: int, message: str) -> Reply:
        return Reply(
            status,
            {"code": status, "message": message, "object": "HTTPError", "cause": "Bad Request"},
        )
