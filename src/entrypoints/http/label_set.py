"""Label sets over HTTP."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field, JsonValue, TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from domain.access import Action
from domain.label_set import COPIES_DEFAULT, LabelSet, declaration_from
from domain.survey import FieldChange
from domain.text import is_clean
from domain.user import User
from entrypoints.container import Container
from entrypoints.http.lookups import lookups_of
from entrypoints.http.problems import problem_responses
from entrypoints.http.query import PageQuery, bad_cursor, decode_cursor, page_of
from entrypoints.http.rate_limit import Limits
from entrypoints.http.reply import UNCHANGED, Body, Json, Out, Time, entity, expected_versions, json_list
from entrypoints.http.route import router_of
from entrypoints.http.signed_in import Guard
from entrypoints.http.survey.bodies import ChoiceBody, FieldChangeOut

TypeName = Literal["choice", "scale", "boolean", "text"]
LevelName = Literal["nominal", "ordinal", "interval"]


class DeclarationBody(Body):
    title: str
    type: TypeName
    choices: list[ChoiceBody | str] | None = Field(None, description="Of the type choice: each a value, or a value with label and code.")
    min: int | None = Field(None, description="Of the type scale.")
    max: int | None = Field(None, description="Of the type scale.")
    level: LevelName | None = Field(None, description="What distances mean: nominal when not given, ordinal for a scale.")
    blind: bool = Field(default=True, description="Whether annotators see each other's labels only where they gave their own.")
    copies: int = Field(COPIES_DEFAULT, description="How many annotators each resource should have.")

    def document(self) -> dict[str, Any]:
        """What is declared, as plain data in which each choice is an object."""
        given = self.model_dump(include=set(DeclarationBody.model_fields))
        if given["choices"] is not None:
            given["choices"] = [{"value": each} if isinstance(each, str) else each for each in given["choices"]]
        return given


class LabelSetBody(DeclarationBody):
    accept_breaking: list[str] = Field(default=[], description="The name of the set, when narrowing it may touch annotations.")


class LabelSetOut(Out):
    name: str
    version: int
    title: str
    type: TypeName
    choices: list[dict[str, JsonValue]] | None
    min: int | None
    max: int | None
    level: LevelName
    blind: bool
    copies: int
    published_at: Time

    @classmethod
    def of(cls, label_set: LabelSet) -> "LabelSetOut":
        return cls.model_construct(**_parts(label_set))


class PublishedLabelSetOut(LabelSetOut):
    changes: list[FieldChangeOut]

    @classmethod
    def with_changes(cls, label_set: LabelSet, changes: tuple[FieldChange, ...]) -> "PublishedLabelSetOut":
        return cls.model_construct(**_parts(label_set), changes=[FieldChangeOut.model_construct(**asdict(c)) for c in changes])


def _parts(label_set: LabelSet) -> dict[str, Any]:
    absent = dict.fromkeys(("choices", "min", "max"))
    own = {"name": label_set.name, "version": label_set.version, "published_at": label_set.published_at}
    return absent | label_set.declaration.document() | own


_LIST = TypeAdapter(list[LabelSetOut])


def label_set_routes(use: Container, limits: Limits, guard: Guard) -> APIRouter:
    publish, get_one, list_them = use.publish_label_set(), use.get_label_set(), use.list_label_sets()
    router = router_of("Label sets", limits, lookups_of(use))  # of what makes a label set where there is none

    async def existing(given: Mapping[str, Any]) -> None:
        await get_one(project=given["project"], name=given["label_set"], by=given["by"])

    reading = router_of("Label sets", limits, {**lookups_of(use), "label_set": existing})

    @router.put(
        "/admin/{project:slug}/label-sets/{label_set:name}",
        response_model=PublishedLabelSetOut,
        responses=problem_responses(404, 409, 412) | {201: {"model": PublishedLabelSetOut}},
        description=publish.__doc__,
    )
    @limits.signed_in
    async def put_label_set(
        request: Request, project: str, label_set: str, body: LabelSetBody, by: Annotated[User, Depends(guard(Action.LABEL_SET_PUBLISH))]
    ) -> Response:
        published = await publish(
            project=project,
            name=label_set,
            declaration=declaration_from(body.document()),
            accept_breaking=frozenset(body.accept_breaking),
            expected=expected_versions(request.headers),
            by=by,
        )
        answer = PublishedLabelSetOut.with_changes(published.label_set, published.changes)
        return Json(answer, status=201 if published.is_first else 200, headers={"etag": f'"{published.label_set.version}"'})

    @reading.get(
        "/admin/{project:slug}/label-sets/{label_set:name}",
        response_model=LabelSetOut,
        responses=problem_responses(404) | UNCHANGED,
        description=get_one.__doc__,
    )
    @limits.signed_in
    async def get_label_set(
        request: Request, project: str, label_set: str, by: Annotated[User, Depends(guard(Action.LABEL_SET_READ))]
    ) -> Response:
        found = await get_one(project=project, name=label_set, by=by)
        return entity(request.headers, LabelSetOut.of(found), tag=str(found.version), cache="no-store")

    @reading.get(
        "/admin/{project:slug}/label-sets",
        response_model=list[LabelSetOut],
        responses=problem_responses(404),
        description=list_them.__doc__,
    )
    @limits.signed_in
    async def get_label_sets(
        request: Request,
        project: str,
        query: Annotated[PageQuery, Query()],
        by: Annotated[User, Depends(guard(Action.LABEL_SET_READ))],
    ) -> Response:
        found = await list_them(project=project, after=_after(query.cursor), limit=query.limit + 1, by=by)
        page, headers = page_of(request, found, limit=query.limit, place=lambda last: last.name)
        return json_list(_LIST, [LabelSetOut.of(each) for each in page], headers)

    router.routes.extend(reading.routes)
    return router


def _after(cursor: str | None) -> str:
    if cursor is None:
        return ""
    place = decode_cursor(cursor)
    if len(place) != 1 or not isinstance(place[0], str) or not is_clean(place[0]):
        raise bad_cursor()
    return place[0]
