"""Published results of surveys over HTTP."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from entrypoints.container import Container
from entrypoints.http.problems import problem_responses
from entrypoints.http.query import Query as QueryModel
from entrypoints.http.rate_limit import Limits
from entrypoints.http.reply import UNCHANGED, Out, Time, digest, entity, without_default
from entrypoints.http.route import router_of

CACHE = "public, max-age=2"

Count = Annotated[
    int | None, Field(description="Null under suppression, where it is below the minimum cell or would give such a count away.")
]


class ValueOut(Out):
    value: str | int | bool
    code: int = Field(default=0, description="Of a choice that has one.", json_schema_extra=without_default)
    label: str = Field(default="", description="Of a choice that has one, in the newest version.", json_schema_extra=without_default)


class ValueCountOut(ValueOut):
    count: Count


class BinCountOut(Out):
    from_: float = Field(alias="from")
    to: float = Field(description="Belongs to the bin for whole numbers, and in the last bin.")
    count: Count


Counts = list[ValueCountOut] | list[BinCountOut]


class GroupSizeOut(ValueOut):
    n: Count


class ByOut(Out):
    field: str
    groups: list[GroupSizeOut]


class GroupCountsOut(ValueOut):
    counts: Counts


class QuestionResultsOut(Out):
    field: str
    type: Literal["choice", "multi_choice", "scale", "integer", "number", "boolean", "text", "date"]
    label: str = Field(default="", description="In the newest version.", json_schema_extra=without_default)
    n: Count
    counts: Counts = Field(default=[], json_schema_extra=without_default)
    mean: float = Field(default=0, description="To two or three significant digits.", json_schema_extra=without_default)
    quartiles: Annotated[list[float], Field(min_length=3, max_length=3)] = Field(
        default=[], description="To two or three significant digits.", json_schema_extra=without_default
    )
    groups: list[GroupCountsOut] = Field(
        default=[], description="The counts within each group that `by` makes.", json_schema_extra=without_default
    )


class AccuracyOut(Out):
    """Half-widths of 95 % intervals of a count; null where there is none."""

    count: int | None
    group: int | None = Field(description="Of a count within a group.")


class ResultsOut(Out):
    """Parts that are not there are left out."""

    project: str
    survey_version: int = Field(description="The version that was counted; labels are those of the newest.")
    published_at: Time | None = Field(description="Null before anything was published.")
    protection: Literal["noise", "suppression"]
    responses: int = Field(
        default=0, description="Under noise: the number of responses ever made at this release.", json_schema_extra=without_default
    )
    n: Count
    minimum_cell: int
    accuracy: AccuracyOut
    by: ByOut = Field(default=ByOut(field="", groups=[]), json_schema_extra=without_default)
    questions: list[QuestionResultsOut]


class ResultsQuery(QueryModel):
    by: str | None = Field(None, description="A field of `results.by`, whose answers make groups.")


def public_results(use: Container, limits: Limits) -> APIRouter:
    get_one = use.get_results()

    async def visible(given: Mapping[str, Any]) -> None:
        await get_one(project=given["project"])

    router = router_of("Surveys", limits, {"project": visible})

    @router.get(
        "/{project:slug}/survey/results",
        response_model=ResultsOut,
        responses=problem_responses(404) | UNCHANGED,
        description=get_one.__doc__,
    )
    @limits.public_read
    async def get_survey_results(request: Request, project: str, query: Annotated[ResultsQuery, Query()]) -> Response:
        results = await get_one(project=project, by=query.by)
        return entity(request.headers, results, tag=digest(results), cache=CACHE)

    return router
