"""Reading Parquet in a process of its own, which a table that unfolds to too much ends alone."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from subprocess import DEVNULL, PIPE, Popen
from typing import Any, BinaryIO

from adapters.tabular.parquet_worker import OUT_OF_MEMORY
from domain.resource_import import InvalidRows, Piece, RowFault, Unreadable

MEMORY_BYTES = 384 * 1024 * 1024  # beyond what Python and Arrow take before they have read anything
MESSAGE_MAX_BYTES = 64 * 1024 * 1024  # a piece as JSON, where every character is escaped
_PASSED_ON = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "LANG")  # never a secret
# By `abort` where C++ gets no memory, by the kernel where nobody has any or the time is up, and where a library trips over the table.
_ENDED_BY_THE_TABLE = frozenset(-number for number in (signal.SIGABRT, signal.SIGKILL, signal.SIGXCPU, signal.SIGSEGV, signal.SIGBUS))


def parquet_pieces_apart(file: BinaryIO, *, at_most: int, memory: int = MEMORY_BYTES) -> Iterator[Piece]:
    """As `parquet_pieces`, of a real file. Raises `InvalidRows` as well where reading it takes too much memory.

    The process ends when this does, or is left; should this one be killed, at its next message.
    """
    file.flush()
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    program = (sys.executable, "-m", "adapters.tabular.parquet_worker", str(at_most), str(memory))
    # In a group of its own: a Ctrl-C is for the service, which finishes what was begun.
    process = Popen(program, stdin=file, stdout=PIPE, stderr=DEVNULL, env=environment, process_group=0)  # noqa: S603 - this Python and a module of ours
    try:
        yield from _pieces(process, memory)
    finally:
        process.kill()
        if process.stdout:
            process.stdout.close()
        process.wait()


def _pieces(process: "Popen[bytes]", memory: int) -> Iterator[Piece]:
    row = 1
    while message := _message(process):
        match message:
            case {"columns": columns}:
                size = len(next(iter(columns.values())))
                yield Piece(numbers=range(row, row + size), columns=columns)
                row += size
            case {"unreadable": detail}:
                raise Unreadable(detail)
            case {"faults": faults}:
                raise InvalidRows(
                    [RowFault(row=at, field=field, code=code, detail=told) for at, field, code, told in faults], rows_failed=0
                )
            case {"end": True}:
                return
    status = process.wait()
    if status == OUT_OF_MEMORY or status in _ENDED_BY_THE_TABLE:
        detail = f"Reading the table takes more than {memory} bytes of memory, or too long."
        raise InvalidRows([RowFault(row=0, field="", code="too-large", detail=detail)], rows_failed=0)
    raise RuntimeError(f"The process that reads Parquet ended with status {status}.")


def _message(process: "Popen[bytes]") -> dict[str, Any] | None:
    """The next one; None where the process ended without another."""
    if process.stdout is None:
        raise RuntimeError("There is no pipe.")
    head = process.stdout.read(4)
    size = int.from_bytes(head, "big")
    if size > MESSAGE_MAX_BYTES:
        raise RuntimeError("The process that reads Parquet says more than it may.")
    data = process.stdout.read(size)
    if len(head) < 4 or len(data) < size:
        return None
    message: dict[str, Any] = json.loads(data)
    return message
