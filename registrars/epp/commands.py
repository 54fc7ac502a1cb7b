"""What is asked of a server (RFC 5730 section 2.9). A command has a client's transaction id of its
own, by which its answer is known."""

import secrets
from collections.abc import Iterable

import attrs

from registrars.epp.tree import EPP, Element


def new_id() -> str:
    """A transaction id that nobody else takes (section 2.5: three to 64 characters)."""
    return f"ZW-{secrets.token_hex(16)}"


@attrs.frozen
class Command:
    """`verb` is the element in <command>, `extension` what is in its <extension>."""

    verb: Element
    extension: Element | None = None
    client_id: str = attrs.field(factory=new_id)

    def element(self) -> Element:
        parts = [self.verb]
        if self.extension is not None:
            parts.append(Element(EPP, "extension", (self.extension,)))
        parts.append(Element(EPP, "clTRID", text=self.client_id))
        return Element(EPP, "epp", (Element(EPP, "command", tuple(parts)),))


def hello() -> Element:
    """Section 2.3: answered with a greeting, and no transaction ids."""
    return Element(EPP, "epp", (Element(EPP, "hello"),))


def login(
    identity: str, password: str, language: str, objects: Iterable[str], extensions: Iterable[str]
) -> Command:
    """Section 2.9.1.1."""
    menu = [Element(EPP, "objURI", text=uri) for uri in objects]
    menu.append(
        Element(EPP, "svcExtension", tuple(Element(EPP, "extURI", text=uri) for uri in extensions))
    )
    options = (Element(EPP, "version", text="1.0"), Element(EPP, "lang", text=language))
    return Command(
        Element(
            EPP,
            "login",
            (
                Element(EPP, "clID", text=identity),
                Element(EPP, "pw", text=password),
                Element(EPP, "options", options),
                Element(EPP, "svcs", tuple(menu)),
            ),
        )
    )


def logout() -> Command:
    return Command(Element(EPP, "logout"))


def next_message() -> Command:
    """The first message of the account's queue, which stays there (section 2.9.2.3)."""
    return Command(Element(EPP, "poll", attributes=(("op", "req"),)))


def acknowledge(message: str) -> Command:
    """Take a message out of the queue."""
    return Command(Element(EPP, "poll", attributes=(("op", "ack"), ("msgID", message))))
