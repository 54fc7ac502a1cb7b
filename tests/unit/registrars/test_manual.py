"""What a person is asked to bring to a registrar, and the forms of it."""

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import msgspec
import pytest

from registrars import formats
from registrars.manual import Manual
from registrars.plan import difference
from registrars.protocol import Entry, Plan, Progress, RegistrarError

ZONE = dns.name.from_text("example.org.")


def wire(rtype: dns.rdatatype.RdataType, text: str) -> bytes:
    return dns.rdata.from_text(dns.rdataclass.IN, rtype, text).to_digestable()


# RFC 6605 section 6.1, under our name.
DNSKEY = wire(
    dns.rdatatype.DNSKEY,
    "257 3 13 GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edb"
    "krSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==",
)
DS = wire(
    dns.rdatatype.DS,
    "55648 13 2 b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17",
)
ENTRY = Entry(DS, DNSKEY)


def test_a_new_zones_ds_is_put_in_words_and_records() -> None:
    receipt = Manual().apply(difference(ZONE, (), (ENTRY,), (ENTRY,)))
    assert receipt.progress is Progress.PERSON
    lines = receipt.text.splitlines()
    assert lines[0] == "; Have the registrar of example.org. put this into its parent:"
    assert lines[1].startswith("example.org. 3600 IN DS 55648 13 2 b4c8c1fe")
    assert lines[2].startswith("; example.org. 3600 IN DNSKEY 257 3 13 GojIhhXU")


def test_nothing_to_do_is_said() -> None:
    assert "nothing has to change" in Manual().apply(Plan(ZONE)).text


def test_a_person_cannot_be_asked_what_is_there() -> None:
    with pytest.raises(RegistrarError, match="ask the parent's servers"):
        Manual().list(ZONE)


def test_child_records_say_the_same_to_the_parent() -> None:
    text = formats.child_records(ZONE, (ENTRY,), ttl=60)
    assert [line.split()[:5] for line in text.splitlines()] == [
        ["example.org.", "60", "IN", "CDS", "55648"],
        ["example.org.", "60", "IN", "CDNSKEY", "257"],
    ]


def test_json_has_each_field_of_a_registrars_form() -> None:
    (found,) = msgspec.json.decode(msgspec.json.encode(formats.as_json(ZONE, (ENTRY,))))
    assert found["key_tag"] == 55648
    assert found["digest_type"] == 2
    assert found["digest"].startswith("B4C8C1FE")
    assert found["public_key"].startswith("GojIhhXU")
    assert found["flags"] == 257


def test_a_ds_that_is_cut_short_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="cut short"):
        Entry(b"\0\1\2\3", None)
