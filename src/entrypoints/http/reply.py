"""Making answers: JSON, entity tags, and conditional requests (RFC 9110, section 13)."""

import re
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, PlainSerializer, TypeAdapter, WithJsonSchema
from starlette.datastructures import Headers
from starlette.responses import Response

from domain.text import rfc3339
from entrypoints.http.problems import Malformed

_ETAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_ETAGS = re.compile(rf"[ \t,]*{_ETAG.pattern}(?:[ \t]*,[ \t,]*{_ETAG.pattern})*[ \t,]*")  # empty elements count for none (section 5.6.1)
_VERSIONED = re.compile(r"([1-9][0-9]{0,9})(?:-.*)?")


Time = Annotated[datetime, PlainSerializer(rfc3339, return_type=str), WithJsonSchema({"type": "string", "format": "date-time"})]


def without_default(schema: dict[str, Any]) -> None:
    """For a field that may be left out but not null: what its default is means nothing to a client."""
    schema.pop("default", None)


class Body(BaseModel):
    """What a request says: strict types, no other keys."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class Out(BaseModel):
    """What an answer says."""

    model_config = ConfigDict(frozen=True)


class Json(Response):
    """An answer in JSON: a model, or bytes that are JSON already."""

    media_type = "application/json"

    def __init__(self, content: BaseModel | bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """Written out here: Starlette would look at each header for those that it adds."""
        self.status_code = status
        self.background = None
        self.body = content if isinstance(content, bytes) else content.__pydantic_serializer__.to_json(content)
        self.raw_headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(self.body))]
        if headers:
            self.raw_headers += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


def json_list(kind: TypeAdapter[Any], items: list[Any], headers: Mapping[str, str] | None = None, *, status: int = 200) -> Json:
    """A JSON array of models."""
    return Json(kind.dump_json(items), status, headers)


def digest(content: bytes) -> str:
    """A tag for content that has no version of its own."""
    return sha256(content).hexdigest()[:32]


def knows(headers: Headers, tag: str) -> bool:
    """Whether the client has what bears this tag, by `If-None-Match`."""
    known = ", ".join(headers.getlist("if-none-match"))
    return bool(known) and (known.strip() == "*" or any(value == tag for _, value in _ETAG.findall(known)))


UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "The client has it already"}}  # in OpenAPI, of what answers `entity`


def entity(headers: Headers, content: BaseModel | bytes, *, tag: str, cache: str = "no-cache") -> Response:
    """A single entity under its strong tag; 304 without a body when the client has it already. `cache` says who may keep it."""
    caching = {"etag": f'"{tag}"', "cache-control": cache}
    if knows(headers, tag):
        return Response(status_code=304, headers=caching)
    return Json(content, headers=caching)


class _AnyVersion(frozenset[int]):
    """What `If-Match: *` asks for: that there is a version at all."""

    def __contains__(self, version: object) -> bool:
        return isinstance(version, int) and version >= 1


def expected_versions(headers: Headers) -> frozenset[int] | None:
    """The versions that `If-Match` allows; None when any will do. Tags that are none of ours allow nothing.

    A weak tag counts like the strong one: a proxy that compresses answers makes ours weak. Raises `Malformed` for what is no entity tag.
    """
    given = ", ".join(headers.getlist("if-match"))
    if not given:
        return None
    if given.strip() == "*":
        return _AnyVersion()
    if not _ETAGS.fullmatch(given):
        raise Malformed("If-Match holds entity tags in double quotes, or *.")
    return frozenset(int(match[1]) for _, value in _ETAG.findall(given) if (match := _VERSIONED.fullmatch(value)))
