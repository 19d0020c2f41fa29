"""Which pages of other origins may use the service: CORS, as the Fetch standard lays it down (section 3.2).

Credentials that a browser adds by itself are never allowed, and none are used here: a token comes in a header that the page sets.
"""

from collections.abc import Collection, Iterable

from starlette.types import Scope

Headers = list[tuple[bytes, bytes]]

REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "If-Match",
    "If-None-Match",
    "If-Range",
    "Range",
    "Idempotency-Key",
    "X-Respondent-Token",
    "X-Request-ID",
    "traceparent",
    "Cache-Control",
)
EXPOSED_HEADERS = (
    "ETag",
    "Link",
    "Location",
    "Retry-After",
    "RateLimit",
    "RateLimit-Policy",
    "X-Request-ID",
    "Content-Disposition",
    "Content-Range",
    "Accept-Ranges",
    "Repr-Digest",
)
PREFLIGHT_SECONDS = 600

_VARY = (b"vary", b"Origin")
_EXPOSED = (b"access-control-expose-headers", ", ".join(EXPOSED_HEADERS).encode())
_ALLOWED = (b"access-control-allow-headers", ", ".join(REQUEST_HEADERS).encode())
_MAX_AGE = (b"access-control-max-age", str(PREFLIGHT_SECONDS).encode())


class CrossOrigin:
    """Answers for some origins, each compared as a whole, byte by byte."""

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = frozenset(origin.encode() for origin in origins)

    def headers(self, scope: Scope) -> Headers:
        """What every answer has: it depends on the origin, also where that is another one or none."""
        origin = self._origin(scope)
        return [_VARY] if origin is None else [_VARY, (b"access-control-allow-origin", origin), _EXPOSED]

    def is_preflight(self, scope: Scope) -> bool:
        """Whether a browser asks, for a page of an allowed origin, what the page may do."""
        asks = any(name == b"access-control-request-method" for name, _ in scope["headers"])
        return scope["method"] == "OPTIONS" and asks and self._origin(scope) is not None

    def preflight_headers(self, methods: Iterable[str]) -> Headers:
        """The answer to that, besides what every answer has."""
        return [(b"access-control-allow-methods", ", ".join(methods).encode()), _ALLOWED, _MAX_AGE]

    def _origin(self, scope: Scope) -> bytes | None:
        """The origin of a request, when it is allowed."""
        given = [value for name, value in scope["headers"] if name == b"origin"]
        return given[0] if len(given) == 1 and given[0] in self._origins else None
