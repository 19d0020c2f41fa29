"""Every table. What two writers could break is a constraint here, named, and mapped to its error in `integrity`."""

from datetime import datetime

from sqlalchemy import (
    DDL,
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ColumnClause,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    event,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP
from sqlalchemy.types import UserDefinedType

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

TIME = TIMESTAMP(timezone=True)


class XID8(UserDefinedType[str]):
    """The 64-bit transaction id: with `pg_visible_in_snapshot` it tells exactly what a snapshot has seen."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "xid8"


class SNAPSHOT(UserDefinedType[str]):
    """Which transactions a reading of the database has seen; kept as text, since only PostgreSQL looks into it."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "pg_snapshot"


users = Table(
    "users",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("username", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("search_text", Text, nullable=False),  # folded by us: what a database's own lower() does depends on its locale
    Column("password_hash", Text),
    Column("role", Text, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("orcid_id", Text),
    Column("openalex_id", Text),
    Column("created_at", TIME, nullable=False),
    Column("updated_at", TIME),
    Column("version", Integer, nullable=False),
    UniqueConstraint("username"),
    CheckConstraint("role IN ('member', 'annotator', 'admin')", name="role"),
    Index("ix_users_active_admins", "id", postgresql_where=text("role = 'admin' AND is_active")),
)

setup_tokens = Table(
    "setup_tokens",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("user_id", ForeignKey("users.id"), nullable=False),
    Column("expires_at", TIME, nullable=False),
    UniqueConstraint("user_id"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", ForeignKey("users.id"), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("created_at", TIME, nullable=False),
    Column("rotated_at", TIME, nullable=False),
    Column("expires_at", TIME, nullable=False),
    Column("ended_at", TIME),
    Index("ix_sessions_live", "user_id", postgresql_where=text("ended_at IS NULL")),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("user_id", ForeignKey("users.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("prefix", Text, nullable=False),
    Column("key_hash", LargeBinary, nullable=False),
    Column("created_at", TIME, nullable=False),
    Column("expires_at", TIME, nullable=False),
    Column("last_used_at", TIME),
    Column("revoked_at", TIME),
    UniqueConstraint("key_hash"),
    Index("ix_api_keys_live", "user_id", "id", postgresql_where=text("revoked_at IS NULL")),
)

sign_in_failures = Table(
    "sign_in_failures",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("username_hash", LargeBinary, nullable=False),  # a hash: people type passwords into the wrong box
    Column("network", Text, nullable=False),
    Column("failed_at", TIME, nullable=False),
    Index("ix_sign_in_failures_name", "username_hash", "failed_at"),
    Index("ix_sign_in_failures_age", "failed_at"),
)

projects = Table(
    "projects",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("slug", Text(collation="C"), nullable=False),
    Column("title", Text, nullable=False),
    Column("description", Text),
    Column("created_at", TIME, nullable=False),
    Column("updated_at", TIME),
    Column("deleted_at", TIME),
    Column("version", Integer, nullable=False),
    Index("uq_projects_slug_live", "slug", unique=True, postgresql_where=text("deleted_at IS NULL")),
)

resources = Table(
    "resources",
    metadata,
    Column("id", BigInteger, Identity(always=True), nullable=False),
    Column("project_id", ForeignKey("projects.id"), nullable=False),
    Column("name", Text(collation="C"), nullable=False),
    Column("name_key", Text(collation="C"), nullable=False),
    Column("search_text", Text, nullable=False),
    Column("description", Text),
    Column("status", Text, nullable=False),
    Column("attributes", JSONB, nullable=False),
    Column("created_by", ForeignKey("users.id"), nullable=False),
    Column("created_at", TIME, nullable=False),
    # Accounts are never removed, and whoever names these holds the account or is it: no foreign key asks for each of a million rows.
    Column("owner_id", BigInteger, nullable=False),
    Column("updated_by", BigInteger),
    Column("updated_at", TIME),
    Column("deleted_at", TIME),
    Column("version", Integer, nullable=False),
    # Not by id alone: a walk along that index would read the rows of every other project on its way.
    PrimaryKeyConstraint("project_id", "id"),
    CheckConstraint("status IN ('active', 'inactive', 'pending')", name="status"),
)

# Never-changed resources sort last both ways, and a keyset needs one comparable key: hence two expressions.
UPDATED_ASCENDING: ColumnClause[datetime] = literal_column("coalesce(updated_at, 'infinity'::timestamptz)")
UPDATED_DESCENDING: ColumnClause[datetime] = literal_column("coalesce(updated_at, '-infinity'::timestamptz)")

_live = text("deleted_at IS NULL")
Index("uq_resources_name_live", resources.c.project_id, resources.c.name_key, unique=True, postgresql_where=_live)
Index("ix_resources_status", resources.c.project_id, resources.c.status, resources.c.id, postgresql_where=_live)
Index("ix_resources_name", resources.c.project_id, resources.c.name, resources.c.id, postgresql_where=_live)
Index("ix_resources_created", resources.c.project_id, resources.c.created_at, resources.c.id, postgresql_where=_live)
Index("ix_resources_updated", resources.c.project_id, UPDATED_ASCENDING, resources.c.id, postgresql_where=_live)
Index("ix_resources_updated_last", resources.c.project_id, UPDATED_DESCENDING, resources.c.id, postgresql_where=_live)
Index(
    "ix_resources_search",
    resources.c.search_text,
    postgresql_using="gin",
    postgresql_ops={"search_text": "gin_trgm_ops"},
    postgresql_where=_live,
)

# What resources were: the statement that changes one puts here what it finds. What a resource is stands in its own row alone, so that
# making a million costs no version. No foreign key, which each edit would pay for: only retention removes resources, and these first.
resource_versions = Table(
    "resource_versions",
    metadata,
    Column("project_id", BigInteger, nullable=False),
    Column("resource_id", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("status", Text, nullable=False),
    Column("attributes", JSONB, nullable=False),
    Column("deleted_at", TIME),
    Column("owner_id", BigInteger, nullable=False),
    Column("made_by", BigInteger),
    Column("made_at", TIME, nullable=False),
    Column("replaced_at", TIME, nullable=False),
    PrimaryKeyConstraint("project_id", "resource_id", "version"),
    # They come in the order of time: a summary of each block finds the old ones, and costs an edit nothing.
    Index("ix_resource_versions_replaced_at", "replaced_at", postgresql_using="brin"),
)

# How many live resources a project has of each status: the sum of its rows. There are as many as have ever changed something at once,
# since whoever does takes a row that nobody holds: nobody waits for anybody, be it for an import that takes a minute.
resource_counts = Table(
    "resource_counts",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("project_id", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Index("ix_resource_counts_project_id", "project_id", "status"),
    postgresql_with={"fillfactor": "50"},
)

_ADD_TO_COUNTS = """
CREATE FUNCTION add_to_resource_counts(changed_project bigint, changed_status text, difference bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE resource_counts SET number = number + difference
    WHERE id = (
        SELECT id FROM resource_counts WHERE project_id = changed_project AND status = changed_status
        LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
    );
    IF NOT FOUND THEN
        INSERT INTO resource_counts (project_id, status, number) VALUES (changed_project, changed_status, difference);
    END IF;
END
$$
"""
_COUNT_RESOURCES = """
CREATE FUNCTION count_resources() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM add_to_resource_counts(project_id, status, count(*)) FROM added WHERE deleted_at IS NULL GROUP BY project_id, status;
    ELSIF TG_OP = 'DELETE' THEN
        PERFORM add_to_resource_counts(project_id, status, -count(*)) FROM gone WHERE deleted_at IS NULL GROUP BY project_id, status;
    ELSE
        PERFORM add_to_resource_counts(project_id, status, sum(number)::bigint) FROM (
            SELECT project_id, status, 1 AS number FROM added WHERE deleted_at IS NULL
            UNION ALL SELECT project_id, status, -1 FROM gone WHERE deleted_at IS NULL
        ) AS changed GROUP BY project_id, status HAVING sum(number) <> 0;
    END IF;
    RETURN NULL;
END
$$
"""
_ON_CHANGE = """
CREATE TRIGGER count_{verb} AFTER {verb} ON resources REFERENCING {tables}
FOR EACH STATEMENT EXECUTE FUNCTION count_resources()
"""
_CHANGED = {"insert": "NEW TABLE AS added", "update": "OLD TABLE AS gone NEW TABLE AS added", "delete": "OLD TABLE AS gone"}
for _statement in (_ADD_TO_COUNTS, _COUNT_RESOURCES, *(_ON_CHANGE.format(verb=verb, tables=tables) for verb, tables in _CHANGED.items())):
    event.listen(metadata, "after_create", DDL(_statement))  # type: ignore[no-untyped-call]

surveys = Table(
    "surveys",
    metadata,
    Column("project_id", ForeignKey("projects.id"), primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("is_open", Boolean, nullable=False),
)

survey_versions = Table(
    "survey_versions",
    metadata,
    Column("project_id", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("definition", JSONB, nullable=False),
    Column("changes", JSONB, nullable=False),
    Column("published_at", TIME, nullable=False),
    Column("published_by", ForeignKey("users.id"), nullable=False),
    PrimaryKeyConstraint("project_id", "version"),
    ForeignKeyConstraint(["project_id"], ["projects.id"]),
)

responses = Table(
    "responses",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("project_id", ForeignKey("projects.id"), nullable=False),
    Column("pseudonym", LargeBinary, nullable=False),
    Column("token_hash", LargeBinary, nullable=False),
    Column("answers", JSONB, nullable=False),
    Column("seqs", JSONB, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("survey_version", Integer, nullable=False),
    # The save that changed this row last: RETURNING tells by it whether this save did, as PostgreSQL shows no old row before 18.
    Column("last_save", Uuid, nullable=False),
    Column("created_at", TIME, nullable=False),
    Column("updated_at", TIME),
    UniqueConstraint("project_id", "pseudonym"),
    UniqueConstraint("project_id", "token_hash"),
    Index("ix_responses_tests", "project_id", "id", postgresql_where=text("is_test")),
    Column("versions", JSONB, nullable=False),
    Column("is_test", Boolean, nullable=False),
    Column("is_owned", Boolean, nullable=False),
    Column("changes", Integer, nullable=False),  # how many rows of `answer_changes` are its own
    Column("withheld", JSONB(none_as_null=True)),
    Column("withheld_at", TIME),
    Index("ix_responses_withheld_at", "withheld_at", postgresql_where=text("withheld_at IS NOT NULL")),
    # Room on each page for the next version of its rows: a save touches no index.
    postgresql_with={"fillfactor": "75"},
)

# Append-only, but for erasure. A value of NULL is a withdrawal.
answer_changes = Table(
    "answer_changes",
    metadata,
    Column("response_id", ForeignKey("responses.id", ondelete="CASCADE"), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("field", Text, nullable=False),
    Column("value", JSONB(none_as_null=True)),
    Column("survey_version", Integer, nullable=False),
    Column("seq", BigInteger),
    Column("changed_at", TIME, nullable=False),
    Column("project_id", BigInteger, nullable=False),
    Column("xid", XID8, nullable=False, server_default=text("pg_current_xact_id()")),
    PrimaryKeyConstraint("response_id", "revision", "field"),
    Index("ix_answer_changes_xid", "project_id", "xid"),
)

# That somebody's response was erased, and nothing of whose: published results count it as a change.
erasures = Table(
    "erasures",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("project_id", ForeignKey("projects.id"), nullable=False),
    Column("xid", XID8, nullable=False, server_default=text("pg_current_xact_id()")),
    Index("ix_erasures_xid", "project_id", "xid"),
)

# Results as they were published last, each document as the bytes that readers get: hence JSON and not JSONB.
survey_results = Table(
    "survey_results",
    metadata,
    Column("project_id", ForeignKey("projects.id"), primary_key=True, autoincrement=False),
    Column("survey_version", Integer, nullable=False),
    Column("minimum_cell", BigInteger, nullable=False),
    Column("snapshot", Text),  # what was counted, where a step under suppression counts from
    Column("documents", JSON, nullable=False),
    Column("published_at", TIME, nullable=False),
)

# What releases of results under noise have cost, for good: nothing that was told is ever untold.
results_spendings = Table(
    "results_spendings",
    metadata,
    Column("project_id", ForeignKey("projects.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("responses", BigInteger, nullable=False),
    Column("series", Numeric, nullable=False),
    Column("closing", Numeric, nullable=False),
    Column("spent_at", TIME, nullable=False),
    PrimaryKeyConstraint("project_id", "number"),
    CheckConstraint("series >= 0 AND closing >= 0", name="not_negative"),
)

# How many responses that were no tests were ever deleted, whoever did it: with those that are there, how many were ever made.
deleted_responses = Table(
    "deleted_responses",
    metadata,
    Column("project_id", ForeignKey("projects.id"), primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
)
_COUNT_DELETED = """
CREATE FUNCTION count_deleted_responses() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO deleted_responses (project_id, number)
    SELECT project_id, count(*) FROM gone WHERE NOT is_test GROUP BY project_id ORDER BY project_id
    ON CONFLICT (project_id) DO UPDATE SET number = deleted_responses.number + excluded.number;
    RETURN NULL;
END
$$
"""
_ON_DELETION = """
CREATE TRIGGER count_deleted AFTER DELETE ON responses REFERENCING OLD TABLE AS gone
FOR EACH STATEMENT EXECUTE FUNCTION count_deleted_responses()
"""
for _statement in (_COUNT_DELETED, _ON_DELETION):
    event.listen(metadata, "after_create", DDL(_statement))  # type: ignore[no-untyped-call]

files = Table(
    "files",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("project_id", ForeignKey("projects.id"), nullable=False),
    Column("filename", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("created_by", ForeignKey("users.id"), nullable=False),
    Column("created_at", TIME, nullable=False),
    Column("verified_at", TIME, nullable=False),
    CheckConstraint("octet_length(sha256) = 32", name="sha256"),
    Index("ix_files_project", "project_id", "id"),
    Index("ix_files_verified_at", "verified_at"),
    Index("ix_files_quota", "created_by", postgresql_include=["size"]),
)

# Append-only: what happened stays, whoever the actor or the project was. That the actors are there is asked once a statement, below:
# a foreign key asks for each entry, and a million come at once.
audit_entries = Table(
    "audit_entries",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", TIME, nullable=False),
    Column("actor_id", BigInteger),
    Column("action", Text(collation="C"), nullable=False),
    Column("project", Text(collation="C")),
    Column("target_type", Text(collation="C"), nullable=False),
    Column("target_id", JSONB, nullable=False),
    Column("changes", JSONB, nullable=False),
    Column("request_id", Text),
    Index("ix_audit_entries_actor", "actor_id", "id"),
    Index("ix_audit_entries_action", "action", "id"),
    Index("ix_audit_entries_project", "project", "id"),
    Index("ix_audit_entries_target", "target_type", "target_id", "id"),
)

# The chain over the entries. Nothing refers to them by a foreign key: a link must be able to tell of an entry that is gone.
audit_links = Table(
    "audit_links",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("entry_id", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    UniqueConstraint("entry_id"),
)

# Entries that wait for their link.
audit_waiting = Table(
    "audit_waiting",
    metadata,
    Column("entry_id", BigInteger, primary_key=True, autoincrement=False),
)

_REFUSE_CHANGE = """
CREATE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The audit trail is only added to.' USING ERRCODE = 'insufficient_privilege';
END
$$
"""
_AWAIT_LINK = """
CREATE FUNCTION audit_await_link() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM (SELECT DISTINCT actor_id FROM added WHERE actor_id IS NOT NULL) AS named
        WHERE (SELECT id FROM users WHERE users.id = named.actor_id) IS NULL
    ) THEN
        RAISE EXCEPTION 'An entry names an actor who is not there.' USING ERRCODE = 'foreign_key_violation';
    END IF;
    INSERT INTO audit_waiting (entry_id) SELECT id FROM added;
    RETURN NULL;
END
$$
"""
_REFUSE = """
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change()
"""
_AWAIT = """
CREATE TRIGGER await_link AFTER INSERT ON audit_entries REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION audit_await_link()
"""
_REFUSE_REMOVAL = """
CREATE FUNCTION users_refuse_removal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'Accounts are switched off and never removed: the audit trail names them.' USING ERRCODE = 'restrict_violation';
END
$$
"""
_REMOVAL = """
CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON users
FOR EACH STATEMENT EXECUTE FUNCTION users_refuse_removal()
"""
_REFUSALS = [_REFUSE.format(table=table) for table in ("audit_entries", "audit_links")]
for _statement in (_REFUSE_CHANGE, _AWAIT_LINK, *_REFUSALS, _AWAIT, _REFUSE_REMOVAL, _REMOVAL):
    event.listen(metadata, "after_create", DDL(_statement))  # type: ignore[no-untyped-call]


# What was answered under an idempotency key, as the edge encoded it, until it expires.
replays = Table(
    "replays",
    metadata,
    Column("user_id", ForeignKey("users.id"), nullable=False),
    Column("key", Text, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("outcome", LargeBinary, nullable=False),
    Column("expires_at", TIME, nullable=False),
    PrimaryKeyConstraint("user_id", "key"),
    Index("ix_replays_expires_at", "expires_at"),
)

# Exports to be kept. While one is made, `content` is the name for its bytes and tells whose claim holds.
exports = Table(
    "exports",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("project_id", ForeignKey("projects.id"), nullable=False),
    Column("what", Text, nullable=False),
    Column("format", Text, nullable=False),
    Column("filters", JSONB, nullable=False),
    Column("status", Text, nullable=False),
    Column("percent", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("claimed_until", TIME),
    Column("content", Uuid),
    Column("rows", BigInteger),
    Column("bytes", BigInteger),
    Column("sha256", Text),
    Column("columns", JSONB(none_as_null=True)),
    Column("survey_version", Integer),
    Column("package", Text),
    Column("created_by", ForeignKey("users.id"), nullable=False),
    Column("created_at", TIME, nullable=False),
    Column("verified_at", TIME, nullable=False),
    UniqueConstraint("content"),
    CheckConstraint("status IN ('queued', 'running', 'done', 'failed')", name="status"),
    Index("ix_exports_project", "project_id", "id"),
    Index("ix_exports_quota", "created_by", postgresql_include=["bytes"]),
    Index("ix_exports_verified_at", "verified_at", postgresql_where=text("status = 'done'")),
    Index("ix_exports_to_do", "id", postgresql_where=text("status IN ('queued', 'running')")),
)

# When an export of each person's was begun last: who waited longest is next, and deleting exports jumps no queue.
export_turns = Table(
    "export_turns",
    metadata,
    Column("user_id", ForeignKey("users.id"), primary_key=True, autoincrement=False),
    Column("taken_at", TIME, nullable=False),
)

# `blind` and `copies` are those of the newest version, for statements on annotations to ask.
label_sets = Table(
    "label_sets",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("project_id", ForeignKey("projects.id"), nullable=False),
    Column("name", Text(collation="C"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("blind", Boolean, nullable=False),
    Column("copies", Integer, nullable=False),
    UniqueConstraint("project_id", "name"),
)

label_set_versions = Table(
    "label_set_versions",
    metadata,
    Column("label_set_id", ForeignKey("label_sets.id", ondelete="CASCADE"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("declaration", JSONB, nullable=False),
    Column("changes", JSONB, nullable=False),
    Column("published_at", TIME, nullable=False),
    Column("published_by", ForeignKey("users.id"), nullable=False),
    PrimaryKeyConstraint("label_set_id", "version"),
)

annotations = Table(
    "annotations",
    metadata,
    Column("project_id", BigInteger, nullable=False),
    Column("id", BigInteger, Identity(always=True), nullable=False),
    Column("label_set_id", ForeignKey("label_sets.id", ondelete="CASCADE"), nullable=False),
    Column("label_set_version", Integer, nullable=False),
    Column("resource_id", BigInteger, nullable=False),
    Column("annotator_id", ForeignKey("users.id"), nullable=False),
    Column("value", JSONB, nullable=False),
    Column("confidence", Integer),
    Column("note", Text),
    Column("created_at", TIME, nullable=False),
    Column("updated_at", TIME),
    Column("version", Integer, nullable=False),
    PrimaryKeyConstraint("project_id", "id"),
    ForeignKeyConstraint(["project_id", "resource_id"], ["resources.project_id", "resources.id"], ondelete="CASCADE"),
    UniqueConstraint("resource_id", "label_set_id", "annotator_id"),
    Index("ix_annotations_label_set", "label_set_id", "id"),
    Index("ix_annotations_annotator", "project_id", "annotator_id", "id"),
)

# Append-only: what each annotator said, when, under which version of the set. A value of NULL is a withdrawal.
annotation_changes = Table(
    "annotation_changes",
    metadata,
    Column("annotation_id", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("label_set_id", ForeignKey("label_sets.id", ondelete="CASCADE"), nullable=False),
    Column("label_set_version", Integer, nullable=False),
    Column("resource_id", BigInteger, nullable=False),
    Column("annotator_id", ForeignKey("users.id"), nullable=False),
    Column("value", JSONB(none_as_null=True)),
    Column("confidence", Integer),
    Column("note", Text),
    Column("changed_at", TIME, nullable=False),
    Column("project_id", BigInteger, nullable=False),
    PrimaryKeyConstraint("annotation_id", "version"),
    ForeignKeyConstraint(["project_id", "resource_id"], ["resources.project_id", "resources.id"], ondelete="CASCADE"),
    Index("ix_annotation_changes_label_set", "label_set_id", "resource_id"),
    Index("ix_annotation_changes_resource", "resource_id"),
)

# A resource in the queue of a label set: who annotated it, what that comes to, and who holds it. Whoever changes an annotation
# holds this row, so that it never tells of another state than the annotations do; who is in `annotators` stands here, too, because
# a row that was waited for is judged anew by its own columns alone.
annotation_items = Table(
    "annotation_items",
    metadata,
    Column("label_set_id", ForeignKey("label_sets.id", ondelete="CASCADE"), nullable=False),
    Column("resource_id", BigInteger, nullable=False),
    Column("annotators", ARRAY(BigInteger), nullable=False, server_default=text("'{}'")),
    Column("annotations", Integer, nullable=False, server_default=text("0")),
    Column("label", Text(collation="C")),
    Column("dispute", Double, nullable=False, server_default=text("0")),
    Column("leased_by", ForeignKey("users.id")),
    Column("leased_until", TIME, nullable=False, server_default=text("'-infinity'")),
    Column("project_id", BigInteger, nullable=False),
    PrimaryKeyConstraint("label_set_id", "resource_id"),
    ForeignKeyConstraint(["project_id", "resource_id"], ["resources.project_id", "resources.id"], ondelete="CASCADE"),
    Index("ix_annotation_items_resource", "resource_id"),
)
# A label can be longer than an index may hold.
LABEL_KEY: ColumnClause[str] = literal_column("left(label, 255)")
_items = annotation_items.c
Index("ix_annotation_items_queue", _items.label_set_id, _items.annotations.desc(), _items.resource_id)
Index("ix_annotation_items_dispute", _items.label_set_id, _items.dispute.desc(), _items.resource_id, postgresql_where=text("dispute > 0"))
Index("ix_annotation_items_label", _items.label_set_id, LABEL_KEY, _items.resource_id, postgresql_where=text("label IS NOT NULL"))
