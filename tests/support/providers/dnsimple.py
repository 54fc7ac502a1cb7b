"""DNSimple v2: https://developer.dnsimple.com/v2/domains/dnssec/"""

from providers.web import Provider, Refusal, Reply, Request, base64_text, exactly, hexadecimal

PATH = "/v2/1010/domains/example.org/ds_records"


class DNSimple(Provider):
    """Lists one record a page, so that pages are followed."""

    name = "dnsimple"
    secrets = {"token": "dnsimple_a_0011223344556677"}
    options = "account 1010"

    def answer(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer {self.secrets['token']}":
            return self.error(401, "Authentication failed")
        if not request.path.startswith(PATH):
            return self.error(404, "Domain not found")
        rest = request.path.removeprefix(PATH)
        if rest == "" and request.method == "GET":
            page = int(request.query.get("page", "1"))
            ids = list(self.stored)[page - 1 : page]
            pages = {
                "current_page": page,
                "per_page": 1,
                "total_entries": len(self.stored),
                "total_pages": max(len(self.stored), 1),
            }
            return Reply(200, {"data": [self._row(id_) for id_ in ids], "pagination": pages})
        if rest == "" and request.method == "POST":
            new = self._new(request)
            if new in self.stored.values():
                return self.error(400, "Validation failed")
            id_ = self.new_id()
            self.stored[id_] = new
            return Reply(201, {"data": self._row(id_)})
        if rest.startswith("/") and request.method == "DELETE":
            if self.stored.pop(rest[1:], None) is None:
                return self.error(404, "Record not found")
            return Reply(204)
        raise Refusal("no such call")

    def _new(self, request: Request) -> tuple[object, ...]:
        body = request.json()
        exactly(body, {"algorithm": str, "digest": str, "digest_type": str, "keytag": str})
        kind = int(body["digest_type"])
        digest = hexadecimal(body["digest"], kind)
        return int(body["keytag"]), int(body["algorithm"]), kind, digest

    def _row(self, id_: str) -> dict[str, object]:
        tag, algorithm, kind, digest = self.stored[id_]
        return self._common(id_, algorithm) | {
            "digest": digest,
            "digest_type": str(kind),
            "keytag": str(tag),
            "public_key": None,
        }

    def _common(self, id_: str, algorithm: int) -> dict[str, object]:
        return {
            "id": int(id_),
            "domain_id": 7,
            "algorithm": str(algorithm),
            "created_at": "2026-03-03T13:49:58Z",
            "updated_at": "2026-03-03T13:49:58Z",
        }

    def error(self, status: int, message: str) -> Reply:
        return Reply(status, {"message": message, "errors": {"base": ["see the message"]}})


class DNSimpleKeys(DNSimple):
    """A top-level domain that wants keys."""

    options = "account 1010\ndata key"

    def _new(self, request: Request) -> tuple[object, ...]:
        body = request.json()
        exactly(body, {"algorithm": str, "public_key": str})
        return 257, int(body["algorithm"]), base64_text(body["public_key"])

    def _row(self, id_: str) -> dict[str, object]:
        _, algorithm, key = self.stored[id_]
        return self._common(id_, algorithm) | {
            "digest": None,
            "digest_type": None,
            "keytag": None,
            "public_key": key,
        }
