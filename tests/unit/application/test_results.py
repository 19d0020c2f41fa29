"""Publishing results in the background: when it is done, what it costs, and what happens when something fails in the midst of it."""

import json
from dataclasses import dataclass, field, replace
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest

from application.ports import PublicSurvey, ResultsLedger
from application.results import AdvanceResults, GetResults, NoteSpending, PublishDueResults, ReadSpendings, ReleaseResults
from domain.access import Role
from domain.errors import Invalid, NotFound, Unavailable
from domain.project import new_project
from domain.results import NotedSpending, Spending, Spent
from domain.survey import Definition, Survey, first_survey
from tests.examples import AGE, CONSENT, NOW, PLATFORMS, SCALE, definition, user
from tests.fakes.response import FakeResponses
from tests.fakes.response_counts import FakeResponseCounts
from tests.fakes.results import FakePublishedResults, FakeResultsLedger, FakeShared
from tests.fakes.storage import FakeFileStore
from tests.fakes.store import Store
from tests.fakes.survey import FakeSurveys
from tests.fakes.system import FakeClock, FakeRandom
from tests.fakes.unit_of_work import FakeUnitOfWork

NOISE: dict[str, Any] = {"public": True, "start": 20, "by": ["consent"]}


class LostConnection(FakeResultsLedger):
    """Loses the connection in the midst of a release: before anything was stored, or after."""

    fails: str = ""

    async def release(self, survey: Survey, spending: Spending, documents: Any, *, at: Any) -> bool:
        if self.fails == "before":
            raise Unavailable
        done = await super().release(survey, spending, documents, at=at)
        if self.fails == "after":
            raise Unavailable
        return done


@dataclass(kw_only=True)
class Service:
    """One survey, those who answer it, and the worker that publishes its results."""

    store: Store = field(default_factory=Store)
    files: FakeFileStore = field(default_factory=FakeFileStore)
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.results = FakePublishedResults(self.store)
        self.ledger = LostConnection(self.store, self.results)
        self.surveys = FakeSurveys(self.store)
        self.responses = FakeResponses(self.store)
        self.publish = self.worker(self.ledger)
        self.get = GetResults(results=self.results, shared=FakeShared())
        self.journal = ReadSpendings(store=self.files)

    def worker(self, ledger: ResultsLedger) -> PublishDueResults:
        random = FakeRandom()
        release = ReleaseResults(
            surveys=self.surveys,
            ledger=ledger,
            counts=FakeResponseCounts(self.store),
            note=NoteSpending(store=self.files, random=random),
            random=random,
            clock=self.clock,
        )
        return PublishDueResults(ledger=ledger, release=release, advance=AdvanceResults(results=self.results, clock=self.clock))

    async def survey(self, of: Definition, slug: str = "story") -> Survey:
        async with FakeUnitOfWork(self.store) as work:
            admin = await work.users.add(user(f"admin-of-{slug}", role=Role.ADMIN))
            project = await work.projects.add(new_project(slug=slug, title="A story", at=NOW))
            made, changes = first_survey(of, project_id=project.id, project=slug, by=admin, at=NOW)
            await work.surveys.lock(slug)
            await work.surveys.save(made, changes)
            await work.commit()
        return made

    async def change(self, survey: Survey, **changes: Any) -> Survey:
        changed = replace(survey, **changes)
        async with FakeUnitOfWork(self.store) as work:
            await work.surveys.lock(survey.project)
            await (work.surveys.save(changed, ()) if changed.version != survey.version else work.surveys.switch(changed))
            await work.commit()
        return changed

    async def answer(self, survey: Survey, people: range, **answers: object) -> None:
        for who in people:
            token = who.to_bytes(32, "big")
            given = {"consent": "accepted", "trust": 3} | answers
            await self.responses.save(
                survey.accept(given),
                project_id=survey.project_id,
                pseudonym=token,
                token_hash=token,
                is_shown=True,
                seq=None,
                at=NOW,
            )

    async def document(self, by: str | None = None, slug: str = "story") -> dict[str, Any]:
        found: dict[str, Any] = json.loads(await self.get(project=slug, by=by))
        return found

    async def spent(self) -> Spent:
        found: PublicSurvey = (await self.ledger.public_surveys())[0]
        return found.spent


@pytest.fixture
def service() -> Service:
    return Service()


def asked(**results: Any) -> Definition:
    return definition(CONSENT, SCALE, AGE, PLATFORMS, results=NOISE | results)


async def test_nothing_is_released_or_spent_before_the_start(service: Service) -> None:
    survey = await service.survey(asked())
    await service.answer(survey, range(19))
    assert not await service.publish()
    found = await service.document()
    assert (found["n"], found["responses"], found["questions"]) == (None, 19, [])
    assert (await service.spent(), service.files.contents) == (Spent(), {})


async def test_the_first_release_comes_with_the_start_and_is_noted_before_it_is_seen(service: Service) -> None:
    survey = await service.survey(asked())
    await service.answer(survey, range(20))
    assert await service.publish()
    found = await service.document()
    assert (found["responses"], found["survey_version"], found["protection"]) == (20, 1, "noise")
    assert found["n"] is not None
    noted = await service.journal()
    assert [each.spending for each in noted] == [Spending(number=1, responses=20, series=Fraction("0.18"))]
    assert (noted[0].project_id, noted[0].project_made_at, noted[0].spent_at) == (survey.project_id, NOW, NOW)
    assert await service.spent() == Spent().after(noted[0].spending)
    assert not await service.publish()


async def test_answers_changed_and_versions_published_release_nothing(service: Service) -> None:
    survey = await service.survey(asked())
    await service.answer(survey, range(20))
    await service.publish()
    before = await service.document()
    await service.answer(survey, range(20), trust=5)
    newer = await service.change(survey, version=2, definition=asked(by=[], budget=2))
    assert not await service.publish()
    hidden = await service.change(newer, version=3, definition=asked(public=False))
    assert not await service.publish()
    await service.change(hidden, version=4, definition=asked())
    assert not await service.publish()
    assert await service.document() == before


async def test_who_erases_and_comes_back_is_another_response_and_costs_no_less(service: Service) -> None:
    survey = await service.survey(asked())
    await service.answer(survey, range(20))
    await service.publish()
    for who in range(5):
        assert await service.responses.erase("story", who.to_bytes(32, "big"))
    assert not await service.publish()
    await service.answer(survey, range(5))
    assert await service.publish()
    assert (await service.document())["responses"] == 25
    assert (await service.spent()).total == Fraction("0.324")


async def test_the_first_closing_is_a_release(service: Service) -> None:
    survey = await service.survey(asked())
    await service.answer(survey, range(20))
    await service.publish()
    closed = await service.change(survey, is_open=False)
    assert await service.publish()
    assert (await service.spent()).closing == Fraction("0.1")
    opened = await service.change(closed, is_open=True)
    await service.change(opened, is_open=False)
    assert not await service.publish()


async def test_where_the_journal_cannot_be_written_nothing_is_published_or_spent(service: Service) -> None:
    survey = await service.survey(asked())
    await service.answer(survey, range(20))
    service.files.away = True
    with pytest.raises(Unavailable):
        await service.publish()
    assert ((await service.document())["n"], await service.spent()) == (None, Spent())
    service.files.away = False
    assert await service.publish()
    assert (await service.spent()).total == Fraction("0.18")


@pytest.mark.parametrize("fails", ["before", "after"])
async def test_a_worker_that_dies_in_the_midst_never_spends_twice_and_never_publishes_unspent(service: Service, fails: str) -> None:
    survey = await service.survey(asked())
    await service.answer(survey, range(20))
    service.ledger.fails = fails
    with pytest.raises(Unavailable):
        await service.publish()
    is_published = (await service.document())["n"] is not None
    assert is_published == ((await service.spent()).total > 0) == (fails == "after")
    service.ledger.fails = ""
    assert await service.publish() == (fails == "before")
    assert (await service.spent()).total == Fraction("0.18")
    # The journal may have the release twice, one try each; whoever restores a back-up is charged with one.
    assert [each.spending.total for each in await service.journal()] == [Fraction("0.18")]


async def test_what_was_not_published_is_struck_from_the_journal(service: Service) -> None:
    survey = await service.survey(asked())
    await service.answer(survey, range(20))

    class Overtaken(FakeResultsLedger):
        async def release(self, survey: Survey, spending: Spending, documents: Any, *, at: Any) -> bool:
            return False

    assert not await service.worker(Overtaken(service.store, service.results))()
    assert service.files.contents == {}


async def test_one_worker_publishes_at_a_time(service: Service) -> None:
    survey = await service.survey(asked())
    await service.answer(survey, range(20))
    async with service.ledger.turn() as is_ours:
        assert is_ours
        assert not await service.publish()
    assert await service.publish()


async def test_a_survey_that_fails_keeps_no_other_waiting(service: Service) -> None:
    class Failing(FakeResponseCounts):
        async def tables(self, survey: Survey, *, by: Any = (), spreads: bool = False) -> Any:
            if survey.project == "first":
                raise ZeroDivisionError
            return await super().tables(survey, by=by, spreads=spreads)

    for slug in ("first", "second"):
        await service.answer(await service.survey(asked(), slug), range(20))
    worker = replace(service.publish, release=replace(service.publish.release, counts=Failing(service.store)))
    with pytest.raises(ZeroDivisionError):
        await worker()
    assert (await service.document(slug="second"))["n"] is not None


async def test_a_suppressed_survey_advances_in_its_turn(service: Service) -> None:
    survey = await service.survey(asked(protection="suppression", minimum_cell=3))
    await service.answer(survey, range(5))
    assert await service.publish()
    found = await service.document()
    assert (found["protection"], found["n"], found["accuracy"]) == ("suppression", 5, {"count": None, "group": None})
    assert not await service.publish()


async def test_what_was_published_before_noise_stands_until_the_first_release(service: Service) -> None:
    survey = await service.survey(asked(protection="suppression", minimum_cell=3))
    await service.answer(survey, range(5))
    await service.publish()
    await service.change(survey, version=2, definition=asked(minimum_cell=3))
    assert not await service.publish()
    assert ((await service.document())["protection"], (await service.document("consent"))["n"]) == ("suppression", 5)
    await service.answer(await service.surveys.get("story"), range(5, 20))
    assert await service.publish()
    assert (await service.document())["protection"] == "noise"


async def test_only_fields_that_make_groups_can_be_asked_for(service: Service) -> None:
    await service.survey(asked())
    for by in ("trust", "platforms", "nowhere", ""):
        with pytest.raises(Invalid) as refused:
            await service.document(by)
        assert [fault.pointer for fault in refused.value.faults] == ["/by"]
    assert (await service.document("consent"))["by"] == {"field": "consent", "groups": []}


async def test_what_is_not_public_is_not_there(service: Service) -> None:
    await service.survey(asked(public=False))
    for by in (None, "consent", "nowhere"):
        with pytest.raises(NotFound):
            await service.document(by)


# --- the journal -------------------------------------------------------------------------------------------------------------


def noted(number: int, share: str, project_id: int = 7) -> NotedSpending:
    spending = Spending(number=number, responses=100, series=Fraction(share), closing=Fraction("0.000000000001"))
    return NotedSpending(project_id=project_id, project_made_at=NOW, spent_at=NOW + timedelta(microseconds=1), spending=spending)


async def test_the_journal_is_read_as_it_was_noted() -> None:
    store = FakeFileStore()
    note, entries = NoteSpending(store=store, random=FakeRandom()), [noted(1, "0.18"), noted(2, "0.144"), noted(1, "0.3", project_id=8)]
    for each in entries:
        await note(each)
    assert await ReadSpendings(store=store)() == entries


async def test_of_several_tries_at_one_release_the_dearest_is_read() -> None:
    store = FakeFileStore()
    note = NoteSpending(store=store, random=FakeRandom())
    for share in ("0.18", "0.3", "0.2"):
        await note(noted(1, share))
    assert await ReadSpendings(store=store)() == [noted(1, "0.3")]


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"null", b'{"project_id": 7}', b"\xff"])
async def test_what_is_not_whole_is_passed_over(damage: bytes) -> None:
    store = FakeFileStore()
    await NoteSpending(store=store, random=FakeRandom())(noted(1, "0.18"))
    store.contents["spendings/019aa000-0000-7000-8000-000000000009"] = damage
    assert await ReadSpendings(store=store)() == [noted(1, "0.18")]
