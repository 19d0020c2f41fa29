"""Results under noise: what releases have cost, and how many responses were ever made.

What was published before stands until the first release.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

COUNT_DELETED = """
CREATE FUNCTION count_deleted_responses() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO deleted_responses (project_id, number)
    SELECT project_id, count(*) FROM gone WHERE NOT is_test GROUP BY project_id ORDER BY project_id
    ON CONFLICT (project_id) DO UPDATE SET number = deleted_responses.number + excluded.number;
    RETURN NULL;
END
$$
"""
ON_DELETION = """
CREATE TRIGGER count_deleted AFTER DELETE ON responses REFERENCING OLD TABLE AS gone
FOR EACH STATEMENT EXECUTE FUNCTION count_deleted_responses()
"""
# Each erasure left a trace, also one of answers alone: so many may be a few too many, which only brings the first release forward.
KNOWN = "INSERT INTO deleted_responses (project_id, number) SELECT project_id, count(*) FROM erasures GROUP BY project_id"


def upgrade() -> None:
    op.create_table(
        "results_spendings",
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("responses", sa.BigInteger(), nullable=False),
        sa.Column("series", sa.Numeric(), nullable=False),
        sa.Column("closing", sa.Numeric(), nullable=False),
        sa.Column("spent_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_results_spendings_project_id")),
        sa.PrimaryKeyConstraint("project_id", "number", name=op.f("pk_results_spendings")),
        sa.CheckConstraint("series >= 0 AND closing >= 0", name=op.f("ck_results_spendings_not_negative")),
    )
    op.create_table(
        "deleted_responses",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_deleted_responses_project_id")),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_deleted_responses")),
    )
    op.create_index("ix_responses_tests", "responses", ["project_id", "id"], postgresql_where=sa.text("is_test"))
    op.execute(KNOWN)
    op.execute(COUNT_DELETED)
    op.execute(ON_DELETION)
    op.alter_column("survey_results", "snapshot", nullable=True)


def downgrade() -> None:
    op.execute("DELETE FROM survey_results WHERE snapshot IS NULL")
    op.alter_column("survey_results", "snapshot", nullable=False)
    op.execute("DROP TRIGGER count_deleted ON responses")
    op.execute("DROP FUNCTION count_deleted_responses()")
    op.drop_table("deleted_responses")
    op.drop_index("ix_responses_tests", "responses")
    op.drop_table("results_spendings")
