"""Tables of resources in memory, one row after the other."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Any, BinaryIO

import pyarrow.parquet as pq

from application.ports import ImportTables, ResourceImports
from domain.annotation_import import label_header_faults
from domain.audit import Target, differences, entry
from domain.errors import NotFound, Unavailable
from domain.resource import Resource, Status
from domain.resource_import import (
    ABSENT,
    FAULTS_MAX,
    FIELDS,
    Effect,
    InvalidRows,
    Judged,
    Piece,
    RowFault,
    TableKind,
    Unreadable,
    header_faults,
    repeated_name,
    taken_name,
)
from domain.strict_json import decoded
from domain.text import canonical
from domain.user import User
from tests.fakes.store import Access, Tables

_BITS = {"description": 1, "status": 2, "attributes": 4}


class FakeImportTables(ImportTables):
    def pieces(self, kind: TableKind, file: BinaryIO) -> Iterator[Piece]:
        file.seek(0)
        match kind:
            case TableKind.CSV:
                return _csv(file.read())
            case TableKind.NDJSON:
                return _ndjson(file.read())
            case TableKind.PARQUET:
                return _parquet(file)

    def labels(self, file: BinaryIO) -> Iterator[Piece]:
        file.seek(0)
        return _csv(file.read(), label_header_faults)


class FakeResourceImports(ResourceImports):
    """Units of work come one after the other here, so that nothing moves between an effect and bringing it about."""

    def __init__(self, access: Access, underway: set[str]) -> None:
        self._access = access
        self._underway = underway
        self._project, self._project_id = "", 0
        self._rows: list[tuple[int, str, dict[str, Any]]] = []
        self._broken: list[tuple[int, str | None]] = []
        self._deleting = False

    async def begin(self, project: str) -> None:
        found = self._access.read.live_project(project)
        if found is None:
            raise NotFound
        if project in self._underway:
            raise Unavailable
        self._project, self._project_id = project, found.id

    async def insert(self, judged: Iterator[Judged], *, by: User, at: datetime) -> Effect | None:
        await self.stage(judged)
        done: Effect | None = None
        if not self._broken and not (await self.faults(taken=True))[0]:
            done = await self.effect(deleting=False)
            await self.apply(by=by, at=at)
        self._rows, self._broken = [], []
        return done

    async def stage(self, judged: Iterator[Judged]) -> None:
        for piece in judged:
            self._broken += piece.broken
            for place, number in enumerate(piece.numbers):
                attributes = piece.attributes[place]
                fields: dict[str, Any] = {
                    "description": piece.descriptions[place],
                    "status": Status(piece.statuses[place]),
                    "attributes": json.loads(attributes) if isinstance(attributes, str) else attributes,
                }
                given = {name: value for name, value in fields.items() if piece.given[place] & _BITS[name]}
                self._rows.append((number, piece.names[place], given))

    async def faults(self, *, taken: bool) -> tuple[list[RowFault], int]:
        rows = sorted(
            [(number, canonical(name), True) for number, name, _ in self._rows]
            + [(number, canonical(name), False) for number, name in self._broken if name is not None]
        )
        live, seen = self._live(self._access.read), set[str]()
        faults: list[RowFault] = []
        failed = 0
        for number, key, is_good in rows:
            if key in seen or (taken and key in live):
                faults.append(repeated_name(number) if key in seen else taken_name(number))
                failed += is_good
            seen.add(key)
        return faults[:FAULTS_MAX], failed

    async def effect(self, *, deleting: bool) -> Effect:
        self._deleting = deleting
        inserted, updated, deleted, kept = self._sorted_out(self._access.read)
        changed = [("update", old.id, old.version) for old, _ in updated] + [("delete", old.id, old.version) for old in deleted]
        mark = repr(sorted(changed + [("keep", old.id, 0) for old in kept]))
        return Effect(
            inserted=len(inserted),
            updated=len(updated),
            deleted=len(deleted),
            unchanged=len(kept),
            mark=sha256(mark.encode()).digest(),
        )

    async def apply(self, *, by: User, at: datetime) -> bool:
        def changed(old: Resource) -> dict[str, Any]:
            return {"updated_at": at, "updated_by_id": by.id, "version": old.version + 1}

        async with self._access.write() as tables:
            inserted, updated, deleted, _ = self._sorted_out(tables)
            for old in deleted:
                self._put(tables, "delete", None, replace(old, deleted_at=at, **changed(old)), by, at)
            for old, changes in updated:
                self._put(tables, "update", old, replace(old, **changes, **changed(old)), by, at)
            for fields in inserted:
                made = Resource(
                    id=self._access.new_id(),
                    project=self._project,
                    created_by=by.username,
                    created_by_id=by.id,
                    owner_id=by.id,
                    created_at=at,
                    **{"attributes": {}} | fields,
                )
                self._put(tables, "create", None, made, by, at)
        return True

    def _put(self, tables: Tables, verb: str, before: Resource | None, after: Resource, by: User, at: datetime) -> None:
        if after.version > 1:
            tables.replace_resource(after)
        else:
            tables.resources[after.id] = self._project_id, after
        changes = differences(before, after, *FIELDS) if verb == "update" else ()
        target = Target(type="resource", id=after.id)
        tables.audit[self._access.new_id()] = entry(f"resource.{verb}", target, by=by, at=at, project=self._project, changes=changes)

    def _live(self, tables: Tables) -> dict[str, Resource]:
        return {each.name_key: each for owner, each in tables.resources.values() if owner == self._project_id and each.is_active}

    def _sorted_out(
        self, tables: Tables
    ) -> tuple[list[dict[str, Any]], list[tuple[Resource, dict[str, Any]]], list[Resource], list[Resource]]:
        live = self._live(tables)
        inserted, updated, kept = [], [], []
        for _, name, given in self._rows:
            old, fields = live.pop(canonical(name), None), {"name": name} | given
            if old is None:
                inserted.append(fields)
            elif all(_same(getattr(old, field), value) for field, value in fields.items()):
                kept.append(old)
            else:
                updated.append((old, fields))
        return inserted, updated, list(live.values()) if self._deleting else [], kept


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: to Python, true is 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _csv(data: bytes, wrong: Callable[[Sequence[str]], Iterator[RowFault]] = header_faults) -> Iterator[Piece]:
    """The rows, taken apart one character after the other."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable from None
    header, *rows = [row for row in _rows(text) if row != [None]] or [[]]
    _refuse_all(*wrong([name or "" for name in header]))
    for number, row in enumerate(rows, start=1):
        if len(row) == len(header):
            yield Piece(numbers=[number], columns={str(name): [cell] for name, cell in zip(header, row, strict=True)})
        else:
            fault = RowFault(row=number, field="", code="bad-row", detail=f"A row has {len(header)} cells.")
            yield Piece(numbers=[], columns={str(name): [] for name in header}, faults=(fault,))


def _rows(text: str) -> list[list[str | None]]:
    rows: list[list[str | None]] = [[]]
    place = 0
    text = text if text.endswith(("\n", "\r")) or not text else f"{text}\n"
    while place < len(text):
        cell: str | None = None
        if text[place] == '"':
            cell, place = _quoted(text, place + 1)
        else:
            start = place
            while text[place] not in ',\r\n"':
                place += 1
            cell = text[start:place] or None
        rows[-1].append(cell)
        if text[place] not in ",\r\n":
            raise Unreadable
        if text[place] != ",":
            place += text[place : place + 2] == "\r\n"
            rows.append([])
        place += 1
    return rows[:-1]


def _quoted(text: str, place: int) -> tuple[str, int]:
    cell = ""
    while True:
        end = text.find('"', place)
        if end < 0:
            raise Unreadable
        cell += text[place:end]
        if text[end + 1] != '"':
            return cell, end + 1
        cell, place = cell + '"', end + 2


def _ndjson(data: bytes) -> Iterator[Piece]:
    if not data:
        _refuse_all(RowFault(row=0, field="", code="empty", detail="The table is empty."))
    for number, line in enumerate(filter(None, map(bytes.strip, data.removeprefix(b"\xef\xbb\xbf").split(b"\n"))), start=1):
        try:
            value = decoded(line.decode())
        except (ValueError, RecursionError):
            raise Unreadable from None
        fault = None
        if not isinstance(value, dict):
            fault = RowFault(row=number, field="", code="bad-row", detail="A row is an object.")
        elif set(value) - set(FIELDS):
            fault = RowFault(row=number, field="", code="unknown-column", detail="The keys are name and others.")
        yield Piece(
            numbers=[] if fault else [number],
            columns={name: [] if fault else [value.get(name, ABSENT)] for name in FIELDS},
            faults=(fault,) if fault else (),
            spells_attributes=False,
        )


def _parquet(file: BinaryIO) -> Iterator[Piece]:
    try:
        table = pq.read_table(file)
    except OSError:
        raise Unreadable from None
    except ValueError:
        raise Unreadable from None
    _refuse(table.column_names)
    for name in table.column_names:
        if str(table.schema.field(name).type) not in (
            "string",
            "large_string",
            "null",
            "dictionary<values=string, indices=int32, ordered=0>",
        ):
            _refuse_all(RowFault(row=0, field=name, code="bad-type", detail="A column of texts."))
    yield Piece(numbers=range(1, table.num_rows + 1), columns={name: table.column(name).to_pylist() for name in table.column_names})


def _refuse(header: list[str]) -> None:
    _refuse_all(*header_faults(header))


def _refuse_all(*faults: RowFault) -> None:
    if faults:
        raise InvalidRows(faults, rows_failed=0)
