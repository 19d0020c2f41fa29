"""Label sets, annotations with their history, and their queue."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0020"
down_revision = "0007"
branch_labels = None
depends_on = None

TIME = postgresql.TIMESTAMP(timezone=True)


def upgrade() -> None:
    op.create_table(
        "label_sets",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("blind", sa.Boolean(), nullable=False),
        sa.Column("copies", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_label_sets_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_label_sets")),
        sa.UniqueConstraint("project_id", "name", name=op.f("uq_label_sets_project_id_name")),
    )
    op.create_table(
        "label_set_versions",
        sa.Column("label_set_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("declaration", postgresql.JSONB(), nullable=False),
        sa.Column("changes", postgresql.JSONB(), nullable=False),
        sa.Column("published_at", TIME, nullable=False),
        sa.Column("published_by", sa.BigInteger(), nullable=False),
        _of_label_set("label_set_versions"),
        sa.ForeignKeyConstraint(["published_by"], ["users.id"], name=op.f("fk_label_set_versions_published_by")),
        sa.PrimaryKeyConstraint("label_set_id", "version", name=op.f("pk_label_set_versions")),
    )
    op.create_table(
        "annotations",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("label_set_id", sa.BigInteger(), nullable=False),
        sa.Column("label_set_version", sa.Integer(), nullable=False),
        sa.Column("resource_id", sa.BigInteger(), nullable=False),
        sa.Column("annotator_id", sa.BigInteger(), nullable=False),
        sa.Column("value", postgresql.JSONB(), nullable=False),
        sa.Column("confidence", sa.Integer()),
        sa.Column("note", sa.Text()),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME),
        sa.Column("version", sa.Integer(), nullable=False),
        _of_label_set("annotations"),
        _of_resource("annotations"),
        sa.ForeignKeyConstraint(["annotator_id"], ["users.id"], name=op.f("fk_annotations_annotator_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_annotations")),
        sa.UniqueConstraint(
            "resource_id", "label_set_id", "annotator_id", name=op.f("uq_annotations_resource_id_label_set_id_annotator_id")
        ),
    )
    op.create_index("ix_annotations_label_set", "annotations", ["label_set_id", "id"])
    op.create_index("ix_annotations_annotator", "annotations", ["annotator_id", "id"])
    op.create_table(
        "annotation_changes",
        sa.Column("annotation_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("label_set_id", sa.BigInteger(), nullable=False),
        sa.Column("label_set_version", sa.Integer(), nullable=False),
        sa.Column("resource_id", sa.BigInteger(), nullable=False),
        sa.Column("annotator_id", sa.BigInteger(), nullable=False),
        sa.Column("value", postgresql.JSONB()),
        sa.Column("confidence", sa.Integer()),
        sa.Column("note", sa.Text()),
        sa.Column("changed_at", TIME, nullable=False),
        _of_label_set("annotation_changes"),
        _of_resource("annotation_changes"),
        sa.ForeignKeyConstraint(["annotator_id"], ["users.id"], name=op.f("fk_annotation_changes_annotator_id")),
        sa.PrimaryKeyConstraint("annotation_id", "version", name=op.f("pk_annotation_changes")),
    )
    op.create_index("ix_annotation_changes_label_set", "annotation_changes", ["label_set_id", "resource_id"])
    op.create_index("ix_annotation_changes_resource", "annotation_changes", ["resource_id"])
    _create_items()


def _create_items() -> None:
    op.create_table(
        "annotation_items",
        sa.Column("label_set_id", sa.BigInteger(), nullable=False),
        sa.Column("resource_id", sa.BigInteger(), nullable=False),
        sa.Column("annotators", postgresql.ARRAY(sa.BigInteger()), nullable=False, server_default=sa.text("'{}'")),
        sa.Column("annotations", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("label", sa.Text(collation="C")),
        sa.Column("dispute", sa.Double(), nullable=False, server_default=sa.text("0")),
        sa.Column("leased_by", sa.BigInteger()),
        sa.Column("leased_until", TIME, nullable=False, server_default=sa.text("'-infinity'")),
        _of_label_set("annotation_items"),
        _of_resource("annotation_items"),
        sa.ForeignKeyConstraint(["leased_by"], ["users.id"], name=op.f("fk_annotation_items_leased_by")),
        sa.PrimaryKeyConstraint("label_set_id", "resource_id", name=op.f("pk_annotation_items")),
    )
    op.create_index("ix_annotation_items_resource", "annotation_items", ["resource_id"])
    op.create_index("ix_annotation_items_queue", "annotation_items", ["label_set_id", sa.text("annotations DESC"), "resource_id"])
    op.create_index(
        "ix_annotation_items_dispute",
        "annotation_items",
        ["label_set_id", sa.text("dispute DESC"), "resource_id"],
        postgresql_where=sa.text("dispute > 0"),
    )
    op.create_index(
        "ix_annotation_items_label",
        "annotation_items",
        ["label_set_id", sa.text("left(label, 255)"), "resource_id"],
        postgresql_where=sa.text("label IS NOT NULL"),
    )


def _of_label_set(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["label_set_id"], ["label_sets.id"], name=op.f(f"fk_{table}_label_set_id"), ondelete="CASCADE")


def _of_resource(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["resource_id"], ["resources.id"], name=op.f(f"fk_{table}_resource_id"), ondelete="CASCADE")


def downgrade() -> None:
    for table in ("annotation_items", "annotation_changes", "annotations", "label_set_versions", "label_sets"):
        op.drop_table(table)
