"""Annotations in PostgreSQL for reading: pages, and whole tables from one snapshot."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, Select, Text, and_, bindparam, func, literal_column, or_, select

from adapters.postgres.annotation.repository import entity
from adapters.postgres.database import Pool, Statement, Transaction
from adapters.postgres.project import GET as GET_PROJECT
from adapters.postgres.response.reader import BATCH
from adapters.postgres.snapshots import Snapshots
from adapters.postgres.tables import annotations, label_sets, projects, resources, users
from application.ports import AnnotationReader, AnnotationSnapshot, NamedAnnotation
from domain.annotation import Annotation, AnnotationFilter
from domain.errors import NotFound

_project_id = select(projects.c.id).where(projects.c.slug == bindparam("project"), projects.c.deleted_at.is_(None))
_seen_by = bindparam("seen_by", type_=BigInteger)
_mine = annotations.alias("mine")
# `domain.annotation.is_seen`, as a clause.
_is_seen = or_(
    ~label_sets.c.blind,
    annotations.c.annotator_id == _seen_by,
    select(literal_column("1"))
    .where(
        _mine.c.resource_id == annotations.c.resource_id,
        _mine.c.label_set_id == annotations.c.label_set_id,
        _mine.c.annotator_id == _seen_by,
    )
    .correlate(annotations)
    .exists(),
)


def _filtered(asked: frozenset[str]) -> Select[Any]:
    """All that is asked for; `asked` names the parts of the filter that are given."""
    query = (
        select(annotations, users.c.username, label_sets.c.name, resources.c.name.label("resource_name"))
        .join(label_sets, label_sets.c.id == annotations.c.label_set_id)
        .join(resources, and_(resources.c.project_id == annotations.c.project_id, resources.c.id == annotations.c.resource_id))
        .join(users, users.c.id == annotations.c.annotator_id)
        .where(annotations.c.project_id == _project_id.scalar_subquery(), resources.c.deleted_at.is_(None))
        .order_by(annotations.c.id)
    )
    clauses = {
        "label_set": label_sets.c.name == bindparam("label_set", type_=Text),
        "resource_id": annotations.c.resource_id == bindparam("resource_id", type_=BigInteger),
        "annotator": users.c.username == bindparam("annotator", type_=Text),
        "seen_by": _is_seen,
    }
    return query.where(*(clauses[name] for name in sorted(asked)))


@cache
def _all(asked: frozenset[str]) -> Statement:
    return Statement(_filtered(asked))


@cache
def _count(asked: frozenset[str]) -> Statement:
    return Statement(select(func.count().label("n")).select_from(_filtered(asked).order_by(None).subquery()))


@cache
def _page(asked: frozenset[str]) -> Statement:
    return Statement(_filtered(asked).where(annotations.c.id > bindparam("after", type_=BigInteger)).limit(bindparam("limit")))


def _given(where: AnnotationFilter) -> tuple[frozenset[str], dict[str, Any]]:
    given = {name: getattr(where, name) for name in ("label_set", "resource_id", "annotator", "seen_by")}
    return frozenset(name for name, value in given.items() if value is not None), given | {"project": where.project}


class PostgresAnnotationSnapshot(AnnotationSnapshot):
    def __init__(self, transaction: Transaction, project_id: int) -> None:
        self._run = transaction
        self._project_id = project_id

    @property
    def project_id(self) -> int:
        return self._project_id

    async def count(self, where: AnnotationFilter) -> int:
        asked, given = _given(where)
        n: int = (await self._run.one(_count(asked), **given))["n"]
        return n

    async def batches(self, where: AnnotationFilter) -> AsyncIterator[list[NamedAnnotation]]:
        asked, given = _given(where)
        async for rows in self._run.batches(_all(asked), size=BATCH, **given):
            yield [NamedAnnotation(annotation=entity(row), resource_name=row["resource_name"]) for row in rows]


class PostgresAnnotationReader(AnnotationReader):
    def __init__(self, pool: Pool, snapshots: Snapshots) -> None:
        self._pool = pool
        self._snapshots = snapshots

    async def page(self, where: AnnotationFilter, *, after: int, limit: int) -> list[Annotation]:
        asked, given = _given(where)
        rows = await self._pool.rows(_page(asked), **given, after=after, limit=limit)
        if not rows and await self._pool.row(GET_PROJECT, slug=where.project) is None:
            raise NotFound
        return [entity(row) for row in rows]

    @asynccontextmanager
    async def snapshot(self, project: str) -> AsyncIterator[AnnotationSnapshot]:
        async with self._snapshots.open() as transaction:
            row = await transaction.row(GET_PROJECT, slug=project)
            if row is None:
                raise NotFound
            yield PostgresAnnotationSnapshot(transaction, row["id"])
