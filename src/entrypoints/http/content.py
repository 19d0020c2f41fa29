"""Stored contents over HTTP: whole or a range of them, under a tag that is their hash, never compressed and never shown in place."""

import base64
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from entrypoints.http.byte_range import ByteRange, wanted_range
from entrypoints.http.problems import problem_responses
from entrypoints.http.reply import UNCHANGED, knows
from entrypoints.http.stream import Streamed, begun

CONTENT_SECURITY_POLICY = "sandbox; default-src 'none'; frame-ancestors 'none'"


def content_responses(kinds: Iterable[str]) -> dict[int | str, dict[str, Any]]:
    """What `content` answers, for OpenAPI: bytes of one of these media types."""
    sent = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in kinds}
    told: dict[int | str, dict[str, Any]] = {
        200: {"description": "The whole", "content": sent},
        206: {"description": "The range that was asked for", "content": sent},
    }
    return {**told, **UNCHANGED, **problem_responses(416)}


async def content(
    request: Request,
    *,
    size: int,
    sha256: str,
    media_type: str,
    disposition: str,
    opened: Callable[[int, int], Awaitable[AsyncGenerator[bytes, None]]],
) -> Response:
    """A content of so many bytes with this hash in hexadecimal; `opened` gives its bytes from one place to before another.

    Raises `RangeNotSatisfiable`, and what `opened` raises, for HEAD too, which knows no ranges.
    """
    headers = {
        "etag": f'"{sha256}"',
        "accept-ranges": "bytes",
        "repr-digest": f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:",
        "content-disposition": disposition,
        "content-security-policy": CONTENT_SECURITY_POLICY,
        "cache-control": "no-cache, no-transform",
    }
    if knows(request.headers, sha256):
        return Response(status_code=304, headers=headers)
    if "is_head" in request.scope:
        wanted = ByteRange(start=0, end=size, size=size, is_part=False)
    else:
        wanted = wanted_range(request.headers, size=size, tag=sha256)
    headers |= {"content-type": media_type, "content-length": str(wanted.end - wanted.start)}
    if wanted.is_part:
        headers["content-range"] = wanted.header
    parts = await opened(wanted.start, wanted.end)
    if "is_head" not in request.scope:
        parts = await begun(parts)
    return Streamed(parts, headers=headers, status=206 if wanted.is_part else 200)
