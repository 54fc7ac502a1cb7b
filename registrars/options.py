"""The options of drivers that speak to a provider: an endpoint, secrets by reference, words."""

import ipaddress
import urllib.parse

import attrs
import dns.name

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
    zone,
)
from corefile.lexer import Token
from corefile.secrets import SecretError
from registrars.protocol import Context, RegistrarError

_VALUES = {"endpoint": "URL", "zone": "PARENT", "ttl": "DURATION"}
LONGEST_TTL = 7 * 86400


@attrs.frozen
class Options:
    """What a driver's block may hold. `endpoint` is the default; where it is empty one has to
    be given, where None none need be. Of `secrets` and `words` all have to be there, of
    `optional` ones none; those named in `together` come together or not at all. `choices` are
    words with a closed list of values, the first the default. `zone` lets the one be named that the
    DS goes into, `ttl` the TTL that they have there, `plain` an endpoint without TLS beyond this
    machine."""

    endpoint: str | None = ""
    secrets: tuple[str, ...] = ()
    optional_secrets: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    optional_words: tuple[str, ...] = ()
    together: tuple[str, ...] = ()
    choices: tuple[tuple[str, tuple[str, ...]], ...] = ()
    flags: tuple[str, ...] = ()
    zone: bool = False
    ttl: bool = False
    plain: bool = False


@attrs.frozen
class Settings:
    """What a driver's block holds."""

    endpoint: str
    secrets: tuple[tuple[str, SecretReference], ...] = ()
    words: tuple[tuple[str, str], ...] = ()

    def word(self, name: str) -> str:
        """Empty where it was not given."""
        return dict(self.words).get(name, "")

    @property
    def ttl(self) -> int | None:
        """In seconds; None where it was not given."""
        return int(self.word("ttl")) if self.word("ttl") else None


def read(directive: Directive, options: Options) -> Settings:
    """`registrar NAME { … }`. Raises CorefileError."""
    name = directive.args[0].text
    secrets = (*options.secrets, *options.optional_secrets)
    choices = dict(options.choices)
    known = (*secrets, *options.words, *options.optional_words, *choices, *options.flags)
    known += ("endpoint",) + (("zone",) if options.zone else ())
    known += ("ttl",) if options.ttl else ()
    number_of_arguments(directive, 1, 1, f"registrar {name}")
    known_options(directive, known)
    only_once(directive, known)
    given: dict[str, str] = {option: values[0] for option, values in choices.items()}
    references: dict[str, SecretReference] = {}
    endpoint = options.endpoint or ""
    for line in directive.body or ():
        no_body(line)
        count = 0 if line.name in options.flags else 1
        number_of_arguments(line, count, count, _usage(line.name, secrets, choices, count))
        if line.name in secrets:
            references[line.name] = secret_reference(line.args[0])
        elif line.name == "endpoint":
            endpoint = _endpoint(line.args[0], plain=options.plain)
        elif line.name in choices:
            given[line.name] = choice(line.args[0], choices[line.name])
        elif line.name == "zone":
            given[line.name] = zone(line.args[0])
        elif line.name == "ttl":
            given[line.name] = str(int(duration(line.args[0], least=1, most=LONGEST_TTL)))
        else:
            given[line.name] = line.args[0].text if line.args else "yes"
    have = {*references, *given, *(("endpoint",) if endpoint else ())}
    needed = {*options.secrets, *options.words}
    if options.endpoint == "":
        needed.add("endpoint")
    if have & set(options.together):
        needed.update(options.together)
    for option in sorted(needed - have):
        raise CorefileError(
            directive.place,
            f"registrar {name} lacks '{option}'; right: {_usage(option, secrets, choices, 1)}",
        )
    return Settings(endpoint, tuple(sorted(references.items())), tuple(sorted(given.items())))


def _usage(
    name: str, secrets: tuple[str, ...], choices: dict[str, tuple[str, ...]], count: int
) -> str:
    if count == 0:
        return name
    if name in secrets:
        return f"{name} file:PATH|env:NAME|credential:NAME"
    if name in choices:
        return f"{name} {'|'.join(choices[name])}"
    return f"{name} {_VALUES.get(name, name.upper())}"


def _endpoint(token: Token, *, plain: bool) -> str:
    """https://HOST[:PORT][/PATH]; http is for this machine, since secrets go that way."""
    try:
        url = urllib.parse.urlsplit(token.text)
        host, _ = url.hostname or "", url.port
    except ValueError:
        host = ""
        url = urllib.parse.urlsplit("")
    if (
        url.scheme not in ("http", "https")
        or not host
        or url.username is not None
        or url.query
        or url.fragment
        or not (token.text.isascii() and token.text.isprintable())
    ):
        # Not repeated: it may have a password in it.
        raise CorefileError(
            token.place, "no URL for an endpoint; right: https://HOST[:PORT][/PATH]"
        )
    if url.scheme == "http" and not plain and not _here(host):
        raise CorefileError(
            token.place, "an endpoint beyond this machine has to be https: secrets go there"
        )
    return token.text.rstrip("/")


def _here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def resolved(settings: Settings, context: Context, place: str) -> dict[str, str]:
    """The secrets by their options' names. Raises RegistrarError."""
    try:
        return {name: context.secret(at).decode() for name, at in settings.secrets}
    except SecretError as error:
        raise RegistrarError(place, f"a secret can't be had: {error}", "put it there") from None
    except UnicodeDecodeError:
        raise RegistrarError(place, "a secret is no UTF-8 text", "put it there anew") from None


def parent_of(settings: Settings, child: dns.name.Name, place: str) -> dns.name.Name:
    """The zone that a child's DS goes into: the one named, else the name above the child's.
    Raises RegistrarError."""
    named = settings.word("zone")
    if child == dns.name.root:
        raise RegistrarError(place, "the root has no parent", "take the registrar line out")
    parent = dns.name.from_text(named) if named else child.parent()
    if parent == child or not child.is_subdomain(parent):
        raise RegistrarError(place, f"{parent} is no parent of {child}", "see to the zone option")
    return parent
