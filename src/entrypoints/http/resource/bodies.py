"""Resources as they are sent and told."""

from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic_core import to_json

from domain.resource import DESCRIPTION_MAX, NAME_MAX, Resource, Status
from domain.text import rfc3339
from entrypoints.http.reply import Body, Out, Time, without_default

StatusName = Literal["active", "inactive", "pending"]
Name = Annotated[str, Field(min_length=1, max_length=NAME_MAX, examples=["Trust circles"])]
Description = Annotated[str, Field(max_length=DESCRIPTION_MAX)]


class ResourceIn(Body):
    name: Name
    description: Description | None = None
    status: StatusName = "active"
    attributes: dict[str, Any] = Field(default_factory=dict, description="Anything, as an object of at most 64 KiB and 16 levels.")


class ResourceChanges(Body):
    """Only the fields sent change."""

    name: Name = Field(default="", json_schema_extra=without_default)
    description: Description | None = None
    status: StatusName = Field(default="active", json_schema_extra=without_default)
    attributes: dict[str, Any] = Field(default_factory=dict)

    def changes(self) -> dict[str, Any]:
        given = self.model_dump(exclude_unset=True)
        return given | {"status": Status(given["status"])} if "status" in given else given


class ResourceOut(Out):
    id: int
    project: str
    name: str
    description: str | None
    status: StatusName
    attributes: dict[str, Any]
    created_by: str
    created_at: Time
    updated_at: Time | None
    is_active: bool
    version: int

    @classmethod
    def of(cls, resource: Resource) -> "ResourceOut":
        return cls.model_construct(**{name: getattr(resource, name) for name in cls.model_fields})


class ResourcePage(Out):
    items: list[ResourceOut]
    page: int
    per_page: int
    total: int
    total_pages: int


class Count(Out):
    count: int


class Message(Out):
    message: str


def as_json(resource: Resource) -> bytes:
    """As `ResourceOut` has it, written without making one: each edit pays for this."""
    told = {name: getattr(resource, name) for name in ResourceOut.model_fields}
    told["created_at"] = rfc3339(resource.created_at)
    told["updated_at"] = resource.updated_at and rfc3339(resource.updated_at)
    return to_json(told)
