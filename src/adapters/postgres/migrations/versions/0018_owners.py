"""Responses know whether their token was shown, how many changes they have logged, and what is withheld until consent is given again."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

# Every save of a survey by token showed it; of the others nobody knows, and their owners are known by the next save with the token.
FILL = """
UPDATE responses SET
    changes = (SELECT count(*) FROM answer_changes WHERE response_id = responses.id),
    is_owned = EXISTS (
        SELECT FROM surveys JOIN survey_versions USING (project_id, version)
        WHERE project_id = responses.project_id AND definition ->> 'identity' = 'token'
    )
"""


def upgrade() -> None:
    op.add_column("responses", sa.Column("is_owned", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("responses", sa.Column("changes", sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.add_column("responses", sa.Column("withheld", postgresql.JSONB(), nullable=True))
    op.add_column("responses", sa.Column("withheld_at", postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.execute(FILL)
    op.alter_column("responses", "is_owned", server_default=None)
    op.alter_column("responses", "changes", server_default=None)
    op.create_index("ix_responses_withheld_at", "responses", ["withheld_at"], postgresql_where=sa.text("withheld_at IS NOT NULL"))


def downgrade() -> None:
    op.drop_index("ix_responses_withheld_at", table_name="responses")
    for column in ("withheld_at", "withheld", "changes", "is_owned"):
        op.drop_column("responses", column)
