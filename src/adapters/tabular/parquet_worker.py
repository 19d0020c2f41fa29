"""The process that reads one Parquet table, from its standard input to its standard output, in little memory.

It writes messages: four bytes of length, big-endian, and so much JSON. Nothing that it was made to say by a table is ever run.
"""

import json
import resource
import sys
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path
from typing import Any, BinaryIO

from domain.resource_import import InvalidRows, Unreadable

OUT_OF_MEMORY = 3  # the exit status
CPU_SECONDS = 600


def main() -> None:
    """The entry of `python -m adapters.tabular.parquet_worker BYTES MEMORY`: at most so many are unfolded, in at most so much."""
    # The kernel ends this one first where the machine itself has no memory left. Others may not be allowed to say so, and need not.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    try:
        _read(sys.stdin.buffer, sys.stdout.buffer, at_most=int(sys.argv[1]), memory=int(sys.argv[2]))
    except MemoryError:
        sys.exit(OUT_OF_MEMORY)
    except BrokenPipeError:
        sys.exit(1)  # nobody wants to know any more


def _read(file: BinaryIO, out: BinaryIO, *, at_most: int, memory: int) -> None:
    import pyarrow as pa  # noqa: PLC0415 - the limit is counted from when this is there

    from adapters.tabular.read_parquet import parquet_pieces  # noqa: PLC0415 - as above

    pa.set_memory_pool(pa.system_memory_pool())  # the others set addresses aside that they never use
    _limit(memory)
    try:
        for piece in parquet_pieces(file, at_most=at_most):
            _send(out, {"columns": piece.columns})
    except Unreadable as error:
        _send(out, {"unreadable": error.detail})
    except InvalidRows as error:
        _send(out, {"faults": [astuple(fault) for fault in error.row_faults]})
    else:
        _send(out, {"end": True})


def _limit(memory: int) -> None:
    if sys.platform == "linux":  # others do not keep to it
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core would hold what the table holds


def _send(out: BinaryIO, message: dict[str, Any]) -> None:
    data = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
    out.write(len(data).to_bytes(4, "big") + data)
    out.flush()


if __name__ == "__main__":
    main()
