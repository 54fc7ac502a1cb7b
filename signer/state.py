"""The state database (SKELETON)."""

from pathlib import Path


class StateError(Exception):
    """The state directory can't be used: where, what, and what to do about it."""

    def __init__(self, place: str, message: str, remedy: str) -> None:
        super().__init__(place, message, remedy)
        self.place = place
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.place}: {self.message}; {self.remedy}"


class StateDatabase:
    """One SQLite file, one writer thread."""

    def __init__(self, path: Path) -> None:
        """Open or create; raises StateError."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError
