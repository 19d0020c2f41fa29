"""Responses in PostgreSQL: each save is one statement.

It applies only while the survey is open at the version that accepted the answer: the survey's row is held against a new
publication (FOR KEY SHARE waits for, and is waited for by, the FOR UPDATE of `survey.LOCK_SURVEY`), so a save that was acknowledged
was judged by the version that stood. The WHERE clauses are those of `domain.response.Response.save`; when they let nothing
through, a second look says why.
"""

from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Integer,
    LargeBinary,
    Text,
    Uuid,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as upsert

from adapters.postgres.database import Executor, Statement
from adapters.postgres.tables import TIME, projects, responses, surveys
from application.ports import Responses, Saved, SurveyMoved
from domain.errors import NotFound, Unavailable
from domain.response import ConsentRequired, Outcome, Response, TokenRequired
from domain.survey import Change, Identity

_ATTEMPTS = 5

_project_id = bindparam("project_id", type_=BigInteger)
_pseudonym = bindparam("pseudonym", type_=LargeBinary)
_token_hash = bindparam("token_hash", type_=LargeBinary)
_field = bindparam("field", type_=Text)
_patch = bindparam("patch", type_=JSONB)
_seq = bindparam("seq", type_=BigInteger)
_seqs = bindparam("seqs", type_=JSONB)
_version = bindparam("survey_version", type_=Integer)
_save = bindparam("save", type_=Uuid)
_at = bindparam("at", type_=TIME)

_open_survey = (
    select(surveys.c.project_id)
    .join(projects, projects.c.id == surveys.c.project_id)
    .where(
        surveys.c.project_id == _project_id,
        surveys.c.version == _version,
        surveys.c.is_open,
        projects.c.deleted_at.is_(None),
    )
    .with_for_update(key_share=True, read=True, of=surveys)
    .cte("open_survey")
)
# ON CONFLICT settles races for the pseudonym; two first saves that bring the same token would race for that as well. One at a time,
# the second finds the first one's row.
_turn = select(func.pg_advisory_xact_lock(bindparam("turn", type_=BigInteger))).cte("turn")
_kept = case(
    (bindparam("erases", type_=Boolean), literal_column("'{}'::jsonb")),
    else_=responses.c.answers.op("-")(_field),
)
_answers: ColumnElement[Any] = _kept.op("||")(_patch)
_differs = _answers.is_distinct_from(responses.c.answers)
_is_newer = or_(_seq.is_(None), func.coalesce(cast(responses.c.seqs.op("->>")(_field), BigInteger), -1) < _seq)
_is_owner = or_(~bindparam("by_token", type_=Boolean), responses.c.token_hash == _token_hash)
_applied = {
    "answers": _answers,
    "seqs": responses.c.seqs.op("||")(_seqs),
    "revision": responses.c.revision + case((_differs, 1), else_=0),
    "survey_version": case((_differs, _version), else_=responses.c.survey_version),
    "last_save": case((_differs, _save), else_=responses.c.last_save),
    "updated_at": case((_differs, _at), else_=responses.c.updated_at),
}
_outcome = (
    responses.c.revision,
    func.coalesce(responses.c.updated_at, responses.c.created_at).label("saved_at"),
    and_(responses.c.revision == 1, responses.c.last_save == _save).label("created"),
)

SAVE = Statement(
    upsert(responses)
    .from_select(
        [
            "project_id",
            "pseudonym",
            "token_hash",
            "answers",
            "seqs",
            "revision",
            "survey_version",
            "last_save",
            "created_at",
        ],
        select(_open_survey.c.project_id, _pseudonym, _token_hash, _patch, _seqs, literal_column("1"), _version, _save, _at).select_from(
            _open_survey.join(_turn, literal_column("true"))
        ),
    )
    .on_conflict_do_update(index_elements=[responses.c.project_id, responses.c.pseudonym], set_=_applied, where=and_(_is_newer, _is_owner))
    .returning(*_outcome)
)
# Behind a consent gate a save can only change a response that holds the consent: it never makes one.
SAVE_BEHIND_GATE = Statement(
    update(responses)
    .where(
        responses.c.project_id == _open_survey.c.project_id,
        responses.c.pseudonym == _pseudonym,
        _is_newer,
        _is_owner,
        responses.c.answers.op("->")(bindparam("gate_field", type_=Text)) == bindparam("gate_accept", type_=JSONB),
    )
    .values(_applied)
    .returning(*_outcome)
)
LOOK = Statement(
    select(responses.c.answers, responses.c.seqs, responses.c.token_hash, responses.c.revision)
    .add_columns(func.coalesce(responses.c.updated_at, responses.c.created_at).label("saved_at"))
    .select_from(
        _open_survey.outerjoin(
            responses,
            and_(responses.c.project_id == _open_survey.c.project_id, responses.c.pseudonym == _pseudonym),
        )
    )
)
_stored = [responses.c[field.name] for field in fields(Response)]
BY_TOKEN = Statement(
    select(projects.c.id.label("project"), *_stored)
    .select_from(projects.outerjoin(responses, and_(responses.c.project_id == projects.c.id, responses.c.token_hash == _token_hash)))
    .where(projects.c.slug == bindparam("slug"), projects.c.deleted_at.is_(None))
)


class PostgresResponses(Responses):
    def __init__(self, executor: Executor) -> None:
        self._run = executor

    async def save(
        self,
        change: Change,
        *,
        project_id: int,
        pseudonym: bytes,
        token_hash: bytes,
        identity: Identity,
        seq: int | None,
        at: datetime,
    ) -> Saved:
        gate_field, gate_accept = change.gate or (None, None)
        given = {
            "project_id": project_id,
            "pseudonym": pseudonym,
            "turn": int.from_bytes(pseudonym[:8], signed=True),
            "token_hash": token_hash,
            "by_token": identity is Identity.TOKEN,
            "field": change.field,
            "patch": change.patch,
            "erases": change.erases,
            "seq": seq,
            "seqs": {} if seq is None else {change.field: seq},
            "survey_version": change.survey_version,
            "gate_field": gate_field,
            "gate_accept": gate_accept,
            "save": uuid4(),
            "at": at,
        }
        for _ in range(_ATTEMPTS):
            row = await self._run.row(SAVE if change.gate is None else SAVE_BEHIND_GATE, **given)
            if row is not None:
                outcome = Outcome.CREATED if row["created"] else Outcome.UPDATED
                return Saved(outcome=outcome, value=change.value, revision=row["revision"], saved_at=row["saved_at"])
            refused = await self._why_not(change, given)
            if refused is not None:
                return refused
        raise Unavailable

    async def _why_not(self, change: Change, given: dict[str, Any]) -> Saved | None:
        """Why a save went nowhere: raises, or says that it is stale. None: what stood in its way is gone, so try again."""
        row = await self._run.row(LOOK, **given)
        if row is None:
            raise SurveyMoved
        if row["revision"] is None:
            if change.gate is not None:
                raise ConsentRequired
            return None
        if given["by_token"] and row["token_hash"] != given["token_hash"]:
            raise TokenRequired
        if given["seq"] is not None and given["seq"] <= row["seqs"].get(change.field, -1):
            value = row["answers"].get(change.field)
            return Saved(outcome=Outcome.STALE, value=value, revision=row["revision"], saved_at=row["saved_at"])
        if change.gate is not None and row["answers"].get(change.gate[0]) != change.gate[1]:
            raise ConsentRequired
        return None

    async def by_token(self, project: str, token_hash: bytes) -> Response | None:
        row = await self._run.row(BY_TOKEN, slug=project, token_hash=token_hash)
        if row is None:
            raise NotFound
        return None if row["revision"] is None else Response(**{field.name: row[field.name] for field in fields(Response)})
