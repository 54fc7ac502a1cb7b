"""The root's trust anchors, as IANA publishes them at
https://data.iana.org/root-anchors/root-anchors.xml (RFC 9718)."""

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.DS

from signer.trust import Anchor

#: KSK-2017 and KSK-2024.
RECORDS = (
    "20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
    "38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16",
)


def _ds(text: str) -> dns.rdtypes.ANY.DS.DS:
    rdata = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.DS, text)
    if not isinstance(rdata, dns.rdtypes.ANY.DS.DS):
        raise TypeError("dnspython gave another type than the one asked for")
    return rdata


ROOT = Anchor(dns.name.root, frozenset(map(_ds, RECORDS)))
