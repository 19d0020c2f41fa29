"""Whether a history of reads and writes of one register could have happened one operation at a time.

A history is linearizable when each operation can be given a moment between its beginning and its end such that every read sees the
write before it. With values that are written once only, that is decided by intervals: see Gibbons and Korach, "Testing Shared
Memories", SIAM Journal on Computing 26 (1997), section 4. For each value, take the earliest end and the latest beginning of its write
and reads. Where the end comes first, the register must have held the value in between (a forward zone); else it held it at some
moment of that span (a backward zone). The history is linearizable when no read ends before its write begins, no two forward zones
overlap, and no backward zone lies within a forward zone of another value.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from math import inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A write of a value, or a read that saw it; `ended` is infinite for a write whose outcome nobody heard."""

    is_write: bool
    value: Hashable
    began: float
    ended: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Zone:
    value: Hashable
    start: float
    end: float
    is_forward: bool


def violation(history: Iterable[Operation], *, initial: Hashable = None) -> str | None:
    """Why the history is not linearizable, or None when it is. The register holds `initial` before anything is written."""
    by_value: defaultdict[Hashable, list[Operation]] = defaultdict(list)
    by_value[initial].append(Operation(is_write=True, value=initial, began=-inf, ended=-inf))
    for operation in history:
        by_value[operation.value].append(operation)
    zones: list[_Zone] = []
    for value, operations in by_value.items():
        writes = [operation for operation in operations if operation.is_write]
        reads = [operation for operation in operations if not operation.is_write]
        if len(writes) != 1:
            return f"{value!r} was seen, and written {len(writes)} times"
        if writes[0].ended == inf and not reads:
            continue  # nobody heard of this write and nobody saw it: it may never have been
        if any(read.ended < writes[0].began for read in reads):
            return f"{value!r} was seen before it was written"
        first_end = min(operation.ended for operation in operations)
        last_beginning = max(operation.began for operation in operations)
        zones.append(
            _Zone(
                value=value,
                start=min(first_end, last_beginning),
                end=max(first_end, last_beginning),
                is_forward=first_end < last_beginning,
            )
        )
    return _conflict(zones)


def _conflict(zones: list[_Zone]) -> str | None:
    forward = sorted((zone for zone in zones if zone.is_forward), key=lambda zone: zone.start)
    for earlier, later in pairwise(forward):
        if later.start < earlier.end:
            return f"{earlier.value!r} and {later.value!r} were both held at once"
    for zone in zones:
        holder = None if zone.is_forward else next((f for f in forward if f.start < zone.start and zone.end < f.end), None)
        if holder is not None:
            return f"{zone.value!r} was written while {holder.value!r} was held, and is lost"
    return None
