"""Uploaded files: the sentences of `Files`."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from application.ports import Counts
from domain.errors import NotFound
from domain.file import File
from domain.quota import QuotaExceeded
from domain.user import User
from tests.contracts.stage import InMemory, InPostgres, Stage
from tests.examples import NOW

QUOTA = 1000
NIL = UUID(int=0)


def numbered(number: int) -> UUID:
    return UUID(int=(number << 80) | (7 << 76) | (0b10 << 62))


def file_of(user: User, number: int = 1, **changes: object) -> File:
    content: dict[str, object] = {
        "filename": "é\"'🦊.png",
        "size": 100,
        "content_type": "image/png",
        "sha256": "ab" * 32,
        "created_at": NOW,
    }
    return File(id=numbered(number), created_by=user.username, created_by_id=user.id, **{"project": "story"} | content | changes)  # type: ignore[arg-type]


async def added(stage: Stage, *files: File, quota: int = QUOTA) -> None:
    async with stage.unit_of_work() as work:
        for file in files:
            await work.files.add(file, quota=quota)
        await work.commit()


class FilesContract:
    async def test_a_file_is_read_back_as_it_was_added(self, stage: Stage) -> None:
        ada, _ = await stage.user(), await stage.project()
        file = file_of(ada, size=2**40)
        await added(stage, file, quota=2**41)
        assert await stage.files.get(project="story", file_id=file.id) == file
        assert await stage.files.page("story", after=NIL, limit=9) == [file]

    async def test_a_file_belongs_to_its_project(self, stage: Stage) -> None:
        ada, _, _ = await stage.user(), await stage.project(), await stage.project("other")
        file = file_of(ada)
        await added(stage, file)
        with pytest.raises(NotFound):
            await stage.files.get(project="other", file_id=file.id)
        with pytest.raises(NotFound):
            await stage.files.remove(project="other", file_id=file.id)
        assert await stage.files.page("other", after=NIL, limit=9) == []
        for work in (stage.files.page("none", after=NIL, limit=9), stage.files.get(project="none", file_id=file.id)):
            with pytest.raises(NotFound):
                await work

    async def test_nothing_is_added_to_what_is_not_there(self, stage: Stage) -> None:
        ada, _ = await stage.user(), await stage.project()
        with pytest.raises(NotFound):
            await added(stage, file_of(ada, project="none"))
        await stage.put_away()
        with pytest.raises(NotFound):
            await added(stage, file_of(ada))
        assert await stage.files.every(after=NIL, limit=9) == []

    async def test_files_of_a_deleted_project_are_there_for_those_who_keep_them_alone(self, stage: Stage) -> None:
        ada, _ = await stage.user(), await stage.project()
        file = file_of(ada)
        await added(stage, file)
        await stage.put_away()
        for work in (stage.files.get(project="story", file_id=file.id), stage.files.page("story", after=NIL, limit=9)):
            with pytest.raises(NotFound):
                await work
        with pytest.raises(NotFound):
            await stage.files.remove(project="story", file_id=file.id)
        assert await stage.files.every(after=NIL, limit=9) == [file]
        assert await stage.files.strangers([file.id]) == set()
        await stage.purge(before=NOW + timedelta(1))
        assert await stage.files.every(after=NIL, limit=9) == []

    async def test_files_are_listed_by_id(self, stage: Stage) -> None:
        ada, _ = await stage.user(), await stage.project()
        files = [file_of(ada, number) for number in (3, 1, 2)]
        await added(stage, *files)
        by_id = sorted(files, key=lambda file: file.id)
        assert await stage.files.page("story", after=NIL, limit=2) == by_id[:2]
        assert await stage.files.page("story", after=by_id[1].id, limit=2) == by_id[2:]
        assert await stage.files.every(after=by_id[0].id, limit=1) == [by_id[1]]

    async def test_a_quota_is_for_all_that_one_person_uploaded(self, stage: Stage) -> None:
        ada, emmy, _, _ = await stage.user("ada"), await stage.user("emmy"), await stage.project(), await stage.project("other")
        await added(stage, file_of(ada, 1, size=600), file_of(ada, 2, size=400, project="other"))
        with pytest.raises(QuotaExceeded):
            await added(stage, file_of(ada, 3, size=1))
        await added(stage, file_of(emmy, 4, size=1000))
        await stage.files.remove(project="other", file_id=numbered(2))
        await added(stage, file_of(ada, 5, size=400))
        assert {file.id for file in await stage.files.every(after=NIL, limit=9)} == {numbered(1), numbered(4), numbered(5)}

    async def test_a_quota_holds_for_files_that_are_added_at_once(self, stage: Stage) -> None:
        ada, _ = await stage.user(), await stage.project()
        done = await asyncio.gather(*(added(stage, file_of(ada, number, size=300)) for number in range(1, 11)), return_exceptions=True)
        assert sorted(type(each).__name__ for each in done) == ["NoneType"] * 3 + ["QuotaExceeded"] * 7

    async def test_of_those_that_remove_a_file_one_does(self, stage: Stage) -> None:
        ada, _ = await stage.user(), await stage.project()
        await added(stage, file_of(ada))
        removed = await asyncio.gather(
            *(stage.files.remove(project="story", file_id=numbered(1)) for _ in range(6)), return_exceptions=True
        )
        assert sorted(type(each).__name__ for each in removed) == ["NoneType"] + ["NotFound"] * 5

    async def test_ids_that_no_file_has_are_strangers(self, stage: Stage) -> None:
        ada, _ = await stage.user(), await stage.project()
        await added(stage, file_of(ada, 1))
        assert await stage.files.strangers([numbered(1), numbered(2), numbered(3)]) == {numbered(2), numbered(3)}
        assert await stage.files.strangers([]) == set()

    async def test_waiting_ends_when_what_was_being_added_is_added(self, stage: Stage) -> None:
        ada, _ = await stage.user(), await stage.project()
        began, go_on = asyncio.Event(), asyncio.Event()

        async def add_slowly() -> None:
            async with stage.unit_of_work() as work:
                await work.files.add(file_of(ada), quota=QUOTA)
                began.set()
                await go_on.wait()
                await work.commit()

        async def ask() -> set[UUID]:
            async with stage.unit_of_work() as work:
                await work.files.wait()
                return await work.files.strangers([numbered(1)])

        adding = asyncio.create_task(add_slowly())
        await began.wait()
        asking = asyncio.create_task(ask())
        assert not (await asyncio.wait({asking}, timeout=0.2))[0]
        go_on.set()
        await adding
        assert await asking == set()

    async def test_each_file_is_taken_to_be_verified_the_longest_ago_first(self, stage: Stage) -> None:
        ada, _ = await stage.user(), await stage.project()
        first, second = file_of(ada, 1, created_at=NOW - timedelta(hours=2)), file_of(ada, 2, created_at=NOW - timedelta(hours=3))
        await added(stage, first, second)

        async def take(before: timedelta) -> File | None:
            return await stage.files.take_unverified(before=NOW - before, at=NOW)

        assert await take(timedelta(hours=3)) is None
        assert await take(timedelta(hours=1)) == second
        assert await take(timedelta(hours=1)) == first
        assert await take(timedelta(hours=1)) is None
        assert await stage.files.get(project="story", file_id=first.id) == first

    async def test_of_two_that_take_at_once_each_gets_another(self, stage: Stage) -> None:
        ada, _ = await stage.user(), await stage.project()
        await added(stage, *(file_of(ada, number) for number in range(1, 6)))
        taken = await asyncio.gather(*(stage.files.take_unverified(before=NOW + timedelta(1), at=NOW + timedelta(2)) for _ in range(8)))
        ids = [file.id for file in taken if file]
        assert len(ids) == len(set(ids)) == 5

    async def test_the_files_of_a_project_are_counted(self, stage: Stage) -> None:
        ada, _, _ = await stage.user(), await stage.project(), await stage.project("other")
        await added(stage, file_of(ada, 1), file_of(ada, 2))
        assert (await stage.projects.overview("story"))[1] == Counts(resources=0, files=2, survey_open=False)
        assert (await stage.projects.overview("other"))[1].files == 0


class TestFakeFiles(InMemory, FilesContract):
    pass


class TestPostgresFiles(InPostgres, FilesContract):
    pass
