"""Contents in memory, in a store that has only so much room and can be taken away."""

from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from hashlib import sha256

from adapters.system import SystemClock
from application.ports import Clock, FileStore, Incoming, NameKept, StoredContent
from domain.errors import Full, NotFound, Unavailable

PIECE = 64 * 1024


class FakeFileStore(FileStore):
    """Has `room` for so many bytes, and raises `Unavailable` while `away`."""

    def __init__(self, room: int = 2**40, clock: Clock | None = None) -> None:
        self.room = room
        self.clock = clock or SystemClock()
        self.kept_at: defaultdict[str, datetime] = defaultdict(self.clock.now)
        self.away = False
        self.failed = 0
        self.contents: dict[str, bytes] = {}
        self.underway: set[str] = set()

    @property
    def failures(self) -> int:
        return self.failed

    @asynccontextmanager
    async def incoming(self) -> AsyncIterator[Incoming]:
        await self.check()
        content = _FakeIncoming(self)
        try:
            yield content
        finally:
            self.underway.discard(content.name)

    async def size(self, name: str) -> int:
        return len(await self._content(name))

    async def mark(self, name: str) -> str:
        return sha256(await self._content(name)).hexdigest()

    async def read(self, name: str, *, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        wanted = (await self._content(name))[start:end]
        for position in range(0, len(wanted), PIECE):
            yield wanted[position : position + PIECE]

    async def remove(self, name: str) -> None:
        await self.check()
        self.contents.pop(name, None)

    async def stored(self, kind: str) -> AsyncIterator[StoredContent]:
        await self.check()
        for name, content in list(self.contents.items()):
            if name.startswith(f"{kind}/"):
                yield StoredContent(name=name, size=len(content), at=self.kept_at[name])

    async def is_settled(self, name: str) -> bool:
        await self.check()
        return name not in self.underway

    async def clear(self) -> int:
        await self.check()
        return 0

    async def check(self) -> None:
        if self.away:
            self.failed += 1
            raise Unavailable

    async def _content(self, name: str) -> bytes:
        await self.check()
        if name not in self.contents:
            raise NotFound
        return self.contents[name]


class _FakeIncoming(Incoming):
    def __init__(self, store: FakeFileStore) -> None:
        self._store = store
        self._content = bytearray()
        self.name = ""

    async def write(self, part: bytes) -> None:
        await self._store.check()
        self._content += part
        if len(self._content) + sum(map(len, self._store.contents.values())) > self._store.room:
            self._store.failed += 1
            raise Full

    async def keep(self, name: str) -> None:
        await self._store.check()
        if name in self._store.contents:
            raise NameKept
        self.name = name
        self._store.underway.add(name)
        self._store.contents[name] = bytes(self._content)
        self._store.kept_at[name] = self._store.clock.now()
