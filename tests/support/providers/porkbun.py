"""Porkbun v3: https://porkbun.com/api/json/v3/documentation"""

from providers.web import Provider, Refusal, Reply, Request, exactly, hexadecimal

PREFIX = "/api/json/v3"


class Porkbun(Provider):
    """Its table has one row for a key tag, and deleting a tag deletes all that has it."""

    name = "porkbun"
    secrets = {"key": "pk1_0a1b2c3d4e5f", "secret": "sk1_f5e4d3c2b1a0"}

    def corefile(self, endpoint: str) -> str:
        return super().corefile(endpoint + PREFIX)

    def is_change(self, request: Request) -> bool:
        return "getDnssec" not in request.path

    def answer(self, request: Request) -> Reply:
        if request.method != "POST" or not request.path.startswith(f"{PREFIX}/dns/"):
            raise Refusal("no such call")
        body = request.json()
        given = body.pop("apikey", None), body.pop("secretapikey", None)
        if given != tuple(self.secrets.values()):
            return self.error(400, "Invalid API key. (001)")
        call, domain, *rest = request.path.removeprefix(f"{PREFIX}/dns/").split("/")
        if domain != "example.org":
            return self.error(400, "Invalid domain.")
        if call == "getDnssecRecords" and not rest:
            exactly(body, {})
            rows = {
                str(tag): {
                    "keyTag": str(tag),
                    "alg": str(algorithm),
                    "digestType": str(kind),
                    "digest": digest,
                }
                for tag, algorithm, kind, digest in self.stored.values()
            }
            return Reply(200, {"status": "SUCCESS", "records": rows or []})
        if call == "createDnssecRecord" and not rest:
            exactly(body, {"keyTag": str, "alg": str, "digestType": str, "digest": str})
            numbers = [int(body[name]) for name in ("keyTag", "alg", "digestType")]
            ds = (*numbers, hexadecimal(body["digest"], numbers[2]))
            if ds in self.stored.values():
                return self.error(400, "Duplicate DS record.")
            self.stored[self.new_id()] = ds
            return Reply(200, {"status": "SUCCESS"})
        if call == "deleteDnssecRecord" and len(rest) == 1:
            exactly(body, {})
            gone = [id_ for id_, ds in self.stored.items() if str(ds[0]) == rest[0]]
            if not gone:
                return self.error(400, "Invalid record ID.")
            for id_ in gone:
                del self.stored[id_]
            return Reply(200, {"status": "SUCCESS"})
        raise Refusal("no such call")

    def error(self, status: int, message: str) -> Reply:
        return Reply(status, {"status": "ERROR", "message": message})
