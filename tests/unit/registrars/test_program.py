"""The registrar that is a program of the user's."""

import json
import os
import sys
from pathlib import Path

import pytest
from house import until
from registrarcases import ZONE, bring_about, directive, key

from corefile import CorefileError
from corefile.secrets import resolve
from registrars import registry
from registrars.program import Settings
from registrars.protocol import (
    Context,
    Deletes,
    Plan,
    Progress,
    Receipt,
    Registrar,
    RegistrarError,
    Wants,
)

SECRET = "hunter2-and-more"


def opened(folder: Path, code: str, *lines: str) -> Registrar:
    """A driver of a Python program with that code, given its request as `request`."""
    program = folder / "program"
    head = f"#!{sys.executable}\nimport json, os, sys, time\nrequest = json.load(sys.stdin)\n"
    program.write_text(head + code)
    program.chmod(0o755)
    body = "".join(f"    {line}\n" for line in lines)
    config = registry.read(directive(f"registrar exec {program} one two {{\n{body}}}"))
    environ = {"SECRET": SECRET}
    return registry.open(
        config, Context(lambda at: resolve(at, directory=folder, environ=environ), folder)
    )


def test_the_request_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELSEWHERE", "not for the program")
    code = (
        "json.dump({'request': request, 'args': sys.argv[1:], 'environ': dict(os.environ),"
        " 'cwd': os.getcwd()}, open('seen', 'w'))\nprint('{}')"
    )
    driver = opened(tmp_path, code, "secret token env:SECRET")
    plan = Plan(ZONE, add=(key(1),), remove=(key(2),), keep=(key(3),))
    assert driver.apply(plan) == Receipt(Progress.ACCEPTED, "")
    seen = json.loads((tmp_path / "seen").read_text())
    request = seen["request"]
    assert (request["action"], request["zone"]) == ("apply", "example.org.")
    assert request["secrets"] == {"token": SECRET}
    assert [one["key_tag"] for one in request["add"]] == [key(1).tag]
    assert [one["key_tag"] for one in request["remove"]] == [key(2).tag]
    assert [one["key_tag"] for one in request["after"]] == [key(3).tag, key(1).tag]
    assert request["add"][0]["flags"] == 257
    assert seen["args"] == ["one", "two"]
    assert set(seen["environ"]) <= {"PATH", "LANG", "LC_CTYPE"}
    assert seen["cwd"] == str(tmp_path)


def test_it_lists_both_forms(tmp_path: Path) -> None:
    one, other = key(1), key(2)
    assert one.public_key is not None
    listed = [
        {
            "key_tag": one.tag,
            "algorithm": 13,
            "digest_type": 2,
            "digest": one.digest.hex(),
            "id": "7",
        },
        {"algorithm": 13, "public_key": registry_key(other.public_key), "flags": 257},
    ]
    driver = opened(tmp_path, f"print({json.dumps(json.dumps({'entries': listed}))})", "lists")
    found = driver.list(ZONE)
    assert [entry.ds for entry in found] == [one.ds, other.ds]
    assert [entry.id for entry in found] == ["7", ""]
    assert [entry.dnskey for entry in found] == [None, other.dnskey]


def registry_key(public_key: bytes | None) -> str:
    import base64

    assert public_key is not None
    return base64.b64encode(public_key).decode()


@pytest.mark.parametrize("progress", [Progress.ACCEPTED, Progress.PENDING, Progress.REFUSED])
def test_it_says_how_far_it_got(tmp_path: Path, progress: Progress) -> None:
    answer = {"progress": progress.value, "text": "two\nlines", "reference": "op-1"}
    driver = opened(tmp_path, f"print({json.dumps(json.dumps(answer))})", "polls")
    assert driver.apply(Plan(ZONE, add=(key(1),))) == Receipt(progress, "two lines", "op-1")
    assert driver.poll(ZONE, "op-1") == Receipt(progress, "two lines", "op-1")


def test_a_program_that_keeps_state(tmp_path: Path) -> None:
    """A registrar in a dozen lines, through a rollover."""
    code = """
try:
    have = json.load(open("have"))
except FileNotFoundError:
    have = []
def same(one, other):
    return one["digest"].upper() == other["digest"].upper()
if request["action"] == "apply":
    for new in request.get("add", []):
        if not any(same(new, old) for old in have):
            have.append(new)
    gone = request.get("remove", [])
    have = [old for old in have if not any(same(old, one) for one in gone)]
    json.dump(have, open("have", "w"))
fields = ("key_tag", "algorithm", "digest_type", "digest")
print(json.dumps({"entries": [{name: one[name] for name in fields} for one in have]}))
"""
    driver = opened(tmp_path, code, "lists")
    ours = (key(1), key(2))
    for wanted in ((key(1),), ours, (key(2),)):
        bring_about(driver, ZONE, wanted, ours)
        assert {entry.ds for entry in driver.list(ZONE)} == {entry.ds for entry in wanted}


@pytest.mark.parametrize(
    ("code", "message", "passing"),
    [
        ("sys.exit(3)", "ended with 3: no word", True),
        ("sys.exit('no such\\ndomain')", "ended with 1: no such domain", True),
        ("os.kill(os.getpid(), 9)", "ended with -9", True),
        ("print('{')", "wrote what is no answer", False),
        ("print('no JSON')", "wrote what is no answer", False),
        ("os.write(1, b'\\xff')", "wrote what is no answer", False),
        ("pass", "wrote what is no answer", False),
        ('print(\'{"progress": "perhaps"}\')', "progress 'perhaps'; right: accepted,", False),
        ('print(\'{"error": "not\\\\nyet", "passing": true}\')', "not yet", True),
        ('print(\'{"error": "never"}\')', "never", False),
        ("print(' ' * 2**21)", "wrote more than 1048576 octets", False),
    ],
)
def test_what_goes_wrong(tmp_path: Path, code: str, message: str, passing: bool) -> None:
    driver = opened(tmp_path, code)
    with pytest.raises(RegistrarError) as caught:
        driver.apply(Plan(ZONE, add=(key(1),)))
    error = caught.value
    assert message in error.message
    assert error.place == f"exec {tmp_path / 'program'}"
    assert error.passing == passing
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    "entry",
    [
        {"algorithm": 13},
        {"algorithm": 13, "public_key": "no base64!"},
        {"algorithm": 13, "key_tag": 1, "digest_type": 2, "digest": "xyz"},
        {"algorithm": 13, "key_tag": 70000, "digest_type": 2, "digest": "ab"},
        {"algorithm": 13, "public_key": "QUJD", "flags": 70000},
    ],
)
def test_a_list_of_what_is_no_ds(tmp_path: Path, entry: dict[str, object]) -> None:
    text = json.dumps(json.dumps({"entries": [entry]}))
    driver = opened(tmp_path, f"print({text})", "lists")
    with pytest.raises(RegistrarError, match="listed what is no DS or DNSKEY"):
        driver.list(ZONE)


def test_what_it_started_goes_with_it_when_time_is_over(tmp_path: Path) -> None:
    code = """
import subprocess
child = subprocess.Popen(["sleep", "600"])
open("child", "w").write(str(child.pid))
time.sleep(600)
"""
    driver = opened(tmp_path, code, "timeout 3s")
    with pytest.raises(RegistrarError, match="not done within 3 s") as caught:
        driver.apply(Plan(ZONE, add=(key(1),)))
    assert caught.value.passing
    state = Path(f"/proc/{(tmp_path / 'child').read_text()}/stat")
    until(lambda: _dead(state), 30, "the program's child to be gone")


def _dead(state: Path) -> bool:
    """Gone, or a corpse that nobody has fetched yet."""
    try:
        return state.read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_there_is_no_such_program(tmp_path: Path) -> None:
    driver = opened(tmp_path, "")
    (tmp_path / "program").unlink()
    with pytest.raises(RegistrarError, match="can't be run"):
        driver.list(ZONE)


@pytest.mark.parametrize(
    "code",
    [
        "sys.exit('failed with ' + request['secrets']['token'])",
        "print(json.dumps({'error': 'bad ' + request['secrets']['token']}))",
        "print(json.dumps({'progress': request['secrets']['token']}))",
        "print(json.dumps({'entries': [{'algorithm': 1, 'public_key':"
        " request['secrets']['token']}]}))",
    ],
)
def test_no_secret_comes_back(tmp_path: Path, code: str) -> None:
    driver = opened(tmp_path, code, "secret token env:SECRET")
    with pytest.raises(RegistrarError) as caught:
        driver.list(ZONE) if "entries" in code else driver.apply(Plan(ZONE, add=(key(1),)))
    assert SECRET not in f"{caught.value}{caught.value!r}{driver!r}"
    assert caught.value.__cause__ is None


def test_a_receipt_has_no_secret(tmp_path: Path) -> None:
    code = "print(json.dumps({'text': 'did it with ' + request['secrets']['token']}))"
    driver = opened(tmp_path, code, "secret token env:SECRET")
    assert driver.apply(Plan(ZONE, add=(key(1),))).text == "did it with ***"


def settings(*lines: str) -> Settings:
    body = "".join(f"    {line}\n" for line in lines)
    read = registry.read(directive(f"registrar exec /bin/true {{\n{body}}}")).settings
    assert isinstance(read, Settings)
    return read


def test_it_says_what_it_can() -> None:
    read = settings("wants dnskey", "lists", "polls", "deletes tag", "timeout 5s")
    can = read.capabilities
    assert (can.wants, can.deletes, can.lists, can.polls) == (
        Wants.DNSKEY,
        Deletes.TAG,
        True,
        True,
    )
    assert can.automatic
    assert read.timeout == 5
    plain = settings().capabilities
    assert (plain.wants, plain.deletes, plain.lists, plain.polls) == (
        Wants.EITHER,
        Deletes.VALUE,
        False,
        False,
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("wants both", "one of ds, dnskey, either should be"),
        ("lists yes", "one argument too many"),
        ("timeout 0", "at least 1s"),
        ("secret token", "an argument is missing"),
        ("secret token abc", "a secret is given by reference"),
        ("secret a env:A\n    secret a env:B", "given a second time"),
        ("shell yes", "unknown option 'shell'"),
    ],
)
def test_mistakes(line: str, message: str) -> None:
    with pytest.raises(CorefileError) as caught:
        settings(line)
    assert message in str(caught.value)


def test_a_secret_that_is_not_there(tmp_path: Path) -> None:
    assert "NOWHERE" not in os.environ
    with pytest.raises(RegistrarError, match="env:NOWHERE"):
        opened(tmp_path, "", "secret token env:NOWHERE")
