"""Name.com, Core and v4: https://docs.name.com, https://www.name.com/api-docs/DNSSECs"""

import base64

from providers.web import Provider, Refusal, Reply, Request, exactly, hexadecimal

FIELDS = {"keyTag": int, "algorithm": int, "digestType": int, "digest": str}


class NameCom(Provider):
    """Lists one record a page, so that pages are followed."""

    name = "namecom"
    secrets = {"token": "0123456789abcdef0123456789abcdef01234567"}
    options = "user alice"
    path = "/core/v1/domains/example.org/dnssec"
    fields = FIELDS

    def answer(self, request: Request) -> Reply:
        credentials = base64.b64encode(f"alice:{self.secrets['token']}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {credentials}":
            return self.error(401, "Unauthenticated")
        if not request.path.startswith(self.path):
            return self.error(404, "Not Found")
        rest = request.path.removeprefix(self.path)
        if rest == "" and request.method == "GET":
            page = int(request.query.get("page", "1"))
            rows = list(self.stored.values())[page - 1 : page]
            told: dict[str, object] = {"dnssec": [self._row(ds) for ds in rows]} if rows else {}
            if page < len(self.stored):
                told["nextPage"] = page + 1
            return Reply(200, told)
        if rest == "" and request.method == "POST":
            body = request.json()
            exactly(body, self.fields)
            if body.get("domainName", "example.org") != "example.org":
                raise Refusal("domainName is another's")
            digest = hexadecimal(body["digest"], body["digestType"])
            ds = (body["keyTag"], body["algorithm"], body["digestType"], digest)
            if ds in self.stored.values():
                return self.error(409, "Already Exists")
            self.stored[self.new_id()] = ds
            return Reply(200, self._row(ds))
        if rest.startswith("/") and request.method == "DELETE":
            found = [id_ for id_, ds in self.stored.items() if ds[3] == rest[1:].upper()]
            if not found:
                return self.error(404, "Not Found")
            del self.stored[found[0]]
            return Reply(200, {})
        raise Refusal("no such call")

    def _row(self, ds: tuple[object, ...]) -> dict[str, object]:
        tag, algorithm, kind, digest = ds
        return {
            "domainName": "example.org",
            "keyTag": tag,
            "algorithm": algorithm,
            "digestType": kind,
            "digest": digest,
        }

    def error(self, status: int, message: str) -> Reply:
        return Reply(status, {"message": message, "details": "what the registry says"})


class NameComV4(NameCom):
    """The API that came before."""

    options = "user alice\napi v4"
    path = "/v4/domains/example.org/dnssec"
    fields = FIELDS | {"domainName": str}
