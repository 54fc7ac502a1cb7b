"""One session with a server, kept between calls: greeting, login, who is answered, logout."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping

import attrs

from registrars.epp import commands, responses, results, tree
from registrars.epp.commands import Command
from registrars.epp.connection import Connection, Endpoint
from registrars.epp.responses import Greeting, Response
from registrars.epp.tree import TreeError
from registrars.protocol import RegistrarError

# Seconds without a word after which a server is greeted before it is asked something: it may
# have closed long ago, and what then became of a command nobody would know.
IDLE = 30.0
# Seconds for a farewell.
_FAREWELL = 3.0
# So many answers to nobody's question are skipped in an exchange.
_STRANGERS = 16
_LONGEST_TEXT = 300


@attrs.frozen
class Account:
    """`objects` and `extensions` are the services to log in with."""

    identity: str
    password: str = attrs.field(repr=False)
    objects: tuple[str, ...]
    extensions: tuple[str, ...]


class Session:
    """Calls may come from several threads; they are served one after the other."""

    def __init__(
        self,
        endpoint: Endpoint,
        account: Account,
        connect: Callable[[Endpoint], Connection] = Connection,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._endpoint = endpoint
        self._account = account
        self._connect = connect
        self._clock = clock
        self._lock = threading.RLock()
        self._connection: Connection | None = None
        self._used = 0.0

    def exchange(self, *asked: Command, repeatable: bool) -> tuple[Response, ...]:
        """Send the commands at once; their answers in the order of the commands, in whatever
        order they came. Those that change nothing are `repeatable`: they are sent once more
        where a connection that was kept turns out to be dead. Raises RegistrarError."""
        with self._lock:
            kept = self._ready()
            try:
                answers = self._converse(asked)
            except RegistrarError as error:
                if not (kept and repeatable and error.passing):
                    raise
            else:
                if not (kept and repeatable and any(one.code == results.USE for one in answers)):
                    return answers
            self._ready()
            return self._converse(asked)

    def refused(self, response: Response) -> RegistrarError:
        """What a result code means, in one line."""
        meaning = results.meaning(response.code)
        return RegistrarError(
            self._endpoint.place,
            self.clean(f"{response.code} {response.text}"),
            meaning.remedy,
            passing=meaning.passing,
        )

    def broken(self, error: TreeError) -> RegistrarError:
        """A server that talks nonsense isn't talked to any further."""
        with self._lock:
            self._drop()
        return RegistrarError(
            self._endpoint.place, self.clean(str(error)), "it is tried again", passing=True
        )

    def clean(self, text: str) -> str:
        """In one line, without the password."""
        return " ".join(text.replace(self._account.password, "***").split())[:_LONGEST_TEXT]

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                with contextlib.suppress(RegistrarError):
                    self._converse((commands.logout(),), _FAREWELL)
            self._drop()

    # --- a connection that is logged in ---------------------------------------------------

    def _ready(self) -> bool:
        """Whether it is one that was kept."""
        if self._connection is not None and self._clock() - self._used >= IDLE:
            with contextlib.suppress(RegistrarError):
                self._hello(self._connection)
        if self._connection is not None:
            return True
        self._connection = self._connect(self._endpoint)
        greeting = self._greeting(self._connection)
        (answer,) = self._converse((self._login(greeting),))
        if not answer.done:
            self._drop()
            raise self.refused(answer)
        return False

    def _hello(self, connection: Connection) -> None:
        connection.within(self._endpoint.timeout)
        with self._dropping():
            connection.send(tree.write(commands.hello()))
            for _ in range(_STRANGERS):
                if isinstance(responses.read(connection.receive()), Greeting):
                    self._used = self._clock()
                    return
            raise TreeError("hello is not answered with a greeting")

    def _greeting(self, connection: Connection) -> Greeting:
        connection.within(self._endpoint.timeout)
        with self._dropping():
            found = responses.read(connection.receive())
            if isinstance(found, Response):
                raise self.refused(found)
            return found

    def _login(self, greeting: Greeting) -> Command:
        account = self._account
        for uri, offered in (
            *((uri, greeting.objects) for uri in account.objects),
            *((uri, greeting.extensions) for uri in account.extensions),
        ):
            if uri not in offered:
                self._drop()
                raise RegistrarError(
                    self._endpoint.place, f"the server doesn't offer {uri}", "ask the registry"
                )
        languages = greeting.languages
        language = "en" if "en" in languages or not languages else languages[0]
        return commands.login(
            account.identity, account.password, language, account.objects, account.extensions
        )

    # --- questions and answers ------------------------------------------------------------

    def _converse(
        self, asked: tuple[Command, ...], seconds: float | None = None
    ) -> tuple[Response, ...]:
        connection = self._connection
        assert connection is not None
        connection.within(self._endpoint.timeout if seconds is None else seconds)
        with self._dropping():
            connection.send(*(self._octets(one) for one in asked))
            waiting: dict[str, Response | None] = {one.client_id: None for one in asked}
            strangers = 0
            while any(answer is None for answer in waiting.values()):
                found = responses.read(connection.receive())
                whose = _whose(found, waiting)
                if whose is None:
                    strangers += 1
                    if strangers > _STRANGERS:
                        raise TreeError("the server answers what nobody asked")
                elif isinstance(found, Response):
                    waiting[whose] = found
        self._used = self._clock()
        answers = tuple(answer for answer in waiting.values() if answer is not None)
        if any(one.code in results.CLOSING for one in answers):
            self._drop()
        return answers

    def _octets(self, command: Command) -> bytes:
        try:
            return tree.write(command.element())
        except ValueError as error:
            raise RegistrarError(
                self._endpoint.place, f"can't be asked: {error}", "see to login"
            ) from None

    @contextlib.contextmanager
    def _dropping(self) -> Iterator[None]:
        """Whatever fails within costs the connection: what would come next on it is not known."""
        try:
            yield
        except RegistrarError:
            self._drop()
            raise
        except TreeError as error:
            raise self.broken(error) from None

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _whose(found: Greeting | Response, waiting: Mapping[str, Response | None]) -> str | None:
    """The id of the command that this answers; None where it is nobody's here: late, or said
    unasked. Raises TreeError where that can't be known."""
    if isinstance(found, Greeting):
        return None
    if found.client_id is not None:
        return (
            found.client_id
            if found.client_id in waiting and waiting[found.client_id] is None
            else None
        )
    # Without an id only an error can be: the server could not read what it was sent.
    left = [one for one, answer in waiting.items() if answer is None]
    if found.done or len(left) != 1:
        raise TreeError(f"an answer ({found.code}) doesn't say to what")
    return left[0]
