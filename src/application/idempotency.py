"""Doing once what is asked for more than once."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from application.ports import Clock, UnitOfWork, UnitOfWorkFactory
from domain.errors import Conflict, DomainError, Invalid, NotFound, Refused, Stale
from domain.idempotency import Keyed, KeyReused, StillRunning

T = TypeVar("T")

# What a use case says of the request itself. Who may ask, how often, and whether we are able to, is another question each time.
REFUSALS = (Refused, NotFound, Conflict, Stale, Invalid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a request came to, in the caller's own encoding, and whether it was that already."""

    content: bytes
    is_replay: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """Do what a request with a key asks for, unless its outcome is kept: then that is the outcome again, byte for byte.

    The change and its outcome are one transaction, so that no crash parts them. A refusal is an outcome, too; it changed nothing,
    and is kept in a transaction of its own, where what another request with this key has come to meanwhile goes before it.
    Raises `StillRunning` and `KeyReused`, and what is no outcome: the key is unused then.
    """

    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(
        self,
        keyed: Keyed,
        *,
        act: Callable[[UnitOfWork], Awaitable[T]],
        told: Callable[[T], bytes],
        refused: Callable[[DomainError], Awaitable[bytes]],
    ) -> Outcome:
        """`act` makes the change within the unit of work it is given and leaves the commit; `told` and `refused` encode what came of it."""

        async def change(work: UnitOfWork) -> bytes:
            return told(await act(work))

        try:
            return await self._kept(keyed, change)
        except (StillRunning, KeyReused):
            raise
        except REFUSALS as error:
            refusal = await refused(error)

        async def nothing(_: UnitOfWork) -> bytes:
            return refusal

        return await self._kept(keyed, nothing)

    async def _kept(self, keyed: Keyed, make: Callable[[UnitOfWork], Awaitable[bytes]]) -> Outcome:
        async with self.unit_of_work() as work:
            known = await work.replays.begin(keyed, at=self.clock.now())
            if known is not None:
                return Outcome(content=known, is_replay=True)
            content = await make(work)
            await work.replays.keep(keyed, content, at=self.clock.now())
            await work.commit()
        return Outcome(content=content, is_replay=False)
