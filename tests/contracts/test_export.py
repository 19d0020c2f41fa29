"""Stored exports and who makes them: the sentences of `Exports`."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from application.ports import Claim
from domain.access import Role
from domain.errors import NotFound
from domain.export import Column, ColumnType, Export, Format, Manifest, Progress, Quota, Subject, new_export
from domain.quota import QuotaExceeded
from domain.user import User
from tests.contracts.stage import InMemory, InPostgres, Stage
from tests.examples import NOW

SECOND = timedelta(seconds=1)
LATER = NOW + 10 * SECOND
FIRST = UUID(int=0)
MANIFEST = Manifest(
    rows=2**40,
    size=2**41,
    sha256="ab" * 32,
    columns=(Column(name="id", type=ColumnType.INTEGER), Column(name="ü", type=ColumnType.TEXTS)),
    survey_version=3,
    package='{"name": "ü"}'.encode(),
)

ALL = frozenset(Subject)
ROOM = Quota(bytes=2**50)


def asked(number: int, by: User, *, project: str = "story", what: Subject = Subject.RESOURCES) -> Export:
    return new_export(id=UUID(int=number), project=project, what=what, format=Format.CSV, filters={"status": "active"}, by=by, at=NOW)


async def begin(stage: Stage, *numbers: int) -> list[Export]:
    """A project with these exports, asked for by an annotator."""
    await stage.project()
    by = await stage.user("annotator", role=Role.ANNOTATOR)
    made = [asked(number, by) for number in numbers]
    for export in made:
        await stage.exports.add(export, quota=ROOM)
    return made


async def claim(stage: Stage, *, at: timedelta = 0 * SECOND) -> Claim:
    found = await stage.exports.claim(at=NOW + at, until=NOW + at + 10 * SECOND)
    assert found is not None
    return found


async def get(stage: Stage, number: int = 1) -> Export:
    return await stage.exports.get(project="story", export_id=UUID(int=number))


class ExportsContract:
    async def test_an_export_is_kept_as_it_was_asked_for(self, stage: Stage) -> None:
        (made,) = await begin(stage, 1)
        assert await get(stage) == made

    async def test_an_export_belongs_to_its_project(self, stage: Stage) -> None:
        (made,) = await begin(stage, 1)
        await stage.project("other")
        for project, id in (("other", made.id), ("story", UUID(int=2)), ("unknown", made.id)):
            with pytest.raises(NotFound):
                await stage.exports.get(project=project, export_id=id)
        assert await stage.exports.page("other", of=ALL, after=FIRST, limit=10) == []
        with pytest.raises(NotFound):
            await stage.exports.page("unknown", of=ALL, after=FIRST, limit=10)

    async def test_a_project_that_is_gone_takes_none(self, stage: Stage) -> None:
        (made,) = await begin(stage, 1)
        await stage.put_away()
        by = replace(await stage.user("another"), role=Role.ANNOTATOR)
        with pytest.raises(NotFound):
            await stage.exports.add(asked(2, by), quota=ROOM)
        with pytest.raises(NotFound):
            await stage.exports.get(project="story", export_id=made.id)

    async def test_pages_are_in_the_order_of_ids(self, stage: Stage) -> None:
        await begin(stage, 3, 1, 2)
        first = await stage.exports.page("story", of=ALL, after=FIRST, limit=2)
        rest = await stage.exports.page("story", of=ALL, after=first[-1].id, limit=2)
        assert [export.id.int for export in first + rest] == [1, 2, 3]

    async def test_a_page_is_of_what_was_asked_for(self, stage: Stage) -> None:
        await stage.project()
        by = await stage.user("grace", role=Role.ADMIN)
        for number, what in enumerate([Subject.ANNOTATIONS, Subject.RESPONSES, Subject.ANNOTATIONS, Subject.RESOURCES], start=1):
            await stage.exports.add(asked(number, by, what=what), quota=ROOM)
        for of, found in ((ALL - {Subject.ANNOTATIONS}, [2, 4]), ({Subject.ANNOTATIONS}, [1, 3]), (set[Subject](), [])):
            assert [export.id.int for export in await stage.exports.page("story", of=of, after=FIRST, limit=2)] == found

    async def test_the_oldest_is_claimed_first_and_by_one_alone(self, stage: Stage) -> None:
        await begin(stage, 2, 1)
        first, second = await claim(stage), await claim(stage)
        assert [first.export.id.int, second.export.id.int] == [1, 2]
        assert first.content != second.content
        assert (first.attempts, first.title, first.export.project, first.export.created_by) == (1, "A story", "story", "annotator")
        assert await stage.exports.claim(at=NOW, until=LATER) is None
        assert ((await get(stage)).status, (await get(stage)).percent) == (Progress.RUNNING, 0)

    async def test_people_take_turns_whoever_asked_first(self, stage: Stage) -> None:
        await begin(stage, 1, 2, 3)
        other, third = [await stage.user(name, role=Role.ANNOTATOR) for name in ("other", "third")]
        for number, by in ((4, other), (5, other), (6, third)):
            await stage.exports.add(asked(number, by), quota=ROOM)
        turns = []
        for moment in range(5):
            claimed = await claim(stage, at=moment * SECOND)
            turns.append(claimed.export.id.int)
            async with stage.unit_of_work() as work:  # deleting it is no way to be next again
                await work.exports.remove(claimed.export)
                await work.commit()
        assert turns == [1, 4, 6, 2, 5]

    async def test_an_export_that_is_removed_is_gone_and_no_claim_to_it_holds(self, stage: Stage) -> None:
        await begin(stage, 1, 2)
        claimed = await claim(stage)
        async with stage.unit_of_work() as work:
            await work.exports.remove(await work.exports.lock(project="story", export_id=claimed.export.id))
            with pytest.raises(NotFound):
                await work.exports.lock(project="story", export_id=claimed.export.id)
            await work.commit()
        with pytest.raises(NotFound):
            await get(stage, 1)
        assert not await stage.exports.renew(claimed, percent=1, until=LATER)
        assert not await stage.exports.finish(claimed, MANIFEST, quota=ROOM)
        assert (await claim(stage)).export.id == UUID(int=2)

    async def test_one_person_has_so_many_exports_that_have_not_failed(self, stage: Stage) -> None:
        quota = Quota(live=2)
        (first, _) = await begin(stage, 1, 2)
        by = await stage.users.get(first.created_by_id)

        async def add(number: int, by: User = by, project: str = "story") -> None:
            async with stage.unit_of_work() as work:
                await work.exports.add(asked(number, by, project=project), quota=quota)
                await work.commit()

        with pytest.raises(QuotaExceeded):
            await add(3)
        with pytest.raises(NotFound):
            await get(stage, 3)
        await add(4, await stage.user("other", role=Role.ANNOTATOR))
        await stage.exports.fail(await claim(stage))
        await add(5)
        await stage.project("another")
        with pytest.raises(QuotaExceeded):
            await add(6, project="another")
        with pytest.raises(NotFound):
            await add(6, project="nowhere")
        await stage.put_away()  # what nobody can delete any more stands in nobody's way
        await add(6, project="another")

    async def test_of_many_asked_for_at_once_there_are_as_many_as_there_may_be(self, stage: Stage) -> None:
        await stage.project()
        by = await stage.user("annotator", role=Role.ANNOTATOR)

        async def add(number: int) -> None:
            async with stage.unit_of_work() as work:
                await work.exports.add(asked(number, by), quota=Quota(live=3))
                await work.commit()

        refused = await asyncio.gather(*(add(number) for number in range(1, 9)), return_exceptions=True)
        assert [type(each) for each in refused if each is not None] == [QuotaExceeded] * 5
        assert len(await stage.exports.page("story", of=ALL, after=FIRST, limit=10)) == 3

    async def test_the_exports_of_one_person_come_to_so_many_bytes(self, stage: Stage) -> None:
        await begin(stage, 1, 2, 3, 4)
        claims, small = [await claim(stage) for _ in range(4)], replace(MANIFEST, size=10)

        async def finish(claimed: Claim) -> bool:
            async with stage.unit_of_work() as work:
                is_done = await work.exports.finish(claimed, small, quota=Quota(bytes=20))
                await work.commit()
            return is_done

        found = await asyncio.gather(*map(finish, claims), return_exceptions=True)
        assert sorted(map(str, found))[2:] == ["True", "True"]
        refused = [claimed for claimed, each in zip(claims, found, strict=True) if isinstance(each, QuotaExceeded)]
        assert len(refused) == 2
        assert (await get(stage, refused[0].export.id.int)).status is Progress.RUNNING
        with pytest.raises(QuotaExceeded):
            await stage.exports.add(asked(5, await stage.users.get(claims[0].export.created_by_id)), quota=Quota(bytes=20))
        async with stage.unit_of_work() as work:
            done = next(each for each in claims if each not in refused)
            await work.exports.remove(done.export)
            await work.commit()
        assert await finish(refused[0])

    async def test_each_of_many_who_claim_at_once_gets_another(self, stage: Stage) -> None:
        await begin(stage, *range(1, 9))
        found = await asyncio.gather(*(stage.exports.claim(at=NOW, until=LATER) for _ in range(12)))
        claimed = [each.export.id.int for each in found if each is not None]
        assert len(claimed) == len(set(claimed))
        while each := await stage.exports.claim(at=NOW, until=LATER):
            claimed.append(each.export.id.int)
        assert sorted(claimed) == list(range(1, 9))

    async def test_a_claim_that_ran_out_is_anothers_and_no_longer_holds(self, stage: Stage) -> None:
        await begin(stage, 1)
        old = await claim(stage)
        assert await stage.exports.claim(at=LATER, until=LATER) is None
        new = await claim(stage, at=11 * SECOND)
        assert (new.export.id, new.attempts) == (old.export.id, 2)
        assert new.content != old.content
        assert not await stage.exports.renew(old, percent=50, until=LATER)
        assert not await stage.exports.finish(old, MANIFEST, quota=ROOM)
        await stage.exports.fail(old)
        await stage.exports.release(old)
        assert ((await get(stage)).status, (await get(stage)).percent) == (Progress.RUNNING, 0)
        assert await stage.exports.finish(new, MANIFEST, quota=ROOM)

    async def test_a_claim_that_is_renewed_goes_on(self, stage: Stage) -> None:
        await begin(stage, 1)
        mine = await claim(stage)
        assert await stage.exports.renew(mine, percent=42, until=NOW + 20 * SECOND)
        assert await stage.exports.claim(at=NOW + 15 * SECOND, until=LATER) is None
        assert (await get(stage)).percent == 42
        assert await claim(stage, at=21 * SECOND)

    async def test_what_is_done_has_its_manifest_and_stays_so(self, stage: Stage) -> None:
        (made,) = await begin(stage, 1)
        mine = await claim(stage)
        assert await stage.exports.finish(mine, MANIFEST, quota=ROOM)
        assert await get(stage) == made.done(MANIFEST, mine.content)
        assert not await stage.exports.finish(mine, replace(MANIFEST, rows=1), quota=ROOM)
        assert not await stage.exports.renew(mine, percent=1, until=LATER)
        await stage.exports.fail(mine)
        await stage.exports.release(mine)
        assert await get(stage) == made.done(MANIFEST, mine.content)
        assert await stage.exports.claim(at=NOW + 3600 * SECOND, until=LATER) is None

    async def test_what_failed_is_not_tried_again(self, stage: Stage) -> None:
        await begin(stage, 1)
        await stage.exports.fail(await claim(stage))
        assert (await get(stage)).status is Progress.FAILED
        assert await stage.exports.claim(at=NOW + 3600 * SECOND, until=LATER) is None

    async def test_what_is_released_is_as_though_it_had_not_been_tried(self, stage: Stage) -> None:
        (made,) = await begin(stage, 1)
        mine = await claim(stage)
        assert await stage.exports.renew(mine, percent=42, until=LATER)
        await stage.exports.release(mine)
        assert await get(stage) == made
        assert (await claim(stage)).attempts == 1
        assert not await stage.exports.finish(mine, MANIFEST, quota=ROOM)

    async def test_names_are_known_while_claimed_and_once_done(self, stage: Stage) -> None:
        await begin(stage, 1, 2, 3)
        done, lost, failed, strange = await claim(stage), await claim(stage), await claim(stage), uuid4()
        await stage.exports.finish(done, MANIFEST, quota=ROOM)
        await stage.exports.fail(failed)
        names = [done.content, lost.content, failed.content, strange]
        assert await stage.exports.unknown(names) == {failed.content, strange}
        again = await claim(stage, at=11 * SECOND)
        assert await stage.exports.unknown([lost.content, again.content]) == {lost.content}
        assert await stage.exports.unknown([]) == set()

    async def test_every_export_that_is_done_is_listed_by_id_whatever_its_project(self, stage: Stage) -> None:
        made = await begin(stage, 1, 2, 3, 4, 5)
        for _ in range(4):
            await stage.exports.finish(await claim(stage), MANIFEST, quota=ROOM)
        await stage.put_away(at=NOW)
        first = await stage.exports.every(after=FIRST, limit=3)
        rest = await stage.exports.every(after=first[-1].id, limit=3)
        assert [(each.id, each.project, each.manifest) for each in first + rest] == [(each.id, "story", MANIFEST) for each in made[:4]]
        assert await stage.exports.unknown([each.whole()[1] for each in first + rest]) == set()

    async def test_what_was_longest_not_verified_is_taken_once(self, stage: Stage) -> None:
        await stage.project()
        by = await stage.user("annotator", role=Role.ANNOTATOR)
        late, early, running, queued = [replace(asked(number, by), created_at=NOW - number * SECOND) for number in range(1, 5)]
        for export in (late, early, running, queued):
            await stage.exports.add(export, quota=ROOM)
        for _ in range(2):
            await stage.exports.finish(await claim(stage), MANIFEST, quota=ROOM)
        await claim(stage)

        async def take(before: timedelta) -> Export | None:
            return await stage.exports.take_unverified(before=NOW - before, at=NOW)

        assert await take(2 * SECOND) is None
        assert await take(0 * SECOND) == await get(stage, 2)
        assert await take(0 * SECOND) == await get(stage, 1)
        assert await take(0 * SECOND) is None

    async def test_of_two_that_take_at_once_each_gets_another(self, stage: Stage) -> None:
        await begin(stage, 1, 2, 3, 4, 5)
        for _ in range(5):
            await stage.exports.finish(await claim(stage), MANIFEST, quota=ROOM)
        taken = await asyncio.gather(*(stage.exports.take_unverified(before=LATER, at=LATER + SECOND) for _ in range(8)))
        ids = [export.id for export in taken if export]
        assert len(ids) == len(set(ids)) == 5

    async def test_old_ones_are_purged_and_those_underway_are_not(self, stage: Stage) -> None:
        await begin(stage, 1, 2, 3, 4)
        await stage.exports.finish(await claim(stage), MANIFEST, quota=ROOM)
        await stage.exports.fail(await claim(stage))
        await claim(stage)
        assert (await stage.purge(before=NOW))["exports"] == 0
        for for_good in (False, False, True):
            assert (await stage.purge(before=NOW + SECOND, for_good=for_good))["exports"] == 2
        assert [export.id.int for export in await stage.exports.page("story", of=ALL, after=FIRST, limit=9)] == [3, 4]

    async def test_exports_go_with_their_project(self, stage: Stage) -> None:
        await begin(stage, 1, 2)
        await claim(stage)
        await stage.put_away(at=NOW)
        counts = await stage.purge(before=NOW + SECOND)
        assert (counts["exports"], counts["projects"]) == (2, 1)


class TestFakeExports(InMemory, ExportsContract):
    pass


class TestPostgresExports(InPostgres, ExportsContract):
    pass
