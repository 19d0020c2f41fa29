"""Tests are told from responses, and the hash of a respondent's token is bound to its project; each token opens what it did."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("responses", sa.Column("is_test", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.alter_column("responses", "is_test", server_default=None)
    op.execute("UPDATE responses SET token_hash = sha256(int8send(project_id) || token_hash)")


def downgrade() -> None:
    """The schema only: no hash leads back to the one before, so that readers' tokens open nothing any more."""
    op.drop_column("responses", "is_test")
