"""Stored contents over HTTP: whole or a range of them (RFC 9110, section 14), under a tag that is their hash, never compressed."""

import base64
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import Response

from entrypoints.http.problems import RangeNotSatisfiable
from entrypoints.http.stream import Streamed

_RANGE = re.compile(r"bytes=([0-9]{0,19})-([0-9]{0,19})", re.IGNORECASE)
_TAGS = re.compile(r'(?:W/)?"([\x21\x23-\x7e\x80-\xff]*)"')


def content(headers: Headers, *, size: int, sha256: str, media_type: str, disposition: str, read: Callable[[int, int], Any]) -> Response:
    """A content of so many bytes with this hash in hexadecimal; `read` gives its bytes from one place to before another.

    Raises `RangeNotSatisfiable`. A request for several ranges, or one that cannot be understood, is answered whole.
    """
    told = {
        "etag": f'"{sha256}"',
        "accept-ranges": "bytes",
        "repr-digest": f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:",
        "cache-control": "no-cache",
    }
    if _has(headers, sha256):
        return Response(status_code=304, headers=told)
    told |= {
        "content-type": media_type,
        "content-disposition": disposition,
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    }
    place = _place(headers, size=size, sha256=sha256)
    start, end = place or (0, size)
    told["content-length"] = str(end - start)
    if place is not None:
        told["content-range"] = f"bytes {start}-{end - 1}/{size}"
    return Streamed(_pieces(read, start, end), headers=told, status=200 if place is None else 206)


async def _pieces(read: Callable[[int, int], Any], start: int, end: int) -> AsyncGenerator[bytes, None]:
    if start == end:
        return
    async with aclosing(read(start, end)) as pieces:
        async for piece in pieces:
            yield piece


def _has(headers: Headers, sha256: str) -> bool:
    known = ", ".join(headers.getlist("if-none-match"))
    return known.strip() == "*" or sha256 in _TAGS.findall(known)


def _place(headers: Headers, *, size: int, sha256: str) -> tuple[int, int] | None:
    """From where to before where a single range asks; None when the whole is to be sent."""
    asked = headers.getlist("range")
    match = _RANGE.fullmatch(asked[0].strip()) if len(asked) == 1 else None
    condition = headers.get("if-range")
    if match is None or (condition is not None and condition.strip() != f'"{sha256}"'):
        return None
    first, last = match.groups()
    if first and last and int(last) < int(first):
        return None
    if not first and not last:
        return None
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    if start >= size:
        raise RangeNotSatisfiable(headers={"content-range": f"bytes */{size}"})
    return start, end
