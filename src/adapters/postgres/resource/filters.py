"""What lists, counts and exports of resources share: which resources are asked for."""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, bindparam, func, literal_column, select

from adapters.postgres.database import Statement
from adapters.postgres.tables import LABEL_KEY, annotation_items, label_sets, projects, resources
from domain.resource import Filter
from domain.text import folded

PROJECT_ID = select(projects.c.id).where(projects.c.slug == bindparam("project"), projects.c.deleted_at.is_(None))
LIVE = resources.c.deleted_at.is_(None)

PROJECT_EXISTS = Statement(PROJECT_ID)


def _labelled(number: int) -> ColumnElement[bool]:
    """Whether most annotators gave this label in this set: once it has as many annotations as it should, and as long."""
    items, label = annotation_items.c, bindparam(f"label_{number}", type_=Text)
    labelled = (
        select(items.resource_id)
        .join(label_sets, label_sets.c.id == items.label_set_id)
        .where(
            label_sets.c.project_id == PROJECT_ID.scalar_subquery(),
            label_sets.c.name == bindparam(f"label_set_{number}", type_=Text),
            func.left(label, literal_column("255")) == LABEL_KEY,
            items.label == label,
            items.annotations >= label_sets.c.copies,
        )
    )
    return resources.c.id.in_(labelled)


def filtered(columns: Sequence[Any], *, status: bool, search: bool, labels: int = 0) -> Select[Any]:
    query = select(*columns).where(resources.c.project_id == PROJECT_ID.scalar_subquery(), LIVE)
    if status:
        query = query.where(resources.c.status == bindparam("status"))
    if search:
        query = query.where(resources.c.search_text.like(bindparam("pattern")))
    return query.where(*(_labelled(number) for number in range(labels)))


@cache
def count_statement(*, status: bool, search: bool, labels: int) -> Statement:
    return Statement(filtered([func.count().label("n")], status=status, search=search, labels=labels))


def is_whole(*, search: bool, labels: int, **_: bool) -> bool:
    """Whether these conditions leave whole statuses, so that their numbers are known."""
    return not search and not labels


def shape(where: Filter) -> dict[str, Any]:
    """Which conditions a filter has: what its statement is chosen by."""
    return {"status": where.status is not None, "search": bool(where.search), "labels": len(where.labels)}


def given(where: Filter) -> dict[str, Any]:
    """The parameters of a filter's conditions."""
    parts = {"project": where.project, "status": where.status and where.status.value, "pattern": _pattern(where.search or "")}
    for number, (label_set, label) in enumerate(where.labels):
        parts |= {f"label_set_{number}": label_set, f"label_{number}": label}
    return parts


_WORD = re.compile(r"[^\W_]+")


def is_indexed(search: str) -> bool:
    """Whether the index knows the text: it holds three characters of each word in a row, the blank before and after a word among them."""
    for word in _WORD.finditer(search):
        length = word.end() - word.start()
        if length >= 3 or (length == 2 and (word.start() > 0 or word.end() < len(search))):
            return True
    return False


def _pattern(search: str) -> str:
    """A LIKE pattern that finds exactly this text: wildcards lose their meaning."""
    literal_text = folded(search).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{literal_text}%"
