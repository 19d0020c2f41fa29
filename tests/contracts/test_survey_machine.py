"""A survey's whole life in any order: saves, retries, withdrawals, publications, closings, openings and erasures.

One machine, run in memory and on PostgreSQL. What must be there is kept by a plain model that shares nothing with the domain: no
acknowledged answer is lost, no stale value wins, a revision rises by exactly one with each change, one reader has one response, and
every answer stays pinned to the version that it was given under.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from adapters.postgres.database import Pool
from adapters.security.respondents import HmacRespondents
from application.ports import Surveys
from application.response import EraseResponse, GetResponse, ListResponses, SaveAnswers, SavedAnswers
from application.survey import PublishSurvey, SwitchSurvey
from application.trace import LeaveTrace
from domain.access import Role
from domain.errors import DomainError
from domain.survey import Definition, definition_from
from domain.user import User
from tests.contracts.stage import Stage, stage_in_memory, stage_in_postgres
from tests.fakes.results import FakeShared
from tests.fakes.system import FakeClock
from tests.fakes.tabular import FakeTables

T = TypeVar("T")
WHO = st.sampled_from(["fingerprint-a", "fingerprint-b", "fingerprint-c"])
FIELDS = ["consent", "f0", "f1", "f2", "note", "many", "g0"]
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "consent": st.sampled_from(["accepted", "accepted", "accepted", "declined", None]),
    "note": st.sampled_from(["", "a", "b\n\"'\\", None]),
    "many": st.sampled_from([[], ["x"], ["x", "y"], None]),
} | {name: st.integers(0, 5) | st.none() for name in FIELDS if name[0] in "fg"}
NAMES = st.sampled_from([*FIELDS[:-1], *FIELDS])
ONE = NAMES.flatmap(lambda name: st.fixed_dictionaries({name: VALUES[name]}))
SEVERAL = st.lists(NAMES, min_size=2, max_size=3, unique=True).flatmap(lambda names: st.fixed_dictionaries({n: VALUES[n] for n in names}))
SEQS = st.sampled_from([None, 0, 1, 1, 2, 2, 3, 3])


def token_of(who: str) -> str:
    """The token that a reader brings with every save."""
    return who.ljust(43, "-")


# --- the model ---------------------------------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class Kept:
    """What must be stored of one reader."""

    token: str
    answers: dict[str, Any]
    versions: dict[str, int]
    seqs: dict[str, int]
    revision: int
    saved_at: datetime


@dataclass(kw_only=True)
class Model:
    """What must be true of one survey. `limits` are the highest numbers that its questions take (None: not a number)."""

    gated: bool
    limits: dict[str, int | None]
    version: int = 1
    is_open: bool = True
    readers: dict[str, Kept] = field(default_factory=dict)

    def refusal(self, who: str, answers: dict[str, Any], seq: int | None) -> str | None:
        """The code that these answers are refused with, in the order of the contract."""
        if not self.is_open:
            return "survey-closed"
        if any(name not in self.limits or self._is_too_much(name, value) for name, value in answers.items()):
            return "invalid-answer"
        kept = self.readers.get(who)
        fresh = self.fresh(who, answers, seq)
        consent = fresh.get("consent", kept.answers.get("consent") if kept else None)
        if self.gated and consent != "accepted":
            given = {name for name, value in fresh.items() if value is not None or "consent" not in answers}
            if given - {"consent"}:
                return "consent-required"
        return None

    def fresh(self, who: str, answers: dict[str, Any], seq: int | None) -> dict[str, Any]:
        """Those of the answers that no newer save has overtaken."""
        seqs = self.readers[who].seqs if who in self.readers else {}
        return {name: value for name, value in answers.items() if seq is None or seq > max(seqs.get(name, -1), seqs.get("*", -1))}

    def save(self, who: str, answers: dict[str, Any], seq: int | None, *, token: str, at: datetime, version: int) -> None:
        """Take answers that are not refused."""
        fresh = self.fresh(who, answers, seq)
        kept = self.readers.get(who)
        if kept is None:
            kept = self.readers[who] = Kept(token=token, answers={}, versions={}, seqs={}, revision=0, saved_at=at)
        before = dict(kept.answers)
        is_first = kept.revision == 0
        for name, value in fresh.items():
            if seq is not None:
                kept.seqs[name] = seq
            if value == kept.answers.get(name):
                continue
            kept.answers.pop(name, None)
            kept.versions.pop(name, None)
            if value is not None:
                kept.answers[name], kept.versions[name] = value, version
        if self.gated and kept.answers.get("consent") != "accepted":
            kept.answers = {name: value for name, value in kept.answers.items() if name == "consent"}
            kept.versions = {name: under for name, under in kept.versions.items() if name == "consent"}
            if "consent" in fresh and not is_first and kept.seqs.keys() - {"consent", "*"}:
                kept.seqs = {"*": max(kept.seqs.values())}
        if kept.answers != before or kept.revision == 0:
            kept.revision += 1
            kept.saved_at = at

    def stored(self, name: str) -> list[Any]:
        return [kept.answers[name] for kept in self.readers.values() if name in kept.answers]

    def _is_too_much(self, name: str, value: Any) -> bool:
        limit = self.limits[name]
        return limit is not None and value is not None and value > limit


def declared(model: Model) -> Definition:
    questions: list[dict[str, Any]] = []
    for name, limit in model.limits.items():
        match name:
            case "consent":
                questions.append({"field": name, "type": "choice", "choices": [{"value": "accepted", "code": 1}, {"value": "declined"}]})
            case "note":
                questions.append({"field": name, "type": "text"})
            case "many":
                questions.append({"field": name, "type": "multi_choice", "choices": [{"value": "x"}, {"value": "y"}]})
            case _:
                questions.append({"field": name, "type": "integer", "min": 0, "max": limit})
    consent = {"field": "consent", "accept": "accepted"} if model.gated else None
    return definition_from({"title": "A life", "consent": consent, "questions": questions})


# --- the machine -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Sent:
    who: str
    answers: dict[str, Any]
    seq: int | None


SAVES = st.builds(Sent, who=WHO, answers=ONE | SEVERAL, seq=SEQS)


class SurveyMachine(RuleBasedStateMachine):
    """Two processes serve one survey, each with its own memory of it."""

    def __init__(self, stage: Stage, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._stage = stage
        self._loop = loop
        self._slug = f"s-{uuid4().hex}"
        self._clock = FakeClock()
        self._respondents = HmacRespondents(b"p" * 32)
        self._processes = [self._saving(stage.surveys), self._saving(stage.another_surveys())]
        self._turns = count()
        self._sent: list[Sent] = []
        self._removed: dict[str, int | None] = {}
        self._acknowledged: dict[tuple[str, str], int] = {}
        self._model = Model(gated=False, limits={})
        self._admin: User | None = None

    def _saving(self, surveys: Surveys) -> SaveAnswers:
        return SaveAnswers(surveys=surveys, responses=self._stage.responses, respondents=self._respondents, clock=self._clock)

    def _run(self, task: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await task

        return self._loop.run_until_complete(awaited())

    def _came(self, *tasks: Awaitable[Any]) -> list[Any]:
        """What came of tasks that run at once: a result, or the code of an error."""

        async def each() -> list[Any]:
            return await asyncio.gather(*tasks, return_exceptions=True)

        came = self._run(each())
        for result in came:
            if isinstance(result, BaseException) and not isinstance(result, DomainError):
                raise result
        return [result.code if isinstance(result, DomainError) else result for result in came]

    def _save(self, who: str, answers: dict[str, Any], seq: int | None = None) -> Awaitable[SavedAnswers]:
        process = self._processes[next(self._turns) % 2]
        return process(project=self._slug, fingerprint=who, answers=answers, seq=seq, token=token_of(who))

    def _publish(self, *, accept: frozenset[str] = frozenset(), of: Model | None = None) -> Awaitable[Any]:
        assert self._admin is not None
        publish = PublishSurvey(unit_of_work=self._stage.unit_of_work, clock=self._clock, shared=FakeShared())
        return publish(project=self._slug, definition=declared(of or self._model), accept_breaking=accept, by=self._admin)

    @initialize(gated=st.booleans())
    def begin(self, gated: bool) -> None:  # noqa: FBT001
        limits: dict[str, int | None] = {"consent": None, "f0": 5, "f1": 5, "f2": 4, "note": None, "many": None}
        self._model = Model(gated=gated, limits=limits)
        self._run(self._stage.project(self._slug))
        self._admin = self._run(self._stage.user(f"u{uuid4().hex}", role=Role.ADMIN))
        assert self._run(self._publish()).survey.version == 1

    # --- saves ---------------------------------------------------------------------------------------------------------------

    @rule(saves=st.lists(SAVES, min_size=4, max_size=6))
    def save(self, saves: list[Sent]) -> None:
        for each in saves:
            self._clock.advance(timedelta(seconds=1))
            self._save_and_compare(each.who, each.answers, each.seq)
            self._sent.append(each)

    @precondition(lambda self: self._sent)
    @rule(places=st.lists(st.integers(1, 8), min_size=3, max_size=5))
    def retry(self, places: list[int]) -> None:
        for place in places:
            self._clock.advance(timedelta(seconds=1))
            earlier = self._sent[-(place % len(self._sent))]
            self._save_and_compare(earlier.who, earlier.answers, earlier.seq)

    @rule(who=WHO, consent=st.sampled_from(["accepted", "accepted", "declined", None]))
    def decide_on_consent(self, who: str, consent: str | None) -> None:
        self._save_and_compare(who, {"consent": consent}, None)

    @precondition(lambda self: self._model.readers)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        who = data.draw(st.sampled_from(sorted(self._model.readers)))
        given = sorted(self._model.readers[who].answers.keys() & self._model.limits.keys()) or ["f0"]
        self._save_and_compare(who, {data.draw(st.sampled_from(given)): None}, None)

    def _save_and_compare(self, who: str, answers: dict[str, Any], seq: int | None) -> None:
        refusal, before = self._model.refusal(who, answers, seq), self._model.readers.get(who)
        fresh = self._model.fresh(who, answers, seq)
        (came,) = self._came(self._save(who, answers, seq))
        if refusal is not None:
            assert came == refusal
            return
        assert isinstance(came, SavedAnswers)
        assert came.survey_version == self._model.version
        assert (came.token is None) is (before is not None)
        assert came.outcome.name == ("CREATED" if before is None else "UPDATED" if fresh else "STALE")
        self._model.save(who, answers, seq, token=came.token or "", at=self._clock.now(), version=came.survey_version)
        kept = self._model.readers[who]
        assert came.own is not None
        assert (came.own.revision, came.own.saved_at) == (kept.revision, kept.saved_at)
        assert came.answers == {name: kept.answers.get(name) for name in answers}
        assert came.own.stale == sorted(answers.keys() - fresh.keys())
        if seq is not None:
            for name in fresh:
                assert seq > self._acknowledged.get((who, name), -1), "an older number won"
                self._acknowledged[who, name] = seq

    @rule(who=WHO, values=st.lists(st.integers(0, 4), min_size=2, max_size=3))
    def save_different_fields_at_once(self, who: str, values: list[int]) -> None:
        self._clock.advance(timedelta(seconds=1))
        answers = [{f"f{place}": value} for place, value in enumerate(values) if f"f{place}" in self._model.limits]
        refusals = [self._model.refusal(who, each, None) for each in answers]
        is_new = who not in self._model.readers
        came = self._came(*(self._save(who, each) for each in answers))
        assert [result if isinstance(result, str) else None for result in came] == refusals
        saved = [result for result in came if isinstance(result, SavedAnswers)]
        tokens = [each.token for each in saved if each.token]
        assert len(tokens) == (1 if is_new and saved else 0)
        for each, refusal in zip(answers, refusals, strict=True):
            if refusal is None:
                self._model.save(who, each, None, token="".join(tokens), at=self._clock.now(), version=self._model.version)
        if saved:
            assert max(each.own.revision for each in saved if each.own) == self._model.readers[who].revision

    # --- publications --------------------------------------------------------------------------------------------------------

    @rule(kind=st.sampled_from(["added", "widened", "narrowed", "removed", "same"]), name=st.sampled_from(FIELDS[1:]), by=st.integers(1, 3))
    def publish(self, kind: str, name: str, by: int) -> None:
        limits, limit, stored = self._model.limits, self._model.limits.get(name), self._model.stored(name)
        if kind == "added" and name not in limits:
            self._published({**limits, name: self._removed.pop(name, 5)}, [(name, kind, len(stored))])
        elif kind == "widened" and limit is not None:
            self._published({**limits, name: limit + by}, [(name, kind, len(stored))])
        elif kind == "narrowed" and limit is not None and limit > by:
            self._break({**limits, name: limit - by}, name, kind, sum(limit - by < value <= limit for value in stored))
        elif kind == "removed" and name in limits and name != "f0":
            self._removed[name] = limits[name]
            self._break({other: limits[other] for other in limits if other != name}, name, kind, len(stored))
        else:
            published = self._run(self._publish())
            assert (published.is_new, published.survey.version, published.changes) == (False, self._model.version, ())

    @rule(who=WHO, value=st.integers(0, 2))
    def save_while_a_version_is_published(self, who: str, value: int) -> None:
        self._clock.advance(timedelta(seconds=1))
        answers, wider = {"f0": value}, replace(self._model, limits=self._model.limits | {"f0": (self._model.limits["f0"] or 0) + 1})
        refusal = self._model.refusal(who, answers, None)
        came, published = self._came(self._save(who, answers), self._publish(of=wider))
        assert published.survey.version == self._model.version + 1
        if refusal is not None:
            assert came == refusal
        else:
            assert came.survey_version - self._model.version in (0, 1)
            self._model.save(who, answers, None, token=came.token or "", at=self._clock.now(), version=came.survey_version)
        self._model.limits, self._model.version = wider.limits, self._model.version + 1

    def _break(self, limits: dict[str, int | None], name: str, change: str, touched: int) -> None:
        """What touches stored answers is refused first, and done when its field is named."""
        if touched:
            (came,) = self._came(self._publish(of=replace(self._model, limits=limits), accept=frozenset({"another"})))
            assert came == "breaking-change"
        self._published(limits, [(name, change, touched)], accept=frozenset({name} if touched else ()))

    def _published(
        self, limits: dict[str, int | None], changes: list[tuple[str, str, int]], *, accept: frozenset[str] = frozenset()
    ) -> None:
        self._model.limits = limits
        self._model.version += 1
        published = self._run(self._publish(accept=accept))
        assert (published.is_new, published.survey.version) == (True, self._model.version)
        assert published.survey.is_open is self._model.is_open
        found = [(each.field, each.change.value, each.touched) for each in published.changes]
        assert found[: len(changes)] == changes
        assert {kind for _, kind, _ in found[len(changes) :]} <= {"narrowed"}

    @rule(is_open=st.sampled_from([True, True, False]))
    def switch(self, is_open: bool) -> None:  # noqa: FBT001
        assert self._admin is not None
        switch = SwitchSurvey(unit_of_work=self._stage.unit_of_work, clock=FakeClock())
        switched = self._run(switch(project=self._slug, is_open=is_open, by=self._admin))
        assert (switched.is_open, switched.version) == (is_open, self._model.version)
        self._model.is_open = is_open

    # --- erasure -------------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self._model.readers)
    @rule(data=st.data())
    def erase(self, data: st.DataObject) -> None:
        who = data.draw(st.sampled_from(sorted(self._model.readers)))
        erase = EraseResponse(responses=self._stage.responses, respondents=self._respondents)
        token = self._model.readers.pop(who).token
        self._acknowledged = {key: seq for key, seq in self._acknowledged.items() if key[0] != who}
        came = self._came(erase(project=self._slug, token=token), erase(project=self._slug, token=token))
        assert sorted(came, key=str) == [None, "respondent-token-required"]

    # --- what must be there --------------------------------------------------------------------------------------------------

    @invariant()
    def what_is_stored_is_what_must_be(self) -> None:
        if self._admin is None:
            return
        read = GetResponse(responses=self._stage.responses, respondents=self._respondents)
        for kept in self._model.readers.values():
            found = self._run(read(project=self._slug, token=kept.token))
            assert (found.answers, found.versions, found.seqs) == (kept.answers, kept.versions, kept.seqs)
            assert (found.revision, found.saved_at) == (kept.revision, kept.saved_at)
        leave_trace = LeaveTrace(unit_of_work=self._stage.unit_of_work, clock=self._clock)
        listing = ListResponses(responses=self._stage.response_reader, tables=FakeTables(), leave_trace=leave_trace)
        rows = json.loads(self._run(listing(project=self._slug, after=0, limit=100, by=self._admin)).json)
        assert len({row["respondent"] for row in rows}) == len(rows) == len(self._model.readers)
        assert sorted(row["revision"] for row in rows) == sorted(kept.revision for kept in self._model.readers.values())


def live(stage: Callable[[], Stage], loop: asyncio.AbstractEventLoop, *, examples: int, steps: int) -> None:
    """Run lives of surveys, each on a stage of its own."""
    limits = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
    run_state_machine_as_test(lambda: SurveyMachine(stage(), loop), settings=limits)  # type: ignore[arg-type] # a factory will do


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def test_any_life_in_memory(loop: asyncio.AbstractEventLoop) -> None:
    live(stage_in_memory, loop, examples=150, steps=50)


def test_any_life_in_postgres(loop: asyncio.AbstractEventLoop, database_url: str) -> None:
    pool = loop.run_until_complete(Pool(database_url, size=8).__aenter__())
    try:
        live(lambda: stage_in_postgres(pool), loop, examples=60, steps=50)
    finally:
        loop.run_until_complete(pool.__aexit__())
