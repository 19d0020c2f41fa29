"""Serving the application with uvicorn, with what uvicorn leaves open closed: slow and oversized headers, plain-text refusals."""

import asyncio
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from entrypoints.http.edge import TARGET_MAX, request_id_of
from entrypoints.http.gate import Gate, last_answer
from entrypoints.http.problems import EdgeRefusal, HeadersTooLarge, Malformed, RequestTimeout, UriTooLong

HEADERS_MAX = 32 * 1024
REQUEST_SECONDS = 30.0  # from the first byte of a request to the last
UNREAD_SECONDS = 5.0  # for what still comes of a request that was answered already
STALLED_SECONDS = 30.0  # for a client to take something of its answer
KEEP_ALIVE_SECONDS = 75
GRACE_SECONDS = 20
WORKER_SECONDS = 30  # for a worker to be there: uvicorn's 5 s, on a busy machine, end workers again and again while they start
BACKLOG = 2048


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1, bounded in what a client may send before its headers are whole, and in how long it may take for anything.

    At any time either the application works on a request, or a timer runs that ends the connection.

    A client that takes nothing of an answer for a while is cut off: what is made while it is sent holds a connection to the database.

    What there is no room for is refused at the end of its headers, without the application: see gate.py.

    What cannot be read is refused only after the requests before it on the same connection were answered, and never after an answer of
    its own: a request has one.
    """

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._refusal: EdgeRefusal | None = None
        self._rest_timer: asyncio.TimerHandle | None = None
        self._gate: Gate | None = getattr(self.app, "gate", None)
        self._is_arriving = self._is_head_due = self._is_turned_away = self._is_passed_on = False
        self._answering: Any = None  # what the application was given last
        self._received_by = self._idle_until = 0.0
        self.timeout_keep_alive_task = self.loop.call_later(REQUEST_SECONDS, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_arrived()
        self._rest_arrived()
        self._goes_on()
        self._unset_keepalive_if_required()
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
        idle_timer, self.timeout_keep_alive_task = self.timeout_keep_alive_task, None
        super().data_received(data)
        if self._is_turned_away and not self._is_arriving:  # all of it: the timer runs on, see `timeout_keep_alive_handler`
            self.timeout_keep_alive_task = idle_timer or self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)
            return
        if idle_timer is not None:
            idle_timer.cancel()
        if self._is_head_due and self._head_timer is None:
            self._await_head(came=1)
        elif self._is_turned_away and self._is_arriving and self._rest_timer is None:
            self._rest_timer = self.loop.call_later(UNREAD_SECONDS, self.transport.close)
        if self._head_timer is not None and self._head_bytes > HEADERS_MAX:
            self._refuse(UriTooLong() if len(self.url) > TARGET_MAX else HeadersTooLarge())
        elif not self._is_arriving and self._is_idle and self.timeout_keep_alive_task is None and self._head_timer is None:
            self._await_head()  # what came was the end of a request, or nothing: the next one is waited for no longer than before

    def on_message_begin(self) -> None:
        if self._refusal is not None:
            return
        self._is_arriving = self._is_head_due = True
        self._is_turned_away = self._is_passed_on = self.expect_100_continue = False
        self.url, self.headers = b"", []
        self._received_by = self.loop.time() + REQUEST_SECONDS
        self._head_arrived()  # a timer for this one is set only where it has not come whole

    def on_headers_complete(self) -> None:
        if self._refusal is not None:
            return
        self._is_head_due = False
        self._head_arrived()
        size, hosts, media_types, encodings = 0, 0, 0, []
        for name, value in self.headers:
            size += len(name) + len(value)
            if name == b"host":
                hosts += 1
            elif name == b"content-type":
                media_types += 1
            elif name == b"transfer-encoding":
                encodings.append(value.lower())
        if size > HEADERS_MAX:
            self._refuse(HeadersTooLarge())
        elif hosts > 1 or (not hosts and self.parser.get_http_version() == "1.1"):  # RFC 9112, section 3.2
            self._refuse(Malformed("A request names one Host."))
        elif media_types > 1:
            self._refuse(Malformed("Content-Type is given more than once."))
        elif encodings not in ([], [b"chunked"]):
            self._refuse(Malformed("The only transfer encoding is chunked."))  # others leave in doubt where the body ends
        else:
            self._let_in()

    def _let_in(self) -> None:
        """Give the request to the application, unless there is no room for it."""
        gate = self._gate
        if gate is None or not self._is_idle or self.flow.write_paused:  # after another one, or after answers that nobody takes
            self._pass_on()
            return
        retry_after = gate.admission.full()
        if retry_after is None or not self._turn_away(gate, retry_after):
            self._pass_on()
            self.scope["is_announced"] = True  # type: ignore[typeddict-unknown-key]
            gate.admission.announce()

    def _turn_away(self, gate: Gate, retry_after: float) -> bool:
        """Refuse the request, unless it is one that always goes in."""
        state, parser = self.server_state, self.parser
        is_last = not parser.should_keep_alive() or parser.get_http_version() == "1.0" or getattr(state, "is_stopping", False)
        method = parser.get_method().decode("ascii")
        answer = gate.refusal(method, self.url, self.headers, state.default_headers, retry_after=retry_after, is_last=is_last)
        if answer is None:
            return False
        self._is_turned_away = True
        state.total_requests += 1
        self.transport.write(answer)
        if is_last:
            self.transport.close()
        return True

    def _pass_on(self) -> None:
        """Make of what came what the application is given: only now, since what is refused needs none of it."""
        came = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()  # where uvicorn makes it, before anything came
        self.url, self.headers, self.expect_100_continue = came
        self.scope["headers"] = self.headers
        self.scope["received_by"] = self._received_by  # type: ignore[typeddict-unknown-key]
        super().on_headers_complete()
        self._is_passed_on = True

    def on_body(self, body: bytes) -> None:
        if self._refusal is None and not self._is_turned_away:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._refusal is not None:
            return
        self._is_arriving = False
        self._rest_arrived()
        if self._is_turned_away:
            self._idle_until = self.loop.time() + self.timeout_keep_alive
        else:
            super().on_message_complete()

    def timeout_keep_alive_handler(self) -> None:
        """A connection was idle for too long, or would have been but for refusals: these do not each set a timer."""
        left = self._idle_until - self.loop.time()
        if left > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._is_arriving and self._head_timer is None and self.cycle.response_complete:
            self._rest_timer = self.loop.call_later(UNREAD_SECONDS, self.transport.close)
        if self._refusal is not None and (self.cycle is None or self.cycle.response_complete):
            self._write(self._refusal)

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if getattr(self.server_state, "is_stopping", False):
            cycle.keep_alive = False
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    @property
    def _is_idle(self) -> bool:
        return self._refusal is None and (self.cycle is None or self.cycle.response_complete)

    def send_400_response(self, msg: str) -> None:
        self._refuse(UriTooLong() if len(self.url) > TARGET_MAX else Malformed())  # the parser takes 64 KiB for malformed

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

    def _await_head(self, *, came: int = 0) -> None:
        self._head_arrived()
        self._head_bytes = came
        self._head_timer = self.loop.call_later(REQUEST_SECONDS, self._head_is_late)

    def _head_arrived(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _rest_arrived(self) -> None:
        if self._rest_timer is not None:
            self._rest_timer.cancel()
            self._rest_timer = None

    def _head_is_late(self) -> None:
        if self._head_bytes:
            self._refuse(RequestTimeout())
        else:
            self.transport.close()  # nothing to answer

    def _refuse(self, refusal: EdgeRefusal) -> None:
        self._head_arrived()
        if self._refusal is not None:
            return
        self._refusal = refusal
        if self._is_arriving and self._is_turned_away:  # answered already
            self.transport.close()
        elif self._is_arriving and self._is_passed_on:
            self._take_back(refusal)
        elif self.cycle is None or self.cycle.response_complete:
            self._write(refusal)

    def _take_back(self, refusal: EdgeRefusal) -> None:
        """Refuse a request that was passed on, of which the rest cannot be read."""
        cycle = self.cycle
        if cycle is not self._answering:  # it waits for those before it: forget it, and refuse it after them
            self.pipeline.popleft()
            self.cycle = self.pipeline[0][0] if self.pipeline else self._answering
        elif cycle.response_complete:
            self.transport.close()
        elif cycle.response_started:
            cycle.keep_alive = False
        else:
            scope: Any = cycle.scope
            scope["refused_with"] = refusal.status  # for the line of the request, which the edge writes
            self._close_with(refusal, request_id=scope.setdefault("request_id", request_id_of(self.headers)))
            cycle.disconnected = True
            cycle.message_event.set()

    def _write(self, refusal: EdgeRefusal) -> None:
        """Answer without the application, and close."""
        if self.transport.is_closing():
            return
        request_id = request_id_of(self.headers if self._is_head_whole else ())
        self._close_with(refusal, request_id=request_id)
        if self._gate is not None:
            method = self.parser.get_method().decode("ascii") if self._is_head_whole else "-"
            seconds = self.loop.time() - self._received_by + REQUEST_SECONDS if self._is_arriving else 0.0
            self._gate.note_last(method=method, status=refusal.status, request_id=request_id, seconds=seconds)

    def _close_with(self, refusal: EdgeRefusal, *, request_id: bytes) -> None:
        is_head = self._is_head_whole and self.parser.get_method() == b"HEAD"
        self.transport.write(last_answer(refusal, request_id=request_id, is_head=is_head))
        self.transport.close()

    @property
    def _is_head_whole(self) -> bool:
        return self._is_arriving and not self._is_head_due


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
        log_config=None,  # its records are written with all others, see logs.py
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_worker_healthcheck=WORKER_SECONDS,
        backlog=BACKLOG,
    )
