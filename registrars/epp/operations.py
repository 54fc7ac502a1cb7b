"""Updates that the registry has taken and not yet done, by their transaction ids."""

import threading
from collections import OrderedDict

import attrs

from registrars.epp.domain import Outcome

# Those that nobody asks after any more are forgotten, the oldest first.
_MOST = 4096


@attrs.frozen
class Reference:
    """What is kept of an update until it is done. Either id may be empty: a server that fell
    silent has told none."""

    client_id: str = ""
    server_id: str = ""

    def __str__(self) -> str:
        return f"{self.client_id} {self.server_id}".strip()

    @staticmethod
    def read(text: str) -> "Reference":
        client, _, server = text.partition(" ")
        return Reference(client, server)


@attrs.define
class _Operation:
    reference: Reference
    done: bool | None = None
    text: str = ""


class Operations:
    """Of this process, or asked after in it. Calls come from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Operation] = OrderedDict()

    def begin(self, reference: Reference) -> None:
        """Known from now on, with what is known of it already."""
        with self._lock:
            known = self._known.get(reference.client_id)
            if known is None:
                self._known[reference.client_id] = _Operation(reference)
                if len(self._known) > _MOST:
                    self._known.popitem(last=False)
            elif reference.server_id:
                known.reference = reference

    def end(self, reference: Reference) -> None:
        with self._lock:
            self._known.pop(reference.client_id, None)

    def told(self, outcome: Outcome, text: str) -> bool:
        """Keep what became of an update until it is asked after; whether it is one of ours."""
        with self._lock:
            for operation in self._known.values():
                reference = operation.reference
                if outcome.client_id == reference.client_id or (
                    outcome.client_id is None and outcome.server_id == reference.server_id
                ):
                    operation.done, operation.text = outcome.done, text
                    return True
        return False

    def outcome(self, reference: Reference) -> tuple[bool, str] | None:
        """Whether it was done, and the registry's words; None where nobody told."""
        with self._lock:
            known = self._known.get(reference.client_id)
            return None if known is None or known.done is None else (known.done, known.text)
