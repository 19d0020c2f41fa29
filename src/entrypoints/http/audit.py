"""The audit trail over HTTP."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import ConfigDict, Field, JsonValue, TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from domain.access import Action
from domain.audit import AuditFilter, Told
from domain.user import User, canonical_username
from entrypoints.container import Container
from entrypoints.http.lookups import lookups_of
from entrypoints.http.problems import problem_responses
from entrypoints.http.query import PageQuery, id_after, page_of
from entrypoints.http.rate_limit import Limits
from entrypoints.http.reply import Json, Out, Time, json_list
from entrypoints.http.route import router_of
from entrypoints.http.signed_in import Guard

TERM_MAX = 100


class AuditList(PageQuery):
    action: Annotated[str | None, Field(max_length=TERM_MAX, description="Only this, such as `resource.update`.")] = None
    project: Annotated[str | None, Field(max_length=TERM_MAX, description="Only in the project of this slug.")] = None
    actor: Annotated[str | None, Field(max_length=TERM_MAX, description="Only by the user of this name.")] = None

    def where(self) -> AuditFilter:
        actor = None if self.actor is None else canonical_username(self.actor)
        return AuditFilter(action=self.action, project=self.project, actor=actor)


class ActorOut(Out):
    id: int
    username: str


class TargetOut(Out):
    type: str
    id: int | str = Field(description="As in the address of the thing: a number, a UUID, a slug.")


class DifferenceOut(Out):
    model_config = ConfigDict(frozen=True, serialize_by_alias=True)

    field: str
    before: JsonValue = Field(alias="from")
    after: JsonValue = Field(alias="to")


class EntryOut(Out):
    id: int
    at: Time
    actor: ActorOut | None = Field(description="Without one, an operator did it at the command line.")
    action: str = Field(description="`noun.verb`")
    project: str | None
    target: TargetOut
    changes: list[DifferenceOut]
    request_id: str | None

    @classmethod
    def of(cls, told: Told) -> "EntryOut":
        entry = told.record.entry
        actor = None
        if entry.actor_id is not None and told.actor is not None:
            actor = ActorOut.model_construct(id=entry.actor_id, username=told.actor)
        return cls.model_construct(
            id=told.record.id,
            at=entry.at,
            actor=actor,
            action=entry.action,
            project=entry.project,
            target=TargetOut.model_construct(type=entry.target.type, id=entry.target.id),
            changes=[DifferenceOut.model_construct(field=each.field, before=each.before, after=each.after) for each in entry.changes],
            request_id=told.record.request_id,
        )


_LIST = TypeAdapter(list[EntryOut])


def audit_routes(use: Container, limits: Limits, guard: Guard) -> APIRouter:
    list_them, list_history, resources = use.list_audit(), use.list_history(), use.resources()

    async def resource(given: Mapping[str, Any]) -> None:
        await resources.get(project=given["project"], resource_id=given["resource_id"])

    router = router_of("Audit", limits, {**lookups_of(use), "resource_id": resource})

    @router.get("/admin/audit", response_model=list[EntryOut], description=list_them.__doc__)
    @limits.signed_in
    async def get_audit(
        request: Request, query: Annotated[AuditList, Query()], by: Annotated[User, Depends(guard(Action.AUDIT_READ))]
    ) -> Response:
        found = await list_them(query.where(), before=_before(query.cursor), limit=query.limit + 1, by=by)
        return _answer(request, found, limit=query.limit)

    @router.get(
        "/admin/{project:slug}/resources/{resource_id:id}/history",
        response_model=list[EntryOut],
        responses=problem_responses(404),
        description=list_history.__doc__,
    )
    @limits.signed_in
    async def get_history(
        request: Request,
        project: str,
        resource_id: int,
        query: Annotated[PageQuery, Query()],
        by: Annotated[User, Depends(guard(Action.RESOURCE_HISTORY))],
    ) -> Response:
        found = await list_history(project=project, resource_id=resource_id, before=_before(query.cursor), limit=query.limit + 1, by=by)
        return _answer(request, found, limit=query.limit)

    return router


def _before(cursor: str | None) -> int | None:
    return None if cursor is None else id_after(cursor)


def _answer(request: Request, found: list[Told], *, limit: int) -> Json:
    page, headers = page_of(request, found, limit=limit, place=lambda last: last.record.id)
    return json_list(_LIST, [EntryOut.of(told) for told in page], headers)
