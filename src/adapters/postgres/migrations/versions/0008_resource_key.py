"""Resources are found by their project first: a walk along an index of ids alone reads the rows of every other project on its way."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_constraint("pk_resources", "resources")
    op.create_primary_key("pk_resources", "resources", ["project_id", "id"])
    op.drop_index("ix_resources_id", "resources")  # the key serves for it


def downgrade() -> None:
    op.drop_constraint("pk_resources", "resources")
    op.create_primary_key("pk_resources", "resources", ["id"])
    op.create_index("ix_resources_id", "resources", ["project_id", "id"], postgresql_where=sa.text("deleted_at IS NULL"))
