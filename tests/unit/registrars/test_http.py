"""The client under the drivers: what it sends, what it takes for an answer, what it never tells."""

import base64
import datetime
import email.utils
import ipaddress
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from providers.web import Fault, LocalServer, Provider, Reply, Request

from registrars.hidden import Hidden
from registrars.http import Client, bearer, quoted
from registrars.protocol import RegistrarError

SECRET = "s3cr3t/with+signs"


class Echo(Provider):
    """Says what it was asked."""

    name = "echo"

    def answer(self, request: Request) -> Reply:
        return Reply(200, {"path": request.path, "body": request.body.decode()})

    def error(self, status: int, message: str) -> Reply:
        return Reply(status, {"message": message})


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer(Echo()) as running:
        yield running


@pytest.fixture
def client(server: LocalServer) -> Iterator[Client]:
    made = Client("echo", server.endpoint + "/base/", 5.0, (SECRET,), bearer(SECRET))
    yield made
    made.close()


def told(client: Client, server: LocalServer, reply: Reply) -> RegistrarError:
    server.faults = [Fault(reply)]
    with pytest.raises(RegistrarError) as caught:
        client.call("GET", "/zones")
    return caught.value


def test_an_endpoint_may_have_a_path(client: Client) -> None:
    answer = client.call("GET", "/zones")
    assert client.read(answer, dict[str, str])["path"] == "/base/zones"
    assert answer.place == "echo GET /zones"


def test_only_the_headers_have_the_secret(client: Client, server: LocalServer) -> None:
    client.call("POST", "/zones", body={"a": 1}, query={"q": "x y"})
    (request,) = server.requests
    assert request.headers["authorization"] == f"Bearer {SECRET}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["accept-encoding"] == "identity"
    assert request.query == {"q": "x y"}
    assert SECRET not in request.url


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "pem").write_bytes(pem + certificate.public_bytes(Encoding.PEM))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "pem")
    with LocalServer(Echo(), tls) as server:
        client = Client("echo", server.endpoint, 5.0, (SECRET,), bearer(SECRET))
        with pytest.raises(RegistrarError, match="CERTIFICATE_VERIFY_FAILED"):
            client.call("GET", "/zones")
        assert server.requests == []
        client.close()


def test_a_label_may_have_a_slash() -> None:
    assert quoted("0/25.2.0.192.in-addr.arpa") == "0%2F25.2.0.192.in-addr.arpa"


@pytest.mark.parametrize(
    ("status", "message", "remedy", "passing"),
    [
        (301, "a redirect, which is not followed", "set endpoint", False),
        (400, "refused: 400 (no good)", "see what it says", False),
        (401, "the credentials are refused: 401", "see to them", False),
        (403, "not allowed: 403", "what the credentials may do", False),
        (404, "not found: 404", "the account has the domain", False),
        (408, "fails with 408", "tried again", True),
        (409, "refused: 409", "see what it says", False),
        (429, "too many calls: 429", "tried again", True),
        (500, "fails with 500", "tried again", True),
        (599, "fails with 599", "tried again", True),
    ],
)
def test_each_status_has_its_words(
    client: Client, server: LocalServer, status: int, message: str, remedy: str, passing: bool
) -> None:
    error = told(client, server, Reply(status, {"message": "no good"}))
    assert error.place == "echo GET /zones"
    assert message in error.message
    assert remedy in error.remedy
    assert error.passing == passing


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": "one"}, "one"),
        ({"message": "m", "errors": {"ttl": ["too low", "odd"]}}, "m; ttl: too low odd"),
        ({"errors": [{"code": 1004, "message": "DNS Validation Error"}]}, "DNS Validation Error"),
        ([{"non_field_errors": ["a", "b"]}], "a; b"),
        ({"detail": {"message": "deep"}}, "deep"),
        ("just so", "just so"),
        ({"other": 1}, ""),
        (b"<html>no JSON</html>", ""),
        ({"message": "x" * 5000}, "x" * 300),
        ({"message": "two\r\nlines\x1b[31m"}, "two lines [31m"),
    ],
)
def test_what_errors_say(client: Client, server: LocalServer, body: object, words: str) -> None:
    error = told(client, server, Reply(400, body))
    assert error.message == "refused: 400" + (f" ({words})" if words else "")


def http_date(seconds: float) -> str:
    then = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    return email.utils.format_datetime(then, usegmt=True)


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({"retry-after": "120"}, 120, 120),
        ({"retry-after": http_date(3600)}, 3000, 3600),
        ({"retry-after": http_date(-3600)}, 0, 0),
        ({"retry-after": "99999999"}, 86400, 86400),
        ({"x-ratelimit-reset": str(int(time.time()) + 3600)}, 3000, 3600),
        ({"x-ratelimit-reset": "30"}, 30, 30),
        ({"retry-after": "5", "x-ratelimit-reset": "30"}, 5, 5),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_how_long_to_wait(
    client: Client,
    server: LocalServer,
    status: int,
    headers: dict[str, str],
    least: float,
    most: float,
) -> None:
    error = told(client, server, Reply(status, None, headers))
    assert error.after is not None
    assert least <= error.after <= most


@pytest.mark.parametrize("text", ["soon", "-1", "1e9", "", "9" * 40])
def test_no_telling_how_long(client: Client, server: LocalServer, text: str) -> None:
    assert told(client, server, Reply(429, None, {"retry-after": text})).after is None


def test_a_wait_in_the_body(client: Client, server: LocalServer) -> None:
    body = {"status": "ERROR", "code": "RATE_LIMIT_EXCEEDED", "ttlRemaining": 42}
    assert told(client, server, Reply(429, body)).after == 42


def test_a_compressed_answer_was_not_asked_for(client: Client, server: LocalServer) -> None:
    error = told(client, server, Reply(200, b"\x1f\x8b", {"content-encoding": "gzip"}))
    assert "compressed" in error.message


@pytest.mark.parametrize("secret", ["with\nline", "with\r\nX-Other: header", "ümlaut", "nul\0"])
def test_a_secret_that_no_header_can_carry(server: LocalServer, secret: str) -> None:
    client = Client("echo", server.endpoint, 5.0, (secret,), bearer(secret))
    with pytest.raises(RegistrarError, match="no header can carry what authorization") as caught:
        client.call("GET", "/zones")
    assert secret not in f"{caught.value}{caught.value!r}"
    assert repr(secret)[1:-1] not in f"{caught.value}{caught.value!r}"
    assert server.requests == []
    client.close()


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        base64.b64encode(SECRET.encode()).decode(),
        quoted(SECRET),
        f"key={SECRET}&other",
    ],
)
def test_no_form_of_a_secret_gets_through(form: str) -> None:
    told = Hidden(SECRET).scrubbed(f"you sent {form} to us")
    assert SECRET not in told
    assert form not in told
    assert "***" in told


def test_the_longer_of_two_secrets_goes_whole() -> None:
    assert Hidden("abc", "abcdef").scrubbed("abcdef abc") == "*** ***"


def test_what_was_learnt_later_is_hidden_too(client: Client, server: LocalServer) -> None:
    client.hide("a-new-token")
    error = told(client, server, Reply(400, {"message": "a-new-token is no good"}))
    assert "a-new-token" not in str(error)


def test_an_answer_shows_no_content(client: Client) -> None:
    assert "base" not in repr(client.call("GET", "/zones")).replace("/base", "")
    assert SECRET not in repr(vars(client))
