"""Cloudflare v4: https://developers.cloudflare.com/api/resources/dns/subresources/records/"""

from providers.web import Provider, Refusal, Reply, Request, exactly, hexadecimal

ZONE = "023e105f4ecef8ad9ca31a8372d0c353"
PATH = f"/client/v4/zones/{ZONE}/dns_records"


class Cloudflare(Provider):
    name = "cloudflare"
    secrets = {"token": "v1.0-cloudflare-token-0123456789"}
    zone = "child.example.org."
    unknown = "child.unknown.example."

    def answer(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer {self.secrets['token']}":
            return self.error(403, "Authentication error", 10000)
        if (request.method, request.path) == ("GET", "/client/v4/zones"):
            known = request.query.get("name") == "example.org"
            return self._told([{"id": ZONE, "name": "example.org"}] if known else [])
        if not request.path.startswith(PATH):
            return self.error(404, "Could not route to the path", 7003)
        rest = request.path.removeprefix(PATH)
        if rest == "" and request.method == "GET":
            if (request.query.get("type"), request.query.get("name")) != (
                "DS",
                "child.example.org",
            ):
                raise Refusal("no filter for the child's DS")
            return self._told([self._row(id_) for id_ in self.stored])
        if rest == "" and request.method == "POST":
            body = request.json()
            exactly(body, {"type": str, "name": str, "ttl": int, "data": dict})
            data = body["data"]
            exactly(data, {"key_tag": int, "algorithm": int, "digest_type": int, "digest": str})
            if (body["type"], body["name"]) != ("DS", "child.example.org"):
                raise Refusal("not the child's DS")
            digest = hexadecimal(data["digest"], data["digest_type"])
            ds = (data["key_tag"], data["algorithm"], data["digest_type"], digest)
            if ds in self.stored.values():
                return self.error(400, "An identical record already exists.", 81058)
            id_ = self.new_id()
            self.stored[id_] = ds
            return self._told(self._row(id_))
        if rest.startswith("/") and request.method == "DELETE":
            if self.stored.pop(rest[1:], None) is None:
                return self.error(404, "Record does not exist.", 81044)
            return self._told({"id": rest[1:]})
        raise Refusal("no such call")

    def _row(self, id_: str) -> dict[str, object]:
        tag, algorithm, kind, digest = self.stored[id_]
        return {
            "id": id_,
            "name": "child.example.org",
            "type": "DS",
            "content": f"{tag} {algorithm} {kind} {digest}",
            "ttl": 3600,
            "proxied": False,
            "data": {
                "key_tag": tag,
                "algorithm": algorithm,
                "digest_type": kind,
                "digest": digest,
            },
        }

    def _told(self, result: object) -> Reply:
        return Reply(200, {"success": True, "errors": [], "messages": [], "result": result})

    def error(self, status: int, message: str, code: int = 1004) -> Reply:
        errors = [{"code": code, "message": message}]
        return Reply(status, {"success": False, "errors": errors, "messages": [], "result": None})
