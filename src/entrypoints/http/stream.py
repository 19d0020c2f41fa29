"""Answers that are made while they are sent: never far ahead of the client, and given up when it leaves."""

import asyncio
import re
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from domain.export import Format, TooManyTables
from entrypoints.http.download import Download
from entrypoints.http.giving_way import GivingWay
from entrypoints.http.json_body import ClientLeft

TABLE_FILE: dict[int | str, dict[str, Any]] = {  # what `table_file` answers, for OpenAPI
    200: {"description": "The file.", "content": {kind.media_type: {} for kind in Format}}
}

_GZIP_LEVEL = 3  # tables shrink to about a tenth; more would cost more time than it saves
_GZIP = 31  # zlib's window bits for the gzip format
_CODING = re.compile(r"\s*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)\s*(?:;\s*[qQ]\s*=\s*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*)?")


class Streamed(Response):
    """A body in parts. A failure midway breaks the connection; so does the end of a client, and then `parts` are closed at once.

    When `cut_off` is set, the client is left as it would leave: what it has of the body never looks whole.
    """

    def __init__(
        self, parts: AsyncGenerator[bytes, None], *, headers: Mapping[str, str], status: int = 200, cut_off: asyncio.Event | None = None
    ) -> None:
        self.cut_off = cut_off
        self.parts = parts
        self.status_code = status
        self.background = None
        self.raw_headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.create_task(self._send(send, with_body=not scope.get("is_head")))
        ends: list[asyncio.Task[Any]] = [asyncio.create_task(_left(receive))]
        if self.cut_off is not None:
            ends.append(asyncio.create_task(self.cut_off.wait()))
        try:
            await asyncio.wait({sending, *ends}, return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                raise ClientLeft
            sending.result()
        finally:
            for task in (sending, *ends):
                task.cancel()
            await asyncio.gather(sending, *ends, return_exceptions=True)
            await self.parts.aclose()

    async def _send(self, send: Send, *, with_body: bool) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        if with_body:
            async for part in self.parts:
                if part:
                    await send({"type": "http.response.body", "body": part, "more_body": True})
                    await asyncio.sleep(0)  # sending need not wait, least of all to a client that is gone: let that be noticed
        await send({"type": "http.response.body", "body": b""})


async def _left(receive: Receive) -> None:
    """Wait until the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def table_file(
    request: Request, content: Callable[[], AsyncIterator[bytes]], *, kind: Format, filename: str, download: Download | None = None
) -> Streamed:
    """A table as it is made, giving way to others, in gzip where the client takes that and it is worth it.

    What is wrong from the start is a problem. `download` is how nobody in particular takes it: who comes when all places are taken
    gets that of one who has had its share.
    """
    opened = content if download is None else lambda: download.parts(content())
    try:
        parts = await begun(opened())
    except TooManyTables:
        if not await request.app.downloads.make_room():
            raise
        parts = await begun(opened())
    headers = {
        "content-type": kind.media_type,
        "content-disposition": f'attachment; filename="{filename}"',
        "cache-control": "no-store",
    }
    parts = _giving_way(parts, GivingWay(request.app.gate.admission))
    if kind is not Format.PARQUET:
        headers["vary"] = "Accept-Encoding"
        if takes_gzip(request.headers):
            headers["content-encoding"] = "gzip"
            parts = _zipped(parts)
    if download is None:
        return Streamed(parts, headers=headers)
    return Streamed(download.sent(parts), headers=headers, cut_off=download.cut_off)


async def begun(content: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The same parts, of which the first is there already, if there is one: what fails before it can still be answered as a problem."""
    return _resumed(await anext(content, b""), content)


async def _resumed(first: bytes, rest: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    async with aclosing(rest):  # type: ignore[type-var]
        yield first
        async for part in rest:
            yield part


async def _giving_way(parts: AsyncGenerator[bytes, None], give_way: GivingWay) -> AsyncGenerator[bytes, None]:
    async with aclosing(parts):
        async for part in parts:
            yield part
            await give_way()


async def _zipped(parts: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP)
    async with aclosing(parts):
        async for part in parts:
            yield await asyncio.to_thread(packer.compress, part)
    yield packer.flush()


def takes_gzip(headers: Headers) -> bool:
    """Whether the client prefers gzip to plain bytes (RFC 9110, section 12.5.3)."""
    weights: dict[str, float] = {}
    for coding in ", ".join(headers.getlist("accept-encoding")).split(","):
        match = _CODING.fullmatch(coding)
        if match:
            weights[match[1].lower().removeprefix("x-")] = float(match[2] or 1)
    weight = weights.get("gzip", weights.get("*", 0.0))
    return weight > 0 and weight >= weights.get("identity", 0.0)
