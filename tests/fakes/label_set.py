"""Label sets in memory."""

import json
from collections import Counter
from dataclasses import replace
from typing import Any

from application.ports import LabelSets
from domain.errors import NotFound
from domain.label_set import LabelSet
from domain.survey import FieldChange, Question
from tests.fakes.store import Access


class FakeLabelSets(LabelSets):
    def __init__(self, access: Access) -> None:
        self._access = access

    async def get(self, project: str, name: str) -> LabelSet:
        _, found = await self.lock(project, name)
        if found is None:
            raise NotFound
        return found

    async def hold(self, project: str, name: str) -> LabelSet:
        return await self.get(project, name)

    async def lock(self, project: str, name: str) -> tuple[int, LabelSet | None]:
        tables = self._access.read
        found = tables.live_project(project)
        if found is None:
            raise NotFound
        return found.id, next((each for each in tables.label_sets.values() if (each.project_id, each.name) == (found.id, name)), None)

    async def count(self, project_id: int) -> int:
        return sum(each.project_id == project_id for each in self._access.read.label_sets.values())

    async def save(self, label_set: LabelSet, changes: tuple[FieldChange, ...]) -> LabelSet:
        async with self._access.write() as tables:
            saved = replace(label_set, id=label_set.id or self._access.new_id())
            tables.label_sets[saved.id] = saved
            tables.label_set_versions[saved.id, saved.version] = saved
        return saved

    async def questions(self, label_set_id: int) -> list[Question]:
        versions = self._access.read.label_set_versions
        return [versions[key].declaration.question for key in sorted(versions) if key[0] == label_set_id]

    async def labels(self, label_set_id: int) -> list[tuple[Any, int]]:
        given = [json.dumps(each.value) for each in self._access.read.annotations.values() if each.label_set_id == label_set_id]
        return [(json.loads(label), number) for label, number in Counter(given).items()]

    async def page(self, project: str, *, after: str, limit: int) -> list[LabelSet]:
        tables = self._access.read
        found = tables.live_project(project)
        if found is None:
            raise NotFound
        mine = [each for each in tables.label_sets.values() if each.project_id == found.id and each.name > after]
        return sorted(mine, key=lambda each: each.name)[:limit]
