"""When the content of a stored export was last compared with its hash."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("exports", sa.Column("verified_at", postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.execute("UPDATE exports SET verified_at = created_at")
    op.alter_column("exports", "verified_at", nullable=False)
    op.create_index("ix_exports_verified_at", "exports", ["verified_at"], postgresql_where=sa.text("status = 'done'"))


def downgrade() -> None:
    op.drop_index("ix_exports_verified_at", table_name="exports")
    op.drop_column("exports", "verified_at")
