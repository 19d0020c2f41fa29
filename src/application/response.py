"""Responses: save an answer, and see one's own."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from application.ports import Clock, Respondents, Responses, SurveyMoved, Surveys
from domain.errors import Conflict, Refused, Unauthenticated, Unavailable
from domain.response import Outcome, Response, TokenRequired, is_token
from domain.survey import Identity, Survey

_ATTEMPTS = 20  # each is one publication that came between reading the survey and saving


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedAnswer:
    """What a save came to. `token` is there only when this save made the response."""

    outcome: Outcome
    field: str
    value: Any
    code: int | None
    has_code: bool
    survey_version: int
    revision: int
    saved_at: datetime
    token: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpsertAnswer:
    """Save one answer of one reader; `null` withdraws it.

    The first save makes the response and answers the respondent token, which is shown once: with it readers see and erase what
    they gave. With `seq`, a save that is not above the last one for its field changes nothing and answers `Stale`, so that a
    retry is harmless and an old save cannot undo a newer one. Where the survey asks for consent, other answers wait for it, and
    withdrawing it erases them.
    """

    surveys: Surveys
    responses: Responses
    respondents: Respondents
    clock: Clock

    async def __call__(
        self, *, project: str, fingerprint: str, field: str, value: object, seq: int | None = None, token: str | None = None
    ) -> SavedAnswer:
        answer = _Answer(fingerprint=fingerprint, field=field, value=value, seq=seq, token=token)
        remembered = self.surveys.remembered(project)
        if remembered is not None:
            try:
                return await self._save(answer, remembered)
            except (SurveyMoved, Refused, Conflict, Unauthenticated):
                pass  # perhaps only because what is remembered is out of date: ask the survey as it is now
        for _ in range(_ATTEMPTS):
            survey = await self.surveys.get(project)
            try:
                return await self._save(answer, survey)
            except SurveyMoved:
                continue
        raise Unavailable

    async def _save(self, answer: "_Answer", survey: Survey) -> SavedAnswer:
        change = survey.accept(answer.field, answer.value)
        identity = survey.definition.identity
        if identity is Identity.TOKEN and answer.token is None:
            raise TokenRequired
        if answer.token is not None and not is_token(answer.token):
            raise TokenRequired
        token = answer.token or self.respondents.token()
        saved = await self.responses.save(
            change,
            project_id=survey.project_id,
            pseudonym=self.respondents.pseudonym(project_id=survey.project_id, fingerprint=answer.fingerprint),
            token_hash=self.respondents.hash(token),
            identity=identity,
            seq=answer.seq,
            at=self.clock.now(),
        )
        question = survey.definition.question(change.field)
        return SavedAnswer(
            outcome=saved.outcome,
            field=change.field,
            value=saved.value,
            code=question.code_of(saved.value) if question else None,
            has_code=change.has_codes,
            survey_version=change.survey_version,
            revision=saved.revision,
            saved_at=saved.saved_at,
            token=token if saved.outcome is Outcome.CREATED else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    fingerprint: str
    field: str
    value: object
    seq: int | None
    token: str | None


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
