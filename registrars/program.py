"""The registrar that is a program of the user's: it gets a request as JSON on standard input
and answers with JSON on standard output.

    registrar exec PROGRAM [ARG…] {
        wants ds|dnskey|either
        lists
        polls
        deletes value|id|digest|tag|replace
        timeout DURATION
        secret NAME file:PATH|env:NAME|credential:NAME
    }

Secrets go the same way as the request: never in arguments or the environment.
"""

import os
import signal
import subprocess
from pathlib import Path
from typing import TypeVar

import attrs
import dns.exception
import dns.name
import msgspec

from corefile import CorefileError, Directive
from corefile.arguments import (
    SecretReference,
    choice,
    duration,
    known_options,
    no_body,
    number_of_arguments,
    only_once,
    secret_reference,
)
from corefile.secrets import SecretError
from registrars import formats
from registrars.formats import EntryJson
from registrars.hidden import Hidden
from registrars.protocol import (
    Capabilities,
    Context,
    Deletes,
    Entry,
    Plan,
    Progress,
    Receipt,
    RegistrarError,
    Wants,
)

T = TypeVar("T")
_USAGE = "registrar exec PROGRAM [ARG…]"
_TIMEOUT, _LONGEST = 60.0, 3600.0
# A zone has some few DS; what is longer is no answer.
_LARGEST = 1 << 20


@attrs.frozen
class Settings:
    """`timeout` in seconds; `secrets` are names and where they are to be found."""

    command: tuple[str, ...]
    capabilities: Capabilities
    timeout: float = _TIMEOUT
    secrets: tuple[tuple[str, SecretReference], ...] = ()


def read(directive: Directive) -> Settings:
    number_of_arguments(directive, 2, None, _USAGE)
    known_options(directive, ("wants", "lists", "polls", "deletes", "timeout", "secret"))
    only_once(directive, ("wants", "lists", "polls", "deletes", "timeout"))
    for line in directive.body or ():
        no_body(line)
        least = {"lists": 0, "polls": 0, "secret": 2}.get(line.name, 1)
        number_of_arguments(line, least, least, _usage(line.name))
    wants, deletes = directive.option("wants"), directive.option("deletes")
    timeout = directive.option("timeout")
    secrets = [
        (one.args[0].text, secret_reference(one.args[1])) for one in directive.options("secret")
    ]
    named = [name for name, _ in secrets]
    for line in directive.options("secret"):
        if named.count(line.args[0].text) > 1:
            raise CorefileError(line.place, f"secret '{line.args[0].text}' is given a second time")
    return Settings(
        command=tuple(token.text for token in directive.args[1:]),
        capabilities=Capabilities(
            wants=Wants.EITHER
            if wants is None
            else Wants(choice(wants.args[0], [one.value for one in Wants])),
            digests=frozenset({1, 2, 4}),
            deletes=Deletes.VALUE
            if deletes is None
            else Deletes(choice(deletes.args[0], [one.value for one in Deletes])),
            lists=directive.option("lists") is not None,
            polls=directive.option("polls") is not None,
            automatic=True,
        ),
        timeout=_TIMEOUT if timeout is None else duration(timeout.args[0], least=1, most=_LONGEST),
        secrets=tuple(secrets),
    )


def _usage(option: str) -> str:
    arguments = {"lists": "", "polls": "", "secret": " NAME file:PATH|env:NAME|credential:NAME"}
    return option + arguments.get(option, f" {option.upper()}")


def open(config: Settings, context: Context) -> "Program":  # noqa: A001 - a driver's verb
    try:
        secrets = {name: context.secret(at).decode() for name, at in config.secrets}
    except (SecretError, UnicodeDecodeError) as error:
        place = config.command[0]
        raise RegistrarError(place, f"a secret can't be had: {error}", "put it there") from None
    return Program(config, context.directory, secrets)


class Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the program reads. `action` is list, apply or poll; `after` is all that the
    registrar is to have, for one that replaces."""

    action: str
    zone: str
    add: tuple[EntryJson, ...] = ()
    remove: tuple[EntryJson, ...] = ()
    after: tuple[EntryJson, ...] = ()
    reference: str = ""
    secrets: dict[str, str] = {}


class Listed(msgspec.Struct, frozen=True):
    """One entry that the registrar has: a DS (all four fields, the digest hexadecimal) or a
    DNSKEY (flags, algorithm, public_key in base64)."""

    algorithm: int
    key_tag: int | None = None
    digest_type: int | None = None
    digest: str | None = None
    flags: int | None = None
    public_key: str | None = None
    id: str = ""


class Answer(msgspec.Struct, frozen=True):
    """What the program writes. `entries` answer list; `progress` (accepted, pending, refused)
    answers apply and poll. `error` says why nothing was done; with `passing` it is tried again."""

    entries: tuple[Listed, ...] = ()
    progress: str = "accepted"
    text: str = ""
    reference: str = ""
    error: str = ""
    passing: bool = False


class Program:
    """Runs the program once for each question, without a shell."""

    name = "exec"

    def __init__(self, settings: Settings, directory: Path, secrets: dict[str, str]) -> None:
        self.capabilities = settings.capabilities
        self._settings = settings
        self._directory = directory
        self._secrets = secrets
        self._hidden = Hidden(*secrets.values())

    def list(self, zone: dns.name.Name) -> tuple[Entry, ...]:
        answer = self._run(Request(action="list", zone=zone.to_text(), secrets=self._secrets))
        try:
            return tuple(_entry(zone, one) for one in answer.entries)
        except (ValueError, OverflowError, dns.exception.DNSException) as error:
            raise self._error(f"listed what is no DS or DNSKEY ({error})") from None

    def apply(self, plan: Plan) -> Receipt:
        zone = plan.zone
        request = Request(
            action="apply",
            zone=zone.to_text(),
            add=formats.as_json(zone, plan.add),
            remove=formats.as_json(zone, plan.remove),
            after=formats.as_json(zone, plan.after),
            secrets=self._secrets,
        )
        return self._receipt(self._run(request))

    def poll(self, zone: dns.name.Name, reference: str) -> Receipt:
        request = Request(
            action="poll", zone=zone.to_text(), reference=reference, secrets=self._secrets
        )
        return self._receipt(self._run(request))

    def close(self) -> None:
        """Nothing is open."""

    def _receipt(self, answer: Answer) -> Receipt:
        known = {one.value: one for one in (Progress.ACCEPTED, Progress.PENDING, Progress.REFUSED)}
        if answer.progress not in known:
            raise self._error(f"answered progress {answer.progress!r}; right: {', '.join(known)}")
        text = self._hidden.scrubbed(answer.text)
        return Receipt(known[answer.progress], text, answer.reference)

    def _run(self, request: Request) -> Answer:
        status, out, err = self._finished(msgspec.json.encode(request))
        if status:
            line = self._hidden.scrubbed(err[-2000:].decode(errors="replace"))
            raise self._error(f"ended with {status}: {line or 'no word'}", passing=True)
        if len(out) > _LARGEST:
            raise self._error(f"wrote more than {_LARGEST} octets")
        try:
            answer = msgspec.json.decode(out, type=Answer)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._error(f"wrote what is no answer ({error})") from None
        if answer.error:
            raise self._error(answer.error, passing=answer.passing)
        return answer

    def _finished(self, request: bytes) -> tuple[int, bytes, bytes]:
        """Exit status and output. What it started goes with it when its time is over."""
        try:
            process = subprocess.Popen(  # noqa: S603 - the command is the Corefile's
                self._settings.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=self._directory,
                env={name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ},
                start_new_session=True,
            )
        except OSError as error:
            raise self._error(f"can't be run ({error.strerror or error})") from None
        with process:
            try:
                out, err = process.communicate(request, timeout=self._settings.timeout)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise self._error(
                    f"not done within {self._settings.timeout:g} s", passing=True
                ) from None
        return process.returncode, out, err

    def _error(self, message: str, *, passing: bool = False) -> RegistrarError:
        return RegistrarError(
            f"exec {self._settings.command[0]}",
            self._hidden.scrubbed(message),
            "see to the program",
            passing=passing,
        )


def _entry(zone: dns.name.Name, listed: Listed) -> Entry:
    if listed.public_key is not None:
        flags = 257 if listed.flags is None else listed.flags
        return formats.dnskey_entry(zone, flags, listed.algorithm, listed.public_key, listed.id)
    if listed.key_tag is None or listed.digest_type is None or listed.digest is None:
        raise ValueError("an entry has neither public_key nor key_tag, digest_type and digest")
    return formats.ds_entry(
        listed.key_tag, listed.algorithm, listed.digest_type, listed.digest, listed.id
    )
