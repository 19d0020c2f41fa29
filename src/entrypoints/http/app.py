"""The application: every route, in order, under the edge."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from domain.access import Action
from domain.errors import Unavailable
from entrypoints.background import Chore, doing
from entrypoints.chores import chores_of
from entrypoints.container import Container, trace_statements, trace_store
from entrypoints.http.admission import Admission
from entrypoints.http.agreement import agreement_routes
from entrypoints.http.annotation import annotation_routes
from entrypoints.http.annotation_import import annotation_import_routes
from entrypoints.http.api_key import api_key_routes
from entrypoints.http.audit import audit_routes
from entrypoints.http.cross_origin import CrossOrigin
from entrypoints.http.docs import admin_document, docs_routes, public_document
from entrypoints.http.download import EACH, Downloads
from entrypoints.http.edge import Edge, methods_by_path
from entrypoints.http.exact_results import exact_results
from entrypoints.http.export import public_exports, signed_in_exports
from entrypoints.http.file import public_files, signed_in_files
from entrypoints.http.gate import Gate
from entrypoints.http.label_set import label_set_routes
from entrypoints.http.metrics import admin_metrics, open_metrics
from entrypoints.http.network import Networks
from entrypoints.http.project import public_projects, signed_in_projects
from entrypoints.http.rate_limit import Limits
from entrypoints.http.resource import public_resources, resource_versions, signed_in_resources
from entrypoints.http.resource_import import resource_import_routes
from entrypoints.http.response import public_responses, signed_in_responses
from entrypoints.http.response_erasure import response_erasure
from entrypoints.http.results import public_results
from entrypoints.http.routing import Table
from entrypoints.http.service import NAME, VERSION, service_routes
from entrypoints.http.session import registration_routes, session_routes
from entrypoints.http.signed_in import Credentials, MayAsk
from entrypoints.http.survey import public_survey, signed_in_survey
from entrypoints.http.user import account_routes, admin_user_routes
from entrypoints.http.user_import import user_import_routes
from entrypoints.logs import AccessLog
from entrypoints.metrics import Metrics, Readings
from entrypoints.settings import MAX_UPLOAD_BYTES, RATES, Settings, metrics_folder, traces_wanted

if TYPE_CHECKING:
    from entrypoints.http.tracing import Tracing


class Application(FastAPI):
    """A FastAPI application whose whole middleware is the edge; it does its chores while it runs."""

    def __init__(
        self,
        router: APIRouter,
        *,
        networks: Networks,
        access_log: AccessLog,
        cross_origin: CrossOrigin | None,
        downloads: Downloads,
        use: Container,
        metrics: Metrics | None = None,
        tracing: "Tracing | None" = None,
        chores: Sequence[Chore] = (),
    ) -> None:

        @asynccontextmanager
        async def lifespan(_: FastAPI) -> AsyncIterator[None]:
            with suppress(Unavailable):  # a disk that is here now and gone at the first upload is away, not new
                await use.file_store().check()
            async with use.pool(), use.windows(), use.replica() or nullcontext(), doing(chores):
                yield
            access_log.close()
            if tracing is not None:
                await tracing.close()

        super().__init__(
            title=NAME,
            version=VERSION,
            openapi_url=None,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
            lifespan=lifespan,
            telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},  # ours tell less, see tracing.py
        )
        self.router.routes.extend(router.routes)
        self.downloads = downloads
        admission = Admission()
        self.gate = Gate(admission, access_log=access_log, metrics=metrics, cross_origin=cross_origin)
        edge = Edge(
            Table(self.router.routes, self.router),
            networks=networks,
            access_log=access_log,
            admission=admission,
            methods_of=methods_by_path(self.router.routes),
            cross_origin=cross_origin,
            metrics=metrics,
            tracing=tracing,
        )
        self._edge: ASGIApp = edge if tracing is None else tracing.around(edge)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.pop("is_announced", False):
            self.gate.admission.come()
        scope["app"] = self
        await self._edge(scope, receive, send)


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """Every route of the service, by the document that it stands in; `pages` are the documents themselves and their pages."""

    public: list[BaseRoute]
    signed_in: list[BaseRoute]
    last: list[BaseRoute]
    pages: list[BaseRoute]

    @property
    def in_order(self) -> list[BaseRoute]:
        """As they are matched: `/{project}` would hide what comes after it."""
        return [*self.public, *self.signed_in, *self.pages, *self.last]


def routes_of(
    use: Container,
    limits: Limits,
    *,
    with_docs: bool = True,
    with_registration: bool = True,
    metrics_for: Literal["admin", "open", "off"] = "admin",
    metrics: Metrics | None = None,
    max_upload_bytes: int = MAX_UPLOAD_BYTES,
) -> Routes:
    """Every route, over the use cases of a container."""
    metrics = metrics or Metrics()
    max_import_bytes: int = use.config.max_import_bytes()
    credentials = Credentials(use)

    def guard(action: Action) -> MayAsk:
        return MayAsk(credentials, action)

    projects, project = public_projects(use, limits)
    public = [
        public_resources(use, limits),
        public_exports(use, limits, credentials),
        public_responses(use, limits),
        public_survey(use, limits),
        public_results(use, limits),
        public_files(use, limits),
        projects,
        service_routes(use, limits, with_docs=with_docs),
        *([open_metrics(metrics, limits)] if metrics_for == "open" else []),
        *([admin_metrics(metrics, limits, guard)] if metrics_for == "admin" else []),
    ]
    signed_in = [
        *([registration_routes(use, limits)] if with_registration else []),
        session_routes(use, limits, guard),
        api_key_routes(use, limits, guard),
        account_routes(use, limits, guard),
        admin_user_routes(use, limits, guard),
        user_import_routes(use, limits, guard),
        signed_in_projects(use, limits, guard),
        signed_in_resources(use, limits, guard),
        resource_versions(use, limits, guard),
        resource_import_routes(use, limits, guard, at_most=max_import_bytes),
        signed_in_survey(use, limits, guard),
        signed_in_responses(use, limits, guard),
        response_erasure(use, limits, guard),
        label_set_routes(use, limits, guard),
        annotation_routes(use, limits, guard),
        annotation_import_routes(use, limits, guard, at_most=max_import_bytes),
        agreement_routes(use, limits, guard),
        exact_results(use, limits, guard),
        audit_routes(use, limits, guard),
        signed_in_files(use, limits, guard, at_most=max_upload_bytes),
        signed_in_exports(use, limits, guard),
    ]
    routes = Routes(public=_flat(public), signed_in=_flat(signed_in), last=project.routes, pages=[])
    if with_docs:
        pages = docs_routes(
            use,
            limits,
            guard,
            public=json.dumps(public_document([*routes.public, *routes.last])).encode(),
            admin=json.dumps(admin_document(routes.signed_in)).encode(),
        )
        routes.pages.extend(pages.routes)
    return routes


def readings_of(use: Container) -> Readings:
    """Where the metrics read what they do not count themselves, over the adapters of a container."""
    pool = use.pool()
    return Readings(
        connections={"used": lambda: pool.used, "idle": lambda: pool.idle},
        connections_max=lambda: pool.size,
        hashing=lambda: use.hasher().waiting,
        failures={"database": lambda: pool.failures, "limits": lambda: use.windows().failures, "files": lambda: use.file_store().failures},
        limits_apart=lambda: use.windows().is_apart,
    )


def make_app(settings: Settings, use: Container) -> Application:
    """The application for these settings. Raises `SettingsError`."""
    tracing = _tracing(use) if traces_wanted() else None
    folder = metrics_folder()
    metrics = Metrics(readings_of(use), folder=folder) if settings.metrics != "off" else None
    windows = use.windows() if settings.rate_limits is not None else None
    limits = Limits(settings.rate_limits or RATES, windows=windows, key=use.config.counting_key())
    routes = routes_of(
        use,
        limits,
        with_docs=settings.docs == "on",
        with_registration=settings.registration == "open",
        max_upload_bytes=settings.max_upload_bytes,
        metrics_for=settings.metrics,
        metrics=metrics,
    )
    router = APIRouter()
    router.routes.extend(routes.in_order)
    return Application(
        router,
        networks=Networks(settings.trusted_proxies),
        access_log=AccessLog(settings.log_format),
        cross_origin=CrossOrigin(settings.allowed_origins) if settings.allowed_origins else None,
        downloads=Downloads(at_once=use.anonymous_tables(), each=None if settings.rate_limits is None else EACH),
        use=use,
        metrics=metrics,
        tracing=tracing,
        chores=[*chores_of(use), *([_tell_other_workers(metrics)] if metrics and folder else [])],
    )


def _tell_other_workers(metrics: Metrics) -> Chore:
    return Chore(name="tell other workers the metrics", run=metrics.refresh_for_others, every=1.0)


def _tracing(use: Container) -> "Tracing":
    from entrypoints.http.tracing import Tracing  # noqa: PLC0415 - costs a start time and memory, so only where it is asked for

    trace_statements()
    trace_store(use.file_store())
    return Tracing()


def _flat(routers: list[APIRouter]) -> list[BaseRoute]:
    return [route for router in routers for route in router.routes]
