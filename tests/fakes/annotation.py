"""Annotations and their queue in memory."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime

from application.ports import AnnotationReader, Annotations, AnnotationSnapshot, NamedAnnotation
from domain.annotation import Annotation, AnnotationFilter, Given, Judgement, is_seen
from domain.errors import NotFound
from domain.export import TooManyTables
from domain.label_set import LabelSet
from domain.resource import Resource
from tests.fakes.store import Access, AnnotationChange, Lease, Tables

NOTHING = Judgement(annotators=(), label=None, dispute=0.0)


class FakeAnnotations(Annotations):
    def __init__(self, access: Access) -> None:
        self._access = access

    async def lock(self, label_set: LabelSet, *, resource_id: int, annotator_id: int) -> Annotation | None:
        tables = self._access.read
        owner, resource = tables.resources.get(resource_id, (0, None))
        if resource is None or owner != label_set.project_id or not resource.is_active:
            raise NotFound
        place = (label_set.id, resource_id, annotator_id)
        return next((each for each in tables.annotations.values() if _place(each) == place), None)

    async def save(self, label_set: LabelSet, annotation: Annotation) -> Annotation:
        async with self._access.write() as tables:
            saved = replace(annotation, id=annotation.id or self._access.new_id())
            tables.annotations[saved.id] = saved
            at = saved.updated_at or saved.created_at
            tables.annotation_changes[saved.id, saved.version] = AnnotationChange(annotation=saved, withdrawn=False, at=at)
        return saved

    async def remove(self, annotation: Annotation, *, at: datetime) -> None:
        async with self._access.write() as tables:
            del tables.annotations[annotation.id]
            change = AnnotationChange(annotation=annotation, withdrawn=True, at=at)
            tables.annotation_changes[annotation.id, annotation.version + 1] = change

    async def standing(self, label_set: LabelSet, *, resource_ids: Sequence[int], hold: bool) -> tuple[frozenset[int], list[Annotation]]:
        tables = self._access.read
        owned = [resource for owner, resource in tables.resources.values() if owner == label_set.project_id]
        live = frozenset(each.id for each in owned if each.is_active and each.id in resource_ids)
        found = [each for _, each in sorted(tables.annotations.items())]
        return live, [each for each in found if each.label_set_id == label_set.id and each.resource_id in live]

    async def save_all(self, label_set: LabelSet, made: Sequence[Annotation]) -> None:
        for each in made:
            await self.save(label_set, each)

    async def settle_all(self, label_set: LabelSet, judgements: Mapping[int, Judgement]) -> None:
        for resource_id, judgement in judgements.items():
            lease = self._access.read.leases.get((label_set.id, resource_id))
            holder = None if lease is None or lease.annotator_id not in judgement.annotators else lease.annotator_id
            await self.settle(label_set, judgement, resource_id=resource_id, given_back_by=holder)

    async def given(self, label_set: LabelSet, *, resource_id: int) -> list[Given]:
        here = [each for each in self._access.read.annotations.values() if _place(each)[:2] == (label_set.id, resource_id)]
        return [Given(annotator_id=each.annotator_id, value=each.value) for each in sorted(here, key=lambda each: each.annotator_id)]

    async def settle(self, label_set: LabelSet, judgement: Judgement, *, resource_id: int, given_back_by: int | None = None) -> None:
        async with self._access.write() as tables:
            item = label_set.id, resource_id
            tables.judgements[item] = judgement
            lease = tables.leases.get(item)
            if lease is not None and lease.annotator_id == given_back_by:
                del tables.leases[item]

    async def draw(self, label_set: LabelSet, *, annotator_id: int, at: datetime, until: datetime) -> int | None:
        async with self._access.write() as tables:
            items = [
                (id, tables.judgements.get((label_set.id, id), NOTHING))
                for id, (owner, resource) in tables.resources.items()
                if owner == label_set.project_id and resource.is_active and not _is_leased(tables, (label_set.id, id), at)
            ]
            free = [(id, judgement) for id, judgement in items if annotator_id not in judgement.annotators]
            copies = label_set.declaration.copies
            wanting = [(-len(each.annotators), id) for id, each in free if len(each.annotators) < copies]
            disputed = [(-each.dispute, id) for id, each in free if len(each.annotators) >= copies and each.dispute > 0]
            if not wanting and not disputed:
                return None
            _, drawn = min(wanting or disputed)
            tables.leases[label_set.id, drawn] = Lease(annotator_id=annotator_id, until=until)
        return drawn


class FakeAnnotationSnapshot(AnnotationSnapshot):
    def __init__(self, tables: Tables, project_id: int) -> None:
        self._tables = tables
        self._project_id = project_id

    @property
    def project_id(self) -> int:
        return self._project_id

    async def count(self, where: AnnotationFilter) -> int:
        return len(_found(self._tables, where))

    async def batches(self, where: AnnotationFilter) -> AsyncIterator[list[NamedAnnotation]]:
        for annotation, resource in _found(self._tables, where):
            yield [NamedAnnotation(annotation=annotation, resource_name=resource.name)]


class FakeAnnotationReader(AnnotationReader):
    def __init__(self, access: Access, *, at_once: int = 6) -> None:
        self._access = access
        self._at_once = at_once
        self._open = 0

    async def page(self, where: AnnotationFilter, *, after: int, limit: int) -> list[Annotation]:
        return [annotation for annotation, _ in _found(self._access.read, where) if annotation.id > after][:limit]

    @asynccontextmanager
    async def snapshot(self, project: str) -> AsyncIterator[AnnotationSnapshot]:
        if self._open >= self._at_once:
            raise TooManyTables
        self._open += 1
        try:
            tables = self._access.read.copy()
            found = tables.live_project(project)
            if found is None:
                raise NotFound
            yield FakeAnnotationSnapshot(tables, found.id)
        finally:
            self._open -= 1


def _place(annotation: Annotation) -> tuple[int, int, int]:
    return annotation.label_set_id, annotation.resource_id, annotation.annotator_id


def _is_leased(tables: Tables, item: tuple[int, int], at: datetime) -> bool:
    lease = tables.leases.get(item)
    return lease is not None and lease.until > at


def _found(tables: Tables, where: AnnotationFilter) -> list[tuple[Annotation, Resource]]:
    project = tables.live_project(where.project)
    if project is None:
        raise NotFound
    places = {_place(each) for each in tables.annotations.values()}
    found = []
    for _, each in sorted(tables.annotations.items()):
        label_set, (_, resource) = tables.label_sets[each.label_set_id], tables.resources[each.resource_id]
        if label_set.project_id != project.id or not resource.is_active:
            continue
        own = where.seen_by is not None and (each.label_set_id, each.resource_id, where.seen_by) in places
        asked = [(where.label_set, each.label_set), (where.resource_id, each.resource_id), (where.annotator, each.annotator)]
        if not is_seen(each, blind=label_set.declaration.blind, seen_by=where.seen_by, own=own):
            continue
        if all(wanted in (None, actual) for wanted, actual in asked):
            found.append((each, resource))
    return found
