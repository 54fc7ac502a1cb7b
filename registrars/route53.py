"""A parent zone in Route 53: the child's DS as a record set.

    registrar route53 {
        access-key file:PATH|env:NAME|credential:NAME
        secret-key file:PATH|env:NAME|credential:NAME
        session-token file:PATH|env:NAME|credential:NAME
        zone PARENT
        zone-id ID
        ttl DURATION
        endpoint URL
    }

https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html
"""

import re
from typing import TYPE_CHECKING

import attrs
import dns.exception
import dns.name

from corefile import Directive
from registrars import aws, formats, options
from registrars.plan import done, replacement
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
    from mypy_boto3_route53 import Route53Client
    from mypy_boto3_route53.type_defs import (
        ChangeInfoTypeDef,
        ChangeTypeDef,
        ResourceRecordSetTypeDef,
    )

OPTIONS = attrs.evolve(aws.OPTIONS, optional_words=("zone-id",), zone=True, ttl=True)
_TTL = 3600
_OCTAL = re.compile(r"\\([0-3][0-7]{2})")


def read(directive: Directive) -> options.Settings:
    return options.read(directive, OPTIONS)


def open(config: options.Settings, context: Context) -> "Route53":  # noqa: A001 - a driver's verb
    account = aws.account("route53", config, context)
    client = account.session().client(
        "route53", endpoint_url=account.endpoint or None, config=account.config()
    )
    return Route53(account, client, config)


class Route53:
    """The record set as a whole: the one that was read is deleted and the new one created in one
    batch, which fails whole where the first is no longer as it was read."""

    name = "route53"
    capabilities = Capabilities(
        Wants.DS, frozenset({2, 4}), Deletes.REPLACE, lists=True, polls=True, automatic=True
    )

    def __init__(
        self, account: aws.Account, client: "Route53Client", config: options.Settings
    ) -> None:
        self._account = account
        self._client = client
        self._config = config

    def list(self, zone: dns.name.Name) -> tuple[Entry, ...]:
        return self._entries(zone, self._record_set(self._zone_id(zone), zone))

    def apply(self, plan: Plan) -> Receipt:
        zone_id = self._zone_id(plan.zone)
        old = self._record_set(zone_id, plan.zone)
        entries = replacement(plan, self._entries(plan.zone, old))
        if entries is None:
            return done(plan)
        changes: list[ChangeTypeDef] = []
        if old is not None:
            changes.append({"Action": "DELETE", "ResourceRecordSet": old})
        if entries:
            new: ResourceRecordSetTypeDef = {
                "Name": plan.zone.canonicalize().to_text(),
                "Type": "DS",
                "TTL": self._config.ttl or (_TTL if old is None else old.get("TTL", _TTL)),
                "ResourceRecords": [{"Value": formats.ds_text(one)} for one in entries],
            }
            changes.append({"Action": "CREATE", "ResourceRecordSet": new})
        what = f"ChangeResourceRecordSets {zone_id}"
        try:
            told = self._account.call(
                what,
                lambda: self._client.change_resource_record_sets(
                    HostedZoneId=zone_id, ChangeBatch={"Changes": changes}
                )["ChangeInfo"],
            )
        except aws.AmazonError as error:
            if error.code == "InvalidChangeBatch" and self._record_set(zone_id, plan.zone) != old:
                raise self._account.error(
                    f"route53 {what}",
                    f"somebody else changed the DS of {plan.zone} in between",
                    "it is tried again",
                    passing=True,
                ) from None
            raise
        return _receipt(told)

    def poll(self, zone: dns.name.Name, reference: str) -> Receipt:
        try:
            told = self._account.call(
                f"GetChange {reference}",
                lambda: self._client.get_change(Id=reference)["ChangeInfo"],
            )
        except aws.AmazonError as error:
            if error.code == "NoSuchChange":
                return Receipt(Progress.ACCEPTED, f"change {reference} is no longer known")
            raise
        return _receipt(told)

    def close(self) -> None:
        self._client.close()

    def _zone_id(self, child: dns.name.Name) -> str:
        if named := self._config.word("zone-id"):
            return named
        parent = options.parent_of(self._config, child, "route53")
        text = parent.canonicalize().to_text()
        told = self._account.call(
            f"ListHostedZonesByName {text}",
            lambda: self._client.list_hosted_zones_by_name(DNSName=text, MaxItems="10")[
                "HostedZones"
            ],
        )
        ids = [
            zone["Id"].removeprefix("/hostedzone/")
            for zone in told
            if _is(zone["Name"], parent) and not zone.get("Config", {}).get("PrivateZone")
        ]
        if len(ids) != 1:
            raise self._account.error(
                f"route53 ListHostedZonesByName {text}",
                f"the account has {len(ids)} public zones of that name",
                "set zone-id, or zone",
            )
        return ids[0]

    def _record_set(self, zone_id: str, child: dns.name.Name) -> "ResourceRecordSetTypeDef | None":
        told = self._account.call(
            f"ListResourceRecordSets {zone_id}",
            lambda: self._client.list_resource_record_sets(
                HostedZoneId=zone_id,
                StartRecordName=child.canonicalize().to_text(),
                StartRecordType="DS",
                MaxItems="1",
            )["ResourceRecordSets"],
        )
        for found in told:
            if found["Type"] == "DS" and _is(found["Name"], child):
                return found  # type: ignore[return-value]
        return None

    def _entries(
        self, zone: dns.name.Name, found: "ResourceRecordSetTypeDef | None"
    ) -> tuple[Entry, ...]:
        records = () if found is None else found.get("ResourceRecords", ())
        try:
            return tuple(formats.ds_from_text(one["Value"]) for one in records)
        except (ValueError, OverflowError) as error:
            raise self._account.error(
                f"route53 ListResourceRecordSets {zone}",
                f"listed what is no DS ({error})",
                "see to the record set",
            ) from None


def _receipt(told: "ChangeInfoTypeDef") -> Receipt:
    status, change = told.get("Status", ""), told.get("Id", "").removeprefix("/change/")
    progress = Progress.ACCEPTED if status == "INSYNC" else Progress.PENDING
    return Receipt(progress, f"change {change} is {status}", change)


def _is(text: str, name: dns.name.Name) -> bool:
    """Whether their text is a name; they escape in octal, RFC 1035 in decimal."""
    try:
        return bool(dns.name.from_text(_OCTAL.sub(_decimal, text)) == name)
    except dns.exception.DNSException:
        return False


def _decimal(octal: re.Match[str]) -> str:
    return f"\\{int(octal[1], 8):03d}"
