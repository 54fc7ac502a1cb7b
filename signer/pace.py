"""How often a server is asked: ten thousand zones under one parent must not hammer it."""

import asyncio

import attrs

# Questions a second to one address; a zone with a step pending asks once in some minutes.
_A_SECOND = 20


@attrs.define
class Pace:
    """Turns by address, in the order in which they are asked for."""

    a_second: int = _A_SECOND
    _next: dict[str, float] = attrs.field(init=False, factory=dict)

    async def turn(self, address: str) -> None:
        """Wait until this address may be asked."""
        now = asyncio.get_running_loop().time()
        at = max(now, self._next.get(address, 0.0))
        self._next[address] = at + 1 / self.a_second
        if at > now:
            await asyncio.sleep(at - now)
