"""Tables of resources in PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from typing import Any

from adapters.postgres.database import Pool, Transaction
from adapters.postgres.resource_import import statements
from adapters.postgres.resource_import.ahead import Ahead, RowsBroken
from adapters.postgres.resource_import.lines import lines_of
from adapters.postgres.resource_import.tidying import MEMORY, PATIENCE_SECONDS, Tidying
from application.ports import ResourceImports
from domain.errors import NotFound, Unavailable
from domain.resource import NameTaken
from domain.resource_import import FAULTS_MAX, Effect, Judged, RowFault, repeated_name, taken_name
from domain.user import User

MANY = 10_000  # changes, from which on tidying is worth a connection


class _Moved(Exception):
    """What was to be changed has changed since it was looked at."""


class PostgresResourceImports(ResourceImports):
    """The effect is looked for first and brought about then: version and unique index tell whether anything moved in between."""

    def __init__(self, transaction: Transaction, pool: Pool, *, request_id: Callable[[], str | None]) -> None:
        self._run = transaction
        self._pool = pool
        self._request_id = request_id
        self._project, self._project_id = "", 0
        self._effect: Effect | None = None

    async def begin(self, project: str) -> None:
        row = await self._run.row(statements.FIND_PROJECT, project=project)
        if row is None:
            raise NotFound
        self._project, self._project_id = project, row["id"]
        if not (await self._run.one(statements.TAKE_TURN, project_id=self._project_id))["taken"]:
            raise Unavailable("Another import of this project is under way: try again shortly.")
        await self._run.be_patient(seconds=PATIENCE_SECONDS, memory=MEMORY)

    async def insert(self, judged: Iterator[Judged], *, by: User, at: datetime) -> Effect | None:
        try:
            async with self._run.attempt(), Tidying(self._pool) as tidying, Ahead(judged) as pieces:
                inserted = 0
                await self._run.row(statements.STAGE)
                async for lines in pieces:
                    await self._run.fill(_at_once(lines), table=statements.STAGED, columns=statements.COLUMNS)
                    inserted += (await self._run.one(statements.INSERT_ALL, **self._given(by, at)))["n"]
                    await self._run.row(statements.EMPTY)
                    if inserted > MANY:
                        tidying.begin()
                await self._run.row(statements.UNSTAGE)
        except (RowsBroken, NameTaken):
            return None
        return Effect(inserted=inserted, updated=0, deleted=0, unchanged=0, mark=statements.NOTHING)

    async def stage(self, judged: Iterator[Judged]) -> None:
        await self._run.row(statements.STAGE)
        await self._run.row(statements.EFFECTS)
        await self._run.fill(_ahead(judged), table=statements.STAGED, columns=statements.COLUMNS)
        await self._run.row(statements.ANALYZE)

    async def faults(self, *, taken: bool) -> tuple[list[RowFault], int]:
        given = {"taken": taken, "project_id": self._project_id}
        is_repeated = await self._run.row(statements.HAS_REPEATED) is not None
        if not is_repeated and not (taken and await self._run.row(statements.HAS_TAKEN, **given)):
            return [], 0
        rows = await self._run.rows(statements.FAULTS, **given, limit=FAULTS_MAX)
        faults = [repeated_name(row["row"]) if row["repeated"] else taken_name(row["row"]) for row in rows]
        return faults, (await self._run.one(statements.COUNT_FAULTY, **given))["n"]

    async def effect(self, *, deleting: bool) -> Effect:
        await self._run.row(statements.FORGET_EFFECT)
        await self._run.row(statements.FIND_EFFECT, project_id=self._project_id, deleting=deleting)
        await self._run.row(statements.ANALYZE_EFFECT)
        self._effect = Effect(**dict(await self._run.one(statements.EFFECT)))
        return self._effect

    async def apply(self, *, by: User, at: datetime) -> bool:
        try:
            async with self._run.attempt(), Tidying(self._pool) as tidying:
                if self._effect and self._effect.inserted + self._effect.updated > MANY:
                    tidying.begin()
                await self._bring_about(by, at)
        except (_Moved, NameTaken):
            return False
        return True

    async def _bring_about(self, by: User, at: datetime) -> None:
        effect = self._effect
        if effect is None:
            raise RuntimeError("There is no effect to bring about.")
        given = self._given(by, at)
        for statement, expected in (
            (statements.DELETE, effect.deleted),
            (statements.UPDATE, effect.updated),
            (statements.INSERT if effect.updated + effect.unchanged else statements.INSERT_ALL, effect.inserted),
        ):
            if expected and (await self._run.one(statement, **given))["n"] != expected:
                raise _Moved

    def _given(self, by: User, at: datetime) -> dict[str, Any]:
        return {
            "project_id": self._project_id,
            "project": self._project,
            "actor_id": by.id,
            "at": at,
            "request_id": self._request_id(),
        }


async def _at_once(lines: bytes) -> AsyncIterator[bytes]:
    yield lines


async def _ahead(judged: Iterator[Judged]) -> AsyncIterator[bytes]:
    """The lines of each piece, made in a thread while the one before is sent."""

    def following() -> bytes | None:
        piece = next(judged, None)
        return None if piece is None else lines_of(piece)

    task = asyncio.create_task(asyncio.to_thread(following))
    try:
        while (lines := await task) is not None:
            task = asyncio.create_task(asyncio.to_thread(following))
            if lines:
                yield lines
    finally:
        await asyncio.wait([task])
