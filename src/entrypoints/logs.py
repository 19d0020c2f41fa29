"""Logging: structlog for what happens, and one line a request that costs little and never waits for a disk."""

import json
import logging
import sys
import threading
from datetime import UTC, datetime
from queue import SimpleQueue
from typing import Any, TextIO

import structlog

logger = structlog.get_logger("complex_stories")


def configure(log_format: str) -> None:
    """Log as `console` (for people) or `json` (a line an event), to standard error."""
    renderer: Any = structlog.processors.JSONRenderer() if log_format == "json" else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.dict_tracebacks if log_format == "json" else structlog.processors.format_exc_info,
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")


class AccessLog:
    """One line a request: never a body, a query, a token, a fingerprint or an address.

    The line is formatted and written by a thread of its own, so that a slow disk holds up no request.
    """

    def __init__(self, log_format: str, stream: TextIO = sys.stderr) -> None:
        self._format = _json_line if log_format == "json" else _console_line
        self._stream = stream
        self._lines: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
        self._thread.start()

    def write(self, scope: Any, *, method: str, status: int, request_id: str, seconds: float) -> None:
        """Note a request that was answered; 499 is one whose client left first."""
        route = scope.get("route")
        self._lines.put(
            {
                "at": datetime.now(UTC),
                "method": method,
                "route": route.path_format if route else None,
                "status": status,
                "ms": round(seconds * 1000, 1),
                "user": scope.get("user_id"),
                "request_id": request_id,
            }
        )

    def close(self) -> None:
        """Write what is left."""
        self._lines.put(None)
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            batch = [self._format(line)]
            while not self._lines.empty():
                following = self._lines.get()
                if following is None:
                    self._write(batch)
                    return
                batch.append(self._format(following))
            self._write(batch)

    def _write(self, batch: list[str]) -> None:
        try:
            self._stream.write("".join(batch))
            self._stream.flush()
        except (OSError, ValueError):
            pass  # nobody reads the log any more: serving goes on


def _json_line(line: dict[str, Any]) -> str:
    return json.dumps({"event": "request", "level": "info"} | line | {"at": line["at"].isoformat()}) + "\n"


def _console_line(line: dict[str, Any]) -> str:
    who = f" user={line['user']}" if line["user"] else ""
    return f"{line['at']:%H:%M:%S} {line['status']} {line['method']:6} {line['route'] or '-'} {line['ms']} ms{who} {line['request_id']}\n"
