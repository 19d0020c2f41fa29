"""Surveys over HTTP."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import JsonValue, TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from domain.access import Action
from domain.survey import Survey, definition_from
from domain.user import User
from entrypoints.container import Container
from entrypoints.http.lookups import lookups_of, survey_of
from entrypoints.http.problems import problem_responses
from entrypoints.http.query import INT32_MAX, PageQuery, bad_cursor, decode_cursor, page_of
from entrypoints.http.rate_limit import Limits
from entrypoints.http.reply import UNCHANGED, Json, digest, entity, expected_versions, json_list
from entrypoints.http.route import router_of
from entrypoints.http.signed_in import Guard
from entrypoints.http.survey.bodies import PublicationBody, PublicationOut, SurveyOut, VersionOut

_VERSIONS = TypeAdapter(list[VersionOut])


def public_survey(use: Container, limits: Limits) -> APIRouter:
    get_one, get_schema = use.get_survey(), use.get_codebook()

    router = router_of("Surveys", limits, {"project": survey_of(use)})

    @router.get(
        "/{project:slug}/survey", response_model=SurveyOut, responses=problem_responses(404) | UNCHANGED, description=get_one.__doc__
    )
    @limits.public_read
    async def get_survey(request: Request, project: str) -> Response:
        survey = await get_one(project=project)
        return entity(request.headers, SurveyOut.of(survey), tag=_tag(survey))

    @router.get(
        "/{project:slug}/survey/codebook",
        response_model=dict[str, JsonValue],
        responses=problem_responses(404) | UNCHANGED,
        description=get_schema.__doc__,
    )
    @limits.public_read
    async def get_codebook(request: Request, project: str) -> Response:
        schema = json.dumps(await get_schema(project=project), ensure_ascii=False).encode()
        return entity(request.headers, schema, tag=digest(schema))

    return router


def signed_in_survey(use: Container, limits: Limits, guard: Guard) -> APIRouter:
    publish, get_one, list_them, switch = use.publish_survey(), use.get_survey(), use.list_versions(), use.switch_survey()

    async def tag_of(given: Mapping[str, Any]) -> str:
        return _tag(await get_one(project=given["project"]))

    router = router_of("Surveys", limits, lookups_of(use), tag_of=tag_of)  # of what makes a survey where there is none
    existing = router_of("Surveys", limits, {"project": survey_of(use)})

    @router.put(
        "/admin/{project:slug}/survey",
        response_model=PublicationOut,
        responses=problem_responses(404, 409, 412) | {201: {"model": PublicationOut}},
        description=publish.__doc__,
    )
    @limits.signed_in
    async def put_survey(
        request: Request, project: str, body: PublicationBody, by: Annotated[User, Depends(guard(Action.SURVEY_PUBLISH))]
    ) -> Response:
        published = await publish(
            project=project,
            definition=definition_from(body.model_dump(exclude={"accept_breaking"})),
            accept_breaking=frozenset(body.accept_breaking),
            keep_identity=body.identity is None,
            expected=expected_versions(request.headers),
            by=by,
        )
        answer = PublicationOut.of_publication(published)
        return Json(answer, status=201 if published.is_new else 200, headers={"etag": f'"{_tag(published.survey)}"'})

    @existing.get(
        "/admin/{project:slug}/survey/versions",
        response_model=list[VersionOut],
        responses=problem_responses(404),
        description=list_them.__doc__,
    )
    @limits.signed_in
    async def get_survey_versions(
        request: Request,
        project: str,
        query: Annotated[PageQuery, Query()],
        by: Annotated[User, Depends(guard(Action.SURVEY_VERSIONS))],
    ) -> Response:
        found = await list_them(project=project, before=_before(query.cursor), limit=query.limit + 1, by=by)
        page, headers = page_of(request, found, limit=query.limit, place=lambda last: last.version)
        return json_list(_VERSIONS, [VersionOut.of(version) for version in page], headers)

    @existing.post(
        "/admin/{project:slug}/survey/open",
        response_model=SurveyOut,
        responses=problem_responses(404),
        description="Open a survey for answers; one that is open stays so.",
    )
    @limits.signed_in
    async def open_survey(request: Request, project: str, by: Annotated[User, Depends(guard(Action.SURVEY_SWITCH))]) -> Response:
        return _tagged(await switch(project=project, is_open=True, by=by))

    @existing.post(
        "/admin/{project:slug}/survey/close",
        response_model=SurveyOut,
        responses=problem_responses(404),
        description="Close a survey: it takes no more answers, and keeps those it has. One that is closed stays so.",
    )
    @limits.signed_in
    async def close_survey(request: Request, project: str, by: Annotated[User, Depends(guard(Action.SURVEY_SWITCH))]) -> Response:
        return _tagged(await switch(project=project, is_open=False, by=by))

    router.routes.extend(existing.routes)
    return router


def _tagged(survey: Survey) -> Json:
    return Json(SurveyOut.of(survey), headers={"etag": f'"{_tag(survey)}"'})


def _before(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    place = decode_cursor(cursor)
    if len(place) != 1 or type(place[0]) is not int or not 1 <= place[0] <= INT32_MAX:
        raise bad_cursor()
    return place[0]


def _tag(survey: Survey) -> str:
    return f"{survey.version}-{survey.project_id}-{'open' if survey.is_open else 'closed'}"
