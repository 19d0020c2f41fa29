"""A client light enough to ask far more than a service can answer: HTTP/1.1 over connections that are kept, written by hand."""

import asyncio
from collections import deque
from dataclasses import dataclass
from time import perf_counter


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One answer, and how long it took; status 0 where the connection broke instead."""

    status: int
    head: bytes = b""
    body: bytes = b""
    seconds: float = 0.0

    @property
    def has_retry_after(self) -> bool:
        return b"\r\nretry-after: " in self.head.lower()


class _Connection(asyncio.Protocol):
    """A connection that carries one request at a time."""

    def __init__(self) -> None:
        self._data = self._head = self._lower = b""
        self._parts: list[bytes] = []
        self._size = 0
        self._answer: asyncio.Future[Told] | None = None
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None
        self.is_open = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self.is_open = True

    def connection_lost(self, _: Exception | None) -> None:
        self.is_open = False
        self._tell(Told(status=0))

    def ask(self, request: bytes, sent_at: float) -> "asyncio.Future[Told]":
        assert self._transport is not None
        self._data = self._head = b""
        self._sent_at = sent_at
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        if self._head:
            self._parts.append(data)
            self._size += len(data)
        else:
            self._data += data
            head, mark, body = self._data.partition(b"\r\n\r\n")
            if not mark:
                return
            self._head, self._lower, self._parts, self._size = head, head.lower(), [body], len(body)
        if b"\r\ntransfer-encoding: chunked" in self._lower:
            self._parts = [b"".join(self._parts)]
            if not self._parts[0].endswith(b"0\r\n\r\n"):
                return
        elif self._size < _length(self._lower):
            return
        head, self._head = self._head, b""
        if b"\r\nconnection: close" in self._lower:
            self.close()
        self._tell(Told(status=int(head[9:12]), head=head, body=b"".join(self._parts), seconds=perf_counter() - self._sent_at))

    def close(self) -> None:
        self.is_open = False
        if self._transport is not None:
            self._transport.close()

    def _tell(self, told: Told) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_result(told)


def _length(head: bytes) -> int:
    _, mark, rest = head.partition(b"\r\ncontent-length: ")
    return int(rest.split(b"\r\n", 1)[0]) if mark else 0


class Web:
    """Asks a service; connections are kept and used again."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._idle: deque[_Connection] = deque()

    async def ask(self, request: bytes, *, within: float = 10.0) -> Told:
        """The answer; status 0 when the connection broke or could not be made, or nothing came in time."""
        sent_at = perf_counter()
        connection: _Connection | None = None
        try:
            async with asyncio.timeout(within):
                connection = await self._connection()
                told = await connection.ask(request, sent_at)
        except (OSError, TimeoutError):
            if connection is not None:
                connection.close()
            return Told(status=0, seconds=perf_counter() - sent_at)
        if connection.is_open:
            self._idle.append(connection)
        return told if told.status else Told(status=0, seconds=perf_counter() - sent_at)

    async def _connection(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        _, made = await asyncio.get_running_loop().create_connection(_Connection, "127.0.0.1", self.port)
        return made

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()


def get(path: str, *headers: str) -> bytes:
    """A request that reads."""
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


def send(method: str, path: str, body: bytes, *headers: str) -> bytes:
    """A request that brings JSON."""
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def form(path: str, content: bytes, filename: str, *headers: str) -> bytes:
    """A request that uploads a picture."""
    part = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\nContent-Type: image/png\r\n\r\n'
    body = part.encode() + content + b"\r\n--b--\r\n"
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Content-Type: multipart/form-data; boundary=b", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body
