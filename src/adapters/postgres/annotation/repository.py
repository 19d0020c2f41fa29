"""Annotations in PostgreSQL as entities, and their queue."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from asyncpg import Record

from adapters.postgres.annotation.statements import (
    ADD_ITEMS,
    DRAW_ANY,
    DRAW_DISPUTED,
    DRAW_WANTING,
    GIVEN,
    HOLD_ITEM,
    HOLD_ITEMS,
    LIVE,
    OWN,
    REMOVE,
    SAVE,
    SAVE_ALL,
    SETTLE,
    SETTLE_ALL,
    STANDING,
)
from adapters.postgres.database import Executor, Statement
from application.ports import Annotations
from domain.annotation import Annotation, Given, Judgement
from domain.errors import NotFound
from domain.label_set import LabelSet

STORED = (
    "label_set_id",
    "label_set_version",
    "resource_id",
    "annotator_id",
    "value",
    "confidence",
    "note",
    "created_at",
    "updated_at",
    "version",
)


def entity(row: Record) -> Annotation:
    """The annotation of a row that holds all columns of `annotations`, the annotator's username and the set's name."""
    return Annotation(id=row["id"], label_set=row["name"], annotator=row["username"], **{name: row[name] for name in STORED})


class PostgresAnnotations(Annotations):
    def __init__(self, executor: Executor) -> None:
        self._run = executor

    async def lock(self, label_set: LabelSet, *, resource_id: int, annotator_id: int) -> Annotation | None:
        here = {"label_set_id": label_set.id, "resource_id": resource_id}
        if await self._run.row(HOLD_ITEM, **here) is None:
            raise NotFound
        row = await self._run.row(OWN, **here, annotator_id=annotator_id)
        return None if row is None else entity(row)

    async def save(self, label_set: LabelSet, annotation: Annotation) -> Annotation:
        columns = {name: getattr(annotation, name) for name in STORED}
        row = await self._run.one(SAVE, **columns, project_id=label_set.project_id)
        return replace(annotation, id=row["id"])

    async def remove(self, annotation: Annotation, *, at: datetime) -> None:
        place = {name: getattr(annotation, name) for name in ("label_set_id", "resource_id", "annotator_id")}
        await self._run.row(REMOVE, **place, at=at)

    async def standing(self, label_set: LabelSet, *, resource_ids: Sequence[int], hold: bool) -> tuple[frozenset[int], list[Annotation]]:
        here = {"label_set_id": label_set.id, "resource_ids": list(resource_ids)}
        live = frozenset(row["resource_id"] for row in await self._run.rows(HOLD_ITEMS if hold else LIVE, **here))
        return live, [entity(row) for row in await self._run.rows(STANDING, **here) if row["resource_id"] in live]

    async def save_all(self, label_set: LabelSet, made: Sequence[Annotation]) -> None:
        rows = [{name: _plain(getattr(each, name)) for name in STORED} for each in made]
        await self._run.row(SAVE_ALL, project_id=label_set.project_id, rows=rows)

    async def settle_all(self, label_set: LabelSet, judgements: Mapping[int, Judgement]) -> None:
        rows = [{"resource_id": id, "annotators": each.annotators} | _told(each) for id, each in judgements.items()]
        await self._run.row(SETTLE_ALL, label_set_id=label_set.id, rows=rows)

    async def given(self, label_set: LabelSet, *, resource_id: int) -> list[Given]:
        return [Given(**row) for row in await self._run.rows(GIVEN, label_set_id=label_set.id, resource_id=resource_id)]

    async def settle(self, label_set: LabelSet, judgement: Judgement, *, resource_id: int, given_back_by: int | None = None) -> None:
        await self._run.row(
            SETTLE,
            label_set_id=label_set.id,
            resource_id=resource_id,
            annotators=list(judgement.annotators),
            label=judgement.label,
            dispute=judgement.dispute,
            given_back_by=given_back_by,
        )

    async def draw(self, label_set: LabelSet, *, annotator_id: int, at: datetime, until: datetime) -> int | None:
        given: dict[str, Any] = {
            "label_set_id": label_set.id,
            "copies": label_set.declaration.copies,
            "annotator_id": annotator_id,
            "at": at,
            "until": until,
        }
        while (drawn := await self._drawn(DRAW_WANTING, given)) is None:
            if not (await self._run.one(ADD_ITEMS, label_set_id=label_set.id))["n"]:
                break
        for statement in (DRAW_DISPUTED, DRAW_ANY):
            if drawn is None:
                drawn = await self._drawn(statement, given)
        return drawn

    async def _drawn(self, statement: Statement, given: dict[str, Any]) -> int | None:
        row = await self._run.row(statement, **given)
        return None if row is None else int(row["resource_id"])


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _told(judgement: Judgement) -> dict[str, Any]:
    return {"label": judgement.label, "dispute": judgement.dispute}
