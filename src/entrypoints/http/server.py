"""Serving the application with uvicorn, with what uvicorn leaves open closed: slow and oversized headers, plain-text refusals."""

import asyncio
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from entrypoints.http.edge import ALWAYS, CONTENT_SECURITY_POLICY, new_request_id
from entrypoints.http.problems import EdgeRefusal, HeadersTooLarge, Malformed, RequestTimeout, render

HEADERS_MAX = 32 * 1024
HEADERS_SECONDS = 30.0
STALLED_SECONDS = 60.0
KEEP_ALIVE_SECONDS = 75
GRACE_SECONDS = 20
BACKLOG = 2048

_REASONS = {400: b"Bad Request", 408: b"Request Timeout", 431: b"Request Header Fields Too Large"}


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1, bounded in what a client may send before its headers are whole, and in how long it may take.

    A client that takes nothing of an answer for a while is cut off: what is made while it is sent holds a connection to the database.

    What cannot be read is refused only after the requests before it on the same connection were answered.
    """

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._refusal: EdgeRefusal | None = None
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_arrived()
        self._goes_on()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        self._goes_on()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None:
            return
        if self._head_timer is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_timer is not None and self._head_bytes > HEADERS_MAX:
            self._refuse(HeadersTooLarge())

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        self._head_arrived()
        if sum(len(name) + len(value) for name, value in self.headers) > HEADERS_MAX:
            self._refuse(HeadersTooLarge())
            return
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._refusal is not None and (self.cycle is None or self.cycle.response_complete):
            self._write(self._refusal)

    def send_400_response(self, msg: str) -> None:
        self._refuse(Malformed())

    def _watch(self) -> None:
        """Look after a while whether the client took anything."""
        self._goes_on()
        self._stall_timer = self.loop.call_later(STALLED_SECONDS, self._look, self.transport.get_write_buffer_size())

    def _look(self, left_before: int) -> None:
        if self.transport.get_write_buffer_size() < left_before:
            self._watch()
        else:
            self.transport.abort()

    def _goes_on(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _await_head(self) -> None:
        self._head_arrived()
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(HEADERS_SECONDS, self._head_is_late)

    def _head_arrived(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        if self._head_bytes:
            self._refuse(RequestTimeout())
        else:
            self.transport.close()  # connected and never asked: nothing to answer

    def _refuse(self, refusal: EdgeRefusal) -> None:
        self._head_arrived()
        if self._refusal is not None:
            return
        self._refusal = refusal
        if self.cycle is None or self.cycle.response_complete:
            self._write(refusal)

    def _write(self, refusal: EdgeRefusal) -> None:
        """Answer without the application, which has not heard of this request, and close."""
        if self.transport.is_closing():
            return
        request_id = new_request_id()
        problem = render(refusal, request_id=request_id)
        headers = [(name.encode(), value.encode()) for name, value in problem.headers.items()]
        headers += [*ALWAYS, (b"content-security-policy", CONTENT_SECURITY_POLICY), (b"x-request-id", request_id.encode())]
        headers += [(b"content-length", b"%d" % len(problem.body)), (b"connection", b"close")]
        lines = [b"HTTP/1.1 %d %s" % (problem.status, _REASONS[problem.status]), *(b": ".join(header) for header in headers)]
        self.transport.write(b"\r\n".join(lines) + b"\r\n\r\n" + problem.body)
        self.transport.close()


def config_of(app: Any, *, workers: int = 1, factory: bool = False) -> uvicorn.Config:
    """How the application is served. `app` is the application, or the import path of its factory for several workers."""
    return uvicorn.Config(
        app,
        workers=workers,
        factory=factory,
        http=Protocol,
        ws="none",
        loop="uvloop",
        lifespan="on",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        backlog=BACKLOG,
    )
