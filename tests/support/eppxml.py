"""EPP frames as the RFCs' schemas have them: every one is validated, in both directions. Written
apart from the driver's own reading and writing, so that neither hides the other's mistakes."""

import threading
import xml.etree.ElementTree as ET
from pathlib import Path
from xml.sax.saxutils import escape

import xmlschema

DATA = Path(__file__).parents[1] / "data" / "epp"
EPP = "urn:ietf:params:xml:ns:epp-1.0"
DOMAIN = "urn:ietf:params:xml:ns:domain-1.0"
SECDNS = "urn:ietf:params:xml:ns:secDNS-1.1"
DATE = "2026-01-01T00:00:00.0Z"

_lock = threading.Lock()
_schema = xmlschema.XMLSchema(str(DATA / "epp-1.0.xsd"))
_schema.import_schema(DOMAIN, str(DATA / "domain-1.0.xsd"), build=True)
_schema.import_schema(SECDNS, str(DATA / "secDNS-1.1.xsd"), build=True)


class Invalid(Exception):
    """A frame that the schemas don't have."""


def validated(octets: bytes) -> ET.Element:
    """Raises Invalid."""
    try:
        root = ET.fromstring(octets)
        with _lock:
            _schema.validate(root)
    except (ET.ParseError, xmlschema.XMLSchemaException) as error:
        raise Invalid(str(error)) from error
    return root


def name(space: str, local: str) -> str:
    return f"{{{space}}}{local}"


def epp(content: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?><epp xmlns="{EPP}">{content}</epp>'.encode()


def greeting(
    objects: tuple[str, ...] = (DOMAIN,),
    extensions: tuple[str, ...] = (SECDNS,),
    languages: tuple[str, ...] = ("en", "fr"),
) -> bytes:
    menu = "<version>1.0</version>"
    menu += "".join(f"<lang>{one}</lang>" for one in languages)
    menu += "".join(f"<objURI>{one}</objURI>" for one in objects)
    if extensions:
        uris = "".join(f"<extURI>{one}</extURI>" for one in extensions)
        menu += f"<svcExtension>{uris}</svcExtension>"
    policy = (
        "<access><all/></access><statement><purpose><prov/></purpose>"
        "<recipient><ours/></recipient><retention><stated/></retention></statement>"
    )
    return epp(
        f"<greeting><svID>The suite's registry</svID><svDate>{DATE}</svDate>"
        f"<svcMenu>{menu}</svcMenu><dcp>{policy}</dcp></greeting>"
    )


def response(
    code: int,
    text: str,
    client_id: str | None,
    server_id: str,
    *,
    reason: str = "",
    queue: str = "",
    data: str = "",
    extension: str = "",
) -> bytes:
    value = (
        f"<extValue><value><undef/></value><reason>{escape(reason)}</reason></extValue>"
        if reason
        else ""
    )
    parts = f'<result code="{code}"><msg>{escape(text)}</msg>{value}</result>{queue}'
    parts += f"<resData>{data}</resData>" if data else ""
    parts += f"<extension>{extension}</extension>" if extension else ""
    client = f"<clTRID>{client_id}</clTRID>" if client_id is not None else ""
    return epp(f"<response>{parts}<trID>{client}<svTRID>{server_id}</svTRID></trID></response>")
