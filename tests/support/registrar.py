"""A registrar: carries what the zone asks for to the parent, and nothing else."""

import random
import threading
import time
from collections.abc import Callable

import dns.dnssec
import dns.exception
import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.DS
from house import House
from parentzone import SignedParent

Wish = Callable[[], frozenset[dns.rdtypes.ANY.DS.DS] | None]

_CDS_DELETE = "0 0 0 00"
_CDNSKEY_DELETE = "0 3 0 AA=="
_SHA256 = 2


class Registrar:
    """Looks several times a second what the zone wishes for, and takes its time."""

    def __init__(self, parent: SignedParent, wish: Wish, seed: str) -> None:
        """`wish` gives the DS RRset that is asked for, or None where nothing is."""
        self._parent = parent
        self._wish = wish
        self._random = random.Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.changes: list[tuple[float, tuple[int, ...]]] = []
        self.faults: list[str] = []

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(20)

    def _run(self) -> None:
        while not self._stop.wait(0.2):
            try:
                self._look()
            except (OSError, EOFError, dns.exception.DNSException):
                continue  # a server that is busy is asked again
            except Exception as error:
                self.faults.append(repr(error))
                raise

    def _look(self) -> None:
        wanted = self._wish()
        if wanted is None or wanted == self._parent.ds():
            return
        # Parents are late, and some by much more than others.
        if self._stop.wait(self._random.uniform(0, 1)) or wanted != self._wish():
            return
        self._parent.replace_ds(wanted)
        self.changes.append((time.time(), tuple(sorted(ds.key_tag for ds in wanted))))


def published(house: House, parent: SignedParent, rtype: dns.rdatatype.RdataType) -> Wish:
    """What CDS or CDNSKEY records say (RFC 7344 section 4, RFC 8078 section 4). Raises
    dns.dnssec.ValidationFailure for one that is not signed as the chain of trust asks."""
    zone = parent.child

    def rrsets(
        kind: dns.rdatatype.RdataType,
    ) -> tuple[dns.rrset.RRset | None, dns.rrset.RRset | None]:
        reply = house.ask(zone.to_text(), dns.rdatatype.to_text(kind))
        section = reply.answer
        return (
            reply.get_rrset(section, zone, dns.rdataclass.IN, kind),
            reply.get_rrset(section, zone, dns.rdataclass.IN, dns.rdatatype.RRSIG, kind),
        )

    def wish() -> frozenset[dns.rdtypes.ANY.DS.DS] | None:
        rrset, signatures = rrsets(rtype)
        if rrset is None:
            return None
        keys, _ = rrsets(dns.rdatatype.DNSKEY)
        assert keys is not None
        assert signatures is not None
        current = parent.ds()
        if current:
            keys = _led_to(zone, keys, current)
        dns.dnssec.validate(rrset, signatures, {zone: keys})
        if [rdata.to_text() for rdata in rrset] in ([_CDS_DELETE], [_CDNSKEY_DELETE]):
            return frozenset()
        if rtype == dns.rdatatype.CDS:
            return frozenset(ds_record(rdata.to_text()) for rdata in rrset)
        return frozenset(dns.dnssec.make_ds(zone, key, _SHA256) for key in rrset)

    return wish


def _led_to(
    zone: dns.name.Name, keys: dns.rrset.RRset, ds: frozenset[dns.rdtypes.ANY.DS.DS]
) -> dns.rrset.RRset:
    """The keys that the parent's DS name: one of them has to sign what asks for a change."""
    found = dns.rrset.RRset(zone, dns.rdataclass.IN, dns.rdatatype.DNSKEY)
    for key in keys:
        if dns.dnssec.make_ds(zone, key, _SHA256) in ds:
            found.add(key, keys.ttl)
    return found


def ds_record(text: str) -> dns.rdtypes.ANY.DS.DS:
    """From its rdata in presentation form."""
    made = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.DS, text)
    assert isinstance(made, dns.rdtypes.ANY.DS.DS)
    return made
