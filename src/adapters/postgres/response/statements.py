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
    all_,
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
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.dialects.postgresql import insert as upsert

from adapters.postgres.database import Statement, parameters
from adapters.postgres.tables import TIME, answer_changes, erasures, projects, responses, surveys
from domain.erasure import Erasure
from domain.response import ALL_FIELDS, CHANGES_MAX, Response

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
_shown = bindparam("is_shown", type_=Boolean)
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
# Numbers begin anew with the save that first shows the token.
_claims = and_(_shown, ~responses.c.is_owned)
_of_field = cast(responses.c.seqs.op("->>")(_field), BigInteger)
_of_all = cast(responses.c.seqs.op("->>")(literal_column(f"'{ALL_FIELDS}'")), BigInteger)
_is_newer = or_(_seq.is_(None), _claims, func.coalesce(func.greatest(_of_field, _of_all), -1) < _seq)
_is_owner = case((_shown, responses.c.token_hash == _token_hash), else_=~responses.c.is_owned)
# What is rare is left to the domain: answers that consent may bring back, and a history that is full.
_is_plain = and_(responses.c.withheld.is_(None), responses.c.changes < CHANGES_MAX)
_may = and_(_is_newer, _is_owner, _is_plain)
_applied = {
    "answers": _answers,
    "seqs": case((_claims, _seqs), else_=responses.c.seqs.op("||")(_seqs)),
    "is_owned": or_(responses.c.is_owned, _shown),
    "changes": responses.c.changes + case((_differs, 1), else_=0),
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


_new = upsert(responses).from_select(
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
        "is_owned",
        "changes",
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
        _shown,
        bindparam("logged", type_=Integer),
    ).select_from(_open.join(_turn, literal_column("true"))),
)


def _saving(named_by: Any) -> Statement:
    """One answer of the respondent who is named by the pseudonym, or by the hash of the token."""
    return _logged(_new.on_conflict_do_update(index_elements=[responses.c.project_id, named_by], set_=_applied, where=_may))


def _saving_behind_gate(name: ColumnElement[bool]) -> Statement:
    """Behind a consent gate a save can only change a response that holds the consent: it never makes one."""
    consent = responses.c.answers.op("->")(bindparam("gate_field", type_=Text)) == bindparam("gate_accept", type_=JSONB)
    return _logged(update(responses).where(responses.c.project_id == _open.c.project_id, name, _may, consent).values(_applied))


# By whether the token names the respondent.
SAVE = {False: _saving(responses.c.pseudonym), True: _saving(responses.c.token_hash)}
SAVE_BEHIND_GATE = {
    False: _saving_behind_gate(responses.c.pseudonym == _pseudonym),
    True: _saving_behind_gate(responses.c.token_hash == _token_hash),
}
# The respondent of this pseudonym and the one of this token: the same, unless the token is another's.
_named = or_(
    and_(responses.c.project_id == _project_id, responses.c.pseudonym == _pseudonym),
    and_(responses.c.project_id == _project_id, responses.c.token_hash == _token_hash),
)
LOOK = Statement(
    select(
        responses.c.answers,
        responses.c.seqs,
        responses.c.pseudonym,
        responses.c.token_hash,
        responses.c.is_owned,
        responses.c.revision,
        _saved_at,
    ).select_from(_open.outerjoin(responses, _named))
)

# --- several answers, or the withdrawal of consent: one transaction ----------------------------------------------------------

ONE_AT_A_TIME = Statement(_one_at_a_time)
HOLD_SURVEY = Statement(_open_survey)
LOCK = Statement(select(responses.c.id, responses.c.changes, *_stored).where(_named).with_for_update(key_share=True))
_columns = [*(field.name for field in fields(Response)), "last_save", "changes"]
BEGIN = Statement(upsert(responses).values(parameters(responses, _columns)).on_conflict_do_nothing().returning(responses.c.id))
_FIXED = ("project_id", "pseudonym", "token_hash", "created_at", "is_test", "last_save")
STORE = Statement(
    update(responses)
    .where(responses.c.id == bindparam("id"))
    .values(parameters(responses, [*(name for name in _columns if name not in _FIXED)]))
)
LOG = Statement(insert(answer_changes).values(parameters(answer_changes, but=["xid"])))
FORGET_HISTORY = Statement(
    delete(answer_changes).where(answer_changes.c.response_id == bindparam("id"), answer_changes.c.field != bindparam("kept", type_=Text))
)

# The oldest of what was changed again since then: what each field holds now, and who put it there, stays.
_newer = func.lead(answer_changes.c.revision).over(partition_by=answer_changes.c.field, order_by=answer_changes.c.revision)
_history = (
    select(answer_changes.c.revision, answer_changes.c.field, _newer.label("newer"))
    .where(answer_changes.c.response_id == bindparam("id", type_=BigInteger))
    .subquery()
)
_oldest = (
    select(_history.c.revision, _history.c.field)
    .where(_history.c.newer.is_not(None))
    .order_by(_history.c.revision)
    .limit(bindparam("surplus", type_=Integer))
)
TRIM_HISTORY = Statement(
    delete(answer_changes).where(
        answer_changes.c.response_id == bindparam("id", type_=BigInteger),
        tuple_(answer_changes.c.revision, answer_changes.c.field).in_(_oldest),
    )
)
COUNT_HISTORY = Statement(
    update(responses)
    .where(responses.c.id == bindparam("id", type_=BigInteger))
    .values(changes=select(func.count()).where(answer_changes.c.response_id == bindparam("id", type_=BigInteger)).scalar_subquery())
)

# --- what was withheld for long enough ---------------------------------------------------------------------------------------

WITHHELD = Statement(
    select(responses.c.id, *_stored)
    .where(responses.c.withheld_at < bindparam("before", type_=TIME))
    .order_by(responses.c.withheld_at)
    .limit(bindparam("limit", type_=Integer))
    .with_for_update(key_share=True, skip_locked=True)
)
FORGET_WITHHELD = Statement(
    delete(answer_changes).where(
        answer_changes.c.response_id == bindparam("id", type_=BigInteger),
        answer_changes.c.field != all_(bindparam("kept", type_=ARRAY(Text))),
    )
)
STOP_WITHHOLDING = Statement(
    update(responses)
    .where(responses.c.id == bindparam("id"))
    .values(parameters(responses, ("seqs", "withheld", "withheld_at", "revision", "updated_at")))
)

# --- a respondent's rights ---------------------------------------------------------------------------------------------------

# As `domain.response.bound` has it; here the project is known by its name only.
_bound = func.sha256(func.int8send(projects.c.id).op("||")(_token_hash))
BY_TOKEN = Statement(
    select(projects.c.id.label("project"), *_stored)
    .select_from(projects.outerjoin(responses, and_(responses.c.project_id == projects.c.id, responses.c.token_hash == _bound)))
    .where(projects.c.slug == bindparam("slug"), projects.c.deleted_at.is_(None))
)
# Every project that ever had the name: who asks cannot know that another has it now.
_project = (
    select(projects.c.id, projects.c.deleted_at.is_(None).label("is_live"), _bound.label("token_hash"))
    .where(projects.c.slug == bindparam("slug"))
    .cte("project")
)
_gone = (
    delete(responses)
    .where(responses.c.project_id == _project.c.id, responses.c.token_hash == _project.c.token_hash)
    .returning(*(responses.c[field.name] for field in fields(Erasure)))
    .cte("gone")
)
_trace = insert(erasures).from_select(["project_id"], select(_gone.c.project_id)).cte("trace")
ERASE = Statement(
    select(_project.c.is_live, _gone)
    .select_from(_project.outerjoin(_gone, _gone.c.project_id == _project.c.id))
    .order_by(_project.c.id.desc())
    .add_cte(_trace)
)
