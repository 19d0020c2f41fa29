"""What PostgreSQL does with a staged table, in its own SQL: each statement works on all rows at once.

Texts are folded by the domain, since what a database's own lower() does depends on its locale; that of the collation "C" knows ASCII
alone, which is all that it is left to.
"""

from hashlib import sha256

from sqlalchemy import BigInteger, Boolean, Integer, Text, bindparam, text

from adapters.postgres.database import Statement
from adapters.postgres.tables import TIME
from domain.abridgement import WHOLE_BYTES
from domain.resource import VERSIONS_MAX

STAGED = "staged_resources"
COLUMNS = ("row", "given", "is_broken", "name", "name_key", "name_folded", "description", "description_folded", "status", "attributes")

_project = bindparam("project_id", type_=BigInteger)

FIND_PROJECT = Statement(
    text("SELECT id FROM projects WHERE slug = :project AND deleted_at IS NULL FOR KEY SHARE").bindparams(bindparam("project", type_=Text))
)
# Two imports of a project would undo each other's work: the second is told so at once.
TAKE_TURN = Statement(
    text("SELECT pg_try_advisory_xact_lock(:space, hashint8(:project_id)) AS taken").bindparams(
        bindparam("space", value=0x496D7072, type_=Integer), _project
    )
)
STAGE = Statement(
    text(
        f"""CREATE TEMPORARY TABLE {STAGED} (
            row integer NOT NULL, given smallint NOT NULL, is_broken boolean NOT NULL,
            name text COLLATE "C", name_key text COLLATE "C", name_folded text, description text, description_folded text,
            status text, attributes jsonb
        ) ON COMMIT DROP"""
    )
)
EMPTY = Statement(text(f"TRUNCATE {STAGED}"))
UNSTAGE = Statement(text(f"DROP TABLE {STAGED}"))
ANALYZE = Statement(text(f"ANALYZE {STAGED} (row, name_key, is_broken)"))

HAS_REPEATED = Statement(text(f"SELECT 1 FROM {STAGED} WHERE name_key IS NOT NULL GROUP BY name_key HAVING count(*) > 1 LIMIT 1"))  # noqa: S608 - constants of ours
HAS_TAKEN = Statement(
    text(
        f"""SELECT 1 FROM {STAGED} AS s JOIN resources AS r
        ON r.project_id = :project_id AND r.deleted_at IS NULL AND r.name_key = s.name_key LIMIT 1"""  # noqa: S608 - constants of ours
    ).bindparams(_project)
)
_FAULTY = f"""
    SELECT row, is_broken, repeated
    FROM (
        SELECT row, is_broken, name_key, row_number() OVER (PARTITION BY name_key ORDER BY row) > 1 AS repeated
        FROM {STAGED} WHERE name_key IS NOT NULL
    ) AS numbered
    WHERE repeated OR (:taken AND EXISTS (
        SELECT FROM resources AS r WHERE r.project_id = :project_id AND r.deleted_at IS NULL AND r.name_key = numbered.name_key
    ))
"""  # noqa: S608 - no value in it comes from outside
_TAKEN = bindparam("taken", type_=Boolean)
FAULTS = Statement(text(f"{_FAULTY} ORDER BY row LIMIT :limit").bindparams(_project, _TAKEN, bindparam("limit", type_=Integer)))
COUNT_FAULTY = Statement(
    text(f"SELECT count(*) AS n FROM ({_FAULTY}) AS faulty WHERE NOT is_broken").bindparams(_project, _TAKEN)  # noqa: S608 - constants of ours
)

EFFECTS = Statement(text("CREATE TEMPORARY TABLE import_effects (row integer, id bigint, version integer, action text) ON COMMIT DROP"))
FORGET_EFFECT = Statement(text("TRUNCATE import_effects"))
# What happens to the resources that are there: all others of the table are inserted.
FIND_EFFECT = Statement(
    text(
        f"""INSERT INTO import_effects (row, id, version, action)
        SELECT s.row, r.id, r.version,
            CASE WHEN r.name <> s.name
                OR (s.given & 1 > 0 AND r.description IS DISTINCT FROM s.description)
                OR (s.given & 2 > 0 AND r.status <> s.status)
                OR (s.given & 4 > 0 AND r.attributes <> s.attributes) THEN 'update' ELSE 'keep' END AS action
        FROM {STAGED} AS s JOIN resources AS r ON r.project_id = :project_id AND r.deleted_at IS NULL AND r.name_key = s.name_key
        UNION ALL
        SELECT NULL, r.id, r.version, 'delete' FROM resources AS r
        WHERE :deleting AND r.project_id = :project_id AND r.deleted_at IS NULL
            AND NOT EXISTS (SELECT FROM {STAGED} AS s WHERE s.name_key = r.name_key)"""  # noqa: S608 - constants of ours
    ).bindparams(_project, bindparam("deleting", type_=Boolean))
)
ANALYZE_EFFECT = Statement(text("ANALYZE import_effects"))
EFFECT = Statement(
    text(
        f"""SELECT
            (SELECT count(*) FROM {STAGED}) - count(row) AS inserted,
            count(*) FILTER (WHERE action = 'update') AS updated,
            count(*) FILTER (WHERE action = 'delete') AS deleted,
            count(*) FILTER (WHERE action = 'keep') AS unchanged,
            sha256(convert_to(coalesce(string_agg(
                action || ' ' || id || CASE action WHEN 'keep' THEN '' ELSE ' ' || version END, ',' ORDER BY id), ''), 'UTF8')) AS mark
        FROM import_effects"""  # noqa: S608 - constants of ours
    )
)

NOTHING = sha256(b"").digest()  # the mark of an effect on no resource that is there

_AUDIT = "INSERT INTO audit_entries (at, actor_id, action, project, target_type, target_id, changes, request_id)"
_ENTRY = "CAST(:at AS timestamptz), CAST(:actor_id AS bigint), {action}, CAST(:project AS text), 'resource', to_jsonb(id)"
_by = (
    _project,
    bindparam("at", type_=TIME),
    bindparam("actor_id", type_=BigInteger),
    bindparam("project", type_=Text),
    bindparam("request_id", type_=Text),
)


def _difference(field: str, before: str, after: str) -> str:
    return f"jsonb_build_object('field', '{field}', 'from', {_abridged(before)}, 'to', {_abridged(after)})"


def _abridged(value: str) -> str:
    """What the domain's `abridged` makes of this value. A character begins at each byte that is not 10xxxxxx: none is cut."""
    ends = " ".join(f"WHEN get_byte(utf8, {end}) & 192 <> 128 THEN {end}" for end in (WHOLE_BYTES, WHOLE_BYTES - 1, WHOLE_BYTES - 2))
    return f"""(SELECT CASE WHEN length(utf8) > {WHOLE_BYTES} THEN jsonb_build_object(
            'sha256', encode(sha256(utf8), 'hex'), 'bytes', length(utf8),
            'begins', convert_from(substring(utf8 FROM 1 FOR CASE {ends} ELSE {WHOLE_BYTES - 3} END), 'UTF8')) ELSE whole END
        FROM (SELECT whole, convert_to(CAST(whole AS text), 'UTF8') AS utf8 FROM (SELECT to_jsonb({value}) AS whole) AS given) AS spelt)"""  # noqa: S608 - constants of ours


def _told(*differences: tuple[str, str]) -> str:
    """A JSON array of the differences whose conditions hold, in this order."""
    parts = " || ".join(f"CASE WHEN {holds} THEN jsonb_build_array({difference}) ELSE '[]'::jsonb END" for holds, difference in differences)
    return f"({parts})"


_OLD = """r.project_id, r.id, r.version, r.name, r.description, r.status, r.attributes, r.deleted_at, r.owner_id,
                CASE r.version WHEN 1 THEN r.created_by ELSE r.updated_by END AS made_by, coalesce(r.updated_at, r.created_at) AS made_at"""
# What the rows of `old` were is kept, and of each that is `made` no more versions than it may have.
_KEPT = f"""kept AS (
            INSERT INTO resource_versions (project_id, resource_id, version, name, description, status, attributes, deleted_at, owner_id,
                made_by, made_at, replaced_at)
            SELECT project_id, id, version, name, description, status, attributes, deleted_at, owner_id, made_by, made_at,
                CAST(:at AS timestamptz) FROM old
        ), thinned AS (
            DELETE FROM resource_versions AS v USING made
            WHERE v.project_id = :project_id AND v.resource_id = made.id AND v.version <= made.version - {VERSIONS_MAX}
        )"""  # noqa: S608 - constants of ours


def _insert(which: str) -> Statement:
    """Insert these of the staged rows `s`, in their order.

    The entry of a creation tells no fields: they follow from the resource and its later entries, and would cost as much as all else.
    """
    sql = f"""WITH made AS (
            INSERT INTO resources
                (project_id, name, name_key, search_text, description, status, attributes, created_by, owner_id, created_at, version)
            SELECT :project_id, s.name, s.name_key,
                coalesce(s.name_folded, s.name_key) || chr(31)
                    || coalesce(s.description_folded, lower(s.description COLLATE "C"), ''),
                s.description, s.status, s.attributes, CAST(:actor_id AS bigint), CAST(:actor_id AS bigint), CAST(:at AS timestamptz), 1
            FROM {STAGED} AS s {which}
            RETURNING id
        ), told AS (
            {_AUDIT}
            SELECT {_ENTRY.format(action="'resource.create'")}, '[]'::jsonb,
                CAST(:request_id AS text)
            FROM made
        )
        SELECT count(*) AS n FROM made"""  # noqa: S608 - no value in it comes from outside
    return Statement(text(sql).bindparams(*_by))


INSERT_ALL = _insert("")  # as they lie there, which is their order: sorting a million of them would cost seconds
INSERT = _insert("WHERE NOT EXISTS (SELECT FROM import_effects AS e WHERE e.row = s.row) ORDER BY s.row")
UPDATE = Statement(
    text(
        f"""WITH old AS (
            SELECT e.row, {_OLD} FROM import_effects AS e
            JOIN resources AS r ON r.id = e.id AND r.version = e.version AND r.deleted_at IS NULL
            WHERE e.action = 'update' AND r.project_id = :project_id
            ORDER BY e.id FOR NO KEY UPDATE OF r
        ), made AS (
            UPDATE resources AS r SET
                name = s.name,
                description = CASE WHEN s.given & 1 > 0 THEN s.description ELSE r.description END,
                status = CASE WHEN s.given & 2 > 0 THEN s.status ELSE r.status END,
                attributes = CASE WHEN s.given & 4 > 0 THEN s.attributes ELSE r.attributes END,
                search_text = coalesce(s.name_folded, s.name_key) || chr(31) || CASE WHEN s.given & 1 > 0
                    THEN coalesce(s.description_folded, lower(s.description COLLATE "C"), '')
                    ELSE split_part(r.search_text, chr(31), 2) END,
                updated_at = CAST(:at AS timestamptz), updated_by = CAST(:actor_id AS bigint), version = r.version + 1
            FROM old JOIN {STAGED} AS s ON s.row = old.row
            WHERE r.project_id = old.project_id AND r.id = old.id
            RETURNING r.id, r.version, old.name AS old_name, old.description AS old_description, old.status AS old_status,
                old.attributes AS old_attributes, r.name, r.description, r.status, r.attributes
        ), {_KEPT}, told AS (
            {_AUDIT}
            SELECT {_ENTRY.format(action="'resource.update'")},
                {
            _told(
                ("old_name <> name", _difference("name", "old_name", "name")),
                ("old_description IS DISTINCT FROM description", _difference("description", "old_description", "description")),
                ("old_status <> status", _difference("status", "old_status", "status")),
                ("old_attributes <> attributes", _difference("attributes", "old_attributes", "attributes")),
            )
        }, CAST(:request_id AS text)
            FROM made
        )
        SELECT count(*) AS n FROM made"""  # noqa: S608 - constants of ours
    ).bindparams(*_by)
)
DELETE = Statement(
    text(
        f"""WITH old AS (
            SELECT {_OLD} FROM import_effects AS e
            JOIN resources AS r ON r.id = e.id AND r.version = e.version AND r.deleted_at IS NULL
            WHERE e.action = 'delete' AND r.project_id = :project_id
            ORDER BY r.id FOR NO KEY UPDATE OF r
        ), made AS (
            UPDATE resources AS r SET
                deleted_at = CAST(:at AS timestamptz), updated_at = CAST(:at AS timestamptz), updated_by = CAST(:actor_id AS bigint),
                version = r.version + 1
            FROM old
            WHERE r.project_id = old.project_id AND r.id = old.id
            RETURNING r.id, r.version
        ), {_KEPT}, told AS (
            {_AUDIT}
            SELECT {_ENTRY.format(action="'resource.delete'")}, '[]'::jsonb, CAST(:request_id AS text) FROM made
        )
        SELECT count(*) AS n FROM made"""  # noqa: S608 - constants of ours
    ).bindparams(*_by)
)
# What was added to the index waits in a list that every search reads through: put it in its place now. That is for the owner to do.
TIDY_SEARCH = Statement(
    text(
        """SELECT CASE WHEN pg_has_role(relowner, 'USAGE') THEN gin_clean_pending_list(oid) END AS pages
        FROM pg_class WHERE oid = to_regclass('ix_resources_search')"""
    )
)
