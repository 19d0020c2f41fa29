"""The metrics over HTTP, for admins or for anybody."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from domain.access import Action
from domain.user import User
from entrypoints.http.rate_limit import Limits
from entrypoints.http.route import router_of
from entrypoints.http.signed_in import Guard
from entrypoints.metrics import MEDIA_TYPE, Metrics

_RESPONSES: dict[int | str, dict[str, Any]] = {200: {"description": "The text format of Prometheus.", "content": {"text/plain": {}}}}


def open_metrics(metrics: Metrics, limits: Limits) -> APIRouter:
    """The metrics for anybody."""
    router = router_of("Service", limits)

    @router.get("/metrics", response_class=Response, responses=_RESPONSES)
    @limits.unlimited
    async def get_metrics(request: Request) -> Response:
        """What the service counts and measures, over all workers."""
        return _told(await metrics.tell())

    return router


def admin_metrics(metrics: Metrics, limits: Limits, guard: Guard) -> APIRouter:
    """The metrics for admins, and for API keys of theirs that may read."""
    router = router_of("Service", limits)

    @router.get("/metrics", response_class=Response, responses=_RESPONSES)
    @limits.unlimited
    async def get_metrics_as_admin(request: Request, by: Annotated[User, Depends(guard(Action.METRICS_READ))]) -> Response:
        """What the service counts and measures, over all workers."""
        return _told(await metrics.tell())

    return router


def _told(text: bytes) -> Response:
    return Response(text, media_type=MEDIA_TYPE, headers={"cache-control": "no-store"})
