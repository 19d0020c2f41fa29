"""Clients that are slow at anything are cut off; the deadlines are made short here, not the waiting long."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest

from entrypoints.http import server, table_body
from tests.drills.disconnects import serving_here
from tests.drills.load import get, send
from tests.e2e.client import ADMIN_PASSWORD, answers, data_folder, log_in, token_of

ENOUGH = 20.0
BODY = b'{"fingerprint": "reader-0001", "field": "consent", "value": "accepted"}'


@pytest.fixture
async def port() -> AsyncIterator[int]:
    with pytest.MonkeyPatch.context() as patch, data_folder() as folder:
        for name in ("DATA_DIR", "ADMIN_PASSWORD", "RATE_LIMITS", "LOG_FORMAT"):
            patch.setenv(f"COMPLEX_STORIES_{name}", "")
        for name in ("REQUEST_SECONDS", "UNREAD_SECONDS", "STALLED_SECONDS"):
            patch.setattr(server, name, 0.4)
        async with serving_here(folder) as (_, port):
            yield port


async def trickle(port: int, *parts: bytes, then: bytes) -> list[int]:
    """The statuses of all answers until the service closes, while the last part is sent again and again."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def keep_sending() -> None:
        for part in parts:
            writer.write(part)
        while not writer.is_closing():
            writer.write(then)
            await asyncio.sleep(0.05)

    sending = asyncio.create_task(keep_sending())
    try:
        async with asyncio.timeout(ENOUGH):
            received = b""
            try:
                while more := await reader.read(65536):
                    received += more
            except ConnectionResetError:
                pass
    finally:
        sending.cancel()
        writer.transport.abort()
    return [answer.status for answer in answers(received)]


async def test_slow_clients_are_cut_off(port: int) -> None:
    head, body = send("POST", "/dark-data/survey/upsert", BODY).split(b"\r\n\r\n")
    assert body
    assert await trickle(port, b"GET /projects HTTP/1.1\r\nHost: x\r\n", then=b"X: y\r\n") == [408]
    assert await trickle(port, head, b"\r\n\r\n", then=b" ") == [408]
    assert await trickle(port, b"POST /no/such HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n", then=b"x") == [404]
    assert await trickle(port, get("/projects"), then=b"\r\n") in ([200], [200, 408])
    assert await trickle(port, then=b"\r\n") in ([], [408])


async def test_a_client_that_takes_nothing_of_its_answers_is_cut_off(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
    writer.write(get("/openapi.json") * 3000)
    async with asyncio.timeout(ENOUGH):
        try:
            while True:
                writer.write(b"\r\n")
                await writer.drain()
                await asyncio.sleep(0.05)
        except OSError:
            pass
    assert not reader.at_eof() or writer.is_closing()


@pytest.fixture
async def token(port: int) -> str:
    return token_of(await asyncio.to_thread(log_in, f"http://127.0.0.1:{port}", "admin", ADMIN_PASSWORD))


def import_head(token: str, *headers: str) -> bytes:
    given = ("Host: x", f"Authorization: Bearer {token}", "Content-Type: text/csv", "Content-Length: 1000000", *headers)
    return "\r\n".join(("POST /admin/dark-data/resources/import?dry_run=true HTTP/1.1", *given, "", "")).encode()


async def test_a_table_has_so_long_to_arrive_however_it_trickles(port: int, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_body, "receive_seconds", lambda at_most: 0.4)
    assert await trickle(port, import_head(token), then=b"n") == [408]


def leave(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


@asynccontextmanager
async def slow_imports(port: int, token: str, number: int) -> AsyncIterator[None]:
    """So many clients that have begun to send a table, and go no further."""
    async with AsyncExitStack() as stack:
        for _ in range(number):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            stack.callback(leave, writer)  # and held until then: one that is forgotten is closed
            writer.write(import_head(token, "Expect: 100-continue"))
            async with asyncio.timeout(ENOUGH):
                assert (await reader.readline()).startswith(b"HTTP/1.1 100"), "the service is not receiving the table"
            writer.write(b"name")
        yield


async def import_quickly(port: int, token: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}", "content-type": "text/csv"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=ENOUGH) as web:
        return await web.post("/admin/dark-data/resources/import?dry_run=true", content=b"name\nquick\n")


async def test_who_sends_a_table_slowly_holds_up_no_import(port: int, token: str) -> None:
    async with slow_imports(port, token, 3):  # more than there are places
        done = await import_quickly(port, token)
    assert (done.status_code, done.json()["inserted"]) == (200, 1)


async def test_only_so_many_tables_lie_on_the_disk(port: int, token: str) -> None:
    async with slow_imports(port, token, table_body.ARRIVING):
        refused = await import_quickly(port, token)
    assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
