"""The Corefiles of the documentation and of `examples`, and the files that they name."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import attrs
import dns.name

from keystore import algorithms, bind
from keystore.dnskey import KSK_FLAGS

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
)
_FENCE = re.compile(r"^(~~~|```) *([\w-]*)\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
# A block's key has a dot; a directive's name, as in a page's syntax, has none.
_BLOCK = re.compile(r"\A(?:\{|\S*\.\S*.* \{)$", re.MULTILINE)

_ZONE = """$TTL 300
@ SOA ns hostmaster 1 3600 900 86400 300
@ NS ns
ns A 192.0.2.53
www A 192.0.2.80
"""
_FILES = {
    **dict.fromkeys(
        (
            *("db.example", "db.example.org", "db.example.org.inside", "db.parked", "db.child"),
            *("db.host", "zones/db.example.org", "zones/example.org.zone"),
            "etc/zoneward/zones/db.example.org",
        ),
        _ZONE,
    ),
    "corp.anchor": f"corp.example. DS 1 13 2 {'ab' * 32}\n",
    "etcd-password": "secret\n",
    "tsig.key": "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3I=\n",
    "etc/zoneward/passphrase": "correct horse battery staple\n",
    "credentials/zoneward": "correct horse battery staple\n",
}
_KEY = "Kexample.org.+013+45330"


@attrs.frozen
class Example:
    """`name` says where it stands: "docs/plugins/acl.md 2" is the second of that page."""

    name: str
    text: str

    def write(self, directory: Path) -> Path:
        """The Corefile, with all files beside it that any example names. What is absolute in
        an example is below `directory`: see `onloopback`."""
        for name, text in _FILES.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        shutil.copytree(ROOT / "examples" / "zones", directory / "zones", dirs_exist_ok=True)
        if _KEY in self.text:
            _key_pair(directory)
        path = directory / "Corefile"
        path.write_text(self.text)
        return path


def _key_pair(directory: Path) -> None:
    key = algorithms.make(13, None)
    dnskey = algorithms.dnskey(key, 13, KSK_FLAGS)
    made = bind.save(
        directory, dns.name.from_text("example.org."), dnskey, algorithms.to_pkcs8(key)
    )
    for suffix in (".key", ".private"):
        made.with_name(made.name + suffix).rename(directory / (_KEY + suffix))


def _examples() -> Iterator[Example]:
    for page in PAGES:
        found = [text for _, label, text in _FENCE.findall(page.read_text()) if label == "corefile"]
        for number, text in enumerate(found, 1):
            yield Example(f"{page.relative_to(ROOT)} {number}", text)
    for path in sorted((ROOT / "examples").rglob("Corefile*")):
        yield Example(str(path.relative_to(ROOT)), path.read_text())


EXAMPLES = tuple(_examples())


def unlabelled() -> list[str]:
    """Fenced texts that look like a Corefile and don't say that they are one."""
    return [
        f"{page.relative_to(ROOT)}: {text.splitlines()[0]}"
        for page in PAGES
        for _, label, text in _FENCE.findall(page.read_text())
        if not label and _BLOCK.search(text)
    ]
