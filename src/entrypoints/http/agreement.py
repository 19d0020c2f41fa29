"""How far annotators agree, over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi import Query as QueryParameters
from pydantic import Field, JsonValue
from starlette.requests import Request
from starlette.responses import Response

from application.agreement import Agreement
from domain.access import Action
from domain.agreement import rounded
from domain.label_set import Level
from domain.user import User
from entrypoints.container import Container
from entrypoints.http.annotation import TERM_MAX
from entrypoints.http.lookups import lookups_of
from entrypoints.http.problems import problem_responses
from entrypoints.http.query import INT64_MAX, WHOLE, Query
from entrypoints.http.rate_limit import Limits
from entrypoints.http.reply import Json, Out
from entrypoints.http.route import router_of
from entrypoints.http.signed_in import Guard


class AgreementQuery(Query):
    label_set: Annotated[str, Field(max_length=TERM_MAX)]
    seed: Annotated[int, Field(ge=0, le=INT64_MAX, description="Decides which samples bound alpha."), WHOLE] = 0


class AlphaOut(Out):
    value: float | None = Field(description="Null without two labels of a resource, and where all are the same.")
    low: float | None = Field(description="Null also for fewer than two such resources, or where samples too often tell nothing.")
    high: float | None
    level: Level


class PairOut(Out):
    a: str
    b: str
    items: int = Field(description="How many resources both have labelled.")
    kappa: float | None = Field(description="Null for one resource, and where both gave all of them the same label.")


class DisputedOut(Out):
    resource_id: int
    values: list[JsonValue] = Field(description="Its labels in their order, one for each annotator, who is not told.")


class AgreementOut(Out):
    label_set: str
    items: int
    annotators: int
    annotations: int
    raw: float | None
    alpha: AlphaOut
    pairs: list[PairOut]
    disputed: list[DisputedOut]

    @classmethod
    def of(cls, found: Agreement) -> "AgreementOut":
        figures, alpha = found.figures, found.figures.alpha
        return cls(
            label_set=found.label_set,
            items=figures.items,
            annotators=figures.annotators,
            annotations=figures.annotations,
            raw=rounded(figures.raw),
            alpha=AlphaOut(value=rounded(alpha.value), low=rounded(alpha.low), high=rounded(alpha.high), level=found.level),
            pairs=[PairOut(a=pair.a, b=pair.b, items=pair.items, kappa=rounded(pair.kappa)) for pair in found.pairs],
            disputed=[DisputedOut(resource_id=each.resource_id, values=list(each.values)) for each in found.disputed],
        )


def agreement_routes(use: Container, limits: Limits, guard: Guard) -> APIRouter:
    get_one = use.get_agreement()
    router = router_of("Annotations", limits, lookups_of(use))

    @router.get(
        "/admin/{project:slug}/annotations/agreement",
        response_model=AgreementOut,
        responses=problem_responses(404),
        description=get_one.__doc__,
    )
    @limits.signed_in
    async def get_agreement(
        request: Request,
        project: str,
        query: Annotated[AgreementQuery, QueryParameters()],
        by: Annotated[User, Depends(guard(Action.ANNOTATION_AGREEMENT))],
    ) -> Response:
        return Json(AgreementOut.of(await get_one(project=project, label_set=query.label_set, seed=query.seed, by=by)))

    return router
