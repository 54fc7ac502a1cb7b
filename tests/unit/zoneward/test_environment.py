"""What of the environment each child gets."""

import corefile
from zoneward.configuration import RecordingEnviron
from zoneward.environment import for_child

TEXT = """
{
    keystore files {
        passphrase env:PASSPHRASE
    }
}
{$NAME}.test {
    file db
    whoami
}
"""
ENVIRON = {
    "PATH": "/bin",
    "TZ": "UTC",
    "NAME": "a",
    "PASSPHRASE": "secret",
    "AWS_SECRET_ACCESS_KEY": "x",
    "PYTHONPATH": "/evil",
    "NOTIFY_SOCKET": "/run/notify",
    "CREDENTIALS_DIRECTORY": "/run/credentials",
}


def given(child: str, text: str = TEXT) -> dict[str, str]:
    environ = RecordingEnviron(ENVIRON)
    parsed = corefile.parse(text, path="Corefile", environ=environ, read=lambda _: "")
    return for_child(child, parsed, ENVIRON, environ.asked)


def test_the_server_gets_no_secret_of_the_manager() -> None:
    assert given("server") == {"PATH": "/bin", "TZ": "UTC", "NAME": "a"}


def test_the_manager_gets_what_its_references_name() -> None:
    assert given("manager") == {
        "PATH": "/bin",
        "TZ": "UTC",
        "NAME": "a",
        "PASSPHRASE": "secret",
    }


def test_credentials_go_to_who_refers_to_them() -> None:
    text = TEXT.replace("env:PASSPHRASE", "credential:zoneward")
    assert given("manager", text)["CREDENTIALS_DIRECTORY"] == "/run/credentials"
    assert "CREDENTIALS_DIRECTORY" not in given("server", text)


def test_a_secret_stays_out_even_where_the_text_asks_for_it() -> None:
    text = TEXT.replace("whoami", "whoami # {$PASSPHRASE}\n    bind {$PASSPHRASE}")
    assert "PASSPHRASE" not in given("server", text)
