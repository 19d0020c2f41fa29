"""A TCP proxy that does to a connection what networks and servers do: refuse, cut, delay, fall silent, or lose the answer to a COMMIT.

It stands before PostgreSQL, whose protocol it reads to know a COMMIT when it sees one, or before anything else as plain bytes.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from struct import unpack

from sqlalchemy import make_url

_SSL_REQUEST, _GSS_REQUEST, _CANCEL_REQUEST = 80877103, 80877104, 80877102
_CHANGES = re.compile(rb"\b(?:INSERT INTO|DELETE FROM|UPDATE \w+ SET)\b")
_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Proxy:
    """Passes bytes on to a server, at an address of its own, as long as nothing is the matter."""

    def __init__(self, upstream: Path | tuple[str, int], *, reads_postgres: bool = True) -> None:
        self._upstream = upstream
        self._reads_postgres = reads_postgres
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self.port = 0
        self.delay = 0.0  # seconds, for every piece of data in either direction
        self.commits_to_lose = 0  # so many COMMITs are carried out, and the line is cut instead of the answer
        self.commits_to_stop = 0  # so many COMMITs are not passed on: the line is cut instead
        self.lost = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Nobody is there: connections are cut, and new ones refused."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()
        await asyncio.sleep(0)

    def cut(self) -> None:
        for link in list(self._links):
            link.cut()

    def hold(self) -> None:
        """Bytes are taken and go nowhere, until `mend`; then they arrive late, as over a network that lost packets."""
        self._flows.clear()

    def forget(self) -> None:
        """As when an address moved to another server: nothing more comes over the connections that stand, and nobody says so."""
        for link in self._links:
            link.is_forgotten = True

    async def mend(self) -> None:
        """Nothing is the matter any more."""
        self.delay, self.commits_to_lose, self.commits_to_stop = 0.0, 0, 0
        self._flows.set()
        if self._server is None:
            await self.start()

    async def stop(self) -> None:
        await self.refuse()
        self._flows.set()

    @property
    def connections(self) -> int:
        return len(self._links)

    async def flow(self) -> None:
        """Wait as long as a piece of data has to."""
        if self.delay:
            await asyncio.sleep(self.delay)
        await self._flows.wait()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(self, (reader, writer))
        self._links.add(link)
        try:
            await link.run(self._connect)
        finally:
            self._links.discard(link)

    async def _connect(self) -> _Streams:
        if isinstance(self._upstream, Path):
            return await asyncio.open_unix_connection(str(self._upstream))
        return await asyncio.open_connection(*self._upstream)

    @property
    def reads_postgres(self) -> bool:
        return self._reads_postgres


class _Link:
    """One connection of a client, and the one to the server that it is passed on to."""

    def __init__(self, proxy: Proxy, client: _Streams) -> None:
        self._proxy = proxy
        self._client = client
        self._server: _Streams | None = None
        self._frames = _Frontend()
        self._is_cut = False
        self.is_forgotten = False

    def cut(self) -> None:
        self._is_cut = True
        for streams in (self._client, self._server):
            if streams is not None:
                streams[1].transport.abort()

    async def run(self, connect: Callable[[], Awaitable[_Streams]]) -> None:
        try:
            await self._proxy.flow()
            self._server = await connect()
            if self._is_cut:
                return
            asking = asyncio.create_task(self._ask())
            telling = asyncio.create_task(self._tell())
            await asyncio.wait({asking, telling}, return_when=asyncio.FIRST_COMPLETED)
            self.cut()
            await asyncio.gather(asking, telling, return_exceptions=True)
        except OSError:
            pass
        finally:
            self.cut()

    async def _ask(self) -> None:
        assert self._server is not None
        while data := await self._client[0].read(65536):
            await self._proxy.flow()
            if self.is_forgotten:
                continue
            if self._proxy.reads_postgres:
                for is_commit in self._frames.asked(data):
                    if is_commit and self._proxy.commits_to_stop > 0:
                        self._proxy.commits_to_stop -= 1
                        self._proxy.lost += 1
                        return
            self._server[1].write(data)
            with suppress(OSError):
                await self._server[1].drain()

    async def _tell(self) -> None:
        assert self._server is not None
        while data := await self._server[0].read(65536):
            await self._proxy.flow()
            if self._proxy.reads_postgres and self._frames.answered(data) and self._proxy.commits_to_lose > 0:
                self._proxy.commits_to_lose -= 1
                self._proxy.lost += 1
                return
            self._client[1].write(data)
            with suppress(OSError):
                await self._client[1].drain()


class _Frontend:
    """What a client asks of PostgreSQL, and whether an answer says that something was committed."""

    def __init__(self) -> None:
        self._asked = b""
        self._told = b""
        self._has_started = False
        self._single_bytes = 0  # answers to a request for encryption
        self._changing: set[bytes] = set()
        self._awaits_commit = False
        self._is_in_transaction = False

    def asked(self, data: bytes) -> Iterator[bool]:
        """For each message of the client that is whole now: whether it commits something."""
        self._asked += data
        while True:
            if not self._has_started:
                if len(self._asked) < 8:
                    return
                size, code = unpack("!II", self._asked[:8])
                if len(self._asked) < size:
                    return
                self._asked = self._asked[size:]
                if code in (_SSL_REQUEST, _GSS_REQUEST):
                    self._single_bytes += 1
                elif code != _CANCEL_REQUEST:
                    self._has_started = True
                yield False
                continue
            if len(self._asked) < 5 or len(self._asked) < 1 + (size := unpack("!I", self._asked[1:5])[0]):
                return
            kind, content, self._asked = self._asked[:1], self._asked[5 : 1 + size], self._asked[1 + size :]
            yield self._commits(kind, content)

    def _commits(self, kind: bytes, content: bytes) -> bool:
        if kind == b"P":
            name, text, _ = content.split(b"\0", 2)
            (self._changing.add if _CHANGES.search(text) else self._changing.discard)(name)
            return False
        commits = kind == b"Q" and content.startswith(b"COMMIT")
        if kind == b"B":
            commits = not self._is_in_transaction and content.split(b"\0", 2)[1] in self._changing
        self._awaits_commit = self._awaits_commit or commits
        return commits

    def answered(self, data: bytes) -> bool:
        """Whether, with these bytes, the server says that it is done with what changed something, and outside a transaction."""
        self._told += data
        done = False
        while self._told:
            if self._single_bytes:
                self._single_bytes -= 1
                self._told = self._told[1:]
                continue
            if len(self._told) < 5 or len(self._told) < 1 + (size := unpack("!I", self._told[1:5])[0]):
                break
            if self._told[:1] == b"Z":
                self._is_in_transaction = self._told[5:6] != b"I"
                done = done or (self._awaits_commit and not self._is_in_transaction)
                self._awaits_commit = False
            self._told = self._told[1 + size :]
        return done


def through(url: str, port: int) -> str:
    """The address of the same database by way of a proxy on this port of the loopback."""
    made = make_url(url)
    return made.set(host="127.0.0.1", port=port, query={}).render_as_string(hide_password=False)


def upstream_of(url: str) -> Path | tuple[str, int]:
    """Where the server of this database listens."""
    made = make_url(url)
    socket = made.query.get("host")
    if isinstance(socket, str):
        return Path(socket) / f".s.PGSQL.{made.port or 5432}"
    return made.host or "127.0.0.1", made.port or 5432


@asynccontextmanager
async def proxied(upstream: Path | tuple[str, int], *, reads_postgres: bool = True) -> AsyncIterator[Proxy]:
    """A proxy that listens, while this lasts."""
    proxy = Proxy(upstream, reads_postgres=reads_postgres)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
