"""deSEC v1: https://desec.readthedocs.io/en/latest/dns/rrsets.html"""

from providers.web import Provider, Refusal, Reply, Request, exactly, hexadecimal

PATH = "/api/v1/domains/example.org/rrsets/"


class DeSEC(Provider):
    name = "desec"
    secrets = {"token": "i-T3b1h_OI-H9ab8tRS98stGtURe"}
    zone = "child.example.org."
    unknown = "child.unknown.example."

    def answer(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Token {self.secrets['token']}":
            return self.error(401, "Invalid token.")
        if request.path != PATH:
            return self.error(404, "Not found.")
        if request.method == "GET":
            if request.query != {"type": "DS", "subname": "child"}:
                raise Refusal("no filter for the child's DS")
            return Reply(200, [self._rrset()] if self.stored else [])
        if request.method == "PUT":
            body = request.json()
            if not isinstance(body, list) or len(body) != 1:
                raise Refusal("not one RRset")
            rrset = body[0]
            exactly(rrset, {"subname": str, "type": str, "ttl": int, "records": list})
            if (rrset["subname"], rrset["type"]) != ("child", "DS"):
                raise Refusal("not the child's DS")
            if rrset["ttl"] < 3600:
                return self.error(400, "Ensure this value is greater than or equal to 3600.")
            found = []
            for text in rrset["records"]:
                tag, algorithm, kind, digest = text.split(" ")
                found.append((int(tag), int(algorithm), int(kind), hexadecimal(digest, int(kind))))
            self.stored = {self.new_id(): ds for ds in found}
            return Reply(200, [self._rrset()] if found else [])
        raise Refusal("no such call")

    def _rrset(self) -> dict[str, object]:
        return {
            "created": "2026-03-03T13:49:58.000000Z",
            "domain": "example.org",
            "subname": "child",
            "name": "child.example.org.",
            "type": "DS",
            # Canonical form: digests in lower case.
            "records": [f"{t} {a} {k} {d.lower()}" for t, a, k, d in self.stored.values()],
            "ttl": 3600,
            "touched": "2026-03-03T13:49:58.000000Z",
        }

    def error(self, status: int, message: str) -> Reply:
        if status == 400:
            return Reply(400, [{"non_field_errors": [message]}])
        return Reply(status, {"detail": message})
