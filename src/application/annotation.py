"""Annotations: give, change and withdraw a label, draw what to label next, list and export labels."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from application.export.sheets import annotation_sheet
from application.ports import AnnotationReader, Clock, Respondents, Tables, UnitOfWork, UnitOfWorkFactory
from domain.access import Action, require
from domain.annotation import LEASE, Annotation, AnnotationFilter, annotate, judged, require_names, sight_of
from domain.audit import Difference, Entry, Target, differences, entry
from domain.errors import NotFound, expect_version
from domain.export import Format
from domain.label_set import LabelSet
from domain.resource import Resource
from domain.user import User


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotated:
    """An annotation as it stands, and whether it was made just now."""

    annotation: Annotation
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotate:
    """Say what label a resource has in a set, or say it anew: one annotator has one annotation there, and its history is kept.

    It is judged by the newest version of the set and pinned to it. What was drawn from the queue is given back by it.
    """

    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(
        self,
        *,
        project: str,
        resource_id: int,
        label_set: str,
        value: object,
        confidence: int | None = None,
        note: str | None = None,
        expected: frozenset[int] | None = None,
        by: User,
    ) -> Annotated:
        require(by, Action.ANNOTATION_WRITE)
        async with self.unit_of_work() as work:
            held = await work.label_sets.hold(project, label_set)
            found = await work.annotations.lock(held, resource_id=resource_id, annotator_id=by.id)
            made = annotate(
                held,
                found,
                resource_id=resource_id,
                value=value,
                confidence=confidence,
                note=note,
                by=by,
                expected=expected,
                at=self.clock.now(),
            )
            if made is not found:
                made = await work.annotations.save(held, made)
                action = "annotation.create" if found is None else "annotation.update"
                await work.audit.add(_entry(action, found, made, project=project, by=by, at=made.updated_at or made.created_at))
            await _settle(work, held, resource_id, given_back_by=by.id)
            await work.commit()
        return Annotated(annotation=made, is_new=found is None)


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawAnnotation:
    """Take one's own annotation away; that it was given, and withdrawn, is kept."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(self, *, project: str, resource_id: int, label_set: str, expected: frozenset[int] | None = None, by: User) -> None:
        require(by, Action.ANNOTATION_DELETE)
        at = self.clock.now()
        async with self.unit_of_work() as work:
            held = await work.label_sets.hold(project, label_set)
            found = await work.annotations.lock(held, resource_id=resource_id, annotator_id=by.id)
            if found is None:
                raise NotFound
            expect_version(found.version, expected)
            await work.annotations.remove(found, at=at)
            await work.audit.add(_entry("annotation.delete", found, None, project=project, by=by, at=at))
            await _settle(work, held, resource_id)
            await work.commit()


async def _settle(work: UnitOfWork, label_set: LabelSet, resource_id: int, *, given_back_by: int | None = None) -> None:
    given = await work.annotations.given(label_set, resource_id=resource_id)
    await work.annotations.settle(label_set, judged(label_set, given), resource_id=resource_id, given_back_by=given_back_by)


def _entry(action: str, before: Annotation | None, after: Annotation | None, *, project: str, by: User, at: datetime) -> Entry:
    changes = differences(before, after, "resource_id", "label_set", "value", "confidence", "note")
    told = after or before
    return entry(action, Target(type="annotation", id=told.id if told else 0), by=by, at=at, project=project, changes=changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A resource to annotate, and until when nobody else is given it."""

    resource: Resource
    lease_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawNext:
    """What to annotate next in a set: nobody else is given it until it is annotated or the lease of 15 minutes ends.

    First what has fewer annotations than the set's `copies`, then what is most in dispute; never what one has annotated oneself.
    Each draw gives another resource. None when nothing is left.
    """

    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(self, *, project: str, label_set: str, by: User) -> Drawn | None:
        require(by, Action.ANNOTATION_DRAW)
        at = self.clock.now()
        async with self.unit_of_work() as work:
            held = await work.label_sets.hold(project, label_set)
            resource_id = await work.annotations.draw(held, annotator_id=by.id, at=at, until=at + LEASE)
            resource = None if resource_id is None else await work.resources.get(project=project, resource_id=resource_id)
            await work.commit()
        return None if resource is None else Drawn(resource=resource, lease_until=at + LEASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAnnotations:
    """Annotations by id. In a blind set, annotators see those of others only on resources that they have annotated themselves."""

    annotations: AnnotationReader

    async def __call__(
        self,
        *,
        project: str,
        label_set: str | None = None,
        resource_id: int | None = None,
        annotator: str | None = None,
        after: int,
        limit: int,
        by: User,
    ) -> list[Annotation]:
        where = AnnotationFilter(
            project=project,
            label_set=label_set,
            resource_id=resource_id,
            annotator=annotator,
            seen_by=sight_of(by, Action.ANNOTATION_READ),
        )
        return await self.annotations.page(where, after=after, limit=limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordExport:
    """Put down that somebody is about to get the annotations of a project as a file."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(self, *, project: str, kind: Format, names: bool, by: User) -> None:
        told = (Difference(field="format", before=None, after=kind.value), Difference(field="names", before=None, after=names))
        async with self.unit_of_work() as work:
            target = Target(type="project", id=project)
            await work.audit.add(entry("annotation.export", target, by=by, at=self.clock.now(), project=project, changes=told))
            await work.commit()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportAnnotations:
    """All annotations that one may see as a file in the long form, a row each, streamed from one snapshot.

    Annotators are pseudonyms, the same throughout a project and others in another, unless an admin asks for their names.
    """

    annotations: AnnotationReader
    tables: Tables
    respondents: Respondents
    record: RecordExport

    async def __call__(self, *, project: str, kind: Format, names: bool = False, guarded: bool = True, by: User) -> AsyncIterator[bytes]:
        where = AnnotationFilter(project=project, seen_by=sight_of(by, Action.ANNOTATION_EXPORT))
        if names:
            require_names(by)
        by_whom = None if names else self.respondents
        async with annotation_sheet(self.annotations, self.tables, by_whom, where, kind=kind, guarded=guarded) as sheet:
            await self.record(project=project, kind=kind, names=names, by=by)
            async for part in sheet.parts:
                yield part.content
