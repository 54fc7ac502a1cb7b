"""The errors that Amazon documents for the calls that the Route 53 drivers make, and when they
come."""

from collections.abc import Callable
from functools import cache
from typing import Any

import attrs
import boto3

# What each driver calls.
CALLS = {
    "route53domains": (
        "GetDomainDetail",
        "AssociateDelegationSignerToDomain",
        "DisassociateDelegationSignerFromDomain",
        "GetOperationDetail",
    ),
    "route53": (
        "ListHostedZonesByName",
        "ListResourceRecordSets",
        "ChangeResourceRecordSets",
        "GetChange",
    ),
}
# Those that change something.
CHANGES = frozenset(
    {
        "AssociateDelegationSignerToDomain",
        "DisassociateDelegationSignerFromDomain",
        "ChangeResourceRecordSets",
    }
)


@attrs.frozen
class Fault:
    """In place of an answer. `after`: what was asked for is done, and only not answered."""

    status: int
    code: str
    headers: dict[str, str] = attrs.Factory(dict)
    after: bool = False


# https://docs.aws.amazon.com/Route53/latest/APIReference/CommonErrors.html, what of it a client
# that spells rightly may get, with the names that Route 53's XML has for some.
COMMON = (
    Fault(403, "AccessDenied"),
    Fault(403, "AccessDeniedException"),
    Fault(403, "ExpiredTokenException"),
    Fault(500, "InternalError"),
    Fault(500, "InternalFailure"),
    Fault(403, "InvalidClientTokenId"),
    Fault(401, "NotAuthorized"),
    Fault(403, "OptInRequired"),
    Fault(400, "RequestAbortedException"),
    Fault(400, "RequestExpired"),
    Fault(408, "RequestTimeoutException"),
    Fault(503, "ServiceUnavailable"),
    Fault(403, "SignatureDoesNotMatch"),
    Fault(400, "Throttling"),
    Fault(400, "ThrottlingException"),
    Fault(429, "TooManyRequestsException", {"Retry-After": "7"}),
    Fault(403, "UnrecognizedClientException"),
)


def documented(driver: str, call: str) -> tuple[Fault, ...]:
    """The errors that Amazon's own description of a call names, then those of all calls."""
    model = _described(driver).operation_model(call)
    own = [
        Fault(int(shape.metadata.get("error", {}).get("httpStatusCode", 400)), shape.name)
        for shape in model.error_shapes
    ]
    return (*own, *COMMON)


@cache
def _described(service: Any) -> Any:
    client = boto3.session.Session().client(service, region_name="us-east-1")
    return client.meta.service_model


class Faults:
    """`planned` are for the next calls of their names, `chance` is asked at each other call.
    `calls` are those that came."""

    def __init__(self) -> None:
        self.planned: list[tuple[str, Fault]] = []
        self.chance: Callable[[str], Fault | None] = lambda call: None
        self.calls: list[str] = []

    def of(self, call: str) -> Fault | None:
        self.calls.append(call)
        for number, (name, fault) in enumerate(self.planned):
            if name == call:
                del self.planned[number]
                return fault
        return self.chance(call)


FAULTS = Faults()
