"""Who acted is asked once for all entries of a statement: a foreign key asks for each, a tenth of what a resource costs to import."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

ASKING = """
CREATE OR REPLACE FUNCTION audit_await_link() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM (SELECT DISTINCT actor_id FROM added WHERE actor_id IS NOT NULL) AS named
        WHERE (SELECT id FROM users WHERE users.id = named.actor_id) IS NULL
    ) THEN
        RAISE EXCEPTION 'An entry names an actor who is not there.' USING ERRCODE = 'foreign_key_violation';
    END IF;
    INSERT INTO audit_waiting (entry_id) SELECT id FROM added;
    RETURN NULL;
END
$$
"""
NOT_ASKING = """
CREATE OR REPLACE FUNCTION audit_await_link() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_waiting (entry_id) SELECT id FROM added;
    RETURN NULL;
END
$$
"""
REFUSE_REMOVAL = """
CREATE FUNCTION users_refuse_removal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'Accounts are switched off and never removed: the audit trail names them.' USING ERRCODE = 'restrict_violation';
END
$$
"""
REFUSE = """
CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON users
FOR EACH STATEMENT EXECUTE FUNCTION users_refuse_removal()
"""


def upgrade() -> None:
    op.drop_constraint("fk_audit_entries_actor_id", "audit_entries")
    for statement in (ASKING, REFUSE_REMOVAL, REFUSE):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TRIGGER refuse_removal ON users")
    op.execute("DROP FUNCTION users_refuse_removal()")
    op.execute(NOT_ASKING)
    op.create_foreign_key("fk_audit_entries_actor_id", "audit_entries", "users", ["actor_id"], ["id"])
