"""Why a zone's automation has stopped, in words that a person can act on."""

import attrs


@attrs.frozen
class Hold:
    """`since` is in Unix seconds. With `signing`, what is served goes on being signed; the
    keys and their records stay as they are. `token` names what `zones accept` would let
    through; None where accepting is no remedy."""

    reason: str
    remedy: str
    since: int
    signing: bool
    token: str | None = None

    def __str__(self) -> str:
        return f"{self.reason}; {self.remedy}"
