"""Every non-2xx answer: RFC 9457 problem details, from the only table of kind to status."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Any, ClassVar

from domain.errors import (
    Conflict,
    DomainError,
    Forbidden,
    Full,
    Invalid,
    NotFound,
    Refused,
    Stale,
    TooMany,
    Unauthenticated,
    Unavailable,
    Unsupported,
)
from domain.idempotency import StillRunning

STATUS: dict[type[DomainError], int] = {
    Refused: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    Stale: 412,
    Unsupported: 415,
    Invalid: 422,
    TooMany: 429,
    Unavailable: 503,
    Full: 507,
}
MEDIA_TYPE = "application/problem+json"


class EdgeRefusal(Exception):
    """What the edge refuses before any use case is asked."""

    status: ClassVar[int]
    code: ClassVar[str]
    detail: str
    headers: dict[str, str]

    def __init__(self, detail: str | None = None, *, headers: dict[str, str] | None = None) -> None:
        if detail is not None:
            self.detail = detail
        self.headers = headers or {}
        super().__init__(self.detail)


class Malformed(EdgeRefusal):
    """The request cannot be read unambiguously: correct its syntax (strict JSON, UTF-8, no control characters in the path)."""

    status, code, detail = 400, "malformed", "The request cannot be read."


class MethodNotAllowed(EdgeRefusal):
    """This address does not know that method: `Allow` lists those it knows."""

    status, code, detail = 405, "method-not-allowed", "This address does not know that method: see Allow."


class RequestTimeout(EdgeRefusal):
    """The request did not arrive in time: send it faster, or in smaller parts."""

    status, code, detail = 408, "request-timeout", "The request did not arrive in time."


class TooLarge(EdgeRefusal):
    """The body is larger than this address takes."""

    status, code, detail = 413, "too-large", "The body is too large."


class UriTooLong(EdgeRefusal):
    """The address is longer than the service takes."""

    status, code, detail = 414, "uri-too-long", "The address is too long."


class UnsupportedMediaType(EdgeRefusal):
    """This address takes another media type, named in `detail`."""

    status, code, detail = 415, "unsupported-media-type", "Send application/json."


class RangeNotSatisfiable(EdgeRefusal):
    """The range begins beyond the end of the content, whose length `Content-Range` tells."""

    status, code, detail = 416, "range-not-satisfiable", "The range begins beyond the end of the content."


class HeadersTooLarge(EdgeRefusal):
    """The headers are larger than the service takes."""

    status, code, detail = 431, "headers-too-large", "The headers are too large."


class InternalError(EdgeRefusal):
    """The service made a mistake. It is logged under the `request_id`: tell the operators that id."""

    status, code, detail = 500, "internal-error", "The service made a mistake; it has been logged."


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A problem ready to be sent."""

    status: int
    headers: dict[str, str]
    body: bytes


def render(error: Exception, *, request_id: str) -> Problem:
    """The answer to an error. What is not an error of ours is a 500 that says nothing about itself."""
    if not isinstance(error, DomainError | EdgeRefusal):
        error = InternalError()
    status = status_of(type(error))
    content: dict[str, Any] = {
        "type": f"/problems/{error.code}",
        "title": title(error.code),
        "status": status,
        "detail": error.detail,
        "code": error.code,
        "request_id": request_id,
    }
    if isinstance(error, DomainError):
        content |= error.members
    headers = {"content-type": MEDIA_TYPE, "cache-control": "no-store"} | _headers(error)
    return Problem(status=status, headers=headers, body=json.dumps(content, ensure_ascii=False).encode())


def _headers(error: DomainError | EdgeRefusal) -> dict[str, str]:
    match error:
        case EdgeRefusal():
            return error.headers
        case Unauthenticated():
            return {"www-authenticate": "Bearer"}
        case Stale():
            return {"etag": f'"{error.tag}"'} if error.current else {}
        case TooMany() | Unavailable() | StillRunning():
            return {"retry-after": str(max(1, ceil(error.retry_after)))}
        case Full():
            return {"retry-after": "60"}
        case _:
            return {}


def status_of(kind: type[DomainError | EdgeRefusal]) -> int:
    """The HTTP status of a kind of error."""
    if issubclass(kind, EdgeRefusal):
        return kind.status
    return next(status for base, status in STATUS.items() if issubclass(kind, base))


def title(code: str) -> str:
    """A code as words: `name-taken` → `Name taken`."""
    return code.replace("-", " ").capitalize()


def catalogue() -> dict[str, type[DomainError | EdgeRefusal]]:
    """Every error that an answer can carry, by its code."""
    return {kind.code: kind for kind in (*_concrete(DomainError), *_concrete(EdgeRefusal))}


def _concrete(root: type[DomainError | EdgeRefusal]) -> Iterator[type[DomainError | EdgeRefusal]]:
    for kind in root.__subclasses__():
        if "code" in vars(kind):
            yield kind
        yield from _concrete(kind)


SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "RFC 9457 problem details.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": {"type": "string", "description": "Where the code is explained."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "One sentence for people."},
        "code": {"type": "string", "description": "Stable, for programs."},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "description": "Each fault of a 422.",
            "items": {
                "type": "object",
                "required": ["code", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "Where it is: a JSON pointer."},
                    "row": {"type": "integer", "description": "Of a table instead: the row, from 1."},
                    "field": {"type": "string", "description": "Of a table: the field."},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
        "rows_failed": {"type": "integer", "description": "How many rows of a table have a fault."},
    },
}
_PHRASES = {
    400: "Malformed, or refused for what it says",
    401: "No valid credentials",
    403: "Not allowed",
    404: "Nothing here",
    408: "Did not arrive in time",
    409: "Conflicts with the present state",
    412: "Changed since it was read",
    413: "Too large",
    415: "Another media type",
    416: "Not within the content",
    422: "Breaks a rule",
    429: "Too many requests",
    507: "Storage full",
    503: "Not able to answer right now",
}


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems that a route may answer, for its OpenAPI text."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {status: {"description": _PHRASES[status], "content": {MEDIA_TYPE: schema}} for status in statuses}
