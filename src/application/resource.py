"""Resources: create, change, put away, bring back; read one, list, page, count."""

from dataclasses import dataclass
from typing import Any

from application.ports import After, Clock, Document, NumberedPage, Page, ResourceReader, UnitOfWork, UnitOfWorkFactory
from domain.access import Action, require
from domain.resource import Filter, Resource, Sort, Status, new_resource
from domain.user import User


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
        return await work.resources.add(resource)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateResource:
    """Change a resource, as its creator or an admin: only the fields sent change, and `{}` changes nothing."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(
        self, *, project: str, resource_id: int, changes: dict[str, Any], expected: frozenset[int] | None, by: User
    ) -> Resource:
        require(by, Action.RESOURCE_UPDATE)
        async with self.unit_of_work() as work:
            found = await work.resources.lock(project=project, resource_id=resource_id)
            revised = found.revise(changes, by=by, expected=expected, at=self.clock.now())
            if revised is not found:
                await work.resources.save(revised)
            await work.commit()
        return revised


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteResource:
    """Put a resource away; its name is free from then on, and an admin can restore it."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(self, *, project: str, resource_id: int, expected: frozenset[int] | None, by: User) -> None:
        require(by, Action.RESOURCE_DELETE)
        async with self.unit_of_work() as work:
            found = await work.resources.lock(project=project, resource_id=resource_id)
            await work.resources.save(found.delete(by=by, expected=expected, at=self.clock.now()))
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
            await work.commit()
        return restored


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

    async def __call__(self, where: Filter, *, sort: Sort, limit: int, skip: int = 0, after: After | None = None) -> Page:
        return await self.resources.page(where, sort=sort, limit=limit, skip=skip, after=after)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageResources:
    """Resources of a project by page number, with the total of the same moment."""

    resources: ResourceReader

    async def __call__(self, where: Filter, *, sort: Sort, page: int, per_page: int) -> NumberedPage:
        return await self.resources.numbered_page(where, sort=sort, page=page, per_page=per_page)


@dataclass(frozen=True, slots=True, kw_only=True)
class CountResources:
    """How many resources a project has under the same filters as the list."""

    resources: ResourceReader

    async def __call__(self, where: Filter) -> int:
        return await self.resources.count(where)
