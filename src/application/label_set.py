"""Label sets: publish one, show one, list them."""

from dataclasses import dataclass
from datetime import datetime

from application.ports import Clock, LabelSets, UnitOfWork, UnitOfWorkFactory
from domain.access import Action, require
from domain.audit import Difference, Entry, Target, differences, entry
from domain.label_set import Declaration, LabelSet, changes_of, ever_labelled, first_label_set
from domain.survey import FieldChange, counted
from domain.user import User


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedLabelSet:
    """A label set after publishing: whether it was made, whether it has a new version, and what that changes."""

    label_set: LabelSet
    is_first: bool
    is_new: bool
    changes: tuple[FieldChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishLabelSet:
    """Make a label set, or a new version of it; where nothing differs, nothing happens.

    `changes` tells what the version does to the set and how many annotations it touches. Narrowing it under annotations that it would
    no longer take is refused unless the set's name is listed in `accept_breaking`; those annotations stay, pinned to the version they
    were given under. A set that has annotations never changes its type.
    """

    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(
        self,
        *,
        project: str,
        name: str,
        declaration: Declaration,
        accept_breaking: frozenset[str] = frozenset(),
        expected: frozenset[int] | None = None,
        by: User,
    ) -> PublishedLabelSet:
        async with self.unit_of_work() as work:
            published = await publish_label_set_in(
                work,
                project=project,
                name=name,
                declaration=declaration,
                accept_breaking=accept_breaking,
                expected=expected,
                by=by,
                at=self.clock.now(),
            )
            await work.commit()
        return published


async def publish_label_set_in(
    work: UnitOfWork,
    *,
    project: str,
    name: str,
    declaration: Declaration,
    accept_breaking: frozenset[str],
    expected: frozenset[int] | None = None,
    by: User,
    at: datetime,
) -> PublishedLabelSet:
    """Publish within somebody else's unit of work."""
    require(by, Action.LABEL_SET_PUBLISH)
    project_id, found = await work.label_sets.lock(project, name)
    if found is None:
        published, changes = first_label_set(
            declaration,
            project_id=project_id,
            project=project,
            name=name,
            by=by,
            expected=expected,
            beside=await work.label_sets.count(project_id),
            at=at,
        )
    else:
        changes = await _counted_changes(work.label_sets, found, declaration)
        published = found.publish(declaration, changes, accept_breaking=accept_breaking, by=by, expected=expected, at=at)
    is_new = published != found
    if is_new:
        published = await work.label_sets.save(published, changes)
        await work.audit.add(_entry(found, published, changes, by=by))
    return PublishedLabelSet(label_set=published, is_first=found is None, is_new=is_new, changes=changes)


async def _counted_changes(label_sets: LabelSets, found: LabelSet, declaration: Declaration) -> tuple[FieldChange, ...]:
    asked = ever_labelled(await label_sets.questions(found.id))
    changes = changes_of(found, declaration, asked)
    labels = await label_sets.labels(found.id) if changes else []
    return tuple(counted(change, labels, before=asked, after=declaration.question) for change in changes)


def _entry(before: LabelSet | None, after: LabelSet, changes: tuple[FieldChange, ...], *, by: User) -> Entry:
    """What the audit trail tells of a publication: the version, what was declared otherwise, and what that does to the set."""
    declared = differences(before and before.declaration, after.declaration, "title", "level", "blind", "copies")
    verdict = tuple(Difference(field=change.field, before=None, after=change.change.value) for change in changes)
    return entry(
        "label-set.create" if before is None else "label-set.update",
        Target(type="label-set", id=after.name),
        by=by,
        at=after.published_at,
        project=after.project,
        changes=(*differences(before, after, "version"), *declared, *verdict),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GetLabelSet:
    """The newest version of a label set."""

    label_sets: LabelSets

    async def __call__(self, *, project: str, name: str, by: User) -> LabelSet:
        require(by, Action.LABEL_SET_READ)
        return await self.label_sets.get(project, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListLabelSets:
    """The label sets of a project by name, each in its newest version."""

    label_sets: LabelSets

    async def __call__(self, *, project: str, after: str, limit: int, by: User) -> list[LabelSet]:
        require(by, Action.LABEL_SET_READ)
        return await self.label_sets.page(project, after=after, limit=limit)
