"""Secrets, and words without them."""

import base64
import urllib.parse

_LONGEST = 500


class Hidden:
    """What must not show in an error, whoever gives it back. More may be added as it is learnt."""

    def __init__(self, *secrets: str) -> None:
        self._forms: set[str] = set()
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Each in the forms that a header, a path or a message may have it in."""
        for secret in filter(None, secrets):
            coded = base64.b64encode(secret.encode()).decode()
            quoted = urllib.parse.quote(secret, safe="")
            self._forms |= {secret, coded, quoted, repr(secret)[1:-1]}
            self._forms |= {line for line in secret.splitlines() if len(line) > 7}

    def scrubbed(self, text: str) -> str:
        """In one line, without a secret, not too long."""
        for form in sorted(self._forms, key=len, reverse=True):
            text = text.replace(form, "***")
        return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_LONGEST]
