"""A strict EPP server over TLS with client certificates: no server can be had from Debian. Every
frame is validated against the RFCs' schemas in both directions, services have to be logged in
with, transaction ids may not come twice. A scenario chooses its faults."""

import contextlib
import itertools
import socket
import ssl
import struct
import threading
import xml.etree.ElementTree as ET
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import attrs
import eppxml
from eppcerts import Authority, Issued
from eppregistry import Refused, Registry
from eppxml import DOMAIN, EPP, SECDNS, Invalid, name

IDENTITY, PASSWORD = "ClientX", "pa<ss&word-1"
_BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE epp [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    b'<epp xmlns="urn:ietf:params:xml:ns:epp-1.0">&b;</epp>'
)


class Gone(Exception):
    """The connection is to end."""


@attrs.define
class Peer:
    """One connection."""

    socket: ssl.SSLSocket
    account: str | None = None
    services: frozenset[str] = frozenset()
    held: list[bytes] = attrs.field(factory=list)
    seen: set[str] = attrs.field(factory=set)


@attrs.define
class EppServer:
    """`faults` are used up one a command, login and logout aside: "" (as it should be), a result
    code, or the name of a method `_fault_…`. `log` has what was asked; `violations` what no
    client may do."""

    certificate: Issued
    ca: Path
    registry: Registry = attrs.field(factory=Registry)
    objects: tuple[str, ...] = (DOMAIN,)
    extensions: tuple[str, ...] = (SECDNS,)
    languages: tuple[str, ...] = ("en", "fr")
    password: str = PASSWORD
    most_sessions: int = 100
    faults: deque[str] = attrs.field(factory=deque)
    log: list[str] = attrs.field(factory=list)
    violations: list[str] = attrs.field(factory=list)
    connections: int = 0
    address: str = "127.0.0.1"
    port: int = 0
    peers: list[Peer] = attrs.field(factory=list)
    _numbers: "itertools.count[int]" = attrs.field(factory=lambda: itertools.count(1))
    _lock: threading.RLock = attrs.field(factory=threading.RLock)
    _over: threading.Event = attrs.field(factory=threading.Event)

    @contextlib.contextmanager
    def running(self) -> Iterator["EppServer"]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate.certificate, self.certificate.key)
        context.load_verify_locations(self.ca)
        context.verify_mode = ssl.CERT_REQUIRED
        with socket.create_server((self.address, 0)) as listener:
            self.port = listener.getsockname()[1]
            door = threading.Thread(target=self._accept, args=(listener, context))
            door.start()
            try:
                yield self
            finally:
                self._over.set()
                with contextlib.suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)
                door.join()
                self.expire()

    def expire(self) -> None:
        """Close every session, as a server does with those that were idle for long."""
        with self._lock:
            peers, self.peers = self.peers, []
        for peer in peers:
            with contextlib.suppress(OSError):
                peer.socket.shutdown(socket.SHUT_RDWR)

    def forget(self) -> None:
        """The connections stay, the logins don't."""
        with self._lock:
            for peer in self.peers:
                peer.account = None

    # --- connections ----------------------------------------------------------------------

    def _accept(self, listener: socket.socket, context: ssl.SSLContext) -> None:
        while not self._over.is_set():
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(plain, context), daemon=True).start()

    def _serve(self, plain: socket.socket, context: ssl.SSLContext) -> None:
        try:
            connected = context.wrap_socket(plain, server_side=True)
        except (OSError, ssl.SSLError):
            plain.close()
            return
        peer = Peer(connected)
        with self._lock:
            self.connections += 1
            self.peers.append(peer)
        with contextlib.suppress(Gone, OSError), connected:
            self._send(peer, self._greeting())
            while True:
                self._frame(peer, self._receive(peer))
        with self._lock:
            if peer in self.peers:
                self.peers.remove(peer)

    def _receive(self, peer: Peer) -> bytes:
        (length,) = struct.unpack("!I", self._exactly(peer, 4))
        if not 4 < length < 1 << 20:
            self.violations.append(f"a frame of {length} octets")
            raise Gone
        return self._exactly(peer, length - 4)

    def _exactly(self, peer: Peer, length: int) -> bytes:
        octets = b""
        while len(octets) < length:
            part = peer.socket.recv(length - len(octets))
            if not part:
                raise Gone
            octets += part
        return octets

    def _send(self, peer: Peer, *payloads: bytes) -> None:
        """Validated, then in one go with what was held back, the last first."""
        for payload in payloads:
            try:
                eppxml.validated(payload)
            except Invalid as error:
                self.violations.append(f"the server's own: {error}")
        octets = b"".join(_packed(one) for one in (*payloads, *reversed(peer.held)))
        peer.held.clear()
        peer.socket.sendall(octets)

    def _greeting(self) -> bytes:
        return eppxml.greeting(self.objects, self.extensions, self.languages)

    # --- commands -------------------------------------------------------------------------

    def _frame(self, peer: Peer, octets: bytes) -> None:
        try:
            root = eppxml.validated(octets)
        except Invalid as error:
            self.violations.append(str(error))
            self._send(peer, self._answer(None, Refused(2001, "Command syntax error")))
            return
        if root.find(name(EPP, "hello")) is not None:
            self.log.append("hello")
            self._send(peer, self._greeting())
            return
        command = root.find(name(EPP, "command"))
        if command is None:
            self.violations.append("a client sent what only servers send")
            raise Gone
        client_id = command.findtext(name(EPP, "clTRID"))
        if client_id is not None and client_id in peer.seen:
            self.violations.append(f"{client_id} came twice")
        peer.seen.add(client_id or "")
        verb = command[0].tag.rpartition("}")[2]
        self.log.append(_logged(verb, command[0]))
        fault = ""
        if verb not in ("login", "logout") and self.faults:
            fault = self.faults.popleft()
        with self._lock:
            if fault and not fault.isdecimal():
                getattr(self, f"_fault_{fault}")(peer, command, client_id)
                return
            refused = Refused(int(fault), "As was asked for") if fault else None
            answer = self._answer(client_id, refused) if refused else self._do(peer, command)
        self._send(peer, answer)
        if fault in ("2500", "2501", "2502") or (fault == "" and self._ends(verb, answer)):
            raise Gone

    def _ends(self, verb: str, answer: bytes) -> bool:
        return verb == "logout" or b'code="2501"' in answer or b'code="2502"' in answer

    def _do(self, peer: Peer, command: ET.Element) -> bytes:
        client_id = command.findtext(name(EPP, "clTRID"))
        server_id = f"SRV-{next(self._numbers):05d}"
        verb = command[0].tag.rpartition("}")[2]
        try:
            if verb == "login":
                self._login(peer, command[0])
                return eppxml.response(1000, "Command completed", client_id, server_id)
            if peer.account is None:
                raise Refused(2002, "Command use error", "not logged in")
            if verb == "logout":
                return eppxml.response(1500, "Ending session", client_id, server_id)
            if verb == "poll":
                return self._poll(command[0], client_id, server_id)
            return self._object(peer, peer.account, command, client_id, server_id)
        except Refused as error:
            return self._answer(client_id, error)

    def _answer(self, client_id: str | None, error: Refused) -> bytes:
        number = f"SRV-{next(self._numbers):05d}"
        return eppxml.response(error.code, error.text, client_id, number, reason=error.reason)

    def _login(self, peer: Peer, login: ET.Element) -> None:
        if peer.account is not None:
            raise Refused(2002, "Command use error", "logged in already")
        identity = login.findtext(name(EPP, "clID"))
        if identity != IDENTITY or login.findtext(name(EPP, "pw")) != self.password:
            raise Refused(2200, "Authentication error")
        if sum(one.account is not None for one in self.peers) >= self.most_sessions:
            raise Refused(2502, "Session limit exceeded; server closing connection")
        if login.findtext(f"{name(EPP, 'options')}/{name(EPP, 'lang')}") not in self.languages:
            raise Refused(2102, "Unimplemented option", "lang")
        services = {
            one.text or "" for tag in ("objURI", "extURI") for one in login.iter(name(EPP, tag))
        }
        if not services <= {*self.objects, *self.extensions}:
            raise Refused(2307, "Unimplemented object service")
        peer.account, peer.services = identity, frozenset(services)

    def _poll(self, poll: ET.Element, client_id: str | None, server_id: str) -> bytes:
        queue = self.registry.queue
        if poll.get("op") == "ack":
            if not queue or queue[0].id != poll.get("msgID"):
                raise Refused(2303, "Object does not exist", "no such message")
            queue.popleft()
            left = f'<msgQ count="{len(queue)}" id="{queue[0].id}"/>' if queue else ""
            return eppxml.response(1000, "Completed", client_id, server_id, queue=left)
        if not queue:
            return eppxml.response(1300, "No messages", client_id, server_id)
        first = queue[0]
        head = f'<msgQ count="{len(queue)}" id="{first.id}"><qDate>{eppxml.DATE}</qDate>'
        head += f"<msg>{first.text}</msg></msgQ>"
        return eppxml.response(
            1301, "Ack to dequeue", client_id, server_id, queue=head, data=first.data
        )

    def _object(
        self,
        peer: Peer,
        account: str,
        command: ET.Element,
        client_id: str | None,
        server_id: str,
    ) -> bytes:
        asked = command[0][0]
        extension = command.find(f"{name(EPP, 'extension')}/*")
        for one in (asked, extension):
            space = "" if one is None else one.tag[1:].partition("}")[0]
            if space and space not in peer.services:
                self.violations.append(f"{space} was not logged in with")
        domain = self.registry.find(asked.findtext(name(DOMAIN, "name"), ""), account)
        if asked.tag == name(DOMAIN, "info"):
            data, more = self.registry.info(domain)
            return eppxml.response(
                1000, "Completed", client_id, server_id, data=data, extension=more
            )
        if asked.tag != name(DOMAIN, "update") or extension is None:
            raise Refused(2101, "Unimplemented command")
        done = self.registry.update(domain, extension, client_id, server_id)
        text = "Command completed" if done else "Command completed; action pending"
        return eppxml.response(1000 if done else 1001, text, client_id, server_id)

    # --- faults: what a server, or what is between, may do to us --------------------------

    def _raw(self, peer: Peer, octets: bytes) -> None:
        peer.socket.sendall(octets)

    def _fault_silent(self, peer: Peer, command: ET.Element, client_id: str | None) -> None:
        """Nothing is done, nothing is said."""

    def _fault_late(self, peer: Peer, command: ET.Element, client_id: str | None) -> None:
        """It is done, and nothing is said."""
        self._do(peer, command)

    def _fault_closed(self, peer: Peer, command: ET.Element, client_id: str | None) -> None:
        raise Gone

    def _fault_lost(self, peer: Peer, command: ET.Element, client_id: str | None) -> None:
        """It is done, and the connection ends before the answer."""
        self._do(peer, command)
        raise Gone

    def _fault_half(self, peer: Peer, command: ET.Element, client_id: str | None) -> None:
        asked, extension = command[0][0], command.find(f"{name(EPP, 'extension')}/*")
        domain = self.registry.domains[asked.findtext(name(DOMAIN, "name"), "")]
        assert extension is not None
        self.registry.half(domain, extension)
        self._send(peer, self._answer(client_id, Refused(2400, "Command failed")))

    def _fault_raced(self, peer: Peer, command: ET.Element, client_id: str | None) -> None:
        """Somebody else did the same just before."""
        self._do(peer, command)
        self._send(peer, self._do(peer, command))

    def _fault_reversed(self, peer: Peer, command: ET.Element, client_id: str | None) -> None:
        """Answered together with, and after, the command that follows."""
        peer.held.append(self._do(peer, command))

    def _fault_stranger(self, peer: Peer, command: ET.Element, client_id: str | None) -> None:
        """Answers to others' questions, and a greeting, come first."""
        late = self._answer("ZW-somebody-else", Refused(2303, "Object does not exist"))
        self._send(peer, late, self._greeting(), self._do(peer, command))

    def _fault_strangers(self, peer: Peer, command: ET.Element, client_id: str | None) -> None:
        late = self._answer("ZW-somebody-else", Refused(2303, "Object does not exist"))
        self._send(peer, *[late] * 40)

    def _fault_twice(self, peer: Peer, command: ET.Element, client_id: str | None) -> None:
        answer = self._do(peer, command)
        self._send(peer, answer, answer)

    def _fault_nameless(self, peer: Peer, command: ET.Element, client_id: str | None) -> None:
        """A success that doesn't say of what."""
        self._send(peer, eppxml.response(1000, "Completed", None, "SRV-0"))

    def _fault_unread(self, peer: Peer, command: ET.Element, client_id: str | None) -> None:
        """What a server says that couldn't read what it was sent."""
        self._send(peer, self._answer(None, Refused(2001, "Command syntax error")))

    def _fault_echo(self, peer: Peer, command: ET.Element, client_id: str | None) -> None:
        """It repeats what it should not."""
        text = f"no good: {IDENTITY}/{self.password}"
        self._send(peer, self._answer(client_id, Refused(2400, "Failed", text)))

    def _fault_other(self, peer: Peer, command: ET.Element, client_id: str | None) -> None:
        """It tells of another domain than it was asked for."""
        data, more = self.registry.info(self.registry.domains["other.example"])
        self._send(
            peer, eppxml.response(1000, "Done", client_id, "SRV-0", data=data, extension=more)
        )

    def _fault_bare(self, peer: Peer, command: ET.Element, client_id: str | None) -> None:
        self._send(peer, eppxml.response(1000, "Completed", client_id, "SRV-0"))

    def _fault_short(self, peer: Peer, command: ET.Element, client_id: str | None) -> None:
        self._raw(peer, struct.pack("!I", 3))

    def _fault_empty(self, peer: Peer, command: ET.Element, client_id: str | None) -> None:
        self._raw(peer, struct.pack("!I", 4))

    def _fault_huge(self, peer: Peer, command: ET.Element, client_id: str | None) -> None:
        self._raw(peer, struct.pack("!I", 0xFFFFFFFF) + b"<")

    def _fault_cut(self, peer: Peer, command: ET.Element, client_id: str | None) -> None:
        octets = _packed(self._do(peer, command))
        self._raw(peer, octets[: len(octets) // 2])
        raise Gone

    def _fault_cut_header(self, peer: Peer, command: ET.Element, client_id: str | None) -> None:
        self._raw(peer, b"\0\0")
        raise Gone

    def _fault_drip(self, peer: Peer, command: ET.Element, client_id: str | None) -> None:
        """An octet now and then, for ever."""
        self._raw(peer, struct.pack("!I", 100_000))
        while not self._over.wait(0.05):
            self._raw(peer, b" ")

    def _fault_junk(self, peer: Peer, command: ET.Element, client_id: str | None) -> None:
        self._raw(peer, _packed(b"HTTP/1.1 400 Bad Request"))

    def _fault_bomb(self, peer: Peer, command: ET.Element, client_id: str | None) -> None:
        self._raw(peer, _packed(_BOMB))

    def _fault_deep(self, peer: Peer, command: ET.Element, client_id: str | None) -> None:
        self._raw(peer, _packed(b"<a>" * 10_000 + b"</a>" * 10_000))

    def _fault_wide(self, peer: Peer, command: ET.Element, client_id: str | None) -> None:
        self._raw(peer, _packed(b"<a>" + b"<b/>" * 100_000 + b"</a>"))

    def _fault_root(self, peer: Peer, command: ET.Element, client_id: str | None) -> None:
        self._raw(peer, _packed(b'<html xmlns="http://www.w3.org/1999/xhtml"/>'))

    def _fault_charset(self, peer: Peer, command: ET.Element, client_id: str | None) -> None:
        self._raw(peer, _packed(b'<?xml version="1.0" encoding="x-none"?><epp/>'))

    def _fault_codeless(self, peer: Peer, command: ET.Element, client_id: str | None) -> None:
        answer = eppxml.response(1000, "Completed", client_id, "SRV-0")
        self._raw(peer, _packed(answer.replace(b'code="1000"', b'code="fine"')))


def make(directory: Path, registry: Registry | None = None) -> tuple[EppServer, Authority]:
    """A server with a certificate for 127.0.0.1 and "epp.test", and who signed it."""
    authority = Authority(directory, "registry-ca")
    issued = authority.server("epp.test", "127.0.0.1")
    return EppServer(issued, authority.certificate, registry or Registry()), authority


def _packed(payload: bytes) -> bytes:
    return struct.pack("!I", len(payload) + 4) + payload


def _logged(verb: str, element: ET.Element) -> str:
    if verb == "poll":
        return f"poll {element.get('op')} {element.get('msgID', '')}".strip()
    if verb in ("login", "logout"):
        return verb
    return f"{verb} {element[0].findtext(name(DOMAIN, 'name'), '')}"
