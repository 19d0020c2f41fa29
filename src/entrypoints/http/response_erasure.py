"""What the team erases of responses over HTTP."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from fastapi import Query as QueryParameters
from starlette.requests import Request
from starlette.responses import Response as HttpResponse

from domain.access import Action
from domain.user import User
from entrypoints.container import Container
from entrypoints.http.lookups import survey_of
from entrypoints.http.problems import problem_responses
from entrypoints.http.query import Query
from entrypoints.http.rate_limit import Limits
from entrypoints.http.reply import Json, Out
from entrypoints.http.route import router_of
from entrypoints.http.signed_in import Guard


class TestsOnly(Query):
    test: Literal["only"]


class ErasedOut(Out):
    erased: int


def response_erasure(use: Container, limits: Limits, guard: Guard) -> APIRouter:
    erase_one, erase_tests = use.erase_respondent(), use.erase_tests()
    router = router_of("Responses", limits, {"project": survey_of(use)})

    @router.delete(
        "/admin/{project:slug}/survey/responses/{respondent}",
        status_code=204,
        response_model=None,
        responses=problem_responses(404),
        description=erase_one.__doc__,
    )
    @limits.signed_in
    async def delete_respondent(
        request: Request, project: str, respondent: str, by: Annotated[User, Depends(guard(Action.RESPONSE_ERASE))]
    ) -> HttpResponse:
        await erase_one(project=project, respondent=respondent, by=by)
        return HttpResponse(status_code=204)

    @router.delete(
        "/admin/{project:slug}/survey/responses",
        response_model=ErasedOut,
        responses=problem_responses(404),
        description=erase_tests.__doc__,
    )
    @limits.signed_in
    async def delete_tests(
        request: Request,
        project: str,
        query: Annotated[TestsOnly, QueryParameters()],
        by: Annotated[User, Depends(guard(Action.RESPONSE_ERASE))],
    ) -> HttpResponse:
        return Json(ErasedOut(erased=await erase_tests(project=project, by=by)))

    return router
