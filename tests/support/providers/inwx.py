"""INWX, DomRobot's JSON-RPC: https://www.inwx.de/en/help/apidoc"""

import json

from providers.ovh import key_tag
from providers.web import Provider, Refusal, Reply, Request, base64_text, exactly


class INWX(Provider):
    """`delay` 0 answers 1000, more answers 1001 until that many lists were asked for."""

    name = "inwx"
    secrets = {"password": "correct horse battery staple"}
    options = "user alice"
    tan = ""

    def __init__(self) -> None:
        super().__init__()
        self.delay = 0
        self.sessions: set[str] = set()
        self.waiting: dict[str, int] = {}
        self.tans: list[str] = []

    def is_change(self, request: Request) -> bool:
        return json.loads(request.body)["method"] in ("dnssec.adddnskey", "dnssec.deletednskey")

    def answer(self, request: Request) -> Reply:
        if (request.method, request.path) != ("POST", "/jsonrpc/"):
            raise Refusal("no such call")
        body = request.json()
        exactly(body, {"method": str, "params": dict})
        method, params = body["method"], body["params"]
        if method == "account.login":
            exactly(params, {"user": str, "pass": str, "lang": str})
            if (params["user"], params["pass"]) != ("alice", self.secrets["password"]):
                return _told(2200, "Authentication error")
            session = f"session-{self.new_id()}"
            self.sessions.add(session if not self.tan else session + "-locked")
            told = _told(
                1000,
                "Command completed successfully",
                {
                    "customerId": 1,
                    "tfa": "GOOGLE-AUTH" if self.tan else "0",
                },
            )
            cookie = f"domrobot={session}; path=/; HttpOnly"
            return Reply(told.status, told.body, {"set-cookie": cookie})
        session = request.headers.get("cookie", "").removeprefix("domrobot=")
        if method == "account.unlock":
            exactly(params, {"tan": str})
            self.tans.append(params["tan"])
            if session + "-locked" not in self.sessions or params["tan"] != self.tan:
                return _told(2200, "Authentication error")
            self.sessions.add(session)
            return _told(1000, "Command completed successfully")
        if session not in self.sessions:
            return _told(2002, "Command use error")
        if method == "dnssec.listkeys":
            return self._list(params)
        if method == "dnssec.adddnskey":
            return self._add(params)
        if method == "dnssec.deletednskey":
            return self._delete(params)
        raise Refusal("no such method")

    def _list(self, params: dict[str, object]) -> Reply:
        exactly(params, {"domainName": str})
        if params["domainName"] != "example.org":
            return _told(2303, "Object does not exist")
        for id_ in list(self.waiting):
            self.waiting[id_] -= 1
            if self.waiting[id_] < 0:
                del self.waiting[id_]
        rows = [
            {
                "ownerName": "example.org",
                "id": int(id_),
                "domainId": 9,
                "keyTag": key_tag(flags, algorithm, key),
                "flagId": flags,
                "algorithmId": algorithm,
                "publicKey": key,
                "digestTypeId": 2,
                "digest": "ab" * 32,
                "created": "2026-03-03 13:49:58",
                "status": "CREATE" if id_ in self.waiting else "OK",
                "active": 1,
            }
            for id_, (flags, algorithm, key) in self.stored.items()
        ]
        return _told(1000, "Command completed successfully", {"dnskey": rows} if rows else [])

    def _add(self, params: dict[str, object]) -> Reply:
        exactly(params, {"domainName": str, "dnskey": str, "ds": str, "calculateDigest": bool})
        owner, in_, type_, flags, protocol, algorithm, key = str(params["dnskey"]).split(" ")
        if (owner, in_, type_, protocol) != ("example.org.", "IN", "DNSKEY", "3"):
            raise Refusal("dnskey is no presentation of a DNSKEY")
        if flags != "257":
            return _told(2306, "Parameter value policy error", reason="only 257 is accepted")
        new = (257, int(algorithm), base64_text(key))
        owner, in_, type_, tag, ds_algorithm, kind, _digest = str(params["ds"]).split(" ")
        if (owner, in_, type_) != ("example.org.", "IN", "DS") or (
            int(tag),
            ds_algorithm,
            kind,
        ) != (key_tag(*new), algorithm, "2"):
            raise Refusal("ds is not the key's")
        if new in self.stored.values():
            return _told(2302, "Object exists")
        id_ = self.new_id()
        self.stored[id_] = new
        return self._done(id_, {"dnskey": params["dnskey"], "ds": params["ds"]})

    def _delete(self, params: dict[str, object]) -> Reply:
        exactly(params, {"key": int})
        if self.stored.pop(str(params["key"]), None) is None:
            return _told(2303, "Object does not exist")
        return self._done("")

    def _done(self, id_: str, data: object = None) -> Reply:
        if not self.delay:
            return _told(1000, "Command completed successfully", data)
        if id_:
            self.waiting[id_] = self.delay
        return _told(1001, "Command completed successfully; action pending", data)

    def error(self, status: int, message: str) -> Reply:
        codes = {400: 2306, 401: 2200, 404: 2303, 422: 2306}
        told = _told(codes.get(status, 2400), "Command failed", reason=message)
        return Reply(status if status not in codes else 200, told.body)


class INWXLater(INWX):
    """A registry that takes its time."""

    def __init__(self) -> None:
        super().__init__()
        self.delay = 2


def _told(code: int, msg: str, data: object = None, reason: str = "") -> Reply:
    body: dict[str, object] = {"code": code, "msg": msg, "runtime": 0.1}
    if data is not None:
        body["resData"] = data
    if reason:
        body |= {"reasonCode": "X", "reason": reason}
    return Reply(200, body)
