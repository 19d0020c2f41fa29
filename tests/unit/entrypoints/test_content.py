"""Contents over HTTP: what fails before the first byte is a problem, not a broken answer."""

import hashlib
from collections.abc import AsyncGenerator

import pytest
from starlette.requests import Request
from starlette.responses import Response

from domain.errors import Unavailable
from entrypoints.http.content import content

BYTES = b"content"


def request(**more: object) -> Request:
    return Request({"type": "http", "method": "GET", "headers": [], **more})


async def asked(of: Request, *, fails_after: int) -> Response:
    """The answer for a content whose store goes away after so many parts."""

    async def parts(start: int, end: int) -> AsyncGenerator[bytes, None]:
        for place in range(start, end):
            if place == fails_after:
                raise Unavailable
            yield BYTES[place : place + 1]

    async def opened(start: int, end: int) -> AsyncGenerator[bytes, None]:
        return parts(start, end)

    digest = hashlib.sha256(BYTES).hexdigest()
    return await content(of, size=len(BYTES), sha256=digest, media_type="image/png", disposition="attachment", opened=opened)


async def sent(answer: Response) -> bytes:
    return b"".join([part async for part in answer.parts])  # type: ignore[attr-defined]


async def test_a_store_that_is_away_at_the_first_byte_is_told() -> None:
    with pytest.raises(Unavailable):
        await asked(request(), fails_after=0)


async def test_one_that_goes_away_later_breaks_the_answer() -> None:
    answer = await asked(request(), fails_after=3)
    with pytest.raises(Unavailable):
        await sent(answer)


async def test_all_is_sent() -> None:
    assert await sent(await asked(request(), fails_after=99)) == BYTES


async def test_who_asks_for_the_head_alone_waits_for_no_byte() -> None:
    assert (await asked(request(is_head=True), fails_after=0)).status_code == 200
