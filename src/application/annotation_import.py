"""Importing labels that were given elsewhere."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from application.ports import Clock, ImportTables, UnitOfWork, UnitOfWorkFactory
from domain.access import Action, require
from domain.annotation_import import Change, Faults, Placed, change_by, label_table, names_in, placed
from domain.audit import Difference, Target, entry
from domain.label_set import LabelSet
from domain.resource_import import Piece
from domain.user import User

AT_ONCE = 1000
_SETS_AT_ONCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsImported:
    """What an import of labels did, or on a dry run would do."""

    dry_run: bool
    rows: int
    inserted: int
    updated: int
    unchanged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportAnnotations:
    """Import labels that annotators gave elsewhere, from CSV, all or nothing: a row is as if its annotator had given it now.

    The columns are `resource_id` or `resource_name`, `label_set`, `annotator` (a username), `value` and, if wanted, `confidence` and
    `note`; an empty cell of these is null. At most 100 000 rows. What an annotator has said already of a resource in a set is changed,
    and its history kept. Every fault is told by row (the first data row is 1) and field. A `dry_run` changes nothing.
    """

    unit_of_work: UnitOfWorkFactory
    tables: ImportTables
    clock: Clock

    async def __call__(
        self, *, file: BinaryIO, project: str, dry_run: bool = False, by: User, told: Callable[[int], None] | None = None
    ) -> LabelsImported:
        """`told` hears how many rows were read so far."""
        async with self.unit_of_work() as work:
            done = await self.within(work, file=file, project=project, dry_run=dry_run, by=by, told=told)
            await work.commit()
        return done

    async def within(
        self,
        work: UnitOfWork,
        *,
        file: BinaryIO,
        project: str,
        dry_run: bool = False,
        by: User,
        told: Callable[[int], None] | None = None,
    ) -> LabelsImported:
        """The same within somebody else's unit of work."""
        require(by, Action.ANNOTATION_IMPORT)
        await work.imports.begin(project)
        faults = Faults()
        table = await asyncio.to_thread(lambda: label_table(_followed(self.tables.labels(file), told), faults))
        usernames, names = names_in(table.rows)
        sets = await _held(work, project, {row.label_set for row in table.rows})
        resources = await work.resources.ids(project=project, names=sorted(names))
        people = {user.username: user for user in await work.users.named(sorted(usernames))}
        rows = placed(table.rows, resources=resources, sets=sets, people=people, faults=faults)
        changes = [(sets[name], await self._change(work, sets[name], rows[name], faults, hold=not dry_run)) for name in sorted(rows)]
        faults.refuse()
        counts = {name: sum(getattr(change, name) for _, change in changes) for name in ("inserted", "updated", "unchanged")}
        if not dry_run:
            await _store(work, changes)
            done = tuple(Difference(field=name, before=None, after=count) for name, count in ({"rows": table.size} | counts).items())
            target, now = Target(type="project", id=project), self.clock.now()
            await work.audit.add(entry("annotation.import", target, by=by, at=now, project=project, changes=done))
        return LabelsImported(dry_run=dry_run, rows=table.size, **counts)

    async def _change(self, work: UnitOfWork, label_set: LabelSet, rows: list[Placed], faults: Faults, *, hold: bool) -> Change:
        ids = sorted({row.resource_id for row in rows})
        live, standing = await work.annotations.standing(label_set, resource_ids=ids, hold=hold)
        at = self.clock.now()
        return await asyncio.to_thread(change_by, label_set, rows, live=live, standing=standing, at=at, faults=faults)


def _followed(pieces: Iterator[Piece], told: Callable[[int], None] | None) -> Iterator[Piece]:
    rows = 0
    for piece in pieces:
        yield piece
        rows += len(piece.numbers) + len(piece.faults)
        if told is not None:
            told(rows)


async def _held(work: UnitOfWork, project: str, names: set[str]) -> dict[str, LabelSet]:
    """Those label sets of these names that there are, in an order that is the same for all."""
    there: list[str] = []
    while page := await work.label_sets.page(project, after=there[-1] if there else "", limit=_SETS_AT_ONCE):
        there += [each.name for each in page]
    return {name: await work.label_sets.hold(project, name) for name in there if name in names}


async def _store(work: UnitOfWork, changes: Iterable[tuple[LabelSet, Change]]) -> None:
    for label_set, change in changes:
        for start in range(0, len(change.made), AT_ONCE):
            await work.annotations.save_all(label_set, change.made[start : start + AT_ONCE])
        judgements = list(change.judgements.items())
        for start in range(0, len(judgements), AT_ONCE):
            await work.annotations.settle_all(label_set, dict(judgements[start : start + AT_ONCE]))
