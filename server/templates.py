"""Answers that *template* makes of what is asked.

The library that reads records is loaded with the first query: the server starts without it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import attrs

import engine
from corefile.names import encloses
from server.api import Next, Plugin, Query, Reply
from server.gotemplate import Data
from server.readers import CLASSES

if TYPE_CHECKING:
    import dns.message
    import dns.rrset

_ANY = 255
_SERVFAIL = 2
_TRANSFERS = (251, 252)
# As miekg/dns has it for a record without one.
_TTL = 3600

Text = Callable[[Data], str]


@attrs.frozen
class Template:
    """One directive. `patterns` are tried in their order; `through` are the names below which a
    query that none matches goes on. Each of `sections` (answer, authority, additional) is texts
    of records; `extended` an extended error's code and text (RFC 8914)."""

    rclass: int
    rtype: int
    zones: tuple[str, ...]
    patterns: tuple[engine.Pattern, ...]
    through: tuple[str, ...] = ()
    rcode: int = 0
    sections: tuple[tuple[Text, ...], ...] = ((), (), ())
    extended: tuple[int, str] | None = None

    def zone_of(self, name: str, query: Query) -> str | None:
        """The longest of its zones that the name is in, if it is for the query at all."""
        if self.rclass not in (_ANY, query.rclass) and query.rclass != _ANY:
            return None
        if self.rtype not in (_ANY, query.type) and query.type != _ANY:
            return None
        around = [zone for zone in self.zones if encloses(zone, name)]
        return max(around, key=len, default=None)

    def match(self, name: str) -> tuple[engine.Pattern, list[str]] | None:
        for pattern in self.patterns:
            found = pattern.match_in(name)
            if found is not None:
                return pattern, found
        return None


class Templates(Plugin):
    """All of a block, in their order."""

    unsigned_only = True

    def __init__(self, templates: Sequence[Template]) -> None:
        self._templates = templates
        types = {one.rtype for one in templates}
        self.types = () if _ANY in types else (*sorted(types), _ANY)
        self.zones = tuple(dict.fromkeys(zone for one in templates for zone in one.zones))

    async def handle(self, query: Query, next: Next) -> Reply | dns.message.Message | None:
        if query.type in _TRANSFERS:
            return await next(query)
        name = query.name.to_text().lower()
        for one in self._templates:
            zone = one.zone_of(name, query)
            if zone is None:
                continue
            found = one.match(name)
            if found is not None:
                return _reply(query, one, _data(query, zone, name, *found))
            if not any(encloses(through, name) for through in one.through):
                return _bare(query, _SERVFAIL)
        return await next(query)


def _data(query: Query, zone: str, name: str, pattern: engine.Pattern, match: list[str]) -> Data:
    import dns.rdataclass
    import dns.rdatatype

    numbered = {str(number): text for number, text in enumerate(match)}
    named = {key: text for key, text in zip(pattern.groups, match, strict=True) if key is not None}
    return Data(
        zone=zone,
        name=name,
        rclass=dns.rdataclass.to_text(dns.rdataclass.RdataClass.make(query.rclass)),
        rtype=dns.rdatatype.to_text(dns.rdatatype.RdataType.make(query.type)),
        remote=query.client,
        match=tuple(match),
        group=numbered | named,
    )


def _bare(query: Query, rcode: int) -> dns.message.Message:
    import dns.message
    import dns.rcode

    reply = dns.message.make_response(query.message())
    reply.set_rcode(dns.rcode.Rcode.make(rcode))
    return reply


def _reply(query: Query, one: Template, data: Data) -> dns.message.Message:
    import dns.edns
    import dns.flags

    reply = _bare(query, one.rcode)
    if one.rcode == _SERVFAIL:
        return reply
    reply.flags |= dns.flags.AA
    for section, texts in zip(
        (reply.answer, reply.authority, reply.additional), one.sections, strict=True
    ):
        for text in texts:
            section.append(record(text(data)))
    if one.extended is not None and reply.edns >= 0:
        code, why = one.extended
        reply.use_edns(
            reply.edns,
            reply.ednsflags,
            options=[dns.edns.EDEOption(dns.edns.EDECode.make(code), why)],
        )
    return reply


def record(text: str) -> dns.rrset.RRset:
    """A record in zone-file text; names are absolute, with the dot at their end or without.
    Raises dns.exception.DNSException."""
    import dns.name
    import dns.rdata
    import dns.rdataclass
    import dns.rdatatype
    import dns.rrset
    import dns.tokenizer
    import dns.ttl

    words = dns.tokenizer.Tokenizer(text)
    owner = words.get_name(dns.name.root)
    ttl, rclass = _TTL, CLASSES["IN"]
    word = words.get_string()
    # RFC 1035 section 5.1: either stands before the other.
    while word[0].isdigit() or word.upper() in CLASSES:
        if word[0].isdigit():
            ttl = dns.ttl.from_text(word)
        else:
            rclass = CLASSES[word.upper()]
        word = words.get_string()
    rtype = dns.rdatatype.from_text(word)
    of = dns.rdataclass.RdataClass.make(rclass)
    rdata = dns.rdata.from_text(of, rtype, words, dns.name.root, relativize=False)
    return dns.rrset.from_rdata(owner, ttl, rdata)
