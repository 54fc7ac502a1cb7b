"""moto as a real HTTP server, with what it lacks of Route 53 Domains, and as strict as Amazon
where it is not.

moto has no AssociateDelegationSignerToDomain and no DisassociateDelegationSignerFromDomain,
spells DnssecKeys wrongly, and ends each operation at once. Of hosted zones it takes any text as a
DS, and a DELETE with other values than those that are there.
"""

import base64
import json
import logging
import threading
import urllib.request
import uuid
from collections import defaultdict
from collections.abc import Callable
from copy import deepcopy
from types import TracebackType
from typing import Any

import boto3
from amazonfaults import FAULTS, Fault
from moto.route53.models import RecordSet, route53_backends
from moto.route53.responses import Route53
from moto.route53domains.responses import Route53DomainsResponse
from moto.server import ThreadedMotoServer
from werkzeug.serving import WSGIRequestHandler

from registrars.formats import ds_from_text

CREDENTIALS = {
    "access-key": "AKIAIOSFODNN7EXAMPLE",
    "secret-key": "wJalrXUtnFEMI-bPxRfiCYEXAMPLEKEY",
}
MOST_KEYS = 4
_LOCK = threading.Lock()


class Registry:
    """What Route 53 Domains keeps of delegation signers. `delay` is how many polls an operation
    takes; `ends` what it ends with."""

    def __init__(self) -> None:
        self.keys: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        self.operations: dict[str, dict[str, Any]] = {}
        self.delay = 1
        self.ends = "SUCCESSFUL"
        self.most = MOST_KEYS

    def begin(self, domain: str, change: dict[str, Any]) -> str:
        id_ = str(uuid.uuid4())
        self.operations[id_] = {"domain": domain, "left": self.delay, "change": change}
        return id_

    def running(self, domain: str) -> bool:
        """Whether an operation is under way; it goes on, whoever asks."""
        return any(
            one["domain"] == domain and one["left"] is not None and self._goes_on(one)
            for one in self.operations.values()
        )

    def status(self, id_: str) -> str:
        """As of now, one poll later."""
        operation = self.operations[id_]
        if operation["left"] is not None and self._goes_on(operation):
            return "IN_PROGRESS"
        return str(operation["status"])

    def _goes_on(self, operation: dict[str, Any]) -> bool:
        if operation["left"] > 0:
            operation["left"] -= 1
            return True
        operation["left"], operation["status"] = None, self.ends
        if self.ends == "SUCCESSFUL":
            keys, change = self.keys[operation["domain"]], operation["change"]
            if "remove" in change:
                keys.pop(change["remove"], None)
            else:
                keys[change["add"]["Id"]] = change["add"]
        return False


REGISTRY = Registry()
Answer = str | tuple[str, dict[str, Any]]


class _Refused(Exception):
    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(code, message)
        self.code, self.message, self.status = code, message, status


def _refusal(fault: Fault, message: str) -> Answer:
    body = json.dumps({"__type": fault.code, "message": message})
    return body, {**fault.headers, "status": fault.status}


def _domain(self: Route53DomainsResponse, shape: dict[str, type]) -> tuple[str, dict[str, Any]]:
    """The domain that a call names, and its fields, which have to be those of the shape."""
    given = json.loads(self.body)
    if {name: type(value) for name, value in given.items()} != shape:
        raise _Refused("InvalidInput", f"fields {given}")
    name = given["DomainName"]
    self.route53domains_backend.get_domain(name)
    return name, given


def associate(self: Route53DomainsResponse) -> Answer:
    name, given = _domain(self, {"DomainName": str, "SigningAttributes": dict})
    key = given["SigningAttributes"]
    shape = {"Algorithm": int, "Flags": int, "PublicKey": str}
    if {field: type(value) for field, value in key.items()} != shape:
        raise _Refused("InvalidInput", f"SigningAttributes {key}")
    base64.b64decode(key["PublicKey"], validate=True)
    if REGISTRY.running(name):
        raise _Refused("DuplicateRequest", "The request is already in progress")
    if len(REGISTRY.keys[name]) >= REGISTRY.most:
        raise _Refused("DnssecLimitExceeded", "No more keys")
    if any(one["PublicKey"] == key["PublicKey"] for one in REGISTRY.keys[name].values()):
        raise _Refused("InvalidInput", "The key is already associated")
    added = {**key, "DigestType": 2, "Digest": "AB" * 32, "KeyTag": 1, "Id": str(uuid.uuid4())}
    return json.dumps({"OperationId": REGISTRY.begin(name, {"add": added})})


def disassociate(self: Route53DomainsResponse) -> Answer:
    name, given = _domain(self, {"DomainName": str, "Id": str})
    if REGISTRY.running(name):
        raise _Refused("DuplicateRequest", "The request is already in progress")
    if given["Id"] not in REGISTRY.keys[name]:
        raise _Refused("InvalidInput", "No such key")
    return json.dumps({"OperationId": REGISTRY.begin(name, {"remove": given["Id"]})})


def get_domain_detail(self: Route53DomainsResponse) -> Answer:
    name = self._get_param("DomainName")
    detail = self.route53domains_backend.get_domain(domain_name=name).to_json()
    detail.pop("DnsSecKeys", None)
    return json.dumps({**detail, "DnssecKeys": list(REGISTRY.keys[name].values())})


def get_operation_detail(self: Route53DomainsResponse) -> Answer:
    id_ = self._get_param("OperationId")
    if id_ not in REGISTRY.operations:
        raise _Refused("InvalidInput", "No such operation")
    status = REGISTRY.status(id_)
    message = "" if status != "FAILED" else "the registry said no"
    return json.dumps({"OperationId": id_, "Status": status, "Message": message})


class Zones:
    """What is checked of changes to hosted zones. `delay` is how many polls a change takes;
    `between` is done between the next change's arrival and its check."""

    def __init__(self) -> None:
        self.changes: dict[str, int] = {}
        self.batches: list[list[dict[str, Any]]] = []
        self.delay = 1
        self.between: list[Any] = []


ZONES = Zones()


def _error(code: str, message: str) -> str:
    return (
        '<?xml version="1.0"?><ErrorResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/">'
        f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
        "<RequestId>1</RequestId></ErrorResponse>"
    )


def _checked(zone_id: str, changes: list[dict[str, Any]]) -> None:
    """What Amazon checks of a batch and moto does not. Raises _Refused for all or nothing."""
    ZONES.batches.append(changes)
    zone = route53_backends["123456789012"]["aws"].zones[zone_id]
    there = {(one.name, one.type): one for one in zone.rrsets if isinstance(one, RecordSet)}
    # moto compares with all changes that ever were; what is there now is all that counts.
    zone.rr_changes.clear()
    for change in changes:
        action, record_set = change["Action"], change["ResourceRecordSet"]
        name, kind = record_set["Name"], record_set["Type"]
        values = sorted(record["Value"] for record in record_set["ResourceRecords"])
        if kind == "DS":
            for value in values:
                _well_formed(value)
        if len(set(values)) != len(values):
            raise _Refused("InvalidChangeBatch", "Duplicate Resource Record")
        old = there.get((name, kind))
        if action == "DELETE":
            if old is None:
                raise _Refused("InvalidChangeBatch", f"delete {name} {kind}: it was not found")
            if values != sorted(old.records) or int(record_set["TTL"]) != int(old.ttl):
                raise _Refused("InvalidChangeBatch", f"{name} {kind}: the values do not match")
            del there[name, kind]
            zone.rr_changes.append({**change, "Action": "CREATE"})
        elif action == "CREATE" and old is not None:
            raise _Refused("InvalidChangeBatch", f"create {name} {kind}: it already exists")


def _well_formed(value: str) -> None:
    try:
        entry = ds_from_text(value)
    except (ValueError, OverflowError):
        raise _Refused("InvalidChangeBatch", f"InvalidDSRecord: {value}") from None
    if len(entry.digest) != {1: 20, 2: 32, 4: 48}.get(entry.digest_type):
        raise _Refused("InvalidChangeBatch", f"InvalidDSDigest: {value}")


_change_record_sets = Route53.change_resource_record_sets
_get_change = Route53.get_change


def change_record_sets(self: Route53) -> Any:
    while ZONES.between:
        ZONES.between.pop()()
    _checked(self._get_param("HostedZoneId"), deepcopy(self._get_param("ChangeBatch.Changes")))
    answer = _change_record_sets(self)
    id_ = f"C{uuid.uuid4().hex[:13].upper()}"
    answer.result["ChangeInfo"] |= {"Id": f"/change/{id_}", "Status": "PENDING"}
    ZONES.changes[id_] = ZONES.delay
    return answer


def get_change(self: Route53) -> Any:
    id_ = self._get_param("Id").removeprefix("/change/")
    if id_ not in ZONES.changes:
        raise _Refused("NoSuchChange", "no such change", 404)
    answer = _get_change(self)
    ZONES.changes[id_] -= 1
    answer.result["ChangeInfo"]["Status"] = "INSYNC" if ZONES.changes[id_] < 0 else "PENDING"
    return answer


def _as_xml(fault: Fault, message: str) -> Answer:
    return _error(fault.code, message), {**fault.headers, "status": fault.status}


def _answering(
    call: str, handler: Callable[[Any], Any], told: Callable[[Fault, str], Answer]
) -> Callable[[Any], Any]:
    """A handler of moto's, one at a time, with the faults that a test wants."""

    def answer(self: Any) -> Any:
        with _LOCK:
            fault = FAULTS.of(call)
            if fault is not None and not fault.after:
                return told(fault, f"{fault.code}, as documented")
            try:
                found = handler(self)
            except _Refused as refused:
                return told(Fault(refused.status, refused.code), refused.message)
            return found if fault is None else told(fault, "lost")

    return answer


_HANDLERS: dict[str, tuple[type, str, Callable[[Any], Any]]] = {
    "AssociateDelegationSignerToDomain": (
        Route53DomainsResponse,
        "associate_delegation_signer_to_domain",
        associate,
    ),
    "DisassociateDelegationSignerFromDomain": (
        Route53DomainsResponse,
        "disassociate_delegation_signer_from_domain",
        disassociate,
    ),
    "GetDomainDetail": (Route53DomainsResponse, "get_domain_detail", get_domain_detail),
    "GetOperationDetail": (Route53DomainsResponse, "get_operation_detail", get_operation_detail),
    "ChangeResourceRecordSets": (Route53, "change_resource_record_sets", change_record_sets),
    "GetChange": (Route53, "get_change", get_change),
    "ListHostedZonesByName": (
        Route53,
        "list_hosted_zones_by_name",
        Route53.list_hosted_zones_by_name,
    ),
    "ListResourceRecordSets": (
        Route53,
        "list_resource_record_sets",
        Route53.list_resource_record_sets,
    ),
}
for _call, (_where, _name, _handler) in _HANDLERS.items():
    _told = _as_xml if _where is Route53 else _refusal
    setattr(_where, _name, _answering(_call, _handler, _told))
# Head and body are two segments: the second would wait for a delayed ACK.
WSGIRequestHandler.disable_nagle_algorithm = True
# Each request is a line at INFO.
logging.getLogger("werkzeug").setLevel(logging.WARNING)


def zone_id(name: str) -> str:
    """Of the hosted zone of that name; there has to be one."""
    zones = route53_backends["123456789012"]["aws"].zones
    (found,) = (id_ for id_, zone in zones.items() if zone.name == name)
    return found


def record_set(name: str) -> RecordSet:
    """The DS of a name as moto keeps it."""
    zones = route53_backends["123456789012"]["aws"].zones.values()
    (found,) = (
        one for zone in zones for one in zone.rrsets if (one.name, one.type) == (name, "DS")
    )
    return found


def ds_of(name: str) -> list[str]:
    """The DS of a name, as text; none where it has no record set."""
    zones = route53_backends["123456789012"]["aws"].zones.values()
    return [
        text
        for zone in zones
        for one in zone.rrsets
        if (one.name, one.type) == (name, "DS")
        for text in one.records
    ]


class Amazon:
    """The server. `endpoint` is its URL; it is begun anew for each test."""

    def __init__(self) -> None:
        self._clients: dict[str, Any] = {}
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)

    def __enter__(self) -> "Amazon":
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.endpoint = f"http://{host}:{port}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.stop()

    def client(self, service: Any) -> Any:
        if service not in self._clients:
            self._clients[service] = self._new_client(service)
        return self._clients[service]

    def _new_client(self, service: Any) -> Any:
        return boto3.session.Session().client(
            service,
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=CREDENTIALS["access-key"],
            aws_secret_access_key=CREDENTIALS["secret-key"],
        )

    def begin(self) -> None:
        """Forget all."""
        reset = urllib.request.Request(f"{self.endpoint}/moto-api/reset", method="POST")
        urllib.request.urlopen(reset).close()
        FAULTS.__init__()  # type: ignore[misc]
        REGISTRY.__init__()  # type: ignore[misc]
        ZONES.__init__()  # type: ignore[misc]

    def register(self, domain: str) -> None:
        contact = {
            "FirstName": "Alice",
            "LastName": "Example",
            "ContactType": "PERSON",
            "AddressLine1": "1 Street",
            "City": "Town",
            "CountryCode": "DE",
            "ZipCode": "10115",
            "PhoneNumber": "+49.301234567",
            "Email": "alice@example.net",
        }
        self.client("route53domains").register_domain(
            DomainName=domain,
            DurationInYears=2,
            AdminContact=contact,
            RegistrantContact=contact,
            TechContact=contact,
        )

    def zone(self, name: str, *, private: bool = False) -> str:
        """A hosted zone; its id."""
        extra: dict[str, Any] = {}
        if private:
            extra["HostedZoneConfig"] = {"PrivateZone": True, "Comment": ""}
            extra["VPC"] = {"VPCRegion": "us-east-1", "VPCId": "vpc-1"}
        made = self.client("route53").create_hosted_zone(
            Name=name, CallerReference=uuid.uuid4().hex, **extra
        )
        return str(made["HostedZone"]["Id"]).removeprefix("/hostedzone/")
