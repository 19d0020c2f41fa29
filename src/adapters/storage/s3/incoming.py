"""A content on its way into a bucket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import obstore
from obstore.exceptions import BaseError

from adapters.storage.names import checked, passing_name
from adapters.storage.s3.bucket import Bucket
from application.ports import Incoming

PART = 5 * 1024 * 1024  # the least that S3 takes as a part
SMALL = 1024 * 1024  # what is put in a moment


class S3Incoming(Incoming):
    """Parts that are held until they are too much for one request, and from then on sent as they come."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
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
        if self._sending is None:
            put = obstore.put_async(self._bucket.objects, name, whole, mode="create")
            await (self._bucket.soon(put) if len(whole) <= SMALL else self._bucket.at_length(put))
            return
        await self._hand_over(whole)
        await self._hand_over(None)
        await self._bucket.at_length(asyncio.shield(self._sending))
        await self._bucket.at_length(obstore.copy_async(self._bucket.objects, self._passing, name, overwrite=False))

    async def close(self) -> None:
        """Leave nothing in `incoming`: what is not whole is called off, and what is, removed."""
        if self._sending is None:
            return
        if not self._sending.done():
            self._sending.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await self._sending
        with suppress(BaseError, FileNotFoundError):
            await obstore.delete_async(self._bucket.objects, self._passing)

    async def _hand_over(self, part: bytes | None) -> None:
        """Wait until the sender takes the part. Raises what it failed by, if it did."""
        if self._sending is None:
            self._sending = asyncio.create_task(self._send())
        handing = asyncio.create_task(self._queue.put(part))
        try:
            await self._bucket.at_length(asyncio.wait({handing, self._sending}, return_when=asyncio.FIRST_COMPLETED))
        finally:
            handing.cancel()
        if self._sending.done():
            with self._bucket.domain_errors():
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
            obstore.put_async(self._bucket.objects, self._passing, parts(), use_multipart=True, chunk_size=PART, max_concurrency=2)
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
