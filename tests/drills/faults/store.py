"""A store of files to take away: an S3 server behind a proxy, that is full or lets nobody write when told so."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from hashlib import sha256
from urllib.parse import urlsplit

import obstore
from obstore.store import S3Store

from tests import object_store
from tests.drills.proxy import Proxy, proxied

FULL = b"507 Insufficient Storage", b"<Error><Code>XMinioStorageFull</Code><Message>No room.</Message></Error>"
READ_ONLY = b"403 Forbidden", b"<Error><Code>AccessDenied</Code><Message>Nobody writes here.</Message></Error>"


class Store:
    """A bucket of a server that keeps what it has in memory, so that it is never killed: its address is taken away instead."""

    def __init__(self, address: str, proxy: Proxy, door: "Door") -> None:
        self.proxy = proxy
        self.door = door
        self.bucket = object_store.make_bucket(address)
        self.url = f"s3://{self.bucket}"
        self._server = address

    def contents(self) -> dict[str, str]:
        """The hash of each content by its key, asked of the server itself."""
        key, secret, region = object_store.VARIABLES.values()
        server = S3Store(
            self.bucket,
            endpoint=self._server,
            access_key_id=key,
            secret_access_key=secret,
            region=region,
            client_options={"allow_http": True},
        )
        keys = [found["path"] for page in obstore.list(server) for found in page]
        return {key: sha256(obstore.get(server, key).bytes()).hexdigest() for key in keys}

    def unfinished(self) -> int:
        """How many contents are on their way, or were and have not been called off."""
        return object_store.unfinished(self._server, self.bucket)


class Door:
    """Passes requests on to an HTTP server, one a connection, but refuses those that write while told so."""

    def __init__(self, address: str) -> None:
        self._upstream = urlsplit(address).hostname or "", urlsplit(address).port
        self.refusal: tuple[bytes, bytes] | None = None
        self._taking = set[asyncio.Task[None]]()

    def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taking = asyncio.create_task(self._take(reader, writer))
        self._taking.add(taking)
        taking.add_done_callback(self._taking.discard)

    async def close(self) -> None:
        for taking in self._taking:
            taking.cancel()
        await asyncio.gather(*self._taking, return_exceptions=True)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(_length(head))
            if self.refusal and head.startswith((b"PUT ", b"POST ", b"DELETE ")):
                status, text = self.refusal
                writer.write(b"HTTP/1.1 %s\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s" % (status, len(text), text))
            else:
                await self._pass_on(head[:-2] + b"connection: close\r\n\r\n" + body, writer)
            await writer.drain()
        writer.close()

    async def _pass_on(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        answers, upstream = await asyncio.open_connection(*self._upstream)
        try:
            upstream.write(request)
            while data := await answers.read(65536):
                writer.write(data)
                await writer.drain()
        finally:
            upstream.close()


def _length(head: bytes) -> int:
    _, mark, rest = head.lower().partition(b"\r\ncontent-length: ")
    return int(rest.split(b"\r\n", 1)[0]) if mark else 0


@contextmanager
def variables(names: dict[str, str]) -> Iterator[None]:
    """These variables are set for programs that are started meanwhile."""
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@asynccontextmanager
async def store_to_take_away() -> AsyncIterator[Store]:
    """A store that is there while this lasts; services that are started meanwhile find it."""
    with object_store.object_store() as address:
        door = Door(address)
        async with await asyncio.start_server(door.take, "127.0.0.1", 0, limit=2**20) as listening:
            upstream: tuple[str, int] = listening.sockets[0].getsockname()
            async with proxied(upstream, reads_postgres=False) as proxy:
                with variables(object_store.environment(f"http://127.0.0.1:{proxy.port}")):
                    yield Store(address, proxy, door)
            await door.close()
