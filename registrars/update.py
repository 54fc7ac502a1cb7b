"""The parent itself, by dynamic update (RFC 2136) under TSIG (RFC 8945).

    registrar rfc2136 ADDRESS… {
        tsig NAME file:PATH|env:NAME|credential:NAME [ALGORITHM]
        zone PARENT
        ttl DURATION
    }

The child's DS RRset is changed as a whole, and only while it is what it was compared with: a
prerequisite with all of its values makes it a compare-and-swap (RFC 2136 section 2.4.2).
"""

import binascii

import attrs
import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.rrset
import dns.tsig
import dns.update

from corefile import CorefileError, Directive
from corefile.arguments import (
    SecretReference,
    address,
    choice,
    duration,
    known_options,
    number_of_arguments,
    only_once,
    plain,
    secret_reference,
    zone,
)
from corefile.secrets import SecretError
from registrars.options import LONGEST_TTL
from registrars.protocol import (
    Capabilities,
    Context,
    Deletes,
    Entry,
    Plan,
    Progress,
    Receipt,
    RegistrarError,
    Wants,
)

_USAGE = "registrar rfc2136 ADDRESS[:PORT]…"
_TSIG_USAGE = "tsig NAME file:PATH|env:NAME|credential:NAME [ALGORITHM]"
_ALGORITHMS = {
    "hmac-sha256": dns.tsig.HMAC_SHA256,
    "hmac-sha384": dns.tsig.HMAC_SHA384,
    "hmac-sha512": dns.tsig.HMAC_SHA512,
}
_PORT = 53
_TTL = 3600
# Said by who is not the primary, or does not know us: another address may.
_NOT_HERE = (dns.rcode.REFUSED, dns.rcode.NOTAUTH, dns.rcode.NOTIMP, dns.rcode.NOTZONE)
_CHANGED = (dns.rcode.NXRRSET, dns.rcode.YXRRSET, dns.rcode.NXDOMAIN, dns.rcode.YXDOMAIN)


@attrs.frozen
class TsigConfig:
    """A key's name and algorithm, and where its secret is (base64 text)."""

    name: str
    secret: SecretReference
    algorithm: str = "hmac-sha256"


@attrs.frozen
class Settings:
    """`servers` are (IP, port), asked in this order until one takes it. Without `zone` the
    parent is the name with a label less; without `ttl` the DS keep theirs."""

    servers: tuple[tuple[str, int], ...]
    tsig: TsigConfig
    zone: str | None = None
    ttl: int | None = None


def read(directive: Directive) -> Settings:
    number_of_arguments(directive, 2, None, _USAGE)
    known_options(directive, ("tsig", "zone", "ttl"))
    only_once(directive, ("tsig", "zone", "ttl"))
    tsig, parent, ttl = (directive.option(name) for name in ("tsig", "zone", "ttl"))
    if tsig is None:
        raise CorefileError(directive.place, f"rfc2136 needs a key; right: {_TSIG_USAGE}")
    for line, usage in ((parent, "zone PARENT"), (ttl, "ttl DURATION")):
        if line is not None:
            plain(line, 1, 1, usage)
    servers = [address(token, port=_PORT) for token in directive.args[1:]]
    for server, token in zip(servers, directive.args[1:], strict=True):
        if not server.address:
            raise CorefileError(token.place, f"'{token.text}' names no address")
    return Settings(
        servers=tuple((one.address, one.port) for one in servers),
        tsig=read_tsig(tsig),
        zone=None if parent is None else zone(parent.args[0]),
        ttl=None if ttl is None else int(duration(ttl.args[0], least=1, most=LONGEST_TTL)),
    )


def read_tsig(line: Directive) -> TsigConfig:
    """Raises CorefileError."""
    plain(line, 2, None, _TSIG_USAGE)
    # First: where there is none the secret itself may stand behind, and is not to be repeated.
    secret = secret_reference(line.args[1])
    number_of_arguments(line, 2, 3, _TSIG_USAGE)
    algorithm = "hmac-sha256"
    if len(line.args) == 3:
        algorithm = choice(line.args[2], tuple(_ALGORITHMS))
    return TsigConfig(zone(line.args[0]), secret, algorithm)


def open(config: Settings, context: Context) -> "Update":  # noqa: A001 - a driver's verb
    place = f"rfc2136 {config.servers[0][0]}"
    try:
        secret = context.secret(config.tsig.secret)
        key = dns.tsig.Key(
            dns.name.from_text(config.tsig.name),
            binascii.a2b_base64(secret, strict_mode=True),
            _ALGORITHMS[config.tsig.algorithm],
        )
    except SecretError as error:
        raise RegistrarError(place, f"its key can't be had: {error}", "put it there") from None
    except binascii.Error:
        raise RegistrarError(
            place,
            f"what {config.tsig.secret} holds is no base64",
            "put the TSIG key's secret there",
        ) from None
    return Update(config, key, context.timeout)


class Update:
    """Queries are signed too, so that what is compared with is what the parent said."""

    name = "rfc2136"
    capabilities = Capabilities(
        Wants.DS,
        digests=frozenset({1, 2, 4}),
        deletes=Deletes.REPLACE,
        lists=True,
        automatic=True,
    )

    def __init__(self, settings: Settings, key: dns.tsig.Key, timeout: float) -> None:
        self._settings = settings
        self._key = key
        self._timeout = timeout

    def list(self, zone: dns.name.Name) -> tuple[Entry, ...]:
        return tuple(Entry(rdata.to_digestable(), None) for rdata in self._listed(zone) or ())

    def apply(self, plan: Plan) -> Receipt:
        found = self._listed(plan.zone)
        ttl = self._settings.ttl or (_TTL if found is None else found.ttl)
        message = dns.update.UpdateMessage(self._parent(plan.zone))
        if plan.before:
            before = dns.rdataset.from_rdata_list(0, [_rdata(entry) for entry in plan.before])
            message.present(plan.zone, before)
        else:
            message.absent(plan.zone, dns.rdatatype.DS)
        message.delete(plan.zone, dns.rdatatype.DS)
        if plan.after:
            message.add(
                plan.zone,
                dns.rdataset.from_rdata_list(ttl, [_rdata(entry) for entry in plan.after]),
            )
        answer = self._ask(message, "update")
        if answer.rcode() in _CHANGED:
            raise RegistrarError(
                self._place("update"),
                f"the DS of {plan.zone} changed meanwhile ({_text(answer)})",
                "it is compared anew",
                passing=True,
            )
        if answer.rcode() != dns.rcode.NOERROR:
            raise self._refused(answer, "update")
        return Receipt(Progress.ACCEPTED, "the parent's primary has it")

    def poll(self, zone: dns.name.Name, reference: str) -> Receipt:
        return Receipt(Progress.ACCEPTED, "", reference)

    def close(self) -> None:
        """Nothing is open."""

    # --- one question ---------------------------------------------------------------------

    def _parent(self, zone: dns.name.Name) -> dns.name.Name:
        given = self._settings.zone
        return zone.parent() if given is None else dns.name.from_text(given)

    def _listed(self, zone: dns.name.Name) -> dns.rrset.RRset | None:
        query = dns.message.make_query(zone, dns.rdatatype.DS, flags=0)
        answer = self._ask(query, f"DS of {zone}")
        if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            raise self._refused(answer, f"DS of {zone}")
        return answer.get_rrset(answer.answer, zone, dns.rdataclass.IN, dns.rdatatype.DS)

    def _ask(self, message: dns.message.Message, what: str) -> dns.message.Message:
        """The first answer of a server that feels concerned, else what the last one said."""
        message.use_tsig(self._key)
        last: dns.message.Message | RegistrarError | None = None
        for server, port in self._settings.servers:
            try:
                answer = dns.query.tcp(message, server, timeout=self._timeout, port=port)
            except (dns.exception.DNSException, OSError, EOFError, ValueError) as error:
                last = self._error(error, server, what)
                continue
            if answer.rcode() not in _NOT_HERE:
                return answer
            last = answer
        if isinstance(last, dns.message.Message):
            return last
        assert last is not None
        raise last

    def _error(self, error: Exception, server: str, what: str) -> RegistrarError:
        place = f"rfc2136 {server}: {what}"
        name = self._settings.tsig.name
        match error:
            case dns.tsig.PeerBadKey() | dns.tsig.PeerBadSignature() | dns.tsig.BadSignature():
                return RegistrarError(
                    place, f"the server does not take the key {name}", "compare name and secret"
                )
            case dns.tsig.PeerBadTime() | dns.tsig.BadTime():
                return RegistrarError(
                    place, "clocks differ by more than TSIG allows", "set them", passing=True
                )
        text = " ".join(str(error).split()) or type(error).__name__
        # Who does not know the key may say so in an answer that nobody signed.
        remedy = f"see that it knows the key {name}" if "TSIG" in text else "see that it is reached"
        return RegistrarError(place, text, remedy, passing=True)

    def _refused(self, answer: dns.message.Message, what: str) -> RegistrarError:
        passing = answer.rcode() == dns.rcode.SERVFAIL
        remedy = "see its log" if passing else f"let the key {self._settings.tsig.name} do that"
        return RegistrarError(
            self._place(what), f"the server answers {_text(answer)}", remedy, passing=passing
        )

    def _place(self, what: str) -> str:
        servers = ", ".join(server for server, _ in self._settings.servers)
        return f"rfc2136 {servers}: {what}"


def _rdata(entry: Entry) -> dns.rdata.Rdata:
    return dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.DS, entry.ds, 0, len(entry.ds))


def _text(answer: dns.message.Message) -> str:
    return dns.rcode.to_text(answer.rcode())
