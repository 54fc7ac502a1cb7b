"""Route 53 Domains as the registrar: DNSKEY in, an operation does it.

    registrar route53domains {
        access-key file:PATH|env:NAME|credential:NAME
        secret-key file:PATH|env:NAME|credential:NAME
        session-token file:PATH|env:NAME|credential:NAME
        endpoint URL
    }

https://docs.aws.amazon.com/Route53/latest/APIReference/API_domains_AssociateDelegationSignerToDomain.html
"""

from typing import TYPE_CHECKING

import dns.exception
import dns.name

from corefile import Directive
from registrars import aws, formats, options
from registrars.plan import done, left_to_add, left_to_remove
from registrars.protocol import (
    Capabilities,
    Context,
    Deletes,
    Entry,
    Plan,
    Progress,
    Receipt,
    Wants,
)

if TYPE_CHECKING:
    from mypy_boto3_route53domains import Route53DomainsClient

OPTIONS = aws.OPTIONS
_OVER = {
    "SUCCESSFUL": Progress.ACCEPTED,
    "ERROR": Progress.REFUSED,
    "FAILED": Progress.REFUSED,
}


def read(directive: Directive) -> options.Settings:
    return options.read(directive, OPTIONS)


def open(config: options.Settings, context: Context) -> "Route53Domains":  # noqa: A001 - a driver's verb
    account = aws.account("route53domains", config, context)
    client = account.session().client(
        "route53domains", endpoint_url=account.endpoint or None, config=account.config()
    )
    return Route53Domains(account, client)


class Route53Domains:
    """Each key by its id, one operation at a time: what is to go waits for what is new."""

    name = "route53domains"
    capabilities = Capabilities(
        Wants.DNSKEY, deletes=Deletes.ID, lists=True, polls=True, automatic=True
    )

    def __init__(self, account: aws.Account, client: "Route53DomainsClient") -> None:
        self._account = account
        self._client = client

    def list(self, zone: dns.name.Name) -> tuple[Entry, ...]:
        name = formats.domain(zone)
        detail = self._account.call(
            f"GetDomainDetail {name}", lambda: self._client.get_domain_detail(DomainName=name)
        )
        try:
            return tuple(
                formats.dnskey_entry(
                    zone, key["Flags"], key["Algorithm"], key["PublicKey"], key["Id"]
                )
                for key in detail.get("DnssecKeys", ())
            )
        except (KeyError, ValueError, OverflowError, dns.exception.DNSException) as error:
            raise self._account.error(
                f"route53domains GetDomainDetail {name}",
                f"listed what is no DNSKEY ({error})",
                "ask the provider, if it stays",
            ) from None

    def apply(self, plan: Plan) -> Receipt:
        have = self.list(plan.zone)
        name = formats.domain(plan.zone)
        for entry in left_to_add(plan, have):
            key = formats.base64_key(entry)
            started = self._account.call(
                f"AssociateDelegationSignerToDomain {name}",
                lambda entry=entry, key=key: (  # type: ignore[misc]
                    self._client.associate_delegation_signer_to_domain(
                        DomainName=name,
                        SigningAttributes={
                            "Algorithm": entry.algorithm,
                            "Flags": entry.flags or 257,
                            "PublicKey": key,
                        },
                    )["OperationId"]
                ),
            )
            return _pending(plan.zone, started)
        for entry in left_to_remove(plan, have):
            ended = self._account.call(
                f"DisassociateDelegationSignerFromDomain {name}",
                lambda entry=entry: (  # type: ignore[misc]
                    self._client.disassociate_delegation_signer_from_domain(
                        DomainName=name, Id=entry.id
                    )["OperationId"]
                ),
            )
            return _pending(plan.zone, ended)
        return done(plan)

    def poll(self, zone: dns.name.Name, reference: str) -> Receipt:
        try:
            detail = self._account.call(
                f"GetOperationDetail {reference}",
                lambda: self._client.get_operation_detail(OperationId=reference),
            )
        except aws.AmazonError as error:
            if error.code == "InvalidInput":
                return Receipt(Progress.ACCEPTED, f"operation {reference} is no longer known")
            raise
        status, message = detail.get("Status", ""), detail.get("Message", "")
        text = f"operation {reference} is {status}" + (f": {message}" if message else "")
        return Receipt(
            _OVER.get(status, Progress.PENDING), self._account.hidden.scrubbed(text), reference
        )

    def close(self) -> None:
        self._client.close()


def _pending(zone: dns.name.Name, operation: str) -> Receipt:
    return Receipt(Progress.PENDING, f"{zone} has operation {operation} under way", operation)
