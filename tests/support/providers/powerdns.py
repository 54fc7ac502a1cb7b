"""PowerDNS Authoritative Server: https://doc.powerdns.com/authoritative/http-api/zone.html"""

from providers.web import Provider, Refusal, Reply, Request, exactly, hexadecimal

PATH = "/api/v1/servers/localhost/zones/example.org."


class PowerDNS(Provider):
    name = "powerdns"
    secrets = {"key": "changeme-0123456789"}
    zone = "child.example.org."
    unknown = "child.unknown.example."

    def __init__(self) -> None:
        super().__init__()
        self.ttl = 7200

    def answer(self, request: Request) -> Reply:
        if request.headers.get("x-api-key") != self.secrets["key"]:
            return Reply(401, b"Unauthorized")
        if request.path != PATH:
            return self.error(404, "Could not find domain")
        if request.method == "GET":
            return Reply(200, {"id": "example.org.", "kind": "Native", "rrsets": self._rrsets()})
        if request.method == "PATCH":
            body = request.json()
            exactly(body, {"rrsets": list})
            (rrset,) = body["rrsets"]
            exactly(
                rrset,
                {"name": str, "type": str, "ttl": int, "changetype": str, "records": list},
            )
            if (rrset["name"], rrset["type"]) != ("child.example.org.", "DS"):
                raise Refusal("not the child's DS")
            if rrset["changetype"] not in ("REPLACE", "DELETE"):
                raise Refusal("changetype is neither REPLACE nor DELETE")
            if (rrset["changetype"] == "DELETE") != (not rrset["records"]):
                raise Refusal("records do not fit changetype")
            found = []
            for record in rrset["records"]:
                exactly(record, {"content": str, "disabled": bool})
                tag, algorithm, kind, digest = record["content"].split(" ")
                found.append((int(tag), int(algorithm), int(kind), hexadecimal(digest, int(kind))))
            if len(set(found)) != len(found):
                return self.error(422, "Duplicate record in RRset")
            self.stored = {self.new_id(): ds for ds in found}
            self.ttl = rrset["ttl"]
            return Reply(204)
        raise Refusal("no such call")

    def _rrsets(self) -> list[dict[str, object]]:
        """As of a server that does not heed the filter."""
        others = [
            _rrset("example.org.", "NS", 3600, ["ns1.example.org."]),
            _rrset("other.example.org.", "DS", 3600, [f"1 13 2 {'ab' * 32}"]),
        ]
        records = [f"{t} {a} {k} {d.lower()}" for t, a, k, d in self.stored.values()]
        ours = [_rrset("child.example.org.", "DS", self.ttl, records)] if records else []
        return others + ours

    def error(self, status: int, message: str) -> Reply:
        return Reply(status, {"error": message})


def _rrset(name: str, type_: str, ttl: int, contents: list[str]) -> dict[str, object]:
    records = [{"content": content, "disabled": False} for content in contents]
    return {"name": name, "type": type_, "ttl": ttl, "records": records, "comments": []}
