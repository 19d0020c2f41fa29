"""Reading a query string strictly, and the parts that queries share."""

import base64
import json
import re
from collections.abc import Callable, Hashable
from datetime import UTC, datetime
from functools import lru_cache, wraps
from typing import Annotated, Any, TypeVar
from urllib.parse import quote, unquote_plus, unquote_to_bytes
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import to_json
from starlette.requests import Request

from domain.errors import Fault, Invalid
from domain.text import is_clean
from entrypoints.http.problems import Malformed

INT32_MAX = 2**31 - 1
INT64_MAX = 2**63 - 1
LIMIT_DEFAULT, LIMIT_MAX = 100, 1000
REMEMBERED, REMEMBERED_MAX = 1024, 256  # how many query strings, and of how many bytes at most

A = TypeVar("A", bound=Hashable)
T = TypeVar("T")

_NIL = UUID(int=0)
_PLACES = ("cursor", "skip")  # the parameters that say where a page begins
_RFC3339 = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})")
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_NAME = re.compile(r"[a-z_]+")  # as those of parameters are
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,18})")


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        if not _WHOLE.fullmatch(value):
            raise ValueError("Input should be a whole number")
        return int(value)
    return value


def is_moment(text: Any) -> bool:
    """Whether this is a time as in RFC 3339."""
    try:
        return isinstance(text, str) and _RFC3339.fullmatch(text) is not None and datetime.fromisoformat(text).astimezone(UTC).year > 0
    except (ValueError, OverflowError):  # of which the second is for what is in no year of ours in UTC
        return False


def _flag(value: Any) -> Any:
    if isinstance(value, str):
        if value not in ("true", "false"):
            raise ValueError("Input should be true or false")
        return value == "true"
    return value


def _moment(value: Any) -> Any:
    if isinstance(value, str):
        if not is_moment(value):
            raise ValueError("Input should be a time as in RFC 3339, such as 2026-11-24T07:14:29Z")
        return datetime.fromisoformat(value)
    return value


Flag = Annotated[bool, BeforeValidator(_flag, json_schema_input_type=bool)]
Moment = Annotated[datetime, BeforeValidator(_moment, json_schema_input_type=datetime)]
WHOLE = BeforeValidator(_whole)  # of an `int`, after its bounds: those that come later are none in its JSON Schema
Limit = Annotated[int, Field(ge=1, le=LIMIT_MAX, description="How many entries at most."), WHOLE]
Cursor = Annotated[str | None, Field(max_length=4096, description="Where to go on: as in the `Link` of the page before.")]


class Query(BaseModel):
    """The parameters of a route; any other is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class PageQuery(Query):
    """A page of a list."""

    limit: Limit = LIMIT_DEFAULT
    cursor: Cursor = None


def for_short_queries(read: Callable[[A, bytes], T]) -> Callable[[A, bytes], T]:
    """A function of something and a query string that remembers what it made of short ones: readers ask for the same few lists.

    It must answer the same each time, something that nobody changes. What it raises is not remembered.
    """
    remembered = lru_cache(REMEMBERED)(read)

    @wraps(read)
    def either(of: A, query_string: bytes) -> T:
        return remembered(of, query_string) if len(query_string) <= REMEMBERED_MAX else read(of, query_string)

    return either


def pairs(query_string: bytes) -> dict[str, str]:
    """The parameters of a query string. Raises `Malformed` for a stray `%` and bad UTF-8, `Invalid` for a repetition or a control."""
    given: dict[str, str] = {}
    for part in filter(None, query_string.split(b"&")):
        name, _, value = part.partition(b"=")
        key = _text(name)
        if key in given:
            raise Invalid(Fault(pointer="", code="repeated-parameter", detail="A parameter is given more than once."))
        given[key] = _text(value, pointer=f"/{key}" if _NAME.fullmatch(key) else "")
    return given


def _text(raw: bytes, *, pointer: str = "") -> str:
    if b"%" in raw and _BAD_ESCAPE.search(raw):
        raise Malformed("In a query, % stands before two hexadecimal digits.")
    try:
        text = (unquote_to_bytes(raw.replace(b"+", b" ")) if b"%" in raw or b"+" in raw else raw).decode()
    except UnicodeDecodeError:
        raise Malformed("The query is not UTF-8.") from None
    if not is_clean(text):
        raise Invalid(Fault(pointer=pointer, code="control-character", detail="Control characters are not allowed."))
    return text


def encode_cursor(*place: str | int | None) -> str:
    """A place in a list as an opaque text."""
    return base64.urlsafe_b64encode(to_json(place)).decode().rstrip("=")


def decode_cursor(cursor: str) -> list[Any]:
    """The place that `encode_cursor` was given. Raises `Invalid` for anything else."""
    try:
        place = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode())
    except (ValueError, RecursionError):
        place = None
    if not isinstance(place, list) or not all(isinstance(part, str | int | None) and not isinstance(part, bool) for part in place):
        raise bad_cursor()
    return place


def id_after(cursor: str | None) -> int:
    """The id that a cursor over ids names; 0 without one. Raises `Invalid`."""
    place = decode_cursor(cursor) if cursor is not None else [0]
    if len(place) != 1 or type(place[0]) is not int or not 0 <= place[0] <= INT64_MAX:
        raise bad_cursor()
    return place[0]


def uuid_after(cursor: str | None) -> UUID:
    """The UUID that a cursor over such ids names, the least of all without one. Raises `Invalid`."""
    place = decode_cursor(cursor) if cursor is not None else [str(_NIL)]
    try:
        (text,) = place
        return UUID(text)
    except (ValueError, AttributeError, TypeError):
        raise bad_cursor() from None


def bad_cursor() -> Invalid:
    """The error for a cursor that does not belong to this list."""
    return Invalid(
        Fault(pointer="/cursor", code="bad-cursor", detail="A cursor comes from the Link of the page before, with the same sort.")
    )


def page_of(request: Request, found: list[T], *, limit: int, place: Callable[[T], str | int]) -> tuple[list[T], dict[str, str]]:
    """The first `limit` of what was found, and, when one more was, the header that leads on from the place of the last."""
    page = found[:limit]
    return page, next_page(request, place(page[-1])) if len(found) > limit else {}


def next_page(request: Request, *place: str | int | None) -> dict[str, str]:
    """The `Link` to the page after this place: the same parameters, from the cursor on."""
    return {"link": f'<{_same_list(request.scope["path"], request.scope["query_string"])}cursor={encode_cursor(*place)}>; rel="next"'}


@for_short_queries
def _same_list(path: str, query_string: bytes) -> str:
    """The address of a list up to where the place in it is named."""
    parts = query_string.decode("latin-1").split("&")
    kept = "".join([f"{part}&" for part in parts if part and unquote_plus(part.partition("=")[0]) not in _PLACES])
    return f"{quote(path)}?{quote(kept, safe='%&=+')}"
