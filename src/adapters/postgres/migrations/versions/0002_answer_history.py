"""Answers pinned to their versions, the history of accepted changes, and a trace of erasures."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


class XID8(sa.types.UserDefinedType[str]):
    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "xid8"


def upgrade() -> None:
    op.add_column("responses", sa.Column("versions", postgresql.JSONB(), nullable=False, server_default=sa.text("'{}'::jsonb")))
    # Until now a response was known by its last version alone: that is the best there is to pin its answers to.
    op.execute(
        "UPDATE responses SET versions = coalesce((SELECT jsonb_object_agg(field, survey_version) "
        "FROM jsonb_object_keys(answers) AS field), '{}'::jsonb)"
    )
    op.alter_column("responses", "versions", server_default=None)
    op.create_table(
        "answer_changes",
        sa.Column("response_id", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("value", postgresql.JSONB(), nullable=True),
        sa.Column("survey_version", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.Column("changed_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("xid", XID8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.ForeignKeyConstraint(["response_id"], ["responses.id"], name=op.f("fk_answer_changes_response_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("response_id", "revision", "field", name=op.f("pk_answer_changes")),
    )
    op.create_index("ix_answer_changes_xid", "answer_changes", ["project_id", "xid"])
    op.create_table(
        "erasures",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("xid", XID8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_erasures_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasures")),
    )
    op.create_index("ix_erasures_xid", "erasures", ["project_id", "xid"])


def downgrade() -> None:
    op.drop_table("erasures")
    op.drop_table("answer_changes")
    op.drop_column("responses", "versions")
