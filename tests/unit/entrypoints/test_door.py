"""Two that take connections from one socket, as two workers do: each takes its share, and none waits for one that cannot."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import ClassVar

import pytest

from entrypoints.http import door
from entrypoints.http.door import Door
from entrypoints.share import NOBODY, SLACK, Share, Told

NEARLY = SLACK + door.AT_ONCE


class Held(asyncio.Protocol):
    """A connection that is kept, and answers with the name of who took it."""

    def __init__(self, name: bytes, held: set["Held"]) -> None:
        self._name, self._held = name, held

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._held.add(self)
        transport.write(self._name)

    def connection_lost(self, exc: Exception | None) -> None:
        self._held.discard(self)


class Listener(socket.socket):
    """Has no descriptor for the next few that come."""

    short_of: ClassVar[int] = 0

    def accept(self) -> tuple[socket.socket, object]:
        if Listener.short_of:
            Listener.short_of -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


@pytest.fixture
def listener() -> Listener:
    made = Listener()
    made.bind(("127.0.0.1", 0))
    made.listen(512)
    return made


@asynccontextmanager
async def opened(listener: socket.socket, share: Share, name: bytes) -> AsyncIterator[None]:
    """A door of one worker: with a descriptor of its own for the socket, as another process has."""
    held: set[Held] = set()
    with listener.dup() as own:
        one = Door(own, lambda: Held(name, held), share, held=lambda: len(held))
        try:
            yield
        finally:
            one.close()
            await one.wait_closed()


async def come(stack: AsyncExitStack, listener: socket.socket, number: int) -> list[bytes]:
    """So many who come at once: who took each."""
    taken = await asyncio.gather(*(asyncio.open_connection(*listener.getsockname()) for _ in range(number)))
    for _, writer in taken:
        stack.callback(writer.close)
    async with asyncio.timeout(10):
        return [await reader.readexactly(1) for reader, _ in taken]


async def test_who_come_at_once_are_spread(listener: Listener) -> None:
    told = (Told * 2)()
    async with AsyncExitStack() as stack:
        for place, name in enumerate((b"a", b"b")):
            await stack.enter_async_context(opened(listener, Share(told, place), name))
        names = await come(stack, listener, 40)
        assert abs(names.count(b"a") - names.count(b"b")) <= NEARLY


async def test_who_has_more_leaves_the_next_ones_to_the_other(listener: Listener) -> None:
    told = (Told * 2)()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(opened(listener, Share(told, 0), b"a"))
        assert await come(stack, listener, 10) == [b"a"] * 10
        await stack.enter_async_context(opened(listener, Share(told, 1), b"b"))
        assert (await come(stack, listener, 10)).count(b"b") >= 10 - NEARLY


async def test_one_that_has_fewer_and_does_not_come_is_not_waited_for(listener: Listener) -> None:
    told = (Told * 2)()
    async with AsyncExitStack() as stack:
        Share(told, 1).tell(0)  # it hangs
        await stack.enter_async_context(opened(listener, Share(told, 0), b"a"))
        assert await come(stack, listener, 100) == [b"a"] * 100


async def test_one_that_left_counts_no_more(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "TURN_SECONDS", 3600.0)
    told = (Told * 2)()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(opened(listener, Share(told, 0), b"a"))
        async with opened(listener, Share(told, 1), b"b"):
            assert {each.connections for each in told} == {0}
        assert told[1].connections == NOBODY
        assert await come(stack, listener, 5) == [b"a"] * 5


async def test_without_descriptors_it_goes_on_after_a_pause(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "PAUSE_SECONDS", 0.01)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(opened(listener, Share((Told * 1)(), 0), b"a"))
        Listener.short_of = 3
        assert await come(stack, listener, 5) == [b"a"] * 5
        assert Listener.short_of == 0


async def test_nothing_is_taken_once_it_is_closed(listener: Listener) -> None:
    async with AsyncExitStack() as stack:
        async with opened(listener, Share((Told * 1)(), 0), b"a"):
            assert await come(stack, listener, 1) == [b"a"]
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        stack.callback(writer.close)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await reader.readexactly(1)
