"""BIND as the parent of a zone: signed, and its DS changed by TSIG dynamic update (RFC 2136)."""

import base64
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.DS
import dns.rrset
import dns.tsigkeyring
import dns.update
from house import until
from ports import free_port

PARENT = dns.name.from_text("example.net")

_CONFIG = """options {{
    directory "{directory}"; key-directory "{directory}"; session-keyfile "{directory}/session.key";
    listen-on port {port} {{ {address}; }}; listen-on-v6 {{ none; }}; pid-file none;
    recursion no; dnssec-validation no; allow-query {{ any; }}; notify no;
}};
controls {{ }};
key "helper" {{ algorithm hmac-sha256; secret "{secret}"; }};
dnssec-policy "parent" {{
    keys {{ csk lifetime unlimited algorithm ecdsap256sha256; }};
    dnskey-ttl {ttl}; max-zone-ttl {ttl}; publish-safety 1; retire-safety 1;
}};
zone "{origin}" {{
    type primary; file "db.parent"; check-integrity no; dnssec-policy "parent";
    update-policy {{ grant "helper" subdomain {origin}; }};
}};
"""

_ZONE = """$TTL {ttl}
@ SOA ns hostmaster 1 3600 900 86400 {ttl}
@ NS ns
ns A {address}
{child} NS ns.{child}
ns.{child} A {child_address}
"""


class SignedParent:
    """A delegation without DS at first. All its TTLs, the negative one too, are `ttl` seconds."""

    def __init__(self, directory: Path, child: dns.name.Name, child_address: str, ttl: int) -> None:
        # BIND takes addresses of interfaces only, so that all parents share this one.
        self.address, self.port = "127.0.0.1", free_port("127.0.0.1")
        self.child, self.children = child, (child,)
        self._ttl = ttl
        secret = base64.b64encode(os.urandom(32)).decode()
        self._keys = dns.tsigkeyring.from_text({"helper": ("hmac-sha256", secret)})
        directory.mkdir()
        label = child.relativize(PARENT).to_text()
        (directory / "db.parent").write_text(
            _ZONE.format(ttl=ttl, address=self.address, child=label, child_address=child_address)
        )
        config = directory / "named.conf"
        config.write_text(
            _CONFIG.format(
                directory=directory,
                address=self.address,
                port=self.port,
                secret=secret,
                ttl=ttl,
                origin=PARENT.to_text(omit_final_dot=True),
            )
        )
        self.log = directory / "log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                ["named", "-g", "-n", "1", "-c", str(config)], stdout=log, stderr=log
            )
        try:
            self.anchor = until(self._anchor, 20, f"a signed parent: see {self.log}")
        except AssertionError:
            self.end()
            raise

    def _ask(self, name: dns.name.Name, rtype: dns.rdatatype.RdataType) -> dns.message.Message:
        query = dns.message.make_query(name, rtype, want_dnssec=True)
        return dns.query.tcp(query, self.address, timeout=5, port=self.port)

    def _anchor(self) -> str | None:
        """Its DNSKEY, once that and its data are signed."""
        try:
            keys, soa = (self._ask(PARENT, rtype) for rtype in _SIGNED)
        except (OSError, EOFError, dns.exception.DNSException):
            return None
        if len(keys.answer) < 2 or len(soa.answer) < 2:
            return None
        return keys.answer[0].to_text().splitlines()[0]

    def ds(self) -> frozenset[dns.rdtypes.ANY.DS.DS]:
        """The child's DS RRset as it is now."""
        reply = self._ask(self.child, dns.rdatatype.DS)
        found = reply.get_rrset(reply.answer, self.child, dns.rdataclass.IN, dns.rdatatype.DS)
        return frozenset() if found is None else frozenset(found)

    def replace_ds(self, wanted: Iterable[dns.rdtypes.ANY.DS.DS]) -> None:
        """In one update; none takes the DS away."""
        update = dns.update.UpdateMessage(PARENT, keyring=self._keys)
        update.delete(self.child, dns.rdatatype.DS)
        for ds in wanted:
            update.add(self.child, self._ttl, ds)
        reply = dns.query.tcp(update, self.address, timeout=10, port=self.port)
        assert reply.rcode() == dns.rcode.NOERROR, dns.rcode.to_text(reply.rcode())

    def end(self) -> None:
        self._process.terminate()
        self._process.wait(20)


_SIGNED = (dns.rdatatype.DNSKEY, dns.rdatatype.SOA)
