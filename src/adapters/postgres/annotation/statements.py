"""The statements that change annotations and hand out what to annotate.

Every change of an annotation holds the item of its resource and set, so there is one at a time for each. A draw looks for an item
that nobody holds or works on (SKIP LOCKED), and PostgreSQL judges the row that it locks anew, as it stands then: what decides
whether an item may be handed out is in that row.
"""

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Text,
    and_,
    any_,
    bindparam,
    case,
    cast,
    delete,
    func,
    insert,
    literal,
    literal_column,
    null,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, array
from sqlalchemy.dialects.postgresql import insert as upsert

from adapters.postgres.database import Statement, parameters
from adapters.postgres.tables import TIME, annotation_changes, annotation_items, annotations, label_sets, resources, users

TOP_UP = 1000  # items that a draw adds at once, when it finds none

_item = annotation_items.c
_label_set_id = bindparam("label_set_id", type_=BigInteger)
_resource_id = bindparam("resource_id", type_=BigInteger)
_annotator_id = bindparam("annotator_id", type_=BigInteger)
_at = bindparam("at", type_=TIME)
_this_item = and_(_item.label_set_id == _label_set_id, _item.resource_id == _resource_id)

# --- changing ----------------------------------------------------------------------------------------------------------------

# Makes the item where there is none, and holds it either way.
HOLD_ITEM = Statement(
    upsert(annotation_items)
    .from_select(
        ["label_set_id", "project_id", "resource_id"],
        select(label_sets.c.id, resources.c.project_id, resources.c.id)
        .join(resources, resources.c.project_id == label_sets.c.project_id)
        .where(label_sets.c.id == _label_set_id, resources.c.id == _resource_id, resources.c.deleted_at.is_(None)),
    )
    .on_conflict_do_update(index_elements=[_item.label_set_id, _item.resource_id], set_={"annotations": _item.annotations})
    .returning(_item.resource_id)
)
_own = (
    annotations.c.label_set_id == _label_set_id,
    annotations.c.resource_id == _resource_id,
    annotations.c.annotator_id == _annotator_id,
)
OWN = Statement(
    select(annotations, users.c.username, label_sets.c.name)
    .join(users, users.c.id == annotations.c.annotator_id)
    .join(label_sets, label_sets.c.id == annotations.c.label_set_id)
    .where(*_own)
)
_logged = ("project_id", "label_set_id", "label_set_version", "resource_id", "annotator_id", "value", "confidence", "note", "version")
_first = upsert(annotations).values(parameters(annotations, but=["id"]))
_saved = (
    _first.on_conflict_do_update(
        index_elements=[annotations.c.resource_id, annotations.c.label_set_id, annotations.c.annotator_id],
        set_={name: _first.excluded[name] for name in ("label_set_version", "value", "confidence", "note", "updated_at", "version")},
    )
    .returning(*annotations.c)
    .cte("saved")
)
_log = (
    insert(annotation_changes)
    .from_select(
        ["annotation_id", *_logged, "changed_at"],
        select(_saved.c.id, *(_saved.c[name] for name in _logged), func.coalesce(_saved.c.updated_at, _saved.c.created_at)),
    )
    .cte("log")
)
SAVE = Statement(select(_saved.c.id).add_cte(_log))
_removed = delete(annotations).where(*_own).returning(*annotations.c).cte("removed")
_kept = ("project_id", "label_set_id", "label_set_version", "resource_id", "annotator_id")
_log_removal = (
    insert(annotation_changes)
    .from_select(
        ["annotation_id", *_kept, "version", "value", "changed_at"],
        select(_removed.c.id, *(_removed.c[name] for name in _kept), _removed.c.version + 1, null(), _at),
    )
    .cte("log")
)
REMOVE = Statement(select(_removed.c.id).add_cte(_log_removal))
GIVEN = Statement(
    select(annotations.c.annotator_id, annotations.c.value)
    .where(annotations.c.label_set_id == _label_set_id, annotations.c.resource_id == _resource_id)
    .order_by(annotations.c.annotator_id)
)
_given_back = _item.leased_by == bindparam("given_back_by", type_=BigInteger)
SETTLE = Statement(
    update(annotation_items)
    .where(_this_item)
    .values(
        **parameters(annotation_items, ["annotators", "label", "dispute"]),
        annotations=func.cardinality(bindparam("annotators", type_=ARRAY(BigInteger))),
        leased_by=case((_given_back, null()), else_=_item.leased_by),
        leased_until=case((_given_back, cast(literal("-infinity", Text), TIME)), else_=_item.leased_until),
    )
)

# --- many at once --------------------------------------------------------------------------------------------------------------

_these = resources.c.id == any_(bindparam("resource_ids", type_=ARRAY(BigInteger)))
_live = (
    select(label_sets.c.id, resources.c.project_id, resources.c.id.label("resource_id"))
    .join(resources, resources.c.project_id == label_sets.c.project_id)
    .where(label_sets.c.id == _label_set_id, _these, resources.c.deleted_at.is_(None))
)
LIVE = Statement(_live)
# In one order for all, so that no two wait for each other.
HOLD_ITEMS = Statement(
    upsert(annotation_items)
    .from_select(["label_set_id", "project_id", "resource_id"], _live.order_by(resources.c.id))
    .on_conflict_do_update(index_elements=[_item.label_set_id, _item.resource_id], set_={"annotations": _item.annotations})
    .returning(_item.resource_id),
    patient=True,
)
STANDING = Statement(
    select(annotations, users.c.username, label_sets.c.name)
    .join(users, users.c.id == annotations.c.annotator_id)
    .join(label_sets, label_sets.c.id == annotations.c.label_set_id)
    .where(
        annotations.c.label_set_id == _label_set_id,
        annotations.c.resource_id == any_(bindparam("resource_ids", type_=ARRAY(BigInteger))),
    )
    .order_by(annotations.c.id)
)
_rows = bindparam("rows", type_=JSONB)
SAVE_ALL = Statement(
    text(
        """WITH saved AS (
            INSERT INTO annotations (project_id, label_set_id, label_set_version, resource_id, annotator_id, value, confidence, note,
                created_at, updated_at, version)
            SELECT CAST(:project_id AS bigint), g.* FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS g(
                label_set_id bigint, label_set_version integer, resource_id bigint, annotator_id bigint, value jsonb, confidence integer,
                note text, created_at timestamptz, updated_at timestamptz, version integer)
            ON CONFLICT (resource_id, label_set_id, annotator_id) DO UPDATE SET
                label_set_version = excluded.label_set_version, value = excluded.value, confidence = excluded.confidence,
                note = excluded.note, updated_at = excluded.updated_at, version = excluded.version
            RETURNING *
        ), log AS (
            INSERT INTO annotation_changes (annotation_id, project_id, label_set_id, label_set_version, resource_id, annotator_id, value,
                confidence, note, version, changed_at)
            SELECT id, project_id, label_set_id, label_set_version, resource_id, annotator_id, value, confidence, note, version,
                coalesce(updated_at, created_at)
            FROM saved
        )
        SELECT count(*) AS n FROM saved"""
    ).bindparams(bindparam("project_id", type_=BigInteger), _rows)
)
SETTLE_ALL = Statement(
    text(
        """UPDATE annotation_items AS i SET
            annotators = g.annotators, annotations = cardinality(g.annotators), label = g.label, dispute = g.dispute,
            leased_by = CASE WHEN i.leased_by = ANY (g.annotators) THEN NULL ELSE i.leased_by END,
            leased_until = CASE WHEN i.leased_by = ANY (g.annotators) THEN '-infinity' ELSE i.leased_until END
        FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS g(
            resource_id bigint, annotators bigint[], label text, dispute double precision)
        WHERE i.label_set_id = CAST(:label_set_id AS bigint) AND i.resource_id = g.resource_id"""
    ).bindparams(_label_set_id, _rows)
)

# --- drawing -----------------------------------------------------------------------------------------------------------------

_copies = bindparam("copies", type_=Integer)
_is_wanting = _item.annotations < _copies
_is_disputed = and_(_item.annotations >= _copies, _item.dispute > literal_column("0"))


def _draw(which: ColumnElement[bool], *order: ColumnElement[object], waiting: bool = False) -> Statement:
    chosen = (
        select(_item.label_set_id, _item.resource_id)
        .join(resources, and_(resources.c.project_id == _item.project_id, resources.c.id == _item.resource_id))
        .where(
            _item.label_set_id == _label_set_id,
            which,
            _item.leased_until <= _at,
            ~_item.annotators.contains(array([_annotator_id])),
            resources.c.deleted_at.is_(None),
        )
        .order_by(*order)
        .limit(literal_column("1"))
        .with_for_update(key_share=True, skip_locked=not waiting, of=annotation_items)
        .cte("chosen")
    )
    return Statement(
        update(annotation_items)
        .where(_item.label_set_id == chosen.c.label_set_id, _item.resource_id == chosen.c.resource_id)
        .values(leased_by=_annotator_id, leased_until=bindparam("until", type_=TIME))
        .returning(_item.resource_id)
    )


DRAW_WANTING = _draw(_is_wanting, _item.annotations.desc(), _item.resource_id)
DRAW_DISPUTED = _draw(_is_disputed, _item.dispute.desc(), _item.resource_id)
# Who finds nothing waits for what others are working on right now, each in the same order, before saying that nothing is left.
DRAW_ANY = _draw(or_(_is_wanting, _is_disputed), _item.resource_id, waiting=True)
ADD_ITEMS = Statement(
    select(func.count().label("n")).select_from(
        upsert(annotation_items)
        .from_select(
            ["label_set_id", "project_id", "resource_id"],
            select(label_sets.c.id, resources.c.project_id, resources.c.id)
            .join(resources, resources.c.project_id == label_sets.c.project_id)
            .where(
                label_sets.c.id == _label_set_id,
                resources.c.deleted_at.is_(None),
                ~select(literal_column("1"))
                .where(_item.label_set_id == label_sets.c.id, _item.resource_id == resources.c.id)
                .correlate(label_sets, resources)
                .exists(),
            )
            .order_by(resources.c.id)
            .limit(literal_column(str(TOP_UP))),
        )
        .on_conflict_do_nothing()
        .returning(_item.resource_id)
        .cte("added")
    )
)
