"""Accounts are searched in a text that the service folds, whatever the locale of the database."""

import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("search_text", sa.Text(), nullable=True))
    connection = op.get_bind()
    for user_id, username, email in connection.execute(sa.text("SELECT id, username, email FROM users")).all():
        text = _folded(f"{username}\x1f{email}")
        connection.execute(sa.text("UPDATE users SET search_text = :text WHERE id = :id"), {"text": text, "id": user_id})
    op.alter_column("users", "search_text", nullable=False)


def downgrade() -> None:
    op.drop_column("users", "search_text")


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
