"""Judging rows: by the rules of a single resource, but many at once.

A million rows leave a few microseconds each, so a rule is asked of all texts of a piece together first; only where that says no is
every row asked by itself, and told what is wrong.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import merge
from itertools import islice
from typing import Any

from domain.errors import Fault
from domain.resource import (
    ATTRIBUTES_MAX_BYTES,
    ATTRIBUTES_MAX_DEPTH,
    DESCRIPTION_MAX,
    NAME_MAX,
    Status,
    attribute_faults,
    description_faults,
    name_faults,
)
from domain.resource_import.table import ABSENT, FAULTS_MAX, InvalidRows, Piece, RowFault
from domain.strict_json import decoded
from domain.text import folded, is_clean

DESCRIPTION, STATUS, ATTRIBUTES = 1, 2, 4  # what a row gives besides its name, as bits

_GIVEN = {"description": DESCRIPTION, "status": STATUS, "attributes": ATTRIBUTES}
_STATUSES = {status.value for status in Status}
# What makes JSON other than it looks: escapes, and numbers that may be more than a double holds.
_UNPLAIN = re.compile(r"\\|[0-9][eE]|[0-9]{300}")


@dataclass(slots=True, kw_only=True)
class Judged:
    """Rows that break no rule, column by column; every field is there for each, with its default where the row gives none.

    `given` tells by bits which fields the row gives. A folded description is there only where folding is more than lower case in ASCII.
    `attributes` are JSON as text, or not yet text. `broken` are the other rows, each with its folded name where it has one: such a name
    is still not to come twice.
    """

    numbers: list[int] = field(default_factory=list)
    given: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    folded_names: list[str] = field(default_factory=list)
    descriptions: list[str | None] = field(default_factory=list)
    descriptions_folded: list[str | None] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)
    attributes: list[str | dict[str, Any]] = field(default_factory=list)
    broken: list[tuple[int, str | None]] = field(default_factory=list)
    faults: list[RowFault] = field(default_factory=list)


@dataclass(slots=True)
class Judging:
    """Judges a table piece by piece, and remembers what was wrong: the first 1 000 faults, and how many rows have one."""

    rows: int = 0
    rows_failed: int = 0
    faults: list[RowFault] = field(default_factory=list)

    def judged(self, pieces: Iterable[Piece]) -> Iterator[Judged]:
        """The pieces, judged in turn."""
        for piece in pieces:
            found = judge(piece)
            self.rows += len(found.numbers) + len(found.broken)
            self.rows_failed += len(found.broken)
            self.faults += found.faults[: FAULTS_MAX - len(self.faults)]
            yield found

    def refuse(self, more: Iterable[RowFault] = (), *, more_failed: int = 0) -> None:
        """Raise `InvalidRows` if anything is wrong. `more` are faults found otherwise, by row, of so many rows that had none yet."""
        found = list(islice(merge(self.faults, more, key=lambda fault: fault.row), FAULTS_MAX))
        if found:
            raise InvalidRows(found, rows_failed=self.rows_failed + more_failed)


def judge(piece: Piece) -> Judged:
    """The rows of a piece, each found good or broken."""
    return _all_good(piece) or _one_by_one(piece)


def _all_good(piece: Piece) -> Judged | None:
    """The piece when all its rows are plainly good; None where that is not plain."""
    names, columns, size = piece.columns["name"], piece.columns, len(piece.numbers)
    descriptions = columns.get("description", [None] * size)
    statuses = columns.get("status", [None] * size)
    attributes = columns.get("attributes", [None] * size)
    if piece.faults or not size or not (_are_names(names) and _are_descriptions(descriptions) and _are_plain_objects(attributes)):
        return None
    if any(status is not None and (type(status) is not str or status not in _STATUSES) for status in statuses):
        return None
    return Judged(
        numbers=list(piece.numbers),
        given=[sum(bit for name, bit in _GIVEN.items() if name in columns)] * size,
        names=names,
        folded_names=_folded(names),
        descriptions=descriptions,
        descriptions_folded=list(map(_folded_beyond_ascii, descriptions)),
        statuses=[status or Status.ACTIVE.value for status in statuses],
        attributes=["{}" if text is None else text for text in attributes],
    )


def _are_names(names: list[Any]) -> bool:
    return set(map(type, names)) == {str} and all(map(str.strip, names)) and max(map(len, names)) <= NAME_MAX and is_clean("\n".join(names))


def _are_descriptions(descriptions: list[Any]) -> bool:
    texts = [text for text in descriptions if text is not None]
    return set(map(type, texts)) <= {str} and max(map(len, texts), default=0) <= DESCRIPTION_MAX and is_clean("\n".join(texts))


def _are_plain_objects(values: list[Any]) -> bool:
    """Whether all are the texts of JSON objects that are small and hold nothing that would have to be looked at."""
    texts = [text for text in values if text is not None]
    if not set(map(type, texts)) <= {str}:
        return False
    joined = "\n".join(texts)
    if _UNPLAIN.search(joined) or not is_clean(joined) or max(map(len, texts), default=0) * 4 > ATTRIBUTES_MAX_BYTES:
        return False
    if any(text.count("{") + text.count("[") > ATTRIBUTES_MAX_DEPTH for text in texts):
        return False
    try:
        return all(type(decoded(text)) is dict for text in texts)
    except ValueError:
        return False


def _folded(names: list[str]) -> list[str]:
    joined = "\x00".join(names)  # which no name holds
    return joined.lower().split("\x00") if joined.isascii() else list(map(folded, names))


def _folded_beyond_ascii(text: str | None) -> str | None:
    return None if text is None or text.isascii() else folded(text)


def _one_by_one(piece: Piece) -> Judged:
    """Every row judged by itself, in the order of their numbers."""
    found = Judged()
    fields = list(piece.columns)
    for number, *values in zip(piece.numbers, *piece.columns.values(), strict=True):
        row = {name: value for name, value in zip(fields, values, strict=True) if value is not ABSENT}
        _judge_row(number, row, found, spells_attributes=piece.spells_attributes)
    for fault in piece.faults:
        found.broken.append((fault.row, None))
        found.faults.append(fault)
    found.faults.sort(key=lambda fault: fault.row)
    return found


def _judge_row(number: int, row: dict[str, Any], found: Judged, *, spells_attributes: bool) -> None:
    name, description = row.get("name"), row.get("description")
    attributes, attributes_faults = _attributes(row.get("attributes"), is_spelled=spells_attributes)
    faults = [*_name_faults(name), *_description_faults(description), *_status_faults(row.get("status")), *attributes_faults]
    if faults:
        found.faults += [RowFault(row=number, field=each.pointer[1:], code=each.code, detail=each.detail) for each in faults]
        usable = isinstance(name, str) and is_clean(name) and len(name) <= NAME_MAX and bool(name.strip())
        found.broken.append((number, folded(str(name)) if usable else None))
        return
    found.numbers.append(number)
    found.given.append(sum(bit for name, bit in _GIVEN.items() if name in row))
    found.names.append(str(name))
    found.folded_names.append(folded(str(name)))
    found.descriptions.append(description)
    found.descriptions_folded.append(_folded_beyond_ascii(description))
    found.statuses.append(row.get("status") or Status.ACTIVE.value)
    found.attributes.append(attributes)


def _name_faults(name: Any) -> Iterator[Fault]:
    if name is None:
        yield Fault(pointer="/name", code="missing", detail="Every row has a name.")
    elif not isinstance(name, str):
        yield Fault(pointer="/name", code="bad-type", detail="A name is a text.")
    else:
        yield from name_faults(name)


def _description_faults(description: Any) -> Iterator[Fault]:
    if isinstance(description, str):
        yield from description_faults(description)
    elif description is not None:
        yield Fault(pointer="/description", code="bad-type", detail="A description is a text or null.")


def _status_faults(status: Any) -> Iterator[Fault]:
    if status is not None and (not isinstance(status, str) or status not in _STATUSES):
        yield Fault(pointer="/status", code="bad-status", detail=f"One of {', '.join(Status)}.")


def _attributes(value: Any, *, is_spelled: bool) -> tuple[dict[str, Any], list[Fault]]:
    """The attributes that a value is or spells, and what is wrong with them."""
    if value is None:
        return {}, []
    try:
        if is_spelled and isinstance(value, str):
            value = decoded(value)
        if isinstance(value, dict):
            return value, list(attribute_faults(value))
    except ValueError:
        return {}, [Fault(pointer="/attributes", code="bad-json", detail="Attributes are strict JSON: an object.")]
    except RecursionError:
        return {}, [Fault(pointer="/attributes", code="too-deep", detail=f"Nested at most {ATTRIBUTES_MAX_DEPTH} deep.")]
    return {}, [Fault(pointer="/attributes", code="bad-type", detail="Attributes are an object.")]
