"""What the stored exports of one person come to, and whose turn it is."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_exports_quota", "exports", ["created_by"], postgresql_include=["bytes"])
    op.create_table(
        "export_turns",
        sa.Column("user_id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("taken_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_export_turns_user_id"),
        sa.PrimaryKeyConstraint("user_id", name="pk_export_turns"),
    )


def downgrade() -> None:
    op.drop_table("export_turns")
    op.drop_index("ix_exports_quota", table_name="exports")
