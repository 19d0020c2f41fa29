"""Contents as objects in a bucket of any S3-compatible store.

What fits into one part is put under its name by one conditional request. More goes in parts, as it comes, to a name in `incoming`, and
is copied from there by the store itself, on the condition that there is nothing of the name. Credentials, region and endpoint are
given by the store's usual variables, such as `AWS_ACCESS_KEY_ID` and `AWS_ENDPOINT_URL`.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from adapters.storage.names import INCOMING, checked, checked_kind, is_name, passing_name
from application.ports import FileStore, Incoming, NameKept, StoredContent
from domain.errors import Full, NotFound, Unavailable

PART = 5 * 1024 * 1024  # the least that S3 takes as a part
PIECE = 256 * 1024
SETTLED_AFTER = timedelta(hours=1)  # far longer than any upload may take
REQUEST_SECONDS, CONNECT_SECONDS, RETRIES_SECONDS, CHECK_SECONDS = 20, 3, 10, 3.0
HEALTHY_SECONDS = 5.0


class S3FileStore(FileStore):
    """The bucket and prefix of an address such as `s3://bucket/prefix`."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._store = S3Store(
            address.netloc,
            prefix=address.path.strip("/") or None,
            copy_if_not_exists="multipart",
            client_options={
                "timeout": timedelta(seconds=REQUEST_SECONDS),
                "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
                "allow_http": True,  # where the endpoint that the operator gives is one
            },
            retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=RETRIES_SECONDS)},
        )
        self._healthy_until = 0.0

    @asynccontextmanager
    async def incoming(self) -> AsyncIterator[Incoming]:
        content = _S3Incoming(self._store)
        try:
            yield content
        finally:
            await asyncio.shield(content.close())

    async def size(self, name: str) -> int:
        with _domain_errors():
            return int((await obstore.head_async(self._store, checked(name)))["size"])

    async def mark(self, name: str) -> str:
        with _domain_errors():
            found = await obstore.head_async(self._store, checked(name))
        return f"{found['e_tag']}-{found['size']}-{found['last_modified'].isoformat()}"

    async def read(self, name: str, *, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        if end == start:
            return
        wanted: Any = {"offset": start} if end is None else (start, end)
        with _domain_errors():
            found = await obstore.get_async(self._store, checked(name), options={"range": wanted} if start or end is not None else {})
            left = found.range[1] - found.range[0] if end is None else end - start
            async for piece in found.stream(min_chunk_size=PIECE):
                left -= len(piece)
                yield bytes(piece)
            if left:
                raise Unavailable("The stored content is shorter than it was.")

    async def remove(self, name: str) -> None:
        with _domain_errors(), suppress(FileNotFoundError):
            await obstore.delete_async(self._store, checked(name))

    async def stored(self, kind: str) -> AsyncIterator[StoredContent]:
        with _domain_errors():
            async for found in obstore.list(self._store, checked_kind(kind), chunk_size=1000):
                for each in found:
                    if is_name(each["path"]):
                        yield StoredContent(name=each["path"], size=each["size"], at=each["last_modified"])

    async def is_settled(self, name: str) -> bool:
        with _domain_errors():
            try:
                found = await obstore.head_async(self._store, checked(name))
            except FileNotFoundError:
                return True
            return _is_old(found)

    async def clear(self) -> int:
        removed = 0
        with _domain_errors():
            async for found in obstore.list(self._store, INCOMING, chunk_size=1000):
                for each in filter(_is_old, found):
                    await obstore.delete_async(self._store, each["path"])
                    removed += 1
        return removed

    async def check(self) -> None:
        """A good answer holds for some seconds, so that being asked often costs little."""
        if time.monotonic() < self._healthy_until:
            return
        with _domain_errors():
            async with asyncio.timeout(CHECK_SECONDS):
                async for _ in obstore.list(self._store, INCOMING, chunk_size=1):
                    break
        self._healthy_until = time.monotonic() + HEALTHY_SECONDS


class _S3Incoming(Incoming):
    """Parts that are held until they are too much for one request, and from then on sent as they come."""

    def __init__(self, store: S3Store) -> None:
        self._store = store
        self._parts: list[bytes] = []
        self._held = 0
        self._passing = passing_name()
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(1)
        self._sending: asyncio.Task[Any] | None = None

    async def write(self, part: bytes) -> None:
        self._parts.append(part)
        self._held += len(part)
        if self._held > PART:
            await self._hand_over(b"".join(self._parts))
            self._parts, self._held = [], 0

    async def keep(self, name: str) -> None:
        checked(name)
        whole = b"".join(self._parts)
        with _domain_errors():
            if self._sending is None:
                await obstore.put_async(self._store, name, whole, mode="create")
                return
        await self._hand_over(whole)
        await self._hand_over(None)
        with _domain_errors():
            await self._sending
            await obstore.copy_async(self._store, self._passing, name, overwrite=False)

    async def close(self) -> None:
        """Leave nothing in `incoming`: what is not whole is called off, and what is, removed."""
        if self._sending is None:
            return
        if not self._sending.done():
            self._sending.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await self._sending
        with suppress(BaseError, FileNotFoundError):
            await obstore.delete_async(self._store, self._passing)

    async def _hand_over(self, part: bytes | None) -> None:
        """Wait until the sender takes the part. Raises what it failed by, if it did."""
        if self._sending is None:
            self._sending = asyncio.create_task(self._send())
        handing = asyncio.create_task(self._queue.put(part))
        try:
            await asyncio.wait({handing, self._sending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            handing.cancel()
        if self._sending.done():
            with _domain_errors():
                self._sending.result()

    async def _send(self) -> None:
        """Send what is handed over. Cancelled, it calls the upload off, which only the end of its parts can do."""
        called_off = False

        async def parts() -> AsyncIterator[bytes]:
            while (part := await self._queue.get()) is not None:
                if called_off:
                    raise _CalledOffError
                yield part

        upload = asyncio.ensure_future(
            obstore.put_async(self._store, self._passing, parts(), use_multipart=True, chunk_size=PART, max_concurrency=2)
        )
        try:
            await asyncio.shield(upload)
        except asyncio.CancelledError:
            called_off = True
            if self._queue.empty():
                self._queue.put_nowait(b"")
            with suppress(Exception):
                await upload
            raise


class _CalledOffError(Exception):
    """The content will not be kept."""


def _is_old(found: Any) -> bool:
    modified: datetime = found["last_modified"]
    return datetime.now(UTC) - modified > SETTLED_AFTER


@contextmanager
def _domain_errors() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise NotFound from None
    except AlreadyExistsError:
        raise NameKept from None
    except (BaseError, OSError, TimeoutError) as error:
        if "507 Insufficient Storage" in str(error):
            raise Full from error
        raise Unavailable from error
