"""Octets and XML: what is written is as the schemas have it, what is read is believed little."""

from collections.abc import Callable

import eppxml
import pytest
from eppscene import ZONE, key

from registrars.epp import commands, domain, frames, responses, tree
from registrars.epp.frames import FrameError
from registrars.epp.secdns import Change
from registrars.epp.tree import DOMAIN, EPP, SECDNS, Element, TreeError
from registrars.protocol import Entry, Wants


def pieces(octets: bytes, size: int) -> Callable[[int], bytes]:
    """As a socket gives them: at most so many, none at the end."""
    left = bytearray(octets)

    def receive(most: int) -> bytes:
        part = bytes(left[: min(most, size)])
        del left[: len(part)]
        return part

    return receive


@pytest.mark.parametrize("size", [1, 3, 4, 5, 1000])
def test_frames_come_in_pieces_and_together(size: int) -> None:
    receive = pieces(frames.pack(b"<one/>") + frames.pack(b"<two/>"), size)
    assert [frames.read(receive), frames.read(receive)] == [b"<one/>", b"<two/>"]


def test_a_frames_length_counts_itself() -> None:
    assert frames.pack(b"<epp/>") == b"\0\0\0\x0a<epp/>"


@pytest.mark.parametrize(
    ("octets", "what"),
    [
        (b"", "closed before an answer"),
        (b"\0\0", "closed before an answer"),
        (b"\0\0\0\0", "has 0 octets"),
        (b"\0\0\0\4", "has 4 octets"),
        (b"\0\0\0\x0a<epp", "closed within a frame"),
        ((frames.LARGEST + 1).to_bytes(4, "big"), "more than"),
        (b"\xff\xff\xff\xff", "more than"),
    ],
)
def test_what_is_no_frame(octets: bytes, what: str) -> None:
    with pytest.raises(FrameError, match=what):
        frames.read(pieces(octets, 4))


LOGIN = commands.login("ClientX", "a<b&c>\"d'é", "en", (DOMAIN,), (SECDNS,))


@pytest.mark.parametrize(
    ("case", "element"),
    [
        ("hello", commands.hello()),
        ("login", LOGIN.element()),
        ("logout", commands.logout().element()),
        ("poll", commands.next_message().element()),
        ("ack", commands.acknowledge("12&3").element()),
        ("info", domain.info(ZONE).element()),
        *(
            (
                f"update {wants} {remove} {add} {life} {urgent}",
                domain.update(ZONE, change).element(),
            )
            for wants in (Wants.DS, Wants.DNSKEY)
            for remove in ((), (key(1),), (key(1), key(2)))
            for add in ((), (key(3),), (key(3), key(4)))
            for life in (None, 604800)
            for urgent in (False, True)
            if (change := Change(wants, remove, add, life, urgent))
        ),
    ],
)
def test_what_is_written_is_as_the_schemas_have_it(case: str, element: Element) -> None:
    octets = tree.write(element)
    eppxml.validated(octets)
    assert tree.parse(octets) == element


def test_an_update_as_in_rfc_5910() -> None:
    change = Change(Wants.DS, (key(1),), (key(2),), 605900, urgent=True)
    root = eppxml.validated(tree.write(domain.update(ZONE, change).element()))
    asked = root.find(f".//{eppxml.name(SECDNS, 'update')}")
    assert asked is not None
    assert [one.tag.rpartition("}")[2] for one in asked] == ["rem", "add", "chg"]
    assert asked.get("urgent") == "true"
    tag, algorithm, digest_type, digest = (one.text for one in asked[0][0])
    assert (tag, algorithm, digest_type) == (str(key(1).tag), "13", "2")
    assert bytes.fromhex(digest or "") == key(1).digest


def test_text_that_xml_cannot_hold_is_not_repeated() -> None:
    with pytest.raises(ValueError, match="can't hold") as caught:
        tree.write(Element(EPP, "pw", text="secret\x00"))
    assert "secret" not in str(caught.value)


def test_text_is_in_no_repr() -> None:
    assert "a<b" not in repr(LOGIN)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"<epp",
        b"<a></b>",
        b"<a/><b/>",
        b"\xff\xfe<a/>",
        b"<!DOCTYPE a><a/>",
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        b"<a>&b;</a>",
        b"<a xmlns:b='urn:b'><c:d/></a>",
        b"<a>" * 33 + b"</a>" * 33,
        b"<a>" + b"<b/>" * 20_000 + b"</a>",
        b'<?xml version="1.0" encoding="no-such"?><a/>',
        b'<?xml version="1.0" encoding="utf-7"?><a/>',
    ],
)
def test_xml_that_is_not_read(octets: bytes) -> None:
    with pytest.raises(TreeError):
        tree.parse(octets)


def test_namespaces_count_and_prefixes_do_not() -> None:
    one = tree.parse(b'<a xmlns="urn:x"><b c="d"> e \n f </b></a>')
    assert one == tree.parse(b'<y:a xmlns:y="urn:x"><y:b c="d"> e \n f </y:b></y:a>')
    assert one.need("urn:x", "b").token == "e f"
    assert one.need("urn:x", "b").get("c") == "d"
    assert one.find("urn:y", "b") is None


@pytest.mark.parametrize(
    ("data", "what"),
    [
        ("<s:dsData><s:keyTag>1</s:keyTag></s:dsData>", "<dsData> has no <digest>"),
        (
            "<s:dsData><s:keyTag>65536</s:keyTag><s:alg>13</s:alg><s:digestType>2</s:digestType>"
            "<s:digest>00</s:digest></s:dsData>",
            "<keyTag> is no number up to 65535",
        ),
        (
            "<s:dsData><s:keyTag>1</s:keyTag><s:alg>-1</s:alg><s:digestType>2</s:digestType>"
            "<s:digest>00</s:digest></s:dsData>",
            "<alg> is no number up to 255",
        ),
        (
            "<s:dsData><s:keyTag>1</s:keyTag><s:alg>13</s:alg><s:digestType>2</s:digestType>"
            "<s:digest>0g</s:digest></s:dsData>",
            "a DS can't be read",
        ),
        (
            "<s:dsData><s:keyTag>1</s:keyTag><s:alg>13</s:alg><s:digestType>2</s:digestType>"
            "<s:digest></s:digest></s:dsData>",
            "a DS can't be read",
        ),
        (
            "<s:keyData><s:flags>257</s:flags><s:protocol>3</s:protocol><s:alg>13</s:alg>"
            "<s:pubKey>***</s:pubKey></s:keyData>",
            "a key can't be read",
        ),
        (
            "<s:keyData><s:flags>257</s:flags><s:protocol>3</s:protocol><s:alg>13</s:alg>"
            "</s:keyData>",
            "<keyData> has no <pubKey>",
        ),
        ("<s:maxSigLife>forever</s:maxSigLife>", "<maxSigLife> is no number"),
    ],
)
def test_dnssec_data_that_is_none(data: str, what: str) -> None:
    with pytest.raises(TreeError, match=what):
        domain.read(ZONE, about(f'<s:infData xmlns:s="{SECDNS}">{data}</s:infData>'))


@pytest.mark.parametrize("digest", [1, 2, 4])
def test_a_ds_with_the_key_that_it_was_made_of(digest: int) -> None:
    entry = key(1, digest=digest)
    assert domain.read(ZONE, about(with_key(entry, entry))).listed.entries == (entry,)


def test_a_ds_with_a_key_that_it_was_not_made_of() -> None:
    (found,) = domain.read(ZONE, about(with_key(key(1), key(2)))).listed.entries
    assert found == Entry(key(1).ds, None)


def with_key(entry: Entry, other: Entry) -> str:
    """A dsData with a keyData in it (RFC 5910 section 4.1)."""
    (ds,) = Change(Wants.DS, add=(entry,)).element().children[0].children
    (of,) = Change(Wants.DNSKEY, add=(other,)).element().children[0].children
    whole = Element(SECDNS, "infData", (Element(SECDNS, "dsData", (*ds.children, of)),))
    return tree.write(whole).partition(b"\n")[2].decode()


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        ("SRV-1", "x" * 257, "<svTRID> is not of 1 to 256 characters"),
        ("SRV-1", "", "<svTRID> is not of 1 to 256 characters"),
        ('id="7"', 'id=""', "<msgQ> has no id"),
        ('id="7"', "", "<msgQ> has no id"),
        ('code="1000"', 'code="10000"', "a response has no result code"),
        ('code="1000"', 'code="١٠٠٠"', "a response has no result code"),
        ("<msg>ok</msg>", "", "<result> has no <msg>"),
        ("trID", "trId", "<response> has no <trID>"),
        ("response", "hello", "<epp> has no <response>"),
        ("epp-1.0", "epp-2.0", "not <epp> of EPP 1.0"),
    ],
)
def test_responses_that_are_none(before: str, after: str, what: str) -> None:
    octets = eppxml.response(1000, "ok", None, "SRV-1", queue='<msgQ count="1" id="7"/>')
    assert before.encode() in octets
    with pytest.raises(TreeError, match=what):
        responses.read(octets.replace(before.encode(), after.encode()))


def about(extension: str) -> responses.Response:
    name = ZONE.to_text(omit_final_dot=True)
    data = (
        f'<d:infData xmlns:d="{DOMAIN}"><d:name>{name.upper()}</d:name><d:roid>R-1</d:roid>'
        "<d:clID>ClientX</d:clID></d:infData>"
    )
    octets = eppxml.response(1000, "ok", "ZW-1", "SRV-1", data=data, extension=extension)
    found = responses.read(octets)
    assert isinstance(found, responses.Response)
    return found
