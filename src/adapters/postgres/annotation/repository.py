"""Annotations in PostgreSQL as entities, and their queue."""

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
    OWN,
    REMOVE,
    SAVE,
    SETTLE,
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

    async def save(self, annotation: Annotation) -> Annotation:
        row = await self._run.one(SAVE, **{name: getattr(annotation, name) for name in STORED})
        return replace(annotation, id=row["id"])

    async def remove(self, annotation: Annotation, *, at: datetime) -> None:
        await self._run.row(REMOVE, id=annotation.id, at=at)

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
