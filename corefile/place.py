"""Where something stands in a configuration file, and the error that says so."""

import attrs


@attrs.frozen(order=True)
class Place:
    """A position in a file; line and column count from 1, columns in characters."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class CorefileError(Exception):
    """Something is wrong at `place`; `message` says what was found and what would be right."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(place, message)
        self.place = place
        self.message = message

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


@attrs.frozen
class CorefileWarning:
    """Something odd at `place` that does not stop the Corefile from being used."""

    place: Place
    message: str

    def __str__(self) -> str:
        return f"{self.place}: warning: {self.message}"
