"""OVHcloud: https://eu.api.ovh.com/console/?section=%2Fdomain, and the signature of
https://help.ovhcloud.com/csm/en-gb-api-getting-started-ovhcloud-api"""

import base64
import hashlib

import dns.dnssec
import dns.rdata

from providers.web import Provider, Refusal, Reply, Request, base64_text, exactly

PATH = "/1.0/domain/example.org"
# Two days ahead of the machine that the tests run on.
NOW = 2_000_000_000


class OVH(Provider):
    name = "ovh"
    secrets = {
        "application-key": "7kbG7Bk7S9Nt7ZSV",
        "application-secret": "EXEgWIz07P0HYwtQDs7cNIqCiQaWSuHF",
        "consumer-key": "MtSwSrPpNjqfVSmJhLbPyr2i45lSwPU1",
    }

    def __init__(self) -> None:
        super().__init__()
        self.tasks: dict[str, list[object]] = {}
        self.fails = False

    def answer(self, request: Request) -> Reply:
        if (request.method, request.path) == ("GET", "/1.0/auth/time"):
            return Reply(200, NOW)
        refused = self._signature(request)
        if refused is not None:
            return refused
        if not request.path.startswith(PATH + "/"):
            return self.error(404, "This service does not exist")
        what, *rest = request.path.removeprefix(PATH + "/").split("/")
        if what == "dsRecord" and request.method == "GET" and not rest:
            return Reply(200, [int(id_) for id_ in self.stored])
        if what == "dsRecord" and request.method == "GET" and len(rest) == 1:
            if rest[0] not in self.stored:
                return self.error(404, "The requested object does not exist")
            flags, algorithm, key = self.stored[rest[0]]
            return Reply(
                200,
                {
                    "id": int(rest[0]),
                    "flags": flags,
                    "algorithm": algorithm,
                    "publicKey": key,
                    "tag": key_tag(flags, algorithm, key),
                    "status": "active",
                },
            )
        if what == "dsRecord" and request.method == "POST" and not rest:
            return self._replace(request)
        if what == "task" and request.method == "GET" and len(rest) == 1:
            return self._task(rest[0])
        raise Refusal("no such call")

    def _signature(self, request: Request) -> Reply | None:
        if request.headers.get("x-ovh-application") != self.secrets["application-key"]:
            return self.error(403, "This application key is invalid", "INVALID_KEY")
        consumer = request.headers.get("x-ovh-consumer", "")
        if consumer != self.secrets["consumer-key"]:
            return self.error(403, "This credential is not valid", "INVALID_CREDENTIAL")
        stamp = request.headers.get("x-ovh-timestamp", "")
        if not stamp.isdecimal() or abs(int(stamp) - NOW) > 30:
            return self.error(400, "Query out of time", "QUERY_TIME_OUT")
        text = "+".join(
            (
                self.secrets["application-secret"],
                consumer,
                request.method,
                request.url,
                request.body.decode(),
                stamp,
            )
        )
        if request.headers.get("x-ovh-signature") != (
            "$1$" + hashlib.sha1(text.encode()).hexdigest()
        ):
            return self.error(400, "Invalid signature", "INVALID_SIGNATURE")
        return None

    def _replace(self, request: Request) -> Reply:
        body = request.json()
        exactly(body, {"keys": list})
        keys = []
        for key in body["keys"]:
            exactly(key, {"algorithm": int, "flags": int, "publicKey": str, "tag": int})
            new = (key["flags"], key["algorithm"], base64_text(key["publicKey"]))
            if key["tag"] != key_tag(*new):
                raise Refusal(f"tag {key['tag']} is not the key's")
            if new in keys:
                raise Refusal("a key twice")
            keys.append(new)
        id_ = self.new_id()
        self.tasks[id_] = [self.delay, keys]
        if self.delay == 0:
            self._task(id_)
        return Reply(200, self._shown(id_, "todo"))

    def _task(self, id_: str) -> Reply:
        if id_ not in self.tasks:
            return self.error(404, "The requested object does not exist")
        left, keys = self.tasks[id_]
        assert isinstance(left, int)
        assert isinstance(keys, list)
        if self.fails:
            return Reply(200, self._shown(id_, "error", "the registry refuses"))
        self.tasks[id_][0] = left - 1
        if left > 0:
            return Reply(200, self._shown(id_, "doing"))
        if left == 0:
            kept = {key: old for old, key in self.stored.items()}
            self.stored = {kept.get(key) or self.new_id(): key for key in keys}
        return Reply(200, self._shown(id_, "done"))

    def _shown(self, id_: str, status: str, comment: str | None = None) -> dict[str, object]:
        return {
            "id": int(id_),
            "function": "DomainDnssecUpdate",
            "status": status,
            "comment": comment,
            "canAccelerate": False,
            "canCancel": False,
            "canRelaunch": False,
            "creationDate": "2026-03-03T13:49:58+01:00",
            "todoDate": "2026-03-03T13:49:58+01:00",
            "doneDate": None,
            "lastUpdate": "2026-03-03T13:49:58+01:00",
        }

    def error(self, status: int, message: str, code: str = "") -> Reply:
        body = {"class": f"Client::{status}", "message": message}
        return Reply(status, body | ({"errorCode": code, "httpCode": str(status)} if code else {}))


def key_tag(flags: int, algorithm: int, key: str) -> int:
    wire = flags.to_bytes(2, "big") + bytes((3, algorithm)) + base64.b64decode(key)
    return dns.dnssec.key_id(dns.rdata.from_wire("IN", "DNSKEY", wire, 0, len(wire)))
