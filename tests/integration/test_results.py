"""Published results over a real database: in which steps they advance, and that nobody sees anything between two steps."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import pytest

from adapters.postgres.database import Pool, Transaction
from adapters.postgres.response import PostgresResponses
from adapters.postgres.response.statements import SAVE
from adapters.postgres.response_counts import Pace, PostgresResponseCounts
from adapters.postgres.results import PostgresResults
from adapters.postgres.results_ledger import PostgresResultsLedger
from adapters.postgres.snapshots import Snapshots
from adapters.postgres.survey import PostgresSurveys
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.system import SystemClock, SystemRandom
from application.ports import Shared, T
from application.results import AdvanceResults, GetResults, NoteSpending, PublishDueResults, ReleaseResults
from domain.access import Role
from domain.errors import Invalid, NotFound
from domain.project import new_project
from domain.results import OVERALL
from domain.survey import Definition, Survey, first_survey
from tests.examples import CONSENT, GATE, NOW, PLATFORMS, SCALE, definition, user
from tests.fakes.storage import FakeFileStore

MINIMUM = 3
PUBLIC = {"public": True, "minimum_cell": MINIMUM, "protection": "suppression", "by": ["side"]}
SIDE: dict[str, Any] = {"field": "side", "type": "choice", "choices": [{"value": "left", "code": 1}, {"value": "right", "code": 2}]}


NOTHING: dict[str, Any] = {
    "project": "story",
    "survey_version": 1,
    "protection": "suppression",
    "n": None,
    "minimum_cell": MINIMUM,
    "accuracy": {"count": None, "group": None},
    "questions": [],
}


class NothingShared(Shared):
    """Everything is worked out each time that it is asked for."""

    async def get(self, project: str, name: str, make: Callable[[], Awaitable[T]]) -> T:
        return await make()

    def forget(self, project: str) -> None:
        pass


@dataclass(kw_only=True)
class Story:
    """A survey in a database, those who answer it, and those who read its results."""

    pool: Pool
    survey: Survey
    numbers: "count[int]" = field(default_factory=lambda: count(1))
    store: FakeFileStore = field(default_factory=FakeFileStore)

    def reader(self) -> GetResults:
        return GetResults(results=PostgresResults(self.pool), shared=NothingShared())

    def publisher(self) -> PublishDueResults:
        results, ledger, store, random = PostgresResults(self.pool), PostgresResultsLedger(self.pool), self.store, SystemRandom()
        release = ReleaseResults(
            surveys=PostgresSurveys(self.pool),
            ledger=ledger,
            counts=PostgresResponseCounts(Snapshots(self.pool), pace=Pace(rows_between_rests=100), seconds=30),
            note=NoteSpending(store=store, random=random),
            random=random,
            clock=SystemClock(),
        )
        return PublishDueResults(ledger=ledger, release=release, advance=AdvanceResults(results=results, clock=SystemClock()))

    async def bytes(self, by: str | None = None) -> bytes:
        """What readers see once the worker has had its turn."""
        await self.publisher()()
        return await self.reader()(project="story", by=by)

    async def results(self, by: str | None = None) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(await self.bytes(by))
        return document

    async def answer(self, who: int | None = None, **answers: Any) -> int:
        """The number of the respondent who gave these answers, a new one unless told."""
        who = next(self.numbers) if who is None else who
        await PostgresResponses(self.pool).save(
            self.survey.accept(answers),
            project_id=self.survey.project_id,
            pseudonym=who.to_bytes(32, "big"),
            token_hash=who.to_bytes(32, "big"),
            is_shown=False,
            seq=None,
            at=NOW,
        )
        return who

    async def answers(self, times: int, **answers: Any) -> list[int]:
        return [await self.answer(**answers) for _ in range(times)]

    async def erase(self, who: int) -> None:
        assert await PostgresResponses(self.pool).erase("story", who.to_bytes(32, "big"))

    async def publish(self, new: Definition) -> None:
        """A new version of the survey."""
        self.survey = replace(self.survey, definition=new, version=self.survey.version + 1)
        async with PostgresUnitOfWork(self.pool) as work:
            await work.surveys.lock("story")
            await work.surveys.save(self.survey, ())
            await work.commit()


async def story_of(pool: Pool, *questions: dict[str, Any], **rest: Any) -> Story:
    async with PostgresUnitOfWork(pool) as work:
        admin = await work.users.add(user("grace", role=Role.ADMIN))
        project = await work.projects.add(new_project(slug="story", title="A story", at=NOW))
        made, changes = first_survey(
            definition(*questions, **({"results": PUBLIC} | rest)), project_id=project.id, project="story", by=admin, at=NOW
        )
        await work.surveys.lock("story")
        await work.surveys.save(made, changes)
        await work.commit()
    return Story(pool=pool, survey=made)


@pytest.fixture
async def story(pool: Pool) -> Story:
    return await story_of(pool, SIDE, SCALE, PLATFORMS)


async def test_below_the_minimum_there_is_nothing(story: Story) -> None:
    await story.answers(MINIMUM - 1, side="left")
    assert await story.results() == NOTHING | {"published_at": None}
    assert await story.results("side") == NOTHING | {"published_at": None, "by": {"field": "side", "groups": []}}


async def test_who_answered_nothing_is_nobody(story: Story) -> None:
    await story.answers(MINIMUM - 1, side="left")
    await story.answer(side=None)
    assert (await story.results())["n"] is None
    await story.answer(side="left")
    assert (await story.results())["n"] == MINIMUM


async def test_results_tell_what_was_answered(story: Story) -> None:
    await story.answers(12, side="left", trust=2, platforms=["Other"])
    await story.answers(9, side="right", trust=6, platforms=["Other", "Twitter"])
    base = await story.results()
    assert (base["n"], [question["n"] for question in base["questions"]]) == (21, [21, 21, 21])
    assert base["questions"][0]["counts"] == [
        {"value": "left", "code": 1, "count": 12},
        {"value": "right", "code": 2, "count": 9},
    ]
    assert base["questions"][2]["counts"] == [{"value": "Twitter", "count": 9}, {"value": "Other", "count": 21}]
    by = await story.results("side")
    assert by["by"] == {"field": "side", "groups": [{"value": "left", "code": 1, "n": 12}, {"value": "right", "code": 2, "n": 9}]}
    assert [{k: v for k, v in question.items() if k != "groups"} for question in by["questions"]] == base["questions"]


@pytest.mark.parametrize("by", [None, "side"])
async def test_results_stay_the_same_until_enough_have_changed(story: Story, by: str | None) -> None:
    people = await story.answers(10, side="left", trust=2)
    await story.answers(5, side="right")
    first = await story.bytes(by)
    await story.answer(side="right", trust=7)
    await story.answer(people[0], side="right")
    await story.answer(people[0], trust=1)  # the same respondent again counts once
    assert await story.bytes(by) == first
    await story.erase(people[1])
    assert await story.bytes(by) == first
    await story.answer(people[2], trust=3)
    second = await story.bytes(by)
    assert second != first
    assert json.loads(second)["n"] == 15
    assert await story.bytes(by) == second


async def test_base_and_tables_are_of_the_same_moment(story: Story) -> None:
    await story.answers(10, side="left", trust=2)
    assert (await story.results())["n"] == 10
    await story.answers(MINIMUM - 1, side="left", trust=2)
    assert (await story.results("side"))["n"] == 10


async def test_erasures_make_no_step_and_results_vanish_with_the_next_where_too_few_are_left(story: Story) -> None:
    people = await story.answers(3 * MINIMUM, side="left")
    assert (await story.results())["n"] == 3 * MINIMUM
    for who in people[MINIMUM:]:
        await story.erase(who)
    assert (await story.results())["n"] == 3 * MINIMUM
    for who in people[:MINIMUM]:
        await story.answer(who, side=None)
    vanished = await story.results()
    assert vanished == NOTHING | {"published_at": vanished["published_at"]}


async def test_a_save_under_way_while_results_are_published_counts_for_the_next(story: Story) -> None:
    await story.answers(5, side="left")
    who = (99).to_bytes(32, "big")
    async with Transaction(story.pool) as under_way:
        given = {"project_id": story.survey.project_id, "pseudonym": who, "token_hash": who, "is_shown": False, "seq": None, "at": NOW}
        patch = {"patch": {"side": "right"}, "seqs": {}, "versions": {"side": 1}, "field": "side", "is_test": False, "logged": 1}
        await under_way.row(SAVE[False], **given, **patch, survey_version=1, save="00000000-0000-7000-8000-000000000000", turn=1)
        later = await story.answers(MINIMUM - 1, side="right")
        first = await story.bytes()
        assert json.loads(first)["n"] == 5 + MINIMUM - 1
        await story.answers(MINIMUM - 1, side="right")
        assert await story.bytes() == first
        await under_way.commit()
    assert later
    assert json.loads(await story.bytes())["n"] == 5 + MINIMUM - 1 + MINIMUM - 1 + 1


async def test_a_withdrawal_of_consent_is_a_change(pool: Pool) -> None:
    story = await story_of(pool, CONSENT, SIDE, consent=GATE, results=PUBLIC | {"by": ["consent"]})
    people = await story.answers(8, consent="accepted", side="left")
    await story.results()
    for who in people[:MINIMUM]:
        await story.answer(who, consent="declined")
    base = await story.results()
    assert [question["n"] for question in base["questions"]] == [8, 5]
    groups = (await story.results("consent"))["questions"][1]["groups"]
    assert [[cell["count"] for cell in group["counts"]] for group in groups] == [[None, None], [None, None]]


async def test_who_answered_before_there_was_a_gate_counts_only_after_consent(pool: Pool) -> None:
    story = await story_of(pool, CONSENT, SIDE)
    people = await story.answers(6, side="left")
    await story.publish(definition(CONSENT, SIDE, consent=GATE, results=PUBLIC))
    assert (await story.results())["n"] is None
    for who in people[:5]:
        await story.answer(who, consent="accepted")
    base = await story.results()
    assert (base["n"], [question["n"] for question in base["questions"]]) == (5, [5, 5])


async def test_a_new_version_shows_with_the_next_step(story: Story) -> None:
    await story.answers(6, side="left", trust=7)
    old = await story.results()
    fewer = SCALE | {"max": 6, "label": "How far do you trust them?"}
    await story.publish(definition(SIDE, fewer, results=PUBLIC))
    stands = await story.results()
    assert (stands["survey_version"], stands["published_at"], stands["n"]) == (1, old["published_at"], 6)
    assert stands["questions"][0] == old["questions"][0]
    assert stands["questions"][1] == old["questions"][1] | {"label": "How far do you trust them?"}
    assert [question["field"] for question in stands["questions"]] == ["side", "trust"]  # what is asked no longer is told no longer
    await story.answers(MINIMUM, side="right", trust=1)
    base = await story.results()
    assert (base["survey_version"], base["n"]) == (2, 9)
    assert [question["n"] for question in base["questions"]] == [9, 3]  # what the newest question no longer takes does not count


async def test_a_new_choice_question_makes_groups_with_the_next_step(story: Story) -> None:
    await story.answers(6, side="left")
    await story.results()
    await story.publish(definition(SIDE, SIDE | {"field": "other"}, results=PUBLIC | {"by": ["side", "other"]}))
    assert (await story.results("other"))["by"] == {"field": "other", "groups": []}
    await story.answers(MINIMUM, side="left", other="right")
    assert len((await story.results("other"))["by"]["groups"]) == 2


async def test_a_larger_minimum_hides_what_was_published_under_a_smaller_one(story: Story) -> None:
    await story.answers(10, side="left")
    assert (await story.results())["n"] == 10
    await story.publish(definition(SIDE, results=PUBLIC | {"minimum_cell": 5}))
    assert (await story.results())["n"] is None
    await story.answers(4, side="right")
    assert (await story.results())["n"] is None
    await story.answer(side="right")
    assert (await story.results())["n"] == 15


@pytest.mark.parametrize("minimum", [1, 1_000_000])
async def test_any_minimum_works(pool: Pool, minimum: int) -> None:
    story = await story_of(pool, SIDE, results=PUBLIC | {"minimum_cell": minimum})
    assert (await story.results())["n"] is None
    await story.answer(side="left")
    expected = 1 if minimum == 1 else None
    assert (await story.results())["n"] == expected


async def test_what_is_not_public_is_not_there(pool: Pool) -> None:
    story = await story_of(pool, SIDE, results={"public": False})
    for by in (None, "side", "nowhere"):
        with pytest.raises(NotFound):
            await story.results(by)
    with pytest.raises(NotFound):
        await story.reader()(project="another")


async def test_a_project_without_a_survey_has_no_results(pool: Pool) -> None:
    async with PostgresUnitOfWork(pool) as work:
        await work.projects.add(new_project(slug="story", title="A story", at=NOW))
        await work.commit()
    with pytest.raises(NotFound):
        await PostgresResults(pool).standing("story")


@pytest.mark.parametrize("by", ["trust", "platforms", "nowhere", ""])
async def test_only_a_choice_question_makes_groups(story: Story, by: str) -> None:
    with pytest.raises(Invalid) as refused:
        await story.results(by)
    assert [fault.pointer for fault in refused.value.faults] == ["/by"]


async def test_of_those_who_publish_at_once_one_is_heard(story: Story) -> None:
    await story.answers(5, side="left")
    results = PostgresResults(story.pool)
    before = await results.standing("story")
    document = {OVERALL: b'{"n":5}'}
    at_once = [results.publish(story.survey, document, mark=f"1:1:{n}", instead_of=before.mark, at=NOW) for n in range(8)]
    assert sorted(await asyncio.gather(*at_once)) == [False] * 7 + [True]


async def test_readers_who_come_at_once_see_the_same(story: Story) -> None:
    await story.answers(5, side="left")
    await story.publisher()()
    seen = await asyncio.gather(*(story.reader()(project="story") for _ in range(10)))
    assert len(set(seen)) == 1


# --- noise -------------------------------------------------------------------------------------------------------------------

NOISE: dict[str, Any] = {"public": True, "start": 20, "by": ["side"]}


async def test_of_workers_that_look_at_once_one_releases(pool: Pool) -> None:
    story = await story_of(pool, SIDE, SCALE, PLATFORMS, results=NOISE)
    await story.answers(20, side="left", trust=3, platforms=["Other"])
    assert sorted(await asyncio.gather(*(story.publisher()() for _ in range(6)))) == [False] * 5 + [True]
    found = await story.results("side")
    assert (found["protection"], found["responses"]) == ("noise", 20)
    assert len(story.store.contents) == 1


async def test_a_worker_that_stood_still_and_lost_its_turn_publishes_and_spends_nothing(pool: Pool) -> None:
    story = await story_of(pool, SIDE, results=NOISE)
    await story.answers(20, side="left")
    late = story.publisher()
    found = (await late.ledger.public_surveys())[0]
    assert await story.publisher()()
    first = await story.bytes()
    assert not await late.release(found)
    assert await story.bytes() == first
    assert len(story.store.contents) == 1
