"""The team's exact results over HTTP."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from fastapi import Query as QueryParameters
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from domain.access import Action
from domain.user import User
from entrypoints.container import Container
from entrypoints.http.lookups import survey_of
from entrypoints.http.problems import problem_responses
from entrypoints.http.query import Query
from entrypoints.http.rate_limit import Limits
from entrypoints.http.reply import Json, Out, Time, without_default
from entrypoints.http.results import ByOut, QuestionResultsOut
from entrypoints.http.route import router_of
from entrypoints.http.signed_in import Guard


class ExactResultsOut(Out):
    """Parts that are not there are left out; no count is null."""

    project: str
    survey_version: int
    counted_at: Time
    protection: Literal["none"] = Field(description="These are for the team: nothing is hidden, and nothing is uncertain.")
    n: int
    by: ByOut = Field(default=ByOut(field="", groups=[]), json_schema_extra=without_default)
    questions: list[QuestionResultsOut]


class ExactResultsQuery(Query):
    by: str | None = Field(None, description="A choice question of the survey, whose answers make groups.")


def exact_results(use: Container, limits: Limits, guard: Guard) -> APIRouter:
    get_one = use.get_exact_results()
    router = router_of("Surveys", limits, {"project": survey_of(use)})

    @router.get(
        "/admin/{project:slug}/survey/results",
        response_model=ExactResultsOut,
        responses=problem_responses(404, 503),
        description=get_one.__doc__,
    )
    @limits.signed_in
    async def get_exact_results(
        request: Request,
        project: str,
        query: Annotated[ExactResultsQuery, QueryParameters()],
        by: Annotated[User, Depends(guard(Action.RESULTS_READ))],
    ) -> Response:
        return Json(await get_one(project=project, by_field=query.by, by=by))

    return router
