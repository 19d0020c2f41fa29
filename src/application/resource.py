"""Resources: create, change, put away, bring back; read one, list, page, count."""

from dataclasses import dataclass, replace
from typing import Any

from application.ports import (
    After,
    Clock,
    Document,
    LabelSets,
    NumberedPage,
    Page,
    ResourceEdits,
    ResourceReader,
    UnitOfWork,
    UnitOfWorkFactory,
)
from domain.access import Action, require, require_on
from domain.audit import Difference, Entry, Target, differences, entry
from domain.errors import Fault, Invalid, NotFound
from domain.resource import LABELS_MAX, Filter, Resource, Sort, Status, new_resource
from domain.user import User, canonical_username


def resource_entry(action: str, before: Resource | None, after: Resource, *, by: User) -> Entry:
    """What the audit trail tells of a change of a resource."""
    changes = differences(before, after, "name", "description", "status", "attributes", "is_active")
    at = after.updated_at or after.created_at
    return entry(action, Target(type="resource", id=after.id), by=by, at=at, project=after.project, changes=changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateResource:
    """Make a resource, owned by whoever makes it.

    Its name is unique among the live resources of the project, compared trimmed, NFC and case-folded.
    """

    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(
        self,
        *,
        project: str,
        name: str,
        description: str | None = None,
        status: Status = Status.ACTIVE,
        attributes: dict[str, Any],
        by: User,
    ) -> Resource:
        async with self.unit_of_work() as work:
            made = await self.within(work, project=project, name=name, description=description, status=status, attributes=attributes, by=by)
            await work.commit()
        return made

    async def within(
        self,
        work: UnitOfWork,
        *,
        project: str,
        name: str,
        description: str | None = None,
        status: Status = Status.ACTIVE,
        attributes: dict[str, Any],
        by: User,
    ) -> Resource:
        """The same within somebody else's unit of work."""
        resource = new_resource(
            project=project,
            name=name,
            description=description,
            status=status,
            attributes=attributes,
            by=by,
            at=self.clock.now(),
        )
        added = await work.resources.add(resource)
        await work.audit.add(resource_entry("resource.create", None, added, by=by))
        return added


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateResource:
    """Change a resource, as its owner or an admin: only the fields sent change, and `{}` changes nothing.

    Where somebody else changes it at the same moment, it is held while it is changed.
    """

    edits: ResourceEdits
    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(
        self, *, project: str, resource_id: int, changes: dict[str, Any], expected: frozenset[int] | None, by: User
    ) -> Resource:
        require(by, Action.RESOURCE_UPDATE)

        def revise(found: Resource) -> Resource:
            return found.revise(changes, by=by, expected=expected, at=self.clock.now())

        found = await self.edits.get(project=project, resource_id=resource_id)
        revised = revise(found)
        if revised is found or await self.edits.swap(found, revised, entry=_update(found, revised, by=by)):
            return revised
        async with self.unit_of_work() as work:
            found = await work.resources.lock(project=project, resource_id=resource_id)
            revised = revise(found)
            if revised is not found:
                await work.resources.save(revised)
                await work.audit.add(_update(found, revised, by=by))
            await work.commit()
        return revised


def _update(before: Resource, after: Resource, *, by: User) -> Entry:
    return resource_entry("resource.update", before, after, by=by)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteResource:
    """Put a resource away; its name is free from then on, and an admin can restore it."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(self, *, project: str, resource_id: int, expected: frozenset[int] | None, by: User) -> None:
        require(by, Action.RESOURCE_DELETE)
        async with self.unit_of_work() as work:
            found = await work.resources.lock(project=project, resource_id=resource_id)
            deleted = found.delete(by=by, expected=expected, at=self.clock.now())
            await work.resources.save(deleted)
            await work.audit.add(resource_entry("resource.delete", found, deleted, by=by))
            await work.commit()


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreResource:
    """Bring a deleted resource back, unless another has taken its name. A live one stays as it is."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(self, *, project: str, resource_id: int, expected: frozenset[int] | None, by: User) -> Resource:
        require(by, Action.RESOURCE_DELETE)
        async with self.unit_of_work() as work:
            found = await work.resources.lock(project=project, resource_id=resource_id, deleted=True)
            restored = found.restore(by=by, expected=expected, at=self.clock.now())
            if restored is not found:
                await work.resources.save(restored)
                await work.audit.add(resource_entry("resource.restore", found, restored, by=by))
            await work.commit()
        return restored


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveResource:
    """Give a resource to another active user, as its owner or an admin: from then on it is theirs to edit.

    Who made it stays as it is.
    """

    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(
        self, *, project: str, resource_id: int, username: str, expected: frozenset[int] | None, by: User
    ) -> tuple[Resource, User]:
        """The resource and its owner."""
        require(by, Action.RESOURCE_GIVE)
        async with self.unit_of_work() as work:
            found = await work.resources.lock(project=project, resource_id=resource_id)
            require_on(by, Action.RESOURCE_GIVE, owner_id=found.owner_id)  # before a stranger hears which names there are
            named = await work.users.by_username(canonical_username(username))
            owner = None if named is None else await work.users.lock(named.id)  # who is deactivated meanwhile owns nothing new
            if owner is None or not owner.is_active:
                raise Invalid(Fault(pointer="/username", code="unknown-user", detail="No active user has this name."))
            given = found.give(to=owner, by=by, expected=expected, at=self.clock.now())
            if given is not found:
                before = await work.users.get(found.owner_id)
                await work.resources.save(given)
                await work.audit.add(_given(given, before, owner, by=by))
            await work.commit()
        return given, owner


def _given(resource: Resource, before: User, after: User, *, by: User) -> Entry:
    told = (Difference(field="owner", before=before.username, after=after.username),)
    at = resource.updated_at or resource.created_at
    return entry("resource.give", Target(type="resource", id=resource.id), by=by, at=at, project=resource.project, changes=told)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetResource:
    """One resource of a project."""

    resources: ResourceReader

    async def __call__(self, *, project: str, resource_id: int) -> Document:
        return await self.resources.get(project=project, resource_id=resource_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListResources:
    """Resources of a project in a total order: after a place in it (`cursor`), or after the first few (`skip`)."""

    resources: ResourceReader
    label_sets: LabelSets

    async def __call__(self, where: Filter, *, sort: Sort, limit: int, skip: int = 0, after: After | None = None) -> Page:
        where = await understood(self.label_sets, where)
        return await self.resources.page(where, sort=sort, limit=limit, skip=skip, after=after)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageResources:
    """Resources of a project by page number, with the total of the same moment."""

    resources: ResourceReader
    label_sets: LabelSets

    async def __call__(self, where: Filter, *, sort: Sort, page: int, per_page: int) -> NumberedPage:
        where = await understood(self.label_sets, where)
        return await self.resources.numbered_page(where, sort=sort, page=page, per_page=per_page)


@dataclass(frozen=True, slots=True, kw_only=True)
class CountResources:
    """How many resources a project has under the same filters as the list."""

    resources: ResourceReader
    label_sets: LabelSets

    async def __call__(self, where: Filter) -> int:
        return await self.resources.count(await understood(self.label_sets, where))


async def understood(label_sets: LabelSets, where: Filter) -> Filter:
    """The filter with each label in its written form. Raises `Invalid` for a set that is not there, or a label that it does not take."""
    if len(where.labels) > LABELS_MAX:
        raise Invalid(Fault(pointer="", code="too-many-labels", detail=f"At most {LABELS_MAX} label sets at once."))
    labels = []
    for name, text in where.labels:
        try:
            label_set = await label_sets.get(where.project, name)
        except NotFound:
            raise Invalid(Fault(pointer="", code="unknown-label-set", detail="This project has no such label set.")) from None
        try:
            labels.append((name, label_set.read(text, at="")))
        except Invalid:  # which tells the choices: they are for the team
            raise Invalid(Fault(pointer=f"/label.{name}", code="invalid-label", detail="That set has no such label.")) from None
    return replace(where, labels=tuple(labels)) if labels else where
