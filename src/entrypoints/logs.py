"""Logging: structlog for what happens, and one line a request that costs little and never waits for a disk."""

import asyncio
import json
import logging
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from queue import SimpleQueue
from select import PIPE_BUF
from time import time
from typing import Any, TextIO

import structlog

FLUSH_SECONDS = 0.1

# When (seconds since the epoch), method, route template, status, milliseconds, user id, request id (of letters that need no quoting).
_Line = tuple[float, str, str | None, int, float, int | None, str]

# Without the values of variables: headers, and the tokens in them, are among them.
_traces = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))

logger = structlog.get_logger("complex_stories")


def configure(log_format: str) -> None:
    """Log as `console` (for people) or `json` (a line an event), to standard error: what libraries log and warn of as well."""
    renderer: Any = structlog.processors.JSONRenderer() if log_format == "json" else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _traces if log_format == "json" else structlog.processors.format_exc_info,
            renderer,
        ],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),  # a line at once: other workers write to the same place
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_Records()], level=logging.WARNING)
    logging.captureWarnings(capture=True)


class _Records(logging.Handler):
    """Writes what libraries log as lines of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - a text that does not fit its arguments is still something to tell
            message = str(record.msg)
        level = min(record.levelno // 10 * 10, logging.CRITICAL)  # the next below of those that have a name
        with suppress(OSError, ValueError):  # nobody reads the log any more: serving goes on
            logger.log(level, message.strip(), logger=record.name, exc_info=record.exc_info and record.exc_info[1])


class AccessLog:
    """One line a request: never a body, a query, a token, a fingerprint or an address.

    Lines are formatted and written by a thread of its own, a tenth of a second's at a time: a slow disk holds up no request, and
    the thread is not woken for each. Whoever kills the process loses that tenth of a second of lines.
    """

    def __init__(self, log_format: str, stream: TextIO = sys.stderr) -> None:
        self._format = _json_line if log_format == "json" else _console_line
        self._stream = stream
        self._batch: list[_Line] = []
        self._batches: SimpleQueue[list[_Line] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
        self._thread.start()

    def write(self, scope: Any, *, method: str, status: int, request_id: str, seconds: float) -> None:
        """Note a request that was answered; 499 is one whose client left first. Called on the event loop."""
        if not self._batch:
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._hand_over)
        route = scope.get("route")
        template = route.path_format if route else None
        self._batch.append((time(), method, template, status, seconds * 1000, scope.get("user_id"), request_id))

    def close(self) -> None:
        """Write what is left."""
        self._hand_over()
        self._batches.put(None)
        self._thread.join(timeout=5)

    def _hand_over(self) -> None:
        if self._batch:
            self._batches.put(self._batch)
            self._batch = []

    def _run(self) -> None:
        while (batch := self._batches.get()) is not None:
            try:
                for lines in _pieces(self._format(line) for line in batch):
                    self._stream.write(lines)
                    self._stream.flush()
            except (OSError, ValueError):
                pass  # nobody reads the log any more: serving goes on


def _pieces(lines: Iterable[str]) -> Iterator[str]:
    """Whole lines, as many together as reach a pipe undivided, in which the lines of another worker would end up else."""
    piece: list[str] = []
    size = 0
    for line in lines:
        length = len(line.encode())
        if size + length > PIPE_BUF and piece:
            yield "".join(piece)
            piece, size = [], 0
        piece.append(line)
        size += length
    if piece:
        yield "".join(piece)


def _json_line(line: _Line) -> str:
    """Written by hand: under overload there are thousands a second."""
    at, method, route, status, milliseconds, user, request_id = line
    second = int(at)
    who = "null" if user is None else user
    return (
        f'{{"event": "request", "level": "info", "timestamp": "{_second(second)}.{int((at - second) * 1e6):06}+00:00", '
        f'"method": {_text(method)}, "route": {_text(route)}, "status": {status}, "ms": {milliseconds:.1f}, "user": {who}, '
        f'"request_id": "{request_id}"}}\n'
    )


@lru_cache(4)
def _second(second: int) -> str:
    return f"{_moment(second):%Y-%m-%dT%H:%M:%S}"


@lru_cache(256)
def _text(text: str | None) -> str:
    return json.dumps(text)


def _console_line(line: _Line) -> str:
    at, method, route, status, milliseconds, user, request_id = line
    who = f" user={user}" if user else ""
    return f"{_moment(at):%H:%M:%S} {status} {method:6} {route or '-'} {milliseconds:.1f} ms{who} {request_id}\n"


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
