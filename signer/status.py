"""What `zoneward status` prints, as data; msgspec turns it into JSON. Times are ISO 8601 UTC."""

import msgspec


class RecordStatus(msgspec.Struct, frozen=True):
    """One record of a key: DNSKEY, ZRRSIG, KRRSIG or DS."""

    record: str
    state: str
    since: str


class KeyStatus(msgspec.Struct, frozen=True):
    """One key of the zone; its role is "foreign" where another signer holds it."""

    fingerprint: str
    tag: int
    role: str
    algorithm: str
    created: str
    published: bool
    signing: bool
    goal: str
    standby: bool
    lost: bool
    records: tuple[RecordStatus, ...]


class Waiting(msgspec.Struct, frozen=True):
    """What the zone waits for; who says no (policy, rule, time, observation, person) and on
    which evidence; since when, and until when (None: not a matter of time); what a person could
    do, empty where it passes by itself."""

    what: str
    evidence: str
    who: str
    since: str | None
    until: str | None
    remedy: str


class HoldStatus(msgspec.Struct, frozen=True):
    reason: str
    remedy: str
    since: str
    token: str | None


class VariantStatus(msgspec.Struct, frozen=True):
    """One block's version of the zone."""

    variant: str
    serial: int
    earliest_expiration: str | None
    signatures_made: int
    gate_refusals: int
    observed_serial: int | None


class RegistrarStatus(msgspec.Struct, frozen=True):
    """How far the DS got at the registrar: see `signer.courier.Delivery`."""

    name: str
    state: str
    text: str
    since: str | None
    next_try: str | None


class ZoneStatus(msgspec.Struct, frozen=True):
    """`state`: "signed", "held", "starting", "refused", "going insecure" or "insecure".
    `brake` is a person's reason for holding the keys; `todo` is what a person has to bring to
    the parent. `parent` says who was asked for the DS last, and on what the answer is believed.
    `alarm_kinds` are of `signer.alarms`."""

    zone: str
    state: str
    keys: tuple[KeyStatus, ...]
    waits: tuple[Waiting, ...]
    hold: HoldStatus | None
    brake: str | None
    todo: tuple[str, ...]
    registrar: RegistrarStatus | None
    parent: str
    next_resign: str | None
    least_validity: int | None
    variants: tuple[VariantStatus, ...]
    alarms: tuple[str, ...]
    alarm_kinds: tuple[str, ...]
