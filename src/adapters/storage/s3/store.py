"""The store itself: contents by their names."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import obstore
from obstore.store import S3Store

from adapters.storage.names import INCOMING, checked, checked_kind, is_name
from adapters.storage.s3.bucket import ANSWER_SECONDS, Bucket
from adapters.storage.s3.incoming import S3Incoming
from application.ports import FileStore, Incoming, StoredContent
from domain.errors import NotFound, Unavailable

PIECE = 256 * 1024
RANGE = 1024 * 1024  # what is read in a moment
SETTLED_AFTER = timedelta(hours=1)  # far longer than any upload may take
REQUEST_SECONDS, CONNECT_SECONDS, RETRIES_SECONDS = 20, 2, 10
HEALTHY_SECONDS = 5.0


class S3FileStore(FileStore):
    """The bucket and prefix of an address such as `s3://bucket/prefix`."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        objects = S3Store(
            address.netloc,
            prefix=address.path.strip("/") or None,
            copy_if_not_exists="multipart",
            client_options={
                "timeout": timedelta(seconds=REQUEST_SECONDS),  # from its first byte to its last, and a pause of whoever reads counts
                "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
                "allow_http": True,  # where the endpoint that the operator gives is one
            },
            retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=RETRIES_SECONDS)},
        )
        self._bucket = Bucket(objects)
        self._healthy_until = 0.0
        self._closing = set[asyncio.Task[None]]()

    @property
    def failures(self) -> int:
        return self._bucket.failures

    @asynccontextmanager
    async def incoming(self) -> AsyncIterator[Incoming]:
        if self._bucket.was_silent:  # whoever waits for it would hold much else meanwhile
            await self._bucket.look()
        content = S3Incoming(self._bucket)
        try:
            yield content
        finally:
            closing = asyncio.create_task(content.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
            if not self._bucket.was_silent:
                await asyncio.wait({closing}, timeout=ANSWER_SECONDS)

    async def size(self, name: str) -> int:
        return int((await self._bucket.soon(obstore.head_async(self._bucket.objects, checked(name))))["size"])

    async def mark(self, name: str) -> str:
        found = await self._bucket.soon(obstore.head_async(self._bucket.objects, checked(name)))
        return f"{found['e_tag']}-{found['size']}-{found['last_modified'].isoformat()}"

    async def read(self, name: str, *, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """Each part is asked for when it is wanted: no request to the store lasts as long as a slow reader."""
        end = await self.size(name) if end is None else end
        for position in range(start, end, RANGE):
            until = min(position + RANGE, end)
            asked = obstore.get_range_async(self._bucket.objects, checked(name), start=position, end=until)
            part = memoryview(await self._bucket.soon(asked))
            if len(part) != until - position:
                raise Unavailable("The stored content is shorter than it was.")
            for place in range(0, len(part), PIECE):
                yield bytes(part[place : place + PIECE])

    async def remove(self, name: str) -> None:
        with suppress(NotFound):
            await self._bucket.soon(obstore.delete_async(self._bucket.objects, checked(name)))

    async def stored(self, kind: str) -> AsyncIterator[StoredContent]:
        with self._bucket.domain_errors():
            async for found in obstore.list(self._bucket.objects, checked_kind(kind), chunk_size=1000):
                for each in found:
                    if is_name(each["path"]):
                        yield StoredContent(name=each["path"], size=each["size"], at=each["last_modified"])

    async def is_settled(self, name: str) -> bool:
        try:
            return _is_old(await self._bucket.soon(obstore.head_async(self._bucket.objects, checked(name))))
        except NotFound:
            return True

    async def clear(self) -> int:
        removed = 0
        with self._bucket.domain_errors():
            async for found in obstore.list(self._bucket.objects, INCOMING, chunk_size=1000):
                for each in filter(_is_old, found):
                    await obstore.delete_async(self._bucket.objects, each["path"])
                    removed += 1
        return removed

    async def check(self) -> None:
        """A good answer holds for some seconds, so that being asked often costs little."""
        if time.monotonic() < self._healthy_until:
            return
        await self._bucket.look()
        self._healthy_until = time.monotonic() + HEALTHY_SECONDS


def _is_old(found: Any) -> bool:
    modified: datetime = found["last_modified"]
    return datetime.now(UTC) - modified > SETTLED_AFTER
