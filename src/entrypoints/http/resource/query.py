"""Which resources a list is asked for, in which order, and from where on."""

from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ModelWrapValidatorHandler, PrivateAttr, model_validator

from application.ports import After
from domain.errors import Fault, Invalid
from domain.label_set import NAME_PATTERN
from domain.resource import NAME_MAX, SEARCH_MAX, SKIP_MAX, Filter, Sort, Status
from domain.text import is_clean
from entrypoints.http.query import INT64_MAX, WHOLE, PageQuery, bad_cursor, decode_cursor, is_moment
from entrypoints.http.query import Query as QueryModel
from entrypoints.http.resource.bodies import StatusName

PER_PAGE_MAX = 100
PAGE_MAX = 1_000_000


LABEL = "label."
LABELS_PARAMETER = {
    "name": "labels",
    "in": "query",
    "style": "form",
    "explode": True,
    "schema": {
        "type": "object",
        "propertyNames": {"pattern": rf"^label\.{NAME_PATTERN}$"},
        "additionalProperties": {"type": "string"},
        "example": {"label.topic": "health"},
    },
    "description": "`label.<set>=<label>`: only those that most annotators gave this label, each a parameter of its own.",
}


class ResourceFilter(QueryModel):
    """Parameters that begin with `label.` name label sets; the rest are declared."""

    _labels: dict[str, str] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _with_labels(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        model = handler({name: text for name, text in given.items() if not name.startswith(LABEL)})
        labels = {name.removeprefix(LABEL): text for name, text in given.items() if name.startswith(LABEL)}
        model._labels = labels  # noqa: SLF001 - the model's own class
        return model

    status: StatusName | None = Field(None, description="Only those with this label.")
    search: str | None = Field(None, max_length=SEARCH_MAX, description="A literal text, in any case, in the name or the description.")

    @cached_property
    def conditions(self) -> dict[str, Any]:
        status = Status(self.status) if self.status else None
        return {"status": status, "search": self.search or None, "labels": tuple(self._labels.items())}

    def where(self, project: str) -> Filter:
        return Filter(project=project, **self.conditions)


class ResourceList(ResourceFilter, PageQuery):
    sort: Literal["id", "-id", "name", "-name", "created_at", "-created_at", "updated_at", "-updated_at"] = "id"
    skip: Annotated[int, Field(ge=0, description=f"At most {SKIP_MAX}; further on, use `cursor`."), WHOLE] = 0


class ResourcePages(ResourceFilter):
    sort: Literal["id", "-id", "name", "-name", "created_at", "-created_at", "updated_at", "-updated_at"] = "id"
    page: Annotated[int, Field(ge=1, le=PAGE_MAX), WHOLE] = 1
    per_page: Annotated[int, Field(ge=1, le=PER_PAGE_MAX), WHOLE] = 20


def skip_of(query: ResourceList) -> int:
    if query.skip > SKIP_MAX:
        raise Invalid(
            Fault(pointer="/skip", code="skip-too-far", detail=f"At most {SKIP_MAX}; to go further, follow `cursor` from the Link header.")
        )
    if query.skip and query.cursor is not None:
        raise Invalid(Fault(pointer="/skip", code="skip-with-cursor", detail="Give skip or cursor, not both."))
    return query.skip


def after_of(cursor: str | None, sort: Sort) -> After | None:
    """The place that a cursor names. Raises `Invalid` for one of another order."""
    if cursor is None:
        return None
    place = decode_cursor(cursor)
    if len(place) != 3 or place[0] != sort.value or type(place[2]) is not int or not 1 <= place[2] <= INT64_MAX:
        raise bad_cursor()
    if not _is_key(place[1], sort):
        raise bad_cursor()
    return After(key=place[1], id=place[2])


def _is_key(key: Any, sort: Sort) -> bool:
    match sort.column:
        case "id":
            return type(key) is int
        case "name":
            return isinstance(key, str) and len(key) <= NAME_MAX and is_clean(key)
        case _:
            return (key is None and sort.column == "updated_at") or is_moment(key)
