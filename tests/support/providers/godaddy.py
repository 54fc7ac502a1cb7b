"""GoDaddy v2: https://developer.godaddy.com/doc/endpoint/domains"""

from providers.web import Provider, Refusal, Reply, Request, exactly, hexadecimal

PATH = "/v2/customers/295e3bc3-b3b9-4d95-aae5-ede41a994d13/domains/example.org"
ALGORITHMS = {"RSASHA256": 8, "ECDSAP256SHA256": 13, "ECDSAP384SHA384": 14, "ED25519": 15}
DIGESTS = {"SHA1": 1, "SHA256": 2, "SHA384": 4}


class GoDaddy(Provider):
    """What changes is listed when its action is over; a second one meanwhile is refused."""

    name = "godaddy"
    secrets = {"key": "dKy8a6dT6wTB_Ab", "secret": "8q9wXyZ1aBcDeFgH"}
    options = "customer 295e3bc3-b3b9-4d95-aae5-ede41a994d13"

    def __init__(self) -> None:
        super().__init__()
        self.action: list[object] = []
        self.fails = False

    def answer(self, request: Request) -> Reply:
        key, secret = self.secrets.values()
        if request.headers.get("authorization") != f"sso-key {key}:{secret}":
            return self.error(
                401, "Could not authenticate API key/secret", "UNABLE_TO_AUTHENTICATE"
            )
        if not request.path.startswith(PATH):
            return self.error(404, "The domain was not found", "NOT_FOUND")
        rest = request.path.removeprefix(PATH)
        if (request.method, rest) == ("GET", ""):
            if request.query != {"includes": "dnssecRecords"}:
                raise Refusal("includes is not dnssecRecords")
            return self._detail()
        if rest == "/dnssecRecords" and request.method in ("PATCH", "DELETE"):
            return self._change(request)
        if rest.startswith("/actions/") and request.method == "GET":
            return self._poll(rest.removeprefix("/actions/"))
        raise Refusal("no such call")

    def _detail(self) -> Reply:
        algorithms = {number: name for name, number in ALGORITHMS.items()}
        digests = {number: name for name, number in DIGESTS.items()}
        body: dict[str, object] = {"domainId": "1", "domain": "example.org", "status": "ACTIVE"}
        if self.stored:
            body["dnssecRecords"] = [
                {
                    "algorithm": algorithms[algorithm],
                    "keyTag": tag,
                    "digestType": digests[kind],
                    "digest": digest,
                }
                for tag, algorithm, kind, digest in self.stored.values()
            ]
        return Reply(200, body)

    def _change(self, request: Request) -> Reply:
        records = []
        for record in request.json():
            exactly(record, {"algorithm": str, "keyTag": int, "digestType": str, "digest": str})
            if record["algorithm"] not in ALGORITHMS or record["digestType"] not in DIGESTS:
                raise Refusal("an unknown name")
            kind = DIGESTS[record["digestType"]]
            digest = hexadecimal(record["digest"], kind)
            records.append((record["keyTag"], ALGORITHMS[record["algorithm"]], kind, digest))
        if not records:
            raise Refusal("no records")
        if self.action:
            return self.error(409, "An action is already in progress", "INVALID_STATUS")
        there = set(self.stored.values())
        if request.method == "PATCH" and there & set(records):
            return self.error(422, "A record is already there", "DUPLICATE")
        if request.method == "DELETE" and not set(records) <= there:
            return self.error(422, "A record is not there", "NOT_FOUND")
        name = "DNSSEC_CREATE" if request.method == "PATCH" else "DNSSEC_DELETE"
        self.action = [name, self.delay, records]
        return Reply(202)

    def _poll(self, name: str) -> Reply:
        if not self.action or self.action[0] != name:
            return self.error(404, "No such action", "NOT_FOUND")
        _, left, records = self.action
        assert isinstance(left, int)
        assert isinstance(records, list)
        if left > 0:
            self.action[1] = left - 1
            return Reply(200, _action(name, "PENDING"))
        self.action = []
        if self.fails:
            return Reply(200, _action(name, "FAILED", {"code": "X", "message": "the registry"}))
        if name == "DNSSEC_CREATE":
            self.stored |= {self.new_id(): record for record in records}
        else:
            self.stored = {id_: ds for id_, ds in self.stored.items() if ds not in records}
        return Reply(200, _action(name, "SUCCESS"))

    def error(self, status: int, message: str, code: str = "ERROR") -> Reply:
        return Reply(status, {"code": code, "message": message, "fields": []})


def _action(name: str, status: str, reason: object = None) -> dict[str, object]:
    body = {
        "type": name,
        "origination": "USER",
        "createdAt": "2026-03-03T13:49:58.000Z",
        "status": status,
    }
    return body if reason is None else body | {"reason": reason}
