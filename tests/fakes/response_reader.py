"""Responses for researchers, in memory."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from application.ports import ResponseReader, ResponseSnapshot
from domain.errors import NotFound
from domain.export import TooManyTables
from domain.response import Response
from domain.survey import Definition, ResponseFilter, ResponseRow
from tests.fakes.store import Access, Tables


class FakeResponseSnapshot(ResponseSnapshot):
    def __init__(self, tables: Tables, project_id: int, *, batch: int) -> None:
        self._tables = tables
        self._project_id = project_id
        self._batch = batch

    @property
    def definitions(self) -> list[Definition]:
        return [each.survey.definition for each in self._tables.versions_of(self._project_id)]

    async def page(self, where: ResponseFilter, *, after: int, limit: int) -> list[ResponseRow]:
        return [row for row in self._rows(where) if row.id > after][:limit]

    async def count(self, where: ResponseFilter) -> int:
        return len(self._rows(where))

    async def batches(self, where: ResponseFilter) -> AsyncIterator[list[ResponseRow]]:
        rows = self._rows(where)
        for start in range(0, len(rows), self._batch):
            yield rows[start : start + self._batch]

    def _rows(self, where: ResponseFilter) -> list[ResponseRow]:
        mine = [(id, each) for id, each in sorted(self._tables.responses.items()) if each.project_id == self._project_id]
        return [_row(id, each) for id, each in mine if _matches(where, each)]


class FakeResponseReader(ResponseReader):
    def __init__(self, access: Access, *, at_once: int = 6, batch: int = 2) -> None:
        self._access = access
        self._at_once = at_once
        self._batch = batch
        self._open = 0

    @asynccontextmanager
    async def snapshot(self, project: str) -> AsyncIterator[ResponseSnapshot]:
        if self._open >= self._at_once:
            raise TooManyTables
        self._open += 1
        try:
            tables = self._access.read.copy()
            found = tables.live_project(project)
            if found is None or found.id not in tables.surveys:
                raise NotFound
            yield FakeResponseSnapshot(tables, found.id, batch=self._batch)
        finally:
            self._open -= 1


def _row(id: int, response: Response) -> ResponseRow:
    names = ("pseudonym", "created_at", "updated_at", "revision", "answers", "versions")
    return ResponseRow(id=id, **{name: getattr(response, name) for name in names})


def _matches(where: ResponseFilter, response: Response) -> bool:
    return (
        _holds(where.answer, response.answers)
        and where.takes(is_test=response.is_test)
        and (where.version is None or where.version in response.versions.values())
        and (where.since is None or response.saved_at >= where.since)
        and (where.until is None or response.saved_at < where.until)
    )


def _holds(answer: Mapping[str, Any] | None, answers: Mapping[str, Any]) -> bool:
    return answer is None or all(field in answers and _is_in(value, answers[field]) for field, value in answer.items())


def _is_in(value: Any, answer: Any) -> bool:
    """Whether this is the answer or, of several choices, whether all of these are among them."""
    if isinstance(value, list):
        return isinstance(answer, list) and set(value) <= set(answer)
    return type(value) is type(answer) and bool(value == answer)
