"""Which route a request is for."""

from collections import defaultdict
from collections.abc import Iterable

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from entrypoints.http.route import Route


class Table:
    """Finds the route of a request by its method and the number of parts of its path, among a few instead of all of them.

    Whatever has no route of ours goes to the router, which knows what to answer.
    """

    def __init__(self, routes: Iterable[BaseRoute], router: ASGIApp) -> None:
        self._router = router
        self._routes: dict[tuple[str, int], list[Route]] = defaultdict(list)
        for route in routes:
            if isinstance(route, Route):
                for method in route.methods or ():
                    self._routes[method, route.path.count("/")].append(route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")  # what is no request has none
        for route in self._routes.get((scope.get("method", ""), path.count("/")), ()):
            match = route.path_regex.match(path)
            if match:
                convertors = route.param_convertors
                scope["path_params"] = {name: convertors[name].convert(text) for name, text in match.groupdict().items()}
                scope["route"] = route
                await route.app(scope, receive, send)
                return
        await self._router(scope, receive, send)
