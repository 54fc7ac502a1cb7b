"""A registry that is spoken to by EPP."""

import dns.name

from corefile import Directive
from corefile.secrets import SecretError
from registrars.epp import commands, domain, results, settings
from registrars.epp.connection import Endpoint
from registrars.epp.domain import Domain
from registrars.epp.operations import Operations, Reference
from registrars.epp.responses import Response
from registrars.epp.secdns import Change
from registrars.epp.session import Account, Session
from registrars.epp.settings import Settings
from registrars.epp.tree import TreeError
from registrars.protocol import (
    Capabilities,
    Context,
    Entry,
    Plan,
    Progress,
    Receipt,
    RegistrarError,
    Wants,
)

# So many messages of the registry's queue are looked at in one call.
_MOST_MESSAGES = 100


def read(directive: Directive) -> Settings:
    return settings.read(directive)


def open(config: Settings, context: Context) -> "Epp":  # noqa: A001 - a driver's verb
    try:
        password = context.secret(config.password).decode()
    except (SecretError, UnicodeDecodeError) as error:
        why = str(error) if isinstance(error, SecretError) else f"{config.password} is not UTF-8"
        raise RegistrarError(
            config.place, f"the password can't be had: {why}", "put it there"
        ) from None
    if not password:
        raise RegistrarError(config.place, f"{config.password} is empty", "put the password there")
    files = config.certificate
    endpoint = Endpoint(
        place=config.place,
        host=config.host,
        port=config.port,
        timeout=config.timeout or context.timeout,
        certificate=None
        if files is None
        else (context.directory / files[0], context.directory / files[1]),
        ca=None if config.ca is None else context.directory / config.ca,
    )
    account = Account(config.identity, password, config.objects, config.extensions)
    return Epp(config, Session(endpoint, account))


class Epp:
    """Adds and removes in one command, which the server does wholly or not at all."""

    name = "epp"

    def __init__(self, config: Settings, session: Session) -> None:
        self.capabilities = Capabilities(
            wants=config.wants, digests=config.digests, lists=True, polls=True, automatic=True
        )
        self._config = config
        self._session = session
        self._operations = Operations()

    def list(self, zone: dns.name.Name) -> tuple[Entry, ...]:
        (answer,) = self._session.exchange(domain.info(zone), repeatable=True)
        return self._domain(zone, answer).listed.entries

    def apply(self, plan: Plan) -> Receipt:
        receipt, change = self._left(plan)
        if receipt is not None:
            return receipt
        command = self._update(plan.zone, change)
        reference = Reference(command.client_id)
        # Before it is sent: should the answer get lost, the message about it is still ours.
        self._operations.begin(reference)
        (answer,) = self._session.exchange(command, repeatable=False)
        if answer.code == results.PENDING:
            reference = Reference(command.client_id, answer.server_id)
            self._operations.begin(reference)
            text = self._session.clean(answer.text)
            return Receipt(
                Progress.PENDING, f"the registry has yet to do it: {text}", str(reference)
            )
        self._operations.end(reference)
        if answer.done:
            return Receipt(Progress.ACCEPTED, self._session.clean(answer.text))
        if answer.code not in results.CLOSING:
            # Somebody else may have done it since it was listed.
            receipt, _ = self._left(plan)
            if receipt is not None:
                return receipt
        raise self._session.refused(answer)

    def poll(self, zone: dns.name.Name, reference: str) -> Receipt:
        asked = Reference.read(reference)
        if asked.client_id:
            self._operations.begin(asked)
        about, message = self._session.exchange(
            domain.info(zone), commands.next_message(), repeatable=True
        )
        found = self._domain(zone, about)
        self._messages(message)
        outcome = self._operations.outcome(asked)
        if outcome is None and found.pending:
            return Receipt(Progress.PENDING, "the registry has yet to do it", reference)
        self._operations.end(asked)
        if outcome is None:
            return Receipt(Progress.ACCEPTED, "no longer pending; the registry sent no word of it")
        done, text = outcome
        return Receipt(Progress.ACCEPTED if done else Progress.REFUSED, text)

    def close(self) -> None:
        self._session.close()

    def _domain(self, zone: dns.name.Name, answer: Response) -> Domain:
        if not answer.done:
            raise self._session.refused(answer)
        try:
            return domain.read(zone, answer)
        except TreeError as error:
            raise self._session.broken(error) from None

    def _left(self, plan: Plan) -> tuple[Receipt | None, Change]:
        """What of a plan is still to be done, or why nothing is."""
        (answer,) = self._session.exchange(domain.info(plan.zone), repeatable=True)
        found = self._domain(plan.zone, answer)
        have = found.listed.entries
        add = tuple(one for one in plan.add if not any(self._same(one, there) for there in have))
        life = self._config.max_sig_life
        change = Change(
            self._config.wants,
            remove=tuple(one for one in have if any(self._same(one, gone) for gone in plan.remove)),
            add=add,
            max_sig_life=life if add and life != found.listed.max_sig_life else None,
            urgent=self._config.urgent,
        )
        if not change:
            return Receipt(Progress.ACCEPTED, "the registry has it so already"), change
        if found.pending:
            return Receipt(Progress.PENDING, "an update of the domain is pending"), change
        return None, change

    def _same(self, one: Entry, other: Entry) -> bool:
        if self._config.wants is Wants.DS:
            return one.ds == other.ds
        return one.ds == other.ds or (one.dnskey is not None and one.dnskey == other.dnskey)

    def _update(self, zone: dns.name.Name, change: Change) -> commands.Command:
        try:
            return domain.update(zone, change)
        except ValueError as error:
            raise RegistrarError(
                self._config.place,
                f"{error}: the registry lists DS where it was to want keys",
                "see to wants",
            ) from None

    def _messages(self, answer: Response) -> None:
        """Read the queue, as far as may be: what is of ours is kept and taken out, what is for
        others stays, and with it what is behind, unless it may be acknowledged."""
        for _ in range(_MOST_MESSAGES):
            message = answer.message
            if answer.code in (results.NO_MESSAGES, results.UNIMPLEMENTED, results.AUTHORIZATION):
                return
            if not answer.done:
                raise self._session.refused(answer)
            if message is None:
                return
            try:
                told = domain.outcome(answer)
            except TreeError as error:
                raise self._session.broken(error) from None
            ours = told is not None and self._operations.told(
                told, self._session.clean(message.text or "the registry gives no reason")
            )
            if not ours and not self._config.acknowledge:
                return
            (gone,) = self._session.exchange(commands.acknowledge(message.id), repeatable=False)
            # Somebody else may have acknowledged it at the same time.
            if not gone.done and gone.code != results.NO_OBJECT:
                raise self._session.refused(gone)
            (answer,) = self._session.exchange(commands.next_message(), repeatable=True)
