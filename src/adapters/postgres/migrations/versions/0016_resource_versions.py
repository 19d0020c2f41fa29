"""Who owns a resource, who changed it last, and what it was."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("resources", sa.Column("owner_id", sa.BigInteger(), nullable=True))
    op.add_column("resources", sa.Column("updated_by", sa.BigInteger(), nullable=True))
    op.execute("UPDATE resources SET owner_id = created_by")
    op.alter_column("resources", "owner_id", nullable=False)
    op.create_table(
        "resource_versions",
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("resource_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("attributes", postgresql.JSONB(), nullable=False),
        sa.Column("deleted_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("owner_id", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.BigInteger(), nullable=True),
        sa.Column("made_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("replaced_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "resource_id", "version", name="pk_resource_versions"),
    )
    op.create_index("ix_resource_versions_replaced_at", "resource_versions", ["replaced_at"], postgresql_using="brin")


def downgrade() -> None:
    op.drop_table("resource_versions")
    op.drop_column("resources", "updated_by")
    op.drop_column("resources", "owner_id")
