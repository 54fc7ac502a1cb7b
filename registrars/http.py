"""HTTP as the drivers need it: JSON to one host, an answer or one line that says why there is none.

No redirect is followed, TLS is verified, an answer has a size and a deadline, and no secret gets
into an error or a log.
"""

import datetime
import email.utils
import functools
import logging
import ssl
import time
import urllib.parse
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import attrs
import dns.exception
import httpx
import msgspec

from registrars.hidden import Hidden
from registrars.protocol import Entry, RegistrarError

T = TypeVar("T")
LARGEST = 1 << 20
# What a registrar asks to wait is believed up to a day, in seconds.
_LONGEST_WAIT = 86400.0
# httpx tells every URL, httpcore every header that comes back, session cookies among them.
for _chatty in ("httpx", "httpcore"):
    logging.getLogger(_chatty).setLevel(logging.WARNING)

Signer = Callable[[str, str, bytes], Mapping[str, str]]
"""From method, whole URL and body to the headers that say who asks."""


@attrs.frozen
class Answer:
    """What came back; `place` is what was asked, for errors."""

    place: str
    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    content: bytes = attrs.field(repr=False)


class Client:
    """One driver's way to its provider. `secrets` never show; more of them may be added with
    `hide`, as tokens are handed out. `timeout` in seconds."""

    def __init__(
        self, name: str, endpoint: str, timeout: float, secrets: Collection[str], signer: Signer
    ) -> None:
        self.name = name
        self._endpoint = endpoint.rstrip("/")
        self._timeout = timeout
        self._signer = signer
        self._hidden = Hidden(*secrets)
        self._http = httpx.Client(
            verify=_trust(),
            timeout=timeout,
            follow_redirects=False,
            trust_env=False,
            headers={
                "accept": "application/json",
                "accept-encoding": "identity",
                "user-agent": "zoneward",
            },
        )

    def hide(self, *secrets: str) -> None:
        """Never show these either."""
        self._hidden.add(*secrets)

    def close(self) -> None:
        self._http.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        also: Collection[int] = (),
        signer: Signer | None = None,
    ) -> Answer:
        """Ask, with `body` as JSON. Raises RegistrarError for what is neither a 2xx nor one of
        `also`. `signer` in place of the client's own."""
        place = f"{self.name} {method} {path}"
        url = self._endpoint + path + ("?" + urllib.parse.urlencode(query) if query else "")
        content = b"" if body is None else msgspec.json.encode(body)
        sent = dict(headers or {})
        if content:
            sent["content-type"] = "application/json"
        sent.update((signer or self._signer)(method, url, content))
        for name, value in sent.items():
            if not (value.isascii() and value.isprintable()):
                raise RegistrarError(
                    place, f"no header can carry what {name} is to be", "see to the credentials"
                )
        answer = self._ask(place, method, url, content, sent)
        if 200 <= answer.status < 300 or answer.status in also:
            return answer
        raise self.refused(answer)

    def remove(self, path: str, identifier: str) -> None:
        """Delete one of what a path lists; gone in the meantime is gone. Raises RegistrarError."""
        self.call("DELETE", f"{path}/{quoted(identifier)}", also=(404,))

    def read(self, answer: Answer, kind: type[T], *, strict: bool = True) -> T:
        """The answer's JSON. Not `strict`: numbers may be written as strings."""
        try:
            return msgspec.json.decode(answer.content, type=kind, strict=strict)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            # What is cut off, or a proxy's page, may be whole next time.
            raise self._passing(
                answer.place, f"answered {answer.status} with what is no answer ({error})"
            ) from None

    def entries(self, answer: Answer, made: Iterable[Entry]) -> tuple[Entry, ...]:
        """What a registrar listed, where all of it is DS or DNSKEY."""
        try:
            return tuple(made)
        except (ValueError, TypeError, OverflowError, dns.exception.DNSException) as error:
            raise self.error(
                answer.place,
                f"listed what is no DS or DNSKEY ({error})",
                "ask the provider, if it stays",
            ) from None

    def refused(self, answer: Answer) -> RegistrarError:
        """What an answer's status says, and the words that came with it."""
        status, (words, wait) = answer.status, _words(answer.content)
        said = f"{status}" + (f" ({words})" if words else "")
        after = _seconds(answer.headers)
        if status == 429:
            after = wait if after is None else after
            return self._passing(answer.place, f"too many calls: {said}", after)
        if status >= 500 or status == 408:
            return self._passing(answer.place, f"fails with {said}", after)
        if 300 <= status < 400:
            return self.error(
                answer.place,
                f"answered {said}, a redirect, which is not followed",
                "set endpoint to where it is now",
            )
        text, remedy = {
            401: ("the credentials are refused", "see to them"),
            403: ("not allowed", "see to what the credentials may do"),
            404: ("not found", "see that the account has the domain"),
        }.get(status, ("refused", "see what it says"))
        return self.error(answer.place, f"{text}: {said}", remedy)

    def error(
        self,
        place: str,
        message: str,
        remedy: str,
        *,
        passing: bool = False,
        after: float | None = None,
    ) -> RegistrarError:
        """In one line, without a secret."""
        return RegistrarError(
            self.scrubbed(place), self.scrubbed(message), remedy, passing=passing, after=after
        )

    def scrubbed(self, text: str) -> str:
        return self._hidden.scrubbed(text)

    def _passing(self, place: str, message: str, after: float | None = None) -> RegistrarError:
        return self.error(place, message, "it is tried again", passing=True, after=after)

    def _ask(
        self, place: str, method: str, url: str, content: bytes, headers: Mapping[str, str]
    ) -> Answer:
        until = time.monotonic() + self._timeout
        try:
            with self._http.stream(
                method, url, content=content or None, headers=dict(headers)
            ) as response:
                if response.headers.get("content-encoding", "identity") != "identity":
                    raise self.error(
                        place, "answered compressed, unasked", "ask the provider, if it stays"
                    )
                parts, size = [], 0
                for part in response.iter_raw():
                    size += len(part)
                    if size > LARGEST:
                        raise self.error(
                            place,
                            f"answered more than {LARGEST} octets",
                            "see that endpoint is the right one",
                        )
                    if time.monotonic() > until:
                        raise httpx.ReadTimeout("")
                    parts.append(part)
                return Answer(place, response.status_code, response.headers, b"".join(parts))
        except httpx.TimeoutException:
            raise self._passing(place, f"no answer within {self._timeout:g} s") from None
        except httpx.ConnectError as error:
            raise self._passing(place, f"can't be reached ({error})") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # Its text may quote a header that we sent.
            raise self._passing(place, f"broke off ({type(error).__name__})") from None


@functools.cache
def _trust() -> ssl.SSLContext:
    """httpx's own, with every certificate and name checked; made once, since it takes a while."""
    return httpx.create_ssl_context()


def bearer(token: str, scheme: str = "Bearer") -> Signer:
    """The usual header for a token."""
    return lambda method, url, body: {"authorization": f"{scheme} {token}"}


def quoted(part: str) -> str:
    """One part of a path; a label may have a slash (RFC 2317)."""
    return urllib.parse.quote(part, safe="")


def _seconds(headers: Mapping[str, str]) -> float | None:
    """What Retry-After says (RFC 9110 section 10.2.3), or X-RateLimit-Reset, in seconds."""
    wait: float | None = None
    text = headers.get("retry-after", "")
    reset = headers.get("x-ratelimit-reset", "")
    if _number(text):
        wait = float(text)
    elif text:
        try:
            then = email.utils.parsedate_to_datetime(text)
        except ValueError:
            return None
        wait = (then - datetime.datetime.now(then.tzinfo)).total_seconds()
    elif _number(reset):
        # Seconds since 1970 with most, seconds from now with some.
        wait = float(reset) - (time.time() if float(reset) > 1e9 else 0)
    return None if wait is None else min(max(wait, 0.0), _LONGEST_WAIT)


def _number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 15


_TELLING = (
    "message",
    "error",
    "cause",
    "detail",
    "title",
    "msg",
    "reason",
    "description",
    "error_message",
)


def _words(content: bytes) -> tuple[str, float | None]:
    """What an error's JSON says to a person, and the wait that some put there."""
    try:
        found = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "", None
    wait = found.get("ttlRemaining") if isinstance(found, dict) else None
    words = list(dict.fromkeys(_texts(found, 4)))
    return "; ".join(words)[:300], float(wait) if isinstance(wait, int | float) else None


def _texts(found: object, depth: int) -> Iterator[str]:
    if isinstance(found, str):
        yield found
    elif isinstance(found, list) and depth:
        for one in found[:5]:
            yield from _texts(one, depth - 1)
    elif isinstance(found, dict) and depth:
        for name in _TELLING:
            yield from _texts(found.get(name), depth - 1)
        for name in ("errors", "fields", "non_field_errors"):
            inner = found.get(name)
            if isinstance(inner, dict) and not set(_TELLING) & set(inner):
                for field, value in list(inner.items())[:5]:
                    yield f"{field}: {' '.join(_texts(value, depth - 1))}"
            else:
                yield from _texts(inner, depth - 1)
