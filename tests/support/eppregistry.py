"""What the suite's EPP registry knows: domains with DS or keys, an account's queue of messages."""

import base64
import itertools
import xml.etree.ElementTree as ET
from collections import deque

import attrs
from eppxml import DATE, DOMAIN, SECDNS, name

Row = tuple[str, ...]
_FIELDS = {
    "dsData": ("keyTag", "alg", "digestType", "digest"),
    "keyData": ("flags", "protocol", "alg", "pubKey"),
}
_DIGESTS = {"1": 40, "2": 64, "4": 96}


class Refused(Exception):
    """With a result code, its text and a reason."""

    def __init__(self, code: int, text: str, reason: str = "") -> None:
        super().__init__(code, text, reason)
        self.code, self.text, self.reason = code, text, reason


@attrs.define
class Domain:
    """`rows` are of dsData or keyData, field by field as text."""

    name: str
    owner: str = "ClientX"
    rows: list[Row] = attrs.field(factory=list)
    max_sig_life: int | None = None
    statuses: set[str] = attrs.field(factory=set)
    waiting: "Pending | None" = None


@attrs.frozen
class Update:
    """What a secDNS:update asks for."""

    remove: tuple[Row, ...]
    add: tuple[Row, ...]
    everything: bool
    max_sig_life: int | None
    urgent: bool


@attrs.frozen
class Pending:
    update: Update
    client_id: str | None
    server_id: str


@attrs.frozen
class Message:
    id: str
    text: str
    data: str


@attrs.define
class Registry:
    """`form` is dsData or keyData, as the registry has it. With `slow`, updates are pending until
    `decide`. `options`: whether maxSigLife and urgent are known. `writes` counts changes."""

    form: str = "dsData"
    slow: bool = False
    options: bool = True
    domains: dict[str, Domain] = attrs.field(factory=dict)
    queue: deque[Message] = attrs.field(factory=deque)
    writes: int = 0
    updates: list[Update] = attrs.field(factory=list)
    _numbers: "itertools.count[int]" = attrs.field(factory=lambda: itertools.count(1))

    def add(self, text: str, owner: str = "ClientX") -> Domain:
        self.domains[text] = Domain(text, owner)
        return self.domains[text]

    def find(self, text: str, account: str) -> Domain:
        found = self.domains.get(text)
        if found is None:
            raise Refused(2303, "Object does not exist")
        if found.owner != account:
            raise Refused(2201, "Authorization error")
        return found

    # --- info ---------------------------------------------------------------------------

    def info(self, domain: Domain) -> tuple[str, str]:
        """resData and extension."""
        statuses = sorted(domain.statuses | ({"pendingUpdate"} if domain.waiting else set()))
        rows = "".join(f'<domain:status s="{one}"/>' for one in statuses or ["ok"])
        data = (
            f'<domain:infData xmlns:domain="{DOMAIN}"><domain:name>{domain.name}</domain:name>'
            f"<domain:roid>EXAMPLE1-REP</domain:roid>{rows}<domain:clID>{domain.owner}</domain:clID>"
            "</domain:infData>"
        )
        if not domain.rows:
            return data, ""
        life = (
            f"<secDNS:maxSigLife>{domain.max_sig_life}</secDNS:maxSigLife>"
            if domain.max_sig_life
            else ""
        )
        return data, (
            f'<secDNS:infData xmlns:secDNS="{SECDNS}">{life}'
            f"{''.join(self._row(row) for row in domain.rows)}</secDNS:infData>"
        )

    def _row(self, row: Row) -> str:
        fields = "".join(
            f"<secDNS:{field}>{value}</secDNS:{field}>"
            for field, value in zip(_FIELDS[self.form], row, strict=True)
        )
        return f"<secDNS:{self.form}>{fields}</secDNS:{self.form}>"

    # --- update -------------------------------------------------------------------------

    def update(
        self, domain: Domain, asked: ET.Element, client_id: str | None, server_id: str
    ) -> bool:
        """RFC 5910 section 5.2.5: removes, then adds, wholly or not at all. Whether it was done;
        else it is pending. Raises Refused."""
        for status in ("clientUpdateProhibited", "serverUpdateProhibited"):
            if status in domain.statuses:
                raise Refused(2304, "Object status prohibits operation", status)
        if domain.waiting is not None:
            raise Refused(2304, "Object status prohibits operation", "pendingUpdate")
        update = self._read(asked)
        self.updates.append(update)
        self.after(domain, update)
        if self.slow:
            domain.waiting = Pending(update, client_id, server_id)
            return False
        self._carry_out(domain, update)
        return True

    def after(self, domain: Domain, update: Update) -> list[Row]:
        rows = [] if update.everything else list(domain.rows)
        for row in update.remove:
            if row not in rows:
                raise Refused(2303, "Object does not exist", f"no such {self.form}")
            rows.remove(row)
        for row in update.add:
            if row in rows:
                raise Refused(2302, "Object exists", f"{self.form} is there already")
            rows.append(row)
        return rows

    def decide(self, text: str, *, done: bool = True, told: bool = True, words: str = "") -> None:
        """A pending update is carried out, or refused; the account is told by a message."""
        domain = self.domains[text]
        pending, domain.waiting = domain.waiting, None
        assert pending is not None
        if done:
            self._carry_out(domain, pending.update)
        if told:
            client = (
                f"<clTRID>{pending.client_id}</clTRID>" if pending.client_id is not None else ""
            )
            self.tell(
                words or "Pending action completed.",
                f'<domain:panData xmlns:domain="{DOMAIN}">'
                f'<domain:name paResult="{int(done)}">{text}</domain:name>'
                f'<domain:paTRID xmlns="urn:ietf:params:xml:ns:epp-1.0">{client}'
                f"<svTRID>{pending.server_id}</svTRID></domain:paTRID>"
                f"<domain:paDate>{DATE}</domain:paDate></domain:panData>",
            )

    def tell(self, text: str, data: str) -> Message:
        message = Message(str(next(self._numbers)), text, data)
        self.queue.append(message)
        return message

    def tell_of_transfer(self, text: str) -> Message:
        """Something that is for another program of the same account."""
        return self.tell(
            "Transfer requested.",
            f'<domain:trnData xmlns:domain="{DOMAIN}"><domain:name>{text}</domain:name>'
            "<domain:trStatus>pending</domain:trStatus><domain:reID>ClientY</domain:reID>"
            f"<domain:reDate>{DATE}</domain:reDate><domain:acID>ClientX</domain:acID>"
            f"<domain:acDate>{DATE}</domain:acDate></domain:trnData>",
        )

    def half(self, domain: Domain, asked: ET.Element) -> None:
        """What no server should do: only what was to be added."""
        update = self._read(asked)
        self._carry_out(domain, attrs.evolve(update, remove=(), everything=False))

    def _carry_out(self, domain: Domain, update: Update) -> None:
        domain.rows = self.after(domain, update)
        if update.max_sig_life is not None:
            domain.max_sig_life = update.max_sig_life
        self.writes += 1

    def _read(self, asked: ET.Element) -> Update:
        removed, added = asked.find(name(SECDNS, "rem")), asked.find(name(SECDNS, "add"))
        changed = asked.find(name(SECDNS, "chg"))
        if removed is None and added is None and changed is None:
            raise Refused(2003, "Required parameter missing", "nothing to change")
        life = None if changed is None else changed.findtext(name(SECDNS, "maxSigLife"))
        urgent = asked.get("urgent", "false") in ("1", "true")
        if not self.options and (life is not None or urgent):
            raise Refused(2102, "Unimplemented option", "maxSigLife or urgent")
        everything = removed is not None and removed.findtext(name(SECDNS, "all")) in ("1", "true")
        return Update(
            remove=() if removed is None or everything else self._rows(removed),
            add=() if added is None else self._rows(added),
            everything=everything,
            max_sig_life=None if life is None else int(life),
            urgent=urgent,
        )

    def _rows(self, parent: ET.Element) -> tuple[Row, ...]:
        rows = []
        for one in parent:
            local = one.tag.rpartition("}")[2]
            if local == "maxSigLife":
                continue
            if local != self.form:
                raise Refused(2306, "Parameter value policy error", f"{self.form} is wanted")
            row = tuple(one.findtext(name(SECDNS, field), "") for field in _FIELDS[local])
            if local == "dsData":
                row = (*row[:3], row[3].upper())
                if len(row[3]) != _DIGESTS.get(row[2], -1):
                    raise Refused(2004, "Parameter value range error", "digest")
            elif row[1] != "3" or not base64.b64decode(row[3], validate=True):
                raise Refused(2005, "Parameter value syntax error", "key")
            rows.append(row)
        return tuple(rows)
