"""Reading `multipart/form-data` (RFC 7578) with one file in it, as it comes: nothing but the head of the part is ever held as a whole.

Strict where two parsers could differ: what stands before the first boundary, folded headers and a repeated parameter are refused.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType
from urllib.parse import unquote

from starlette.requests import Request

from domain.errors import Fault, Invalid
from entrypoints.http.json_body import ClientLeft, drain, receive_seconds
from entrypoints.http.problems import Malformed, RequestTimeout, TooLarge, UnsupportedMediaType

HEAD_MAX = 16 * 1024
AROUND_MAX = 64 * 1024  # what a body may hold besides the content

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - the word of RFC 9110
_PARAMETER = re.compile(rf'[ \t]*;[ \t]*({_TOKEN})=(?:({_TOKEN})|"((?:[^"\\]|\\.)*)")', re.DOTALL)
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_HEADER = re.compile(rf"({_TOKEN}):[ \t]*(.*?)[ \t]*", re.DOTALL)
_FORM_ESCAPED = re.compile(r"%(?:[01][0-9A-Fa-f]|22|7[Ff])")
_ESCAPED = re.compile(r'\\(["\\])')


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePart:
    """The part `file` of a form: the name and the media type that the client gave, and the content, to be read to its end."""

    filename: str
    content_type: str
    content: AsyncIterator[bytes]


class FormReader(AbstractAsyncContextManager["FormReader"]):
    """The body of one request. Leaving by an error reads what is left of it, so that a client that is still sending hears the answer."""

    def __init__(self, request: Request, *, at_most: int) -> None:
        """`at_most` is for the content, and decides how long the body has to arrive."""
        self._receive = request.receive
        self._headers = request.headers
        self._at_most = at_most
        self._seconds = receive_seconds(at_most)
        self._deadline = 0.0
        self._held = b""
        self._received = 0
        self._more = True

    async def file(self) -> FilePart:
        """The one file. Raises `UnsupportedMediaType`, `TooLarge`, `RequestTimeout`, `Malformed`, and `Invalid` for other parts."""
        delimiter = self._delimiter()
        declared = self._headers.get("content-length", "")
        if declared.isdigit() and int(declared[:20]) > self._at_most + AROUND_MAX:
            raise self._too_large()
        self._deadline = asyncio.get_running_loop().time() + self._seconds
        await self._until(len(delimiter) + 2)
        if self._held.startswith(delimiter[2:] + b"--"):
            raise _missing()
        if not self._held.startswith(delimiter[2:] + b"\r\n"):
            raise Malformed("The form does not begin with its boundary.")
        self._held = self._held[len(delimiter) - 2 :]
        headers = await self._part_headers()
        filename, content_type = _described(headers)
        return FilePart(filename=filename, content_type=content_type, content=self._content(delimiter))

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if isinstance(error, Exception) and not isinstance(error, ClientLeft | RequestTimeout):
            await drain(self._receive, self._received, more=self._more)

    def _delimiter(self) -> bytes:
        media_type, parameters = _parsed(self._headers.get("content-type", ""))
        if media_type != "multipart/form-data":
            raise UnsupportedMediaType("Send multipart/form-data with one part named file.")
        boundary = (parameters or {}).get("boundary", "")
        if not _BOUNDARY.fullmatch(boundary):
            raise Malformed("The Content-Type has no boundary that can be one.")
        return b"\r\n--" + boundary.encode()

    async def _part_headers(self) -> dict[str, str]:
        while b"\r\n\r\n" not in self._held:
            if len(self._held) > HEAD_MAX:
                raise Malformed("The headers of the part are too large.")
            await self._next()
        head, _, self._held = self._held.partition(b"\r\n\r\n")
        if len(head) > HEAD_MAX:
            raise Malformed("The headers of the part are too large.")
        headers: dict[str, str] = {}
        try:
            lines = head.decode().split("\r\n")[1:]
        except UnicodeDecodeError:
            raise Malformed("The headers of the part are not UTF-8.") from None
        for line in lines:
            match = _HEADER.fullmatch(line)
            if match is None or match[1].lower() in headers:
                raise Malformed("The headers of the part cannot be read.")
            headers[match[1].lower()] = match[2]
        return headers

    async def _content(self, delimiter: bytes) -> AsyncIterator[bytes]:
        closing = re.compile(re.escape(delimiter) + rb"(--|[ \t]{0,64}\r\n)")
        room, margin = self._at_most, len(delimiter) + 66
        while (match := closing.search(self._held)) is None:
            ready, self._held = self._held[:-margin], self._held[-margin:]
            room -= len(ready)
            if room < 0:
                raise self._too_large()
            if ready:
                yield ready
            await self._next()
        ready = self._held[: match.start()]
        if len(ready) > room:
            raise self._too_large()
        if ready:
            yield ready
        if match[1] != b"--":
            raise Invalid(Fault(pointer="", code="extra-part", detail="The form has one part, named file."))
        await self._end(self._held[match.end() :])

    async def _end(self, rest: bytes) -> None:
        """See that nothing but a line break comes after the last boundary: other parsers would pass over it."""
        while self._more and len(rest) <= 2:
            self._held = b""
            await self._next()
            rest += self._held
        if rest not in (b"", b"\r\n"):
            raise Malformed("There is something after the end of the form.")

    async def _until(self, size: int) -> None:
        while len(self._held) < size:
            await self._next()

    async def _next(self) -> None:
        """Take in what comes next. Raises `Malformed` where nothing does."""
        if not self._more:
            raise Malformed("The form is cut off.")
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise RequestTimeout(headers={"connection": "close"}) from None
        if message["type"] == "http.disconnect":
            raise ClientLeft
        body: bytes = message.get("body", b"")
        self._held += body
        self._received += len(body)
        self._more = message.get("more_body", False)
        if self._received > self._at_most + AROUND_MAX:
            raise self._too_large()

    def _too_large(self) -> TooLarge:
        return TooLarge(f"A file has at most {self._at_most} bytes.", headers={"connection": "close"})


def _described(headers: Mapping[str, str]) -> tuple[str, str]:
    """The name and the media type of the part. Raises `Malformed`, and `Invalid` when it is not the file."""
    kind, parameters = _parsed(headers.get("content-disposition", ""))
    if kind != "form-data" or parameters is None:
        raise Malformed("The part does not say what it is.")
    if parameters.get("name") != "file":
        raise _missing()
    if headers.get("content-transfer-encoding", "binary").lower() not in ("binary", "8bit", "7bit"):
        raise UnsupportedMediaType("Send the file as it is, not encoded.")
    return _filename(parameters), _parsed(headers.get("content-type", ""))[0]


def _filename(parameters: Mapping[str, str]) -> str:
    """The name of the file. Where an encoder of forms wrote `%0A` for a control or `%22` for a quotation mark, these are meant."""
    if "filename" in parameters:
        return _FORM_ESCAPED.sub(lambda escaped: unquote(escaped[0]), parameters["filename"])
    charset, _, encoded = parameters.get("filename*", "").partition("''")
    if charset.lower() != "utf-8":
        raise Invalid(Fault(pointer="/file/filename", code="missing", detail="The file has a name."))
    try:
        return unquote(encoded, errors="strict")
    except UnicodeDecodeError:
        raise Malformed("The name of the file is not UTF-8.") from None


def _missing() -> Invalid:
    return Invalid(Fault(pointer="/file", code="missing", detail="The form has one part, named file."))


def _parsed(header: str) -> tuple[str, dict[str, str] | None]:
    """The value of a header, in lower case, and its parameters by name; None where these cannot be read for sure."""
    value, mark, _ = header.partition(";")
    parameters: dict[str, str] = {}
    position = len(value)
    while mark and position < len(header.rstrip(" \t;")):
        match = _PARAMETER.match(header, position)
        if match is None or match[1].lower() in parameters:
            return value.strip().lower(), None
        parameters[match[1].lower()] = match[2] if match[2] is not None else _ESCAPED.sub(r"\1", match[3])
        position = match.end()
    return value.strip().lower(), parameters
