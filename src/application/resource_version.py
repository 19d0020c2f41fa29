"""What a resource was: its versions, and bringing one back."""

from dataclasses import dataclass

from application.ports import Clock, Resources, ResourceVersions
from application.resource import UpdateResource
from domain.access import Action, require, require_on
from domain.resource import VERSIONS_KEPT, Resource, ResourceVersion
from domain.user import User

BATCH = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ListResourceVersions:
    """What a resource was and is, newest first, also when it is deleted; for its owner and admins.

    Each change makes a version: edits, imports, deleting, restoring and giving it to another. At most 100 are kept, each for a year after
    the next took its place.
    """

    resources: Resources
    versions: ResourceVersions

    async def __call__(self, *, project: str, resource_id: int, before: int | None, limit: int, by: User) -> list[ResourceVersion]:
        found = await _readable(self.resources, project, resource_id, by)
        return await self.versions.page(found, before=before, limit=limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetResourceVersion:
    """One version of a resource, whole; for its owner and admins."""

    resources: Resources
    versions: ResourceVersions

    async def __call__(self, *, project: str, resource_id: int, version: int, by: User) -> ResourceVersion:
        found = await _readable(self.resources, project, resource_id, by)
        return await self.versions.get(found, version)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreResourceVersion:
    """Make a live resource what it was in this version: an edit like any other, by its owner or an admin, that makes a new version.

    Its owner stays, and where nothing differs nothing happens.
    """

    resources: Resources
    versions: ResourceVersions
    update: UpdateResource

    async def __call__(self, *, project: str, resource_id: int, version: int, expected: frozenset[int] | None, by: User) -> Resource:
        require(by, Action.RESOURCE_UPDATE)
        found = await self.resources.get(project=project, resource_id=resource_id)
        wanted = await self.versions.get(found, version)
        return await self.update(project=project, resource_id=resource_id, changes=wanted.content, expected=expected, by=by)


async def _readable(resources: Resources, project: str, resource_id: int, by: User) -> Resource:
    require(by, Action.RESOURCE_VERSIONS)
    found = await resources.get(project=project, resource_id=resource_id)
    require_on(by, Action.RESOURCE_VERSIONS, owner_id=found.owner_id)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetResourceVersions:
    """Let go of versions whose place another took more than a year ago, some at a time: whether there may be more."""

    versions: ResourceVersions
    clock: Clock

    async def __call__(self) -> bool:
        return await self.versions.forget(before=self.clock.now() - VERSIONS_KEPT, limit=BATCH) == BATCH
