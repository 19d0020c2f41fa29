"""Receiving a table: into a temporary file while it is hashed, with nothing else held meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from hashlib import sha256
from tempfile import TemporaryFile

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import Message, Receive

from application.resource_import import TableFile
from domain.errors import Unavailable
from domain.resource_import import TableKind
from entrypoints.http.json_body import RECEIVE_SECONDS, ClientLeft, drain, receive_seconds
from entrypoints.http.problems import RequestTimeout, TooLarge, UnsupportedMediaType

ARRIVING = 8  # or there: in one process, of one kind
MEDIA_TYPES = {
    "text/csv": TableKind.CSV,
    "application/x-ndjson": TableKind.NDJSON,
    "application/vnd.apache.parquet": TableKind.PARQUET,
}
WRITE_BYTES = 1024 * 1024

_PARAMETERS = {"", "charset=utf-8", 'charset="utf-8"', "header=present"}


def kind_of(headers: Headers, kinds: Collection[TableKind] = frozenset(TableKind)) -> TableKind:
    """The format that the headers declare, which is one of these. Raises `UnsupportedMediaType`."""
    taken = {media_type: kind for media_type, kind in MEDIA_TYPES.items() if kind in kinds}
    media_type, *parameters = (part.strip().lower() for part in headers.get("content-type", "").split(";"))
    if media_type not in taken or not set(parameters) <= _PARAMETERS:
        raise UnsupportedMediaType(f"Send {', '.join(taken)}.")
    return taken[media_type]


class Places:
    """For so many tables to be imported at once, each with some memory and a thread, and for `ARRIVING` to lie on the disk."""

    def __init__(self, number: int, *, told: str) -> None:
        """`told` says to those for whom there is none what they wait for."""
        self._free = number
        self._left = ARRIVING
        self._told = told

    @asynccontextmanager
    async def table(
        self, request: Request, *, at_most: int, kinds: Collection[TableKind] = frozenset(TableKind)
    ) -> AsyncIterator[TableFile]:
        """The `received_table` of a request, with a place as long as this lasts: taken once it is there, since it may be long in coming.

        Raises `Unavailable` where there is no place or no room, before anything is sent in vain, and as `received_table`.
        """
        with self._room():
            async with received_table(request.receive, request.headers, at_most=at_most, kinds=kinds) as table:
                with self._place():
                    yield table

    @contextmanager
    def _room(self) -> Iterator[None]:
        if not self._free or not self._left:
            raise Unavailable(self._told)
        self._left -= 1
        try:
            yield
        finally:
            self._left += 1

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._free:
            raise Unavailable(self._told)
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


@asynccontextmanager
async def received_table(
    receive: Receive, headers: Headers, *, at_most: int, kinds: Collection[TableKind] = frozenset(TableKind)
) -> AsyncIterator[TableFile]:
    """The table that a request sends, as long as this lasts. A client may take its time, in proportion to `at_most`, but not be silent.

    Raises `UnsupportedMediaType`, `TooLarge`, `RequestTimeout`.
    """
    kind, declared = kind_of(headers, kinds), headers.get("content-length", "")
    with TemporaryFile() as file:
        digest, size, kept, more = sha256(), 0, 0, True
        deadline = asyncio.get_running_loop().time() + receive_seconds(at_most)
        held: list[bytes] = []

        def keep() -> None:
            for part in held:
                file.write(part)
                digest.update(part)
            held.clear()

        while more:
            message = await _next(receive, deadline)
            part, more = message.get("body", b""), message.get("more_body", False)
            size += len(part)
            if size > at_most or (declared.isdigit() and int(declared[:20]) > at_most):
                await drain(receive, size, more=more)
                raise TooLarge(f"At most {at_most} bytes.", headers={"connection": "close"})
            held.append(part)
            if size - kept >= WRITE_BYTES:
                await asyncio.to_thread(keep)
                kept = size
        await asyncio.to_thread(keep)
        yield TableFile(kind=kind, file=file, digest=digest.digest())


async def _next(receive: Receive, deadline: float) -> Message:
    try:
        async with asyncio.timeout_at(min(deadline, asyncio.get_running_loop().time() + RECEIVE_SECONDS)):
            message = await receive()
    except TimeoutError:
        raise RequestTimeout(headers={"connection": "close"}) from None
    if message["type"] == "http.disconnect":
        raise ClientLeft
    return message
