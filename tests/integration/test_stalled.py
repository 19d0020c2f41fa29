"""A client that takes nothing of an answer is cut off; one that is only slow is not."""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from entrypoints.http import server
from entrypoints.http.stream import Streamed

PART, PARTS = 64 * 1024, 2000


class Endless:
    """An application whose answer is far larger than what any buffer holds, and which tells when it was given up."""

    def __init__(self) -> None:
        self.made = 0
        self.closed = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await Streamed(self._parts(), headers={"content-type": "text/plain"})(scope, receive, send)

    async def _parts(self) -> AsyncGenerator[bytes, None]:
        try:
            for _ in range(PARTS):
                self.made += PART
                yield b"x" * PART
        finally:
            self.closed.set()


@asynccontextmanager
async def answering(app: Endless) -> AsyncIterator[int]:
    config = uvicorn.Config(app, http=server.Protocol, lifespan="off", log_level="critical", access_log=False)
    running = uvicorn.Server(config)
    running.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        task = asyncio.create_task(running.serve(sockets=[listener]))
        yield listener.getsockname()[1]
        running.should_exit = True
        await task


async def begin(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=PART)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    return reader, writer


async def test_who_takes_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "STALLED_SECONDS", 0.3)
    app = Endless()
    async with answering(app) as port:
        _, writer = await begin(port)
        async with asyncio.timeout(20):
            await app.closed.wait()
        assert 0 < app.made < PART * PARTS
        writer.close()


async def test_who_is_slow_is_served_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "STALLED_SECONDS", 1.0)
    app = Endless()
    async with answering(app) as port:
        reader, writer = await begin(port)
        received, began = 0, asyncio.get_running_loop().time()
        async with asyncio.timeout(60):
            while not received or not app.closed.is_set():
                received += len(await reader.read(PART))
                if asyncio.get_running_loop().time() - began < 3:
                    await asyncio.sleep(0.01)
        assert app.made == PART * PARTS
        writer.close()


async def test_who_leaves_is_given_up_at_once() -> None:
    app = Endless()
    async with answering(app) as port:
        _, writer = await begin(port)
        writer.transport.abort()
        async with asyncio.timeout(20):
            await app.closed.wait()
        assert app.made < PART * PARTS
