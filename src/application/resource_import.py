"""Importing a table of resources."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from application.ports import Clock, ImportTables, UnitOfWork, UnitOfWorkFactory
from domain.access import Action, require
from domain.audit import Difference, Target, entry
from domain.errors import Unavailable
from domain.resource_import import Effect, Judging, Mode, Piece, PlanOutdated, TableKind, plan_of
from domain.user import User

ATTEMPTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFile:
    """A table as it was sent: its format, its bytes, and their SHA-256."""

    kind: TableKind
    file: BinaryIO
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import did, or on a dry run would do; `plan` stands for exactly that."""

    mode: Mode
    dry_run: bool
    rows: int
    inserted: int
    updated: int
    deleted: int
    unchanged: int
    plan: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResources:
    """Import a table of resources, known by their names, all or nothing.

    `insert` takes new names only, `upsert` also changes the resources that have the names, and `replace` puts those away that the
    table does not name. Only the columns that are there change a resource; an empty cell is null, which clears a description and stands
    for the default of `status` and `attributes`; `""` is the empty text. Every fault is told by row (the first data row is 1) and field.
    A `dry_run` changes nothing, and answers the counts and a `plan`; sent along with the import itself, the plan makes sure that it does
    exactly that: 409 `plan-outdated` otherwise.
    """

    unit_of_work: UnitOfWorkFactory
    tables: ImportTables
    clock: Clock

    async def __call__(
        self,
        *,
        table: TableFile,
        project: str,
        mode: Mode,
        dry_run: bool = False,
        plan: str | None = None,
        by: User,
        told: Callable[[int], None] | None = None,
    ) -> Imported:
        """`told` hears how many rows were read so far."""
        async with self.unit_of_work() as work:
            done = await self.within(work, table=table, project=project, mode=mode, dry_run=dry_run, plan=plan, by=by, told=told)
            await work.commit()
        return done

    async def within(
        self,
        work: UnitOfWork,
        *,
        table: TableFile,
        project: str,
        mode: Mode,
        dry_run: bool = False,
        plan: str | None = None,
        by: User,
        told: Callable[[int], None] | None = None,
    ) -> Imported:
        """The same within somebody else's unit of work."""
        require(by, Action.RESOURCE_IMPORT)
        judging = Judging()
        await work.imports.begin(project)
        await work.imports.stage(judging.judged(_followed(self.tables.pieces(table.kind, table.file), judging, told)))
        for _ in range(ATTEMPTS):
            faults, failed = await work.imports.faults(taken=mode is Mode.INSERT)
            judging.refuse(faults, more_failed=failed)
            effect = await work.imports.effect(deleting=mode is Mode.REPLACE)
            token = plan_of(effect, project=project, mode=mode, kind=table.kind, digest=table.digest)
            if plan is not None and plan != token:
                raise PlanOutdated
            if dry_run or await self._applied(work, effect, project=project, mode=mode, by=by):
                return _imported(effect, mode=mode, dry_run=dry_run, rows=judging.rows, plan=token)
        raise Unavailable("The resources keep changing: try again shortly.")

    async def _applied(self, work: UnitOfWork, effect: Effect, *, project: str, mode: Mode, by: User) -> bool:
        """Whether exactly this effect was brought about, and told."""
        now = self.clock.now()
        if not await work.imports.apply(by=by, at=now):
            return False
        counts = {name: getattr(effect, name) for name in ("inserted", "updated", "deleted", "unchanged")}
        changes = [Difference(field="mode", before=None, after=mode.value)]
        changes += [Difference(field=name, before=None, after=count) for name, count in counts.items()]
        await work.audit.add(
            entry("resource.import", Target(type="project", id=project), by=by, at=now, project=project, changes=tuple(changes))
        )
        return True


def _followed(pieces: Iterator[Piece], judging: Judging, told: Callable[[int], None] | None) -> Iterator[Piece]:
    for piece in pieces:
        yield piece
        if told is not None:
            told(judging.rows)


def _imported(effect: Effect, *, mode: Mode, dry_run: bool, rows: int, plan: str) -> Imported:
    return Imported(
        mode=mode,
        dry_run=dry_run,
        rows=rows,
        inserted=effect.inserted,
        updated=effect.updated,
        deleted=effect.deleted,
        unchanged=effect.unchanged,
        plan=plan,
    )
