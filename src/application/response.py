"""Responses: save answers, see and erase one's own; list and export them all."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from application.export.sheets import response_sheet
from application.ports import Clock, Respondents, ResponseReader, Responses, SurveyMoved, Surveys, Tables, UnitOfWorkFactory
from application.trace import LeaveTrace
from domain.access import Action, require
from domain.audit import Difference, Target, entry
from domain.errors import Conflict, Fault, Invalid, Refused, Unauthenticated, Unavailable
from domain.export import Format
from domain.response import WITHHELD_FOR, Outcome, Response, TokenRequired, is_token
from domain.survey import AskedTests, Identity, ResponseTable, Survey, codebook, response_filter
from domain.user import User

_ATTEMPTS = 20  # each is one publication that came between reading the survey and saving


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerView:
    """How a response stands after a save. `seqs` are all its numbers; only of a save that was stale as a whole."""

    stale: list[str]
    revision: int
    saved_at: datetime
    seqs: dict[str, int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedAnswers:
    """What a save came to: the answers of its fields, and the codes of the choices among them.

    To who showed the token these are the stored ones, and `own` is there. To anybody else they are what was sent, whatever is
    stored, and a stale save is like any other. `token` is there only when this save made the response.
    """

    outcome: Outcome
    answers: Mapping[str, Any]
    codes: dict[str, int | None]
    survey_version: int
    own: OwnerView | None
    token: str | None


Admit = Callable[[int], Awaitable[None]]


async def everybody(_: int) -> None:
    """Let everybody save, in whatever project."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveAnswers:
    """Save several answers of one reader, all or nothing: they are judged by the state that they lead to.

    Consent and answers may come together. With `seq`, one for all, fields that have a newer save stay as they are and are listed in
    `stale`. Where one answer is refused, none is saved.

    The reader is known by the fingerprint or, where the survey goes by `token` and none is given, by the token alone. Where the
    survey goes by `fingerprint`, a save without the token only goes on: it is answered with what was sent, withdraws nothing for
    good, and is refused once the token was shown.
    """

    surveys: Surveys
    responses: Responses
    respondents: Respondents
    clock: Clock

    async def __call__(
        self,
        *,
        project: str,
        fingerprint: str | None,
        answers: Mapping[str, object],
        seq: int | None = None,
        token: str | None = None,
        is_test: bool = False,
        admit: Admit = everybody,
    ) -> SavedAnswers:
        """`admit` is asked once, by the id of the project, before anything that is stored of the reader is looked at."""
        given = _Given(fingerprint=fingerprint, answers=answers, seq=seq, token=token, is_test=is_test)
        remembered = self.surveys.remembered(project)
        survey = remembered if remembered and given.may_ask(remembered) else await self.surveys.get(project)
        given.expect_reader(survey)
        await admit(survey.project_id)
        for _ in range(_ATTEMPTS):
            try:
                return await self._save(given, survey)
            except SurveyMoved:
                pass
            except (Refused, Conflict, Unauthenticated):
                if survey is not remembered:
                    raise  # else perhaps only because what is remembered is out of date: ask the survey as it is now
            survey = await self.surveys.get(project)
            given.expect_reader(survey)
        raise Unavailable

    async def _save(self, given: "_Given", survey: Survey) -> SavedAnswers:
        change = survey.accept(given.answers)
        is_shown = given.token is not None
        token = given.token or self.respondents.token()
        token_hash = self.respondents.hash(token)
        saved = await self.responses.save(
            change,
            project_id=survey.project_id,
            pseudonym=self._pseudonym(survey.project_id, given.fingerprint, token_hash),
            token_hash=token_hash,
            is_shown=is_shown,
            by_token=given.fingerprint is None,
            seq=given.seq,
            at=self.clock.now(),
            is_test=given.is_test,
        )
        own = OwnerView(stale=sorted(saved.stale), revision=saved.revision, saved_at=saved.saved_at, seqs=saved.seqs)
        return SavedAnswers(
            outcome=Outcome.UPDATED if saved.outcome is Outcome.STALE and not is_shown else saved.outcome,
            answers=saved.answers if is_shown else given.answers,
            codes=survey.codes_of(saved.answers if is_shown else change.answers),
            survey_version=change.survey_version,
            own=own if is_shown else None,
            token=token if saved.outcome is Outcome.CREATED else None,
        )

    def _pseudonym(self, project_id: int, fingerprint: str | None, token_hash: bytes) -> bytes:
        if fingerprint is None:
            return self.respondents.pseudonym_of_token(project_id=project_id, token_hash=token_hash)
        return self.respondents.pseudonym(project_id=project_id, fingerprint=fingerprint)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    fingerprint: str | None
    answers: Mapping[str, object]
    seq: int | None
    token: str | None
    is_test: bool

    def may_ask(self, survey: Survey) -> bool:
        """Whether `expect_reader` raises nothing."""
        try:
            self.expect_reader(survey)
        except (Invalid, Unauthenticated):
            return False
        return True

    def expect_reader(self, survey: Survey) -> None:
        """Raises what no save in this survey may lack, whatever is stored: `Invalid`, `TokenRequired`."""
        by_token = survey.definition.identity is Identity.TOKEN
        if self.fingerprint is None and not by_token:
            raise Invalid(Fault(pointer="/fingerprint", code="missing", detail="This survey knows its readers by a fingerprint."))
        if self.token is not None:
            if not is_token(self.token):
                raise TokenRequired
        elif by_token or survey.withdraws(self.answers):
            raise TokenRequired


@dataclass(frozen=True, slots=True, kw_only=True)
class UpsertAnswer:
    """Save one answer of one reader; `null` withdraws it.

    The client brings a respondent token of its own with the first save, so that a lost answer loses nothing; with it readers see and
    erase what they gave. A survey that goes by `fingerprint` makes one for who brings none, and shows it once. With `seq`, a save
    that is not above the last one for its field changes nothing and answers `Stale`, so that a retry is harmless and an old save
    cannot undo a newer one. Where the survey asks for consent, other answers wait for it. Withdrawing it erases them; without the
    token they are withheld until consent is given again, and erased after 30 days.
    """

    save: SaveAnswers

    async def __call__(
        self,
        *,
        project: str,
        fingerprint: str | None,
        field: str,
        value: object,
        seq: int | None = None,
        token: str | None = None,
        is_test: bool = False,
        admit: Admit = everybody,
    ) -> SavedAnswers:
        answers = {field: value}
        return await self.save(
            project=project, fingerprint=fingerprint, answers=answers, seq=seq, token=token, is_test=is_test, admit=admit
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GetResponse:
    """A reader's own answers, for whoever holds the respondent token and nobody else."""

    responses: Responses
    respondents: Respondents

    async def __call__(self, *, project: str, token: str | None) -> Response:
        if token is None or not is_token(token):
            raise TokenRequired
        response = await self.responses.by_token(project, self.respondents.hash(token))
        if response is None:
            raise TokenRequired
        return response


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseResponse:
    """Erase a reader's own answers for good, their history included. The reader may start anew.

    Answers given to a project of this name that was deleted since are erased as well.
    """

    responses: Responses
    respondents: Respondents

    async def __call__(self, *, project: str, token: str | None, expected: frozenset[int] | None = None) -> None:
        if token is None or not is_token(token):
            raise TokenRequired
        if not await self.responses.erase(project, self.respondents.hash(token), expected=expected):
            raise TokenRequired


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseWithheld:
    """Erase, of some responses, the answers that have been withheld for 30 days. Whether there may be more."""

    responses: Responses
    clock: Clock

    async def __call__(self) -> bool:
        now = self.clock.now()
        return await self.responses.erase_withheld(before=now - WITHHELD_FOR, at=now) > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Responses as a JSON array of rows, and the id after which the next page begins."""

    json: bytes
    next: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListResponses:
    """Responses by id, each as a row of the export; by the value of a field, the version that answers were given under, and time.

    That somebody reads them is in the audit trail (`response.read`), once an hour a person and project.
    """

    responses: ResponseReader
    tables: Tables
    leave_trace: LeaveTrace

    async def __call__(
        self,
        *,
        project: str,
        field: str | None = None,
        value: str | None = None,
        version: int | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        test: AskedTests = AskedTests.EXCLUDE,
        after: int,
        limit: int,
        by: User,
    ) -> Listing:
        require(by, Action.RESPONSE_READ)
        async with self.responses.snapshot(project) as snapshot:
            where = response_filter(snapshot.definitions, field=field, value=value, version=version, since=since, until=until, tests=test)
            found = await snapshot.page(where, after=after, limit=limit + 1)
            table = ResponseTable(snapshot.definitions, version=version)
        await self.leave_trace("response.read", project=project, by=by)
        rows = found[:limit]
        writer = self.tables.writer(Format.JSON, table.columns, guarded=False, codebook={})
        text = writer.begin() + writer.rows([table.cells(row) for row in rows]) + writer.end()
        return Listing(json=text, next=rows[-1].id if len(found) > limit else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportResponses:
    """All responses of a survey as a file, streamed from one snapshot.

    Readers are pseudonyms: the same throughout a project, others in another. Every field ever published has its column; with
    `version`, only the fields of that version and the answers given under it.
    """

    responses: ResponseReader
    tables: Tables
    unit_of_work: UnitOfWorkFactory
    clock: Clock

    async def __call__(
        self,
        *,
        project: str,
        kind: Format,
        version: int | None = None,
        test: AskedTests = AskedTests.EXCLUDE,
        guarded: bool = True,
        by: User,
    ) -> AsyncIterator[bytes]:
        require(by, Action.RESPONSE_READ)
        async with response_sheet(
            self.responses, self.tables, project=project, kind=kind, version=version, tests=test, guarded=guarded
        ) as sheet:
            asked = {} if test is AskedTests.EXCLUDE else {"test": test.value}
            await self._record(project, by, {"format": kind.value, "version": version} | asked)
            async for part in sheet.parts:
                yield part.content

    async def _record(self, project: str, by: User, asked: Mapping[str, Any]) -> None:
        """Put down that somebody is about to get this."""
        told = tuple(Difference(field=field, before=None, after=value) for field, value in asked.items() if value is not None)
        async with self.unit_of_work() as work:
            target = Target(type="survey", id=project)
            await work.audit.add(entry("response.export", target, by=by, at=self.clock.now(), project=project, changes=told))
            await work.commit()


@dataclass(frozen=True, slots=True, kw_only=True)
class GetCodebook:
    """What each column of the responses means, over all versions, as a Frictionless Table Schema."""

    surveys: Surveys

    async def __call__(self, *, project: str) -> dict[str, Any]:
        survey = await self.surveys.get(project)
        return codebook(await self.surveys.definitions(survey.project_id))
