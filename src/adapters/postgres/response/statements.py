"""The statements on responses: a save of one answer is one of them; what takes more to decide is one transaction of several.

A save applies only while the survey is open at the version that accepted the answers: the survey's row is held against a new
publication (FOR KEY SHARE waits for, and is waited for by, the FOR UPDATE of `survey.LOCK_SURVEY`), so a save that was acknowledged
was judged by the version that stood. The clauses of the statement are those of `domain.response.Response.save`, which the
transaction calls; a contract suite compares the two. When the statement lets nothing through, a second look says why.
"""

from dataclasses import fields
from typing import Any

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
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as upsert

from adapters.postgres.database import Statement, parameters
from adapters.postgres.tables import TIME, answer_changes, erasures, projects, responses, surveys
from domain.erasure import Erasure
from domain.response import Response

_project_id = bindparam("project_id", type_=BigInteger)
_pseudonym = bindparam("pseudonym", type_=LargeBinary)
_token_hash = bindparam("token_hash", type_=LargeBinary)
_field = bindparam("field", type_=Text)
_patch = bindparam("patch", type_=JSONB)
_seq = bindparam("seq", type_=BigInteger)
_seqs = bindparam("seqs", type_=JSONB)
_version = bindparam("survey_version", type_=Integer)
_versions = bindparam("versions", type_=JSONB)
_save = bindparam("save", type_=Uuid)
_at = bindparam("at", type_=TIME)
_saved_at = func.coalesce(responses.c.updated_at, responses.c.created_at).label("saved_at")
_stored = [responses.c[field.name] for field in fields(Response)]

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
)

# ON CONFLICT settles races for the pseudonym; two first saves that bring the same token would race for that as well. One at a time,
# the second finds the first one's row.
_one_at_a_time = select(func.pg_advisory_xact_lock(bindparam("turn", type_=BigInteger)))

# --- one answer, one statement -----------------------------------------------------------------------------------------------

_open = _open_survey.cte("open_survey")
_turn = _one_at_a_time.cte("turn")
_answers: ColumnElement[Any] = responses.c.answers.op("-")(_field).op("||")(_patch)
_differs = _answers.is_distinct_from(responses.c.answers)
_is_newer = or_(_seq.is_(None), func.coalesce(cast(responses.c.seqs.op("->>")(_field), BigInteger), -1) < _seq)
_is_owner = or_(~bindparam("by_token", type_=Boolean), responses.c.token_hash == _token_hash)
_applied = {
    "answers": _answers,
    "seqs": responses.c.seqs.op("||")(_seqs),
    "versions": case(
        (_differs, responses.c.versions.op("-")(_field).op("||")(_versions)),
        else_=responses.c.versions,
    ),
    "revision": responses.c.revision + case((_differs, 1), else_=0),
    "survey_version": case((_differs, _version), else_=responses.c.survey_version),
    "last_save": case((_differs, _save), else_=responses.c.last_save),
    "updated_at": case((_differs, _at), else_=responses.c.updated_at),
}
_outcome = (responses.c.id, responses.c.revision, _saved_at, (responses.c.last_save == _save).label("changed"))


def _logged(saving: Any) -> Statement:
    """The saving statement, with the change it made logged by the same statement."""
    saved = saving.returning(*_outcome).cte("saved")
    log = (
        insert(answer_changes)
        .from_select(
            ["response_id", "revision", "field", "value", "survey_version", "seq", "changed_at", "project_id"],
            select(saved.c.id, saved.c.revision, _field, _patch.op("->")(_field), _version, _seq, _at, _project_id).where(
                saved.c.changed, or_(saved.c.revision > 1, _patch.op("?")(_field))
            ),
        )
        .cte("log")
    )
    created = and_(saved.c.changed, saved.c.revision == 1).label("created")
    return Statement(select(saved.c.revision, saved.c.saved_at, created).add_cte(log))


SAVE = _logged(
    upsert(responses)
    .from_select(
        [
            "project_id",
            "pseudonym",
            "token_hash",
            "answers",
            "seqs",
            "versions",
            "revision",
            "survey_version",
            "last_save",
            "created_at",
            "is_test",
        ],
        select(
            _open.c.project_id,
            _pseudonym,
            _token_hash,
            _patch,
            _seqs,
            _versions,
            literal_column("1"),
            _version,
            _save,
            _at,
            bindparam("is_test", type_=Boolean),
        ).select_from(_open.join(_turn, literal_column("true"))),
    )
    .on_conflict_do_update(index_elements=[responses.c.project_id, responses.c.pseudonym], set_=_applied, where=and_(_is_newer, _is_owner))
)
# Behind a consent gate a save can only change a response that holds the consent: it never makes one.
SAVE_BEHIND_GATE = _logged(
    update(responses)
    .where(
        responses.c.project_id == _open.c.project_id,
        responses.c.pseudonym == _pseudonym,
        _is_newer,
        _is_owner,
        responses.c.answers.op("->")(bindparam("gate_field", type_=Text)) == bindparam("gate_accept", type_=JSONB),
    )
    .values(_applied)
)
LOOK = Statement(
    select(responses.c.answers, responses.c.seqs, responses.c.token_hash, responses.c.revision, _saved_at).select_from(
        _open.outerjoin(responses, and_(responses.c.project_id == _open.c.project_id, responses.c.pseudonym == _pseudonym))
    )
)

# --- several answers, or the withdrawal of consent: one transaction ----------------------------------------------------------

ONE_AT_A_TIME = Statement(_one_at_a_time)
HOLD_SURVEY = Statement(_open_survey)
LOCK = Statement(
    select(responses.c.id, *_stored)
    .where(responses.c.project_id == _project_id, responses.c.pseudonym == _pseudonym)
    .with_for_update(key_share=True)
)
_columns = [*(field.name for field in fields(Response)), "last_save"]
BEGIN = Statement(
    upsert(responses)
    .values(parameters(responses, _columns))
    .on_conflict_do_nothing(index_elements=[responses.c.project_id, responses.c.pseudonym])
    .returning(responses.c.id)
)
STORE = Statement(
    update(responses)
    .where(responses.c.id == bindparam("id"))
    .values(parameters(responses, ("answers", "seqs", "versions", "revision", "survey_version", "updated_at")))
)
LOG = Statement(insert(answer_changes).values(parameters(answer_changes, but=["xid"])))
FORGET_HISTORY = Statement(
    delete(answer_changes).where(answer_changes.c.response_id == bindparam("id"), answer_changes.c.field != bindparam("kept", type_=Text))
)

# --- a respondent's rights ---------------------------------------------------------------------------------------------------

# As `domain.response.bound` has it; here the project is known by its name only.
_bound = func.sha256(func.int8send(projects.c.id).op("||")(_token_hash))
BY_TOKEN = Statement(
    select(projects.c.id.label("project"), *_stored)
    .select_from(projects.outerjoin(responses, and_(responses.c.project_id == projects.c.id, responses.c.token_hash == _bound)))
    .where(projects.c.slug == bindparam("slug"), projects.c.deleted_at.is_(None))
)
_project = (
    select(projects.c.id, _bound.label("token_hash"))
    .where(projects.c.slug == bindparam("slug"), projects.c.deleted_at.is_(None))
    .cte("project")
)
_gone = (
    delete(responses)
    .where(responses.c.project_id == _project.c.id, responses.c.token_hash == _project.c.token_hash)
    .returning(*(responses.c[field.name] for field in fields(Erasure)))
    .cte("gone")
)
_trace = insert(erasures).from_select(["project_id"], select(_gone.c.project_id)).cte("trace")
ERASE = Statement(select(_gone).select_from(_project.outerjoin(_gone, literal_column("true"))).add_cte(_trace))
