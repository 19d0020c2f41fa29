"""Resources in memory, as entities and as the JSON of the contract."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from application.ports import After, Document, NumberedPage, Page, ResourceEdits, ResourceReader, Resources, ResourceVersions
from domain.audit import Entry
from domain.errors import NotFound
from domain.resource import Filter, NameTaken, Resource, ResourceVersion, Sort
from domain.text import canonical, folded
from tests.fakes.audit import add_entry
from tests.fakes.store import Access, Tables

_NEVER = datetime.min.replace(tzinfo=UTC)


class FakeResources(Resources):
    def __init__(self, access: Access) -> None:
        self._access = access

    async def add(self, resource: Resource) -> Resource:
        async with self._access.write() as tables:
            project = tables.live_project(resource.project)
            if project is None:
                raise NotFound
            _expect_free(tables, project.id, resource)
            added = replace(resource, id=self._access.new_id())
            tables.resources[added.id] = project.id, added
        return added

    async def get(self, *, project: str, resource_id: int) -> Resource:
        return _found(self._access.read, project, resource_id, deleted=True)

    async def lock(self, *, project: str, resource_id: int, deleted: bool = False) -> Resource:
        return _found(self._access.read, project, resource_id, deleted=deleted)

    async def ids(self, *, project: str, names: Sequence[str]) -> dict[str, int]:
        found = [await self.lock_by_name(project=project, name=name) for name in names]
        return {each.name_key: each.id for each in found if each is not None}

    async def lock_by_name(self, *, project: str, name: str) -> Resource | None:
        tables = self._access.read
        found = tables.live_project(project)
        live = [each for owner, each in tables.resources.values() if found and owner == found.id and each.is_active]
        return next((each for each in live if each.name_key == canonical(name)), None)

    async def save(self, resource: Resource) -> None:
        async with self._access.write() as tables:
            owner, _ = tables.resources[resource.id]
            if resource.is_active:
                _expect_free(tables, owner, resource)
            tables.replace_resource(resource)


class FakeResourceEdits(ResourceEdits):
    def __init__(self, access: Access, *, request_id: Callable[[], str | None] = lambda: None) -> None:
        self._access = access
        self._request_id = request_id

    async def get(self, *, project: str, resource_id: int) -> Resource:
        return _found(self._access.read, project, resource_id)

    async def swap(self, before: Resource, after: Resource, *, entry: Entry) -> bool:
        async with self._access.write() as tables:
            try:
                is_same = _found(tables, before.project, before.id).version == before.version
            except NotFound:
                is_same = False
            if is_same:
                owner, _ = tables.resources[before.id]
                _expect_free(tables, owner, after)
                tables.replace_resource(after)
                add_entry(tables, self._access.new_id(), entry, self._request_id())
        return is_same


class FakeResourceVersions(ResourceVersions):
    def __init__(self, access: Access) -> None:
        self._access = access

    async def get(self, resource: Resource, version: int) -> ResourceVersion:
        found = [each for each in self._all(resource) if each.version == version]
        if not found:
            raise NotFound
        return found[0]

    async def page(self, resource: Resource, *, before: int | None, limit: int) -> list[ResourceVersion]:
        return [each for each in self._all(resource) if before is None or each.version < before][:limit]

    async def forget(self, *, before: datetime, limit: int) -> int:
        async with self._access.write() as tables:
            old = [key for key, at in tables.versions_replaced.items() if at < before and key in tables.resource_versions][:limit]
            for key in old:
                del tables.resource_versions[key]
        return len(old)

    def _all(self, resource: Resource) -> list[ResourceVersion]:
        """Newest first."""
        tables = self._access.read
        try:
            newest = [tables.version_of(_found(tables, resource.project, resource.id, deleted=True))]
        except NotFound:
            return []
        old = [key for key in tables.resource_versions if key[0] == resource.id]
        return [*newest, *(tables.resource_versions[key] for key in sorted(old, reverse=True))]


class FakeResourceReader(ResourceReader):
    def __init__(self, access: Access) -> None:
        self._access = access

    async def get(self, *, project: str, resource_id: int) -> Document:
        resource = _found(self._access.read, project, resource_id)
        return Document(json=_json(resource), version=resource.version)

    async def page(self, where: Filter, *, sort: Sort, limit: int, skip: int = 0, after: After | None = None) -> Page:
        found = self.sorted(where, sort)
        if after is not None:
            place = _place(sort, _comparable(after.key, sort), after.id)
            found = [each for each in found if (_place_of(sort, each) < place if sort.descending else _place_of(sort, each) > place)]
        page, more = found[skip : skip + limit], found[skip + limit :]
        return Page(json=_array(page), next=After(key=_portable(_key(sort, page[-1])), id=page[-1].id) if more else None)

    async def numbered_page(self, where: Filter, *, sort: Sort, page: int, per_page: int) -> NumberedPage:
        found = self.sorted(where, sort)
        return NumberedPage(json=_array(found[(page - 1) * per_page : page * per_page]), total=len(found))

    async def count(self, where: Filter) -> int:
        return len(self.sorted(where, Sort.ID))

    def sorted(self, where: Filter, sort: Sort) -> list[Resource]:
        """The resources that match, in this order."""
        tables = self._access.read
        project = tables.live_project(where.project)
        if project is None:
            raise NotFound
        part = folded(where.search or "")
        found = [
            resource
            for owner, resource in tables.resources.values()
            if owner == project.id and resource.is_active and where.status in (None, resource.status) and part in resource.search_text
            if all(_is_labelled(tables, project.id, resource.id, name, label) for name, label in where.labels)
        ]
        found.sort(key=lambda each: _place_of(sort, each), reverse=sort.descending)
        return found


def _is_labelled(tables: Tables, project_id: int, resource_id: int, name: str, label: str) -> bool:
    for label_set in tables.label_sets.values():
        judgement = tables.judgements.get((label_set.id, resource_id))
        if (label_set.project_id, label_set.name) == (project_id, name) and judgement is not None:
            return judgement.label == label and len(judgement.annotators) >= label_set.declaration.copies
    return False


def _found(tables: Tables, slug: str, resource_id: int, *, deleted: bool = False) -> Resource:
    project = tables.live_project(slug)
    owner, resource = tables.resources.get(resource_id, (0, None))
    if project is None or resource is None or owner != project.id or not (resource.is_active or deleted):
        raise NotFound
    return resource


def _expect_free(tables: Tables, project_id: int, resource: Resource) -> None:
    for owner, other in tables.resources.values():
        if owner == project_id and other.is_active and other.id != resource.id and other.name_key == resource.name_key:
            raise NameTaken


def _key(sort: Sort, resource: Resource) -> Any:
    return getattr(resource, sort.column)


def _place_of(sort: Sort, resource: Resource) -> tuple[bool, Any, int]:
    return _place(sort, _key(sort, resource), resource.id)


def _place(sort: Sort, key: Any, id: int) -> tuple[bool, Any, int]:
    """Where an entry stands; a null comes last, whichever way the list is read."""
    return (key is None) != sort.descending, _NEVER if key is None else key, id


def _portable(key: Any) -> str | int | None:
    return key.isoformat() if isinstance(key, datetime) else key


def _comparable(key: str | int | None, sort: Sort) -> Any:
    return datetime.fromisoformat(key) if isinstance(key, str) and sort.column.endswith("_at") else key


def _array(resources: list[Resource]) -> bytes:
    return b"[" + b",".join(map(_json, resources)) + b"]"


def _json(resource: Resource) -> bytes:
    document = {
        "id": resource.id,
        "project": resource.project,
        "name": resource.name,
        "description": resource.description,
        "status": resource.status.value,
        "attributes": resource.attributes,
        "created_by": resource.created_by,
        "created_at": _rfc3339(resource.created_at),
        "updated_at": resource.updated_at and _rfc3339(resource.updated_at),
        "is_active": resource.is_active,
        "version": resource.version,
    }
    return json.dumps(document, ensure_ascii=False).encode()


def _rfc3339(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
