"""Reading a JSON body strictly: what two parsers could understand differently is refused."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from typing import Any

from starlette.types import Receive

from domain.errors import Fault, Invalid
from domain.strict_json import decoded
from domain.survey.question import FIELD_PATTERN
from domain.text import is_clean
from entrypoints.http.problems import Malformed, RequestTimeout, TooLarge, UnsupportedMediaType

BODY_MAX = 1024 * 1024
DEPTH_MAX = 32
DRAIN_MAX = 16 * 1024 * 1024
DRAIN_SECONDS = 5.0
RECEIVE_SECONDS = 30.0

FAULTS_MAX = 100

_NAME = re.compile(FIELD_PATTERN)
_MAY_HIDE_CONTROLS = re.compile(rb"\\[bfru]|\xc2[\x80-\x9f]")


def receive_seconds(at_most: int) -> float:
    """How long a body of at most so many bytes has to arrive: 30 s, and longer in proportion where it may be larger than 10 MiB."""
    return RECEIVE_SECONDS * max(1.0, at_most / (10 * 1024 * 1024))


class ClientLeft(Exception):
    """The client went away before its request was whole: there is nobody to answer."""


async def read_json(receive: Receive, headers: Mapping[str, str], *, by: float | None = None) -> tuple[bytes, Any]:
    """The body of a request, and the JSON value that it is. `by` is when it must be whole, by the clock of the event loop.

    Raises `UnsupportedMediaType`, `TooLarge`, `RequestTimeout`, `Malformed`, `Invalid`.
    """
    body = await read_body(receive, headers, at_most=BODY_MAX, by=by)
    media_type, _, parameters = headers.get("content-type", "").partition(";")
    if media_type.strip().lower() != "application/json" or parameters.strip().lower() not in ("", "charset=utf-8", 'charset="utf-8"'):
        raise UnsupportedMediaType
    return body, parse_json(body)


async def read_body(receive: Receive, headers: Mapping[str, str], *, at_most: int, by: float | None = None) -> bytes:
    """A whole body of at most so many bytes. A larger one is read on for a while, so that the client hears the refusal."""
    declared = headers.get("content-length", "")
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout_at(asyncio.get_running_loop().time() + RECEIVE_SECONDS if by is None else by):
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientLeft
                part: bytes = message.get("body", b"")
                size += len(part)
                if size > at_most or (declared.isdigit() and int(declared[:20]) > at_most):
                    break
                parts.append(part)
                more = message.get("more_body", False)
            else:
                return b"".join(parts) if len(parts) > 1 else parts[0]
    except TimeoutError:
        raise RequestTimeout(headers={"connection": "close"}) from None
    await drain(receive, size, more=message.get("more_body", False))
    raise TooLarge(f"At most {at_most} bytes.", headers={"connection": "close"})


async def drain(receive: Receive, size: int, *, more: bool) -> bool:
    """Read a body of which `size` bytes have come on for a while, so that the client hears the answer; whether there is still more."""
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            while more and size <= DRAIN_MAX:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientLeft
                size += len(message.get("body", b""))
                more = message.get("more_body", False)
    except TimeoutError:
        pass
    return more


def parse_json(body: bytes) -> Any:
    """The value of strict JSON in UTF-8: no duplicate keys, no NaN, no Infinity, at most 32 deep, no controls; CR LF and CR become LF."""
    try:
        value = decoded(body.decode())
    except (ValueError, RecursionError):
        raise Malformed("The body is not strict JSON in UTF-8.") from None
    if body.count(b"[") + body.count(b"{") > DEPTH_MAX and not _is_shallow(value):
        raise Malformed(f"The body nests deeper than {DEPTH_MAX}.")
    if _MAY_HIDE_CONTROLS.search(body):
        value = _with_line_feeds(value)
        faults = dict.fromkeys(_control_faults(value, pointer=""))
        if faults:
            raise Invalid(*list(faults)[:FAULTS_MAX])
    return value


def _is_shallow(value: Any) -> bool:
    containers = [value]
    for _ in range(DEPTH_MAX):
        containers = [inner for outer in containers for inner in _inner(outer) if isinstance(inner, dict | list)]
        if not containers:
            return True
    return False


def _inner(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


def _with_line_feeds(value: Any) -> Any:
    """The same with LF where texts have CR LF or CR. Raises `Malformed` where two keys of an object become one."""
    if isinstance(value, str):
        return value.replace("\r\n", "\n").replace("\r", "\n")
    if isinstance(value, list):
        return [_with_line_feeds(each) for each in value]
    if not isinstance(value, dict):
        return value
    read = {_with_line_feeds(key): _with_line_feeds(inner) for key, inner in value.items()}
    if len(read) != len(value):
        raise Malformed("The body has duplicate keys.")
    return read


def _control_faults(value: Any, *, pointer: str, is_told: bool = True) -> Iterator[Fault]:
    """A fault for each text with a control. Keys are told as far as they are names as ours are, nothing else of what was sent."""
    if isinstance(value, str) and not is_clean(value):
        yield Fault(pointer=pointer, code="control-character", detail="Control characters and lone surrogates are not allowed.")
    elif isinstance(value, dict):
        for key, inner in value.items():
            if not is_clean(key):
                yield from _control_faults(key, pointer=pointer)
            is_name = is_told and _NAME.fullmatch(key) is not None
            yield from _control_faults(inner, pointer=f"{pointer}/{key}" if is_name else pointer, is_told=is_name)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _control_faults(inner, pointer=f"{pointer}/{index}" if is_told else pointer, is_told=is_told)
