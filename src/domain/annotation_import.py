"""Labels that come as a table: judged whole, row by row, before any of them is stored."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from domain.access import NotAllowed
from domain.annotation import Annotation, Given, Judgement, annotate, judged
from domain.errors import Invalid
from domain.label_set import LabelSet
from domain.resource_import import FAULTS_MAX, InvalidRows, Piece, RowFault
from domain.text import canonical, is_clean
from domain.user import User, canonical_username

RESOURCE_FIELDS = ("resource_id", "resource_name")
NEEDED = ("label_set", "annotator", "value")
FIELDS = (*RESOURCE_FIELDS, *NEEDED, "confidence", "note")
ROWS_MAX = 100_000

_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_ID_MAX = 2**63 - 1
_CONFIDENCE = re.compile(r"-?[0-9]{1,9}", re.ASCII)


def label_header_faults(names: Sequence[str]) -> Iterator[RowFault]:
    """What is wrong with the columns of a table of labels."""
    if set(names) - set(FIELDS):
        detail = "The columns are resource_id or resource_name, label_set, annotator, value and any of confidence, note."
        yield RowFault(row=0, field="", code="unknown-column", detail=detail)
    for name in FIELDS:
        if names.count(name) > 1:
            yield RowFault(row=0, field=name, code="repeated-column", detail="This column is there more than once.")
    for name in NEEDED:
        if name not in names:
            yield RowFault(row=0, field=name, code="missing-column", detail="This column must be there.")
    if len(set(names) & set(RESOURCE_FIELDS)) != 1:
        yield RowFault(row=0, field="resource_id", code="missing-column", detail="Either resource_id or resource_name must be there.")


@dataclass(slots=True)
class Faults:
    """What is wrong with a table, gathered."""

    found: list[RowFault] = field(default_factory=list)

    def add(self, row: int, field: str, code: str, detail: str) -> None:
        self.found.append(RowFault(row=row, field=field, code=code, detail=detail))

    def refuse(self) -> None:
        """Raise `InvalidRows` with the first 1 000 faults by row, if there are any."""
        if self.found:
            failed = len({fault.row for fault in self.found})
            raise InvalidRows(sorted(self.found, key=lambda fault: fault.row)[:FAULTS_MAX], rows_failed=failed)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRow:
    """A row as it was written: the resource by its id or by its name in the form that names are compared by."""

    number: int
    resource: int | str
    label_set: str
    annotator: str
    value: str
    confidence: int | None
    note: str | None

    @property
    def resource_field(self) -> str:
        return "resource_id" if isinstance(self.resource, int) else "resource_name"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelTable:
    """How many rows there are, and those that could be read."""

    size: int
    rows: list[LabelRow]


def label_table(pieces: Iterable[Piece], faults: Faults) -> LabelTable:
    """The table whose rows are these. Raises `InvalidRows` where they are too many."""
    size, rows = 0, list[LabelRow]()
    for piece in pieces:
        size += len(piece.numbers) + len(piece.faults)
        if size > ROWS_MAX:
            raise InvalidRows([RowFault(row=0, field="", code="too-many-rows", detail=f"At most {ROWS_MAX} rows.")], rows_failed=0)
        faults.found += piece.faults
        for number, *cells in zip(piece.numbers, *piece.columns.values(), strict=True):
            row = _row(number, dict(zip(piece.columns, cells, strict=True)), faults)
            if row is not None:
                rows.append(row)
    return LabelTable(size=size, rows=rows)


def _row(number: int, cells: dict[str, Any], faults: Faults) -> LabelRow | None:
    before = len(faults.found)
    by = "resource_id" if "resource_id" in cells else "resource_name"
    for name in (by, *NEEDED):
        if cells[name] is None:
            faults.add(number, name, "missing", "Every row has this.")
    resource, confidence = cells[by], cells.get("confidence")
    if by == "resource_id" and resource is not None and not (_ID.fullmatch(resource) and int(resource) <= _ID_MAX):
        faults.add(number, by, "bad-type", "The number of a resource.")
    if confidence is not None and not _CONFIDENCE.fullmatch(confidence):
        faults.add(number, "confidence", "bad-type", "A whole number.")
    if len(faults.found) > before:
        return None
    return LabelRow(
        number=number,
        resource=int(resource) if by == "resource_id" else canonical(resource),
        label_set=cells["label_set"],
        annotator=canonical_username(cells["annotator"]),
        value=cells["value"],
        confidence=None if confidence is None else int(confidence),
        note=cells.get("note"),
    )


def names_in(rows: Iterable[LabelRow]) -> tuple[set[str], set[str]]:
    """The usernames, and the names of resources, that rows speak of and that could exist."""
    people, resources = {row.annotator for row in rows}, {row.resource for row in rows if isinstance(row.resource, str)}
    return {name for name in people if is_clean(name)}, {name for name in resources if is_clean(name)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A row together with the resource, the set and the person that it speaks of."""

    row: LabelRow
    resource_id: int
    annotator: User


def placed(
    rows: Iterable[LabelRow],
    *,
    resources: Mapping[str, int],
    sets: Mapping[str, LabelSet],
    people: Mapping[str, User],
    faults: Faults,
) -> dict[str, list[Placed]]:
    """The rows by label set, without those that speak of what is not there."""
    found: dict[str, list[Placed]] = {}
    for row in rows:
        resource = resources.get(row.resource) if isinstance(row.resource, str) else row.resource
        annotator = people.get(row.annotator)
        if resource is None:
            _unknown_resource(row, faults)
        if row.label_set not in sets:
            faults.add(row.number, "label_set", "unknown-label-set", "This project has no such label set.")
        if annotator is None:
            faults.add(row.number, "annotator", "unknown-annotator", "Nobody has this username.")
        if resource is not None and annotator is not None and row.label_set in sets:
            found.setdefault(row.label_set, []).append(Placed(row=row, resource_id=resource, annotator=annotator))
    return found


def _unknown_resource(row: LabelRow, faults: Faults) -> None:
    faults.add(row.number, row.resource_field, "unknown-resource", "This project has no such live resource.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What rows do to one label set: what is to be stored, and what each resource that they touch comes to then."""

    made: list[Annotation]
    judgements: dict[int, Judgement]
    inserted: int
    updated: int
    unchanged: int


def change_by(
    label_set: LabelSet, rows: Iterable[Placed], *, live: frozenset[int], standing: Iterable[Annotation], at: datetime, faults: Faults
) -> Change:
    """What rows do to a set whose annotations on these live resources are `standing`: the same as if each were given by its annotator."""
    stands = {(each.resource_id, each.annotator_id): each for each in standing}
    made: dict[tuple[int, int], Annotation] = {}
    seen: set[tuple[int, int]] = set()
    inserted = 0
    for each in rows:
        place = each.resource_id, each.annotator.id
        if each.resource_id not in live:
            _unknown_resource(each.row, faults)
        elif place in seen:
            faults.add(each.row.number, "annotator", "label-repeated", "An earlier row has a label of this annotator for this resource.")
        elif (said := _said(label_set, each, stands.get(place), at, faults)) is not None and said is not stands.get(place):
            made[place] = said
            inserted += place not in stands
        seen.add(place)
    touched = {resource_id for resource_id, _ in made}
    after: dict[int, list[Given]] = {resource_id: [] for resource_id in touched}
    for (resource_id, annotator_id), annotation in sorted((stands | made).items()):
        if resource_id in touched:
            after[resource_id].append(Given(annotator_id=annotator_id, value=annotation.value))
    return Change(
        made=list(made.values()),
        judgements={resource_id: judged(label_set, given) for resource_id, given in sorted(after.items())},
        inserted=inserted,
        updated=len(made) - inserted,
        unchanged=len(seen) - len(made),
    )


def _said(label_set: LabelSet, each: Placed, before: Annotation | None, at: datetime, faults: Faults) -> Annotation | None:
    row = each.row
    try:
        value = label_set.spelled(row.value, at="/value")
        return annotate(
            label_set,
            before,
            resource_id=each.resource_id,
            value=value,
            confidence=row.confidence,
            note=row.note,
            by=each.annotator,
            at=at,
        )
    except NotAllowed:
        faults.add(row.number, "annotator", "not-an-annotator", "This user's role is not that of an annotator.")
    except Invalid as error:
        for fault in error.faults:
            faults.add(row.number, fault.pointer[1:], fault.code, fault.detail)
    return None
