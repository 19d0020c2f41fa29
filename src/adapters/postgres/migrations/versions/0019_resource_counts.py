"""How many live resources there are, kept by triggers."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

ADD = """
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
COUNT = """
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
ON_CHANGE = """
CREATE TRIGGER count_{verb} AFTER {verb} ON resources REFERENCING {tables}
FOR EACH STATEMENT EXECUTE FUNCTION count_resources()
"""
TABLES = {"insert": "NEW TABLE AS added", "update": "OLD TABLE AS gone NEW TABLE AS added", "delete": "OLD TABLE AS gone"}
FILL = """
INSERT INTO resource_counts (project_id, status, number)
SELECT project_id, status, count(*) FROM resources WHERE deleted_at IS NULL GROUP BY project_id, status
"""


def upgrade() -> None:
    op.create_table(
        "resource_counts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_resource_counts")),
        postgresql_with={"fillfactor": "50"},
    )
    op.create_index(op.f("ix_resource_counts_project_id"), "resource_counts", ["project_id", "status"])
    op.execute(ADD)
    op.execute(COUNT)
    for verb, tables in TABLES.items():  # from here on nobody else changes resources until this is committed
        op.execute(ON_CHANGE.format(verb=verb, tables=tables))
    op.execute(FILL)


def downgrade() -> None:
    for verb in TABLES:
        op.execute(f"DROP TRIGGER count_{verb} ON resources")
    op.execute("DROP FUNCTION count_resources()")
    op.execute("DROP FUNCTION add_to_resource_counts(bigint, text, bigint)")
    op.drop_table("resource_counts")
