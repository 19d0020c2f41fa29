"""Importing a table of resources."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from application.ports import Clock, ImportTables, UnitOfWork, UnitOfWorkFactory
from domain.access import Action, require
from domain.audit import Difference, Target, entry
from domain.errors import Unavailable
from domain.resource_import import Effect, Judged, Judging, Mode, Piece, PlanOutdated, TableKind, plan_of
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
        await work.imports.begin(project)
        asked = _Asked(table=table, project=project, mode=mode, dry_run=dry_run, plan=plan, by=by)
        done = await self._inserted(work, asked, told) if mode is Mode.INSERT and not dry_run else None
        return done or await self._looked_for(work, asked, told)

    async def _inserted(self, work: UnitOfWork, asked: "_Asked", told: Callable[[int], None] | None) -> Imported | None:
        """What was done when every row could be inserted right away; None, and nothing done, when one could not."""
        judging, now = Judging(), self.clock.now()
        effect = await work.imports.insert(self._judged(judging, asked, told), by=asked.by, at=now)
        if effect is None:
            return None
        done = asked.imported(effect, rows=judging.rows)
        await _tell(work, asked, effect, now)
        return done

    async def _looked_for(self, work: UnitOfWork, asked: "_Asked", told: Callable[[int], None] | None) -> Imported:
        """What was done after all rows were put aside, every fault was told, and the effect was known."""
        judging = Judging()
        await work.imports.stage(self._judged(judging, asked, told))
        for _ in range(ATTEMPTS):
            faults, failed = await work.imports.faults(taken=asked.mode is Mode.INSERT)
            judging.refuse(faults, more_failed=failed)
            effect = await work.imports.effect(deleting=asked.mode is Mode.REPLACE)
            done, now = asked.imported(effect, rows=judging.rows), self.clock.now()
            if asked.dry_run:
                return done
            if await work.imports.apply(by=asked.by, at=now):
                await _tell(work, asked, effect, now)
                return done
        raise Unavailable("The resources keep changing: try again shortly.")

    def _judged(self, judging: Judging, asked: "_Asked", told: Callable[[int], None] | None) -> Iterator[Judged]:
        return judging.judged(_followed(self.tables.pieces(asked.table.kind, asked.table.file), judging, told))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What an import was asked to do."""

    table: TableFile
    project: str
    mode: Mode
    dry_run: bool
    plan: str | None
    by: User

    def imported(self, effect: Effect, *, rows: int) -> Imported:
        """The answer to this effect. Raises `PlanOutdated` when another was planned."""
        plan = plan_of(effect, project=self.project, mode=self.mode, kind=self.table.kind, digest=self.table.digest)
        if self.plan not in (None, plan):
            raise PlanOutdated
        return Imported(mode=self.mode, dry_run=self.dry_run, rows=rows, **_counts(effect), plan=plan)


async def _tell(work: UnitOfWork, asked: _Asked, effect: Effect, at: datetime) -> None:
    """The entry of the import as a whole."""
    changes = {"mode": asked.mode.value} | _counts(effect)
    differences = tuple(Difference(field=name, before=None, after=value) for name, value in changes.items())
    target = Target(type="project", id=asked.project)
    await work.audit.add(entry("resource.import", target, by=asked.by, at=at, project=asked.project, changes=differences))


def _counts(effect: Effect) -> dict[str, int]:
    return {name: getattr(effect, name) for name in ("inserted", "updated", "deleted", "unchanged")}


def _followed(pieces: Iterator[Piece], judging: Judging, told: Callable[[int], None] | None) -> Iterator[Piece]:
    for piece in pieces:
        yield piece
        if told is not None:
            told(judging.rows)
