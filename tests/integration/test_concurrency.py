"""What holds when many act at once, shown with the use cases themselves on real PostgreSQL."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from adapters.postgres.database import Pool, Transaction
from adapters.postgres.resource import PostgresResourceEdits
from adapters.postgres.response import PostgresResponses
from adapters.postgres.session import PostgresSignInFailures, count_try
from adapters.postgres.survey import PostgresSurveys
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.postgres.user import PostgresUsers
from adapters.security.respondents import HmacRespondents
from application.ports import SurveyMoved
from application.resource import CreateResource, UpdateResource
from application.response import GetResponse, SaveAnswers, SavedAnswers, UpsertAnswer
from application.session import CheckPassword, LogIn, OpenSession
from application.survey import PublishSurvey
from application.user import AdministerUser, ChangePassword, HashNewPassword
from domain.access import Role
from domain.errors import DomainError, Unavailable
from domain.response import Outcome
from domain.session import FAILED_SIGN_INS
from domain.survey import Survey
from domain.user import User
from tests import examples
from tests.contracts.stage import Stage, stage_in_postgres
from tests.examples import AGE, CONSENT, GATE, NOTE, NOW, definition, gated
from tests.fakes.results import FakeShared
from tests.fakes.system import FakeClock, FakeCommonPasswords, FakeHasher, FakeRandom, FakeTokens
from tests.postgres import lent

FINGERPRINT = "fingerprint-of-one"
OWN = "o" * 43
CLOCK = FakeClock()
RESPONDENTS = HmacRespondents(b"p" * 32)
INTEGERS = [{"field": f"f{n}", "type": "integer"} for n in range(64)]


@pytest.fixture
async def stage(pool: Pool) -> Stage:
    return stage_in_postgres(pool)


@pytest.fixture
async def admin(stage: Stage) -> User:
    return await stage.user("grace", role=Role.ADMIN)


def saving(pool: Pool) -> SaveAnswers:
    """The use case with a memory of its own, as each worker process has."""
    return SaveAnswers(surveys=PostgresSurveys(pool), responses=PostgresResponses(pool), respondents=RESPONDENTS, clock=CLOCK)


def updating(pool: Pool) -> UpdateResource:
    edits = PostgresResourceEdits(pool, request_id=lambda: None)
    return UpdateResource(edits=edits, unit_of_work=partial(PostgresUnitOfWork, pool), clock=CLOCK)


def upserting(pool: Pool) -> UpsertAnswer:
    return UpsertAnswer(save=saving(pool))


def publishing(pool: Pool) -> PublishSurvey:
    return PublishSurvey(unit_of_work=partial(PostgresUnitOfWork, pool), clock=CLOCK, shared=FakeShared())


async def outcomes(tasks: Iterable[Awaitable[Any]]) -> Counter[str]:
    """How often each came out: a type of value, or a type of error that the domain knows."""
    counted: Counter[str] = Counter()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, BaseException) and not isinstance(result, DomainError):
            raise result
        counted[type(result).__name__] += 1
    return counted


async def response_rows(pool: Pool) -> list[dict[str, Any]]:
    async with lent(pool) as connection:
        return [dict(row) for row in await connection.fetch("SELECT * FROM responses ORDER BY id")]


@pytest.mark.parametrize("warm", [False, True], ids=["survey not yet read", "survey remembered"])
@pytest.mark.parametrize("token", ["", OWN], ids=["no token", "own token"])
async def test_of_64_first_saves_of_one_respondent_one_creates_and_none_is_lost(pool: Pool, stage: Stage, warm: object, token: str) -> None:
    await stage.survey(definition(*INTEGERS))
    upsert, read = upserting(pool), GetResponse(responses=PostgresResponses(pool), respondents=RESPONDENTS)
    for round in "abcdef":
        if not warm:
            upsert = upserting(pool)
        save = partial(upsert, project="story", fingerprint=f"{FINGERPRINT}-{round}", token=round + token[1:] if token else None)
        saved: list[SavedAnswers] = await asyncio.gather(*(save(field=f"f{n}", value=n) for n in range(64)))
        assert Counter(each.outcome for each in saved) == {Outcome.CREATED: 1, Outcome.UPDATED: 63}
        assert sorted(each.own.revision for each in saved if each.own) == (list(range(1, 65)) if token else [])
        (shown,) = [each.token for each in saved if each.token]
        response = await read(project="story", token=shown)
        assert (response.answers, response.revision) == ({f"f{n}": n for n in range(64)}, 64)
    assert len(await response_rows(pool)) == 6


async def test_of_many_numbered_saves_of_one_field_the_highest_stands(pool: Pool, stage: Stage) -> None:
    await stage.survey(definition({"field": "n", "type": "integer"}))
    upsert = upserting(pool)
    saves = (upsert(project="story", fingerprint=FINGERPRINT, field="n", value=n, seq=n) for n in reversed(range(64)))
    await asyncio.gather(*saves)
    (row,) = await response_rows(pool)
    assert (row["answers"], row["seqs"]) == ({"n": 63}, {"n": 63})


async def test_no_answer_survives_the_withdrawal_of_consent(pool: Pool, stage: Stage) -> None:
    await stage.survey(gated(*INTEGERS))
    upsert = upserting(pool)
    for n in range(20):
        save = partial(upsert, project="story", fingerprint=f"{FINGERPRINT}-{n}")
        await save(field="consent", value="accepted")
        answers = [save(field=f"f{m}", value=m) for m in range(16)]
        await outcomes([*answers[:8], save(field="consent", value="declined"), *answers[8:]])
    rows = await response_rows(pool)
    assert [row["answers"] for row in rows] == [{"consent": "declined"}] * 20


async def test_of_32_edits_of_one_version_one_succeeds(pool: Pool, stage: Stage, admin: User) -> None:
    await stage.project("story")
    create = CreateResource(unit_of_work=partial(PostgresUnitOfWork, pool), clock=CLOCK)
    update = updating(pool)
    made = await create(project="story", name="Figure 1", attributes={}, by=admin)
    edit = partial(update, project="story", resource_id=made.id, expected=frozenset({1}), by=admin)
    assert await outcomes(edit(changes={"name": f"Edit {n}"}) for n in range(32)) == {"Resource": 1, "Stale": 31}


async def test_of_32_edits_of_any_version_none_is_lost(pool: Pool, stage: Stage, admin: User) -> None:
    await stage.project("story")
    create = CreateResource(unit_of_work=partial(PostgresUnitOfWork, pool), clock=CLOCK)
    update = updating(pool)
    made = await create(project="story", name="Figure 1", attributes={}, by=admin)
    edits = (update(project="story", resource_id=made.id, expected=None, by=admin, changes={"name": f"Edit {n}"}) for n in range(32))
    assert sorted(each.version for each in await asyncio.gather(*edits)) == list(range(2, 34))


async def test_of_32_who_make_one_name_one_does(pool: Pool, stage: Stage, admin: User) -> None:
    await stage.project("story")
    create = CreateResource(unit_of_work=partial(PostgresUnitOfWork, pool), clock=CLOCK)
    names = ["Figure 1", "FIGURE 1", " figure 1", "Figure 1\n"] * 8
    made = await outcomes(create(project="story", name=name, attributes={}, by=admin) for name in names)
    assert made == {"Resource": 1, "NameTaken": 31}


async def test_two_admins_who_demote_each_other_never_both_succeed(pool: Pool, stage: Stage) -> None:
    administer = AdministerUser(unit_of_work=partial(PostgresUnitOfWork, pool), clock=CLOCK)
    one, two = await stage.user("one", role=Role.ADMIN), await stage.user("two", role=Role.ADMIN)
    for round in range(50):
        change: dict[str, Any] = {"is_active": False} if round % 2 else {"role": Role.MEMBER}
        done = await outcomes(
            [
                administer(user_id=two.id, **change, expected=None, by=one),
                administer(user_id=one.id, **change, expected=None, by=two),
            ]
        )
        assert done == {"User": 1, "LastAdmin": 1}
        now = [await stage.users.get(user.id) for user in (one, two)]
        assert [user.is_active_admin for user in now].count(True) == 1
        (left,) = [user for user in now if user.is_active_admin]
        for user in now:
            await administer(user_id=user.id, role=Role.ADMIN, is_active=True, expected=None, by=left)


async def test_of_two_different_first_surveys_one_follows_the_other(pool: Pool, stage: Stage, admin: User) -> None:
    publish = publishing(pool)
    for n in range(10):
        slug = f"story-{n}"
        await stage.project(slug)
        published = await asyncio.gather(
            *(publish(project=slug, definition=each, by=admin) for each in (definition(AGE), definition(NOTE)))
        )
        first, second = sorted((each.survey for each in published), key=lambda survey: survey.version)
        assert (first.version, second.version) == (1, 2)
        assert await stage.surveys.get(slug) == second
        assert await stage.surveys.definitions(first.project_id) == [first.definition, second.definition]


async def test_of_many_equal_publications_one_makes_a_version(pool: Pool, stage: Stage, admin: User) -> None:
    await stage.project("story")
    publish = publishing(pool)
    same = (publish(project="story", definition=definition(AGE), expected=None, by=admin) for _ in range(8))
    assert Counter(each.is_new for each in await asyncio.gather(*same)) == {True: 1, False: 7}


async def test_a_save_never_counts_under_a_version_that_had_been_replaced(pool: Pool, stage: Stage, admin: User) -> None:
    await stage.project("story")
    publish, published = publishing(pool), 0
    declared = [definition(*INTEGERS[: n + 1]) for n in range(12)]
    done = asyncio.Event()

    async def keep_saving(reader: int) -> int:
        upsert, saves = upserting(pool), 0
        while not done.is_set() or saves == 0:
            acknowledged = published
            try:
                saved = await upsert(project="story", fingerprint=f"{FINGERPRINT}-{reader}", field="f0", value=saves)
            except Unavailable:
                continue  # overtaken by one publication after another: not stored, and told so
            assert acknowledged <= saved.survey_version <= len(declared)
            saves += 1
        return saves

    async def keep_publishing() -> None:
        nonlocal published
        for each in declared[1:]:
            made = await publish(project="story", definition=each, expected=None, by=admin)
            published = made.survey.version
        done.set()

    await publish(project="story", definition=declared[0], expected=None, by=admin)
    published = 1
    saves = await asyncio.gather(keep_publishing(), *(keep_saving(reader) for reader in range(8)))
    assert all(saves[1:])
    assert published == 12


@pytest.mark.parametrize("gate", [True, False], ids=["behind a gate", "without a gate"])
async def test_a_save_waits_for_a_publication_and_is_then_judged_anew(pool: Pool, stage: Stage, gate: object) -> None:
    survey = await stage.survey(definition(CONSENT, AGE, consent=GATE) if gate else definition(AGE))
    if gate:
        await save_directly(pool, survey, "consent", "accepted")
    async with PostgresUnitOfWork(pool) as work:
        await work.surveys.lock("story")
        admin = await work.users.by_username("admin-of-story")
        assert admin is not None
        task = asyncio.create_task(save_directly(pool, survey, "age", 42))
        while not await somebody_waits(pool):
            assert not task.done()
        newer = definition(CONSENT, AGE, NOTE, consent=GATE) if gate else definition(AGE, NOTE)
        await work.surveys.save(survey.publish(newer, (), by=admin, at=NOW), ())
        await work.commit()
    with pytest.raises(SurveyMoved):
        await task
    assert [row["answers"] for row in await response_rows(pool)] == ([{"consent": "accepted"}] if gate else [])


async def save_directly(pool: Pool, survey: Survey, field: str, value: object) -> None:
    await PostgresResponses(pool).save(
        survey.accept({field: value}),
        project_id=survey.project_id,
        pseudonym=b"p" * 32,
        token_hash=b"t" * 32,
        is_shown=False,
        seq=None,
        at=NOW,
    )


async def somebody_waits(pool: Pool) -> bool:
    async with lent(pool) as connection:
        return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"))


async def test_parallel_guesses_are_judged_no_more_often_than_one_after_the_other(pool: Pool, stage: Stage) -> None:
    for n in range(10):
        hasher = FakeHasher()
        check = CheckPassword(users=PostgresUsers(pool), failures=PostgresSignInFailures(pool), hasher=hasher, clock=CLOCK)
        guesses = (check(username=f"name-{n}", password=f"guess {guess}", network="home") for guess in range(40))
        assert await outcomes(guesses) == {"InvalidCredentials": FAILED_SIGN_INS, "TooManyAttempts": 40 - FAILED_SIGN_INS}
        assert hasher.verifications == FAILED_SIGN_INS


async def test_a_guess_counts_those_before_it_that_are_still_being_committed(pool: Pool, stage: Stage) -> None:
    async with Transaction(pool) as slow:
        for _ in range(FAILED_SIGN_INS):
            await count_try(slow, username="ada", network="home", at=NOW)
        task = asyncio.create_task(stage.failures.begin(username="ada", network="home", at=NOW))
        while not task.done() and not await somebody_waits(pool):
            pass
        await slow.commit()
    _, blocked_until = await task
    assert blocked_until is not None


async def test_no_session_by_an_old_password_outlives_its_change(pool: Pool, stage: Stage) -> None:
    hasher, work, tokens = FakeHasher(), partial(PostgresUnitOfWork, pool), FakeTokens()
    check = CheckPassword(users=stage.users, failures=stage.failures, hasher=hasher, clock=CLOCK, is_limited=False)
    log_in = LogIn(check_password=check, open_session=OpenSession(tokens=tokens, random=FakeRandom(), clock=CLOCK), unit_of_work=work)
    change = ChangePassword(
        check_password=check, hash_new=HashNewPassword(hasher=hasher, common=FakeCommonPasswords()), unit_of_work=work, clock=CLOCK
    )
    for round in range(30):
        old, new = f"the old password of {round}", f"the new password of {round}"
        person = await stage.users.add(replace(examples.user(f"person-{round}"), password_hash=await hasher.hash(old)))
        here = await log_in(username=person.username, password=old, network="home")
        _, own = tokens.read_access(here.access_token, at=NOW)
        enter = partial(log_in, username=person.username, password=old, network="home")
        changing = change(current_password=old, new_password=new, network="home", session_id=own, by=person)
        results = await asyncio.gather(enter(), enter(), changing, enter(), enter(), return_exceptions=True)
        assert {type(each).__name__ for each in results} <= {"SignedIn", "User", "InvalidCredentials"}
        async with lent(pool) as connection:
            live = await connection.fetch("SELECT id FROM sessions WHERE user_id = $1 AND ended_at IS NULL", person.id)
        assert [row["id"] for row in live] == [own]


async def test_of_many_changes_by_one_password_one_stands(pool: Pool, stage: Stage) -> None:
    hasher, work = FakeHasher(), partial(PostgresUnitOfWork, pool)
    check = CheckPassword(users=stage.users, failures=stage.failures, hasher=hasher, clock=CLOCK, is_limited=False)
    change = ChangePassword(
        check_password=check, hash_new=HashNewPassword(hasher=hasher, common=FakeCommonPasswords()), unit_of_work=work, clock=CLOCK
    )
    person = await stage.users.add(replace(examples.user("ada"), password_hash=await hasher.hash("the old password")))
    by = partial(change, current_password="the old password", network="home", session_id=UUID(int=1), by=person)
    assert await outcomes(by(new_password=f"a new password {n}") for n in range(16)) == {"User": 1, "WrongPassword": 15}
    assert (await stage.users.get(person.id)).version == 2
