"""The one middleware: what every answer has, and what no request may do. Pure ASGI, and lean: every request pays for it."""

import asyncio
import re
from collections.abc import Callable, Iterable
from random import getrandbits
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.errors import NotFound, Unavailable
from domain.outcome import OutcomeUnknown
from domain.text import is_clean
from entrypoints.freshness import MAY_LAG
from entrypoints.http.admission import Admission, Overloaded, Turn, is_exempt
from entrypoints.http.cross_origin import CrossOrigin
from entrypoints.http.json_body import ClientLeft
from entrypoints.http.network import Networks
from entrypoints.http.problems import Malformed, MethodNotAllowed, UriTooLong, render
from entrypoints.logs import AccessLog, logger
from entrypoints.metrics import Metrics
from entrypoints.request_id import REQUEST_ID

if TYPE_CHECKING:
    from entrypoints.http.tracing import Tracing

TARGET_MAX = 8192
CONTENT_SECURITY_POLICY = b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"

REQUEST_ID_FORM = re.compile(rb"[A-Za-z0-9._-]{1,64}")
ALWAYS = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer")]
ALWAYS_ISOLATED = [*ALWAYS, (b"content-security-policy", CONTENT_SECURITY_POLICY)]


class Edge:
    """Gives each request an id, its network, and a place in metrics and log; turns every error into a problem; answers HEAD as GET."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        networks: Networks,
        access_log: AccessLog,
        methods_of: Callable[[str], Iterable[str]],
        admission: Admission,
        cross_origin: CrossOrigin | None = None,
        metrics: Metrics | None = None,
        tracing: "Tracing | None" = None,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._tracing = tracing
        self._cross_origin = cross_origin
        self._admission = admission
        self._networks = networks
        self._access_log = access_log
        self._methods_of = methods_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        method = scope["method"]
        asked = scope  # where the server tells of a refusal of its own, see server.py
        if method == "HEAD":
            scope = {**scope, "method": "GET", "is_head": True}  # the server keeps its own, by which it sends no body
        scope["network"] = self._networks.of(scope)
        scope["limits"] = []
        cross_origin = self._cross_origin
        answer = _Answer(scope, send, is_head=method == "HEAD", more=cross_origin.headers(scope) if cross_origin else [])
        asked["request_id"] = answer.id
        REQUEST_ID.set(answer.request_id)
        metrics = self._metrics
        if metrics is not None:
            metrics.in_flight += 1
        MAY_LAG.set(answer.is_anonymous and scope["method"] == "GET")
        try:
            _check_target(scope)
            if cross_origin and cross_origin.is_preflight(scope):
                await self._allow(scope, cross_origin, answer)
            else:
                await self._in_turn(scope, receive, answer)
        except ClientLeft:
            answer.status = 499
        except asyncio.CancelledError:  # the process ends, and has waited long enough
            await self._refuse(Unavailable() if method in ("GET", "HEAD") else OutcomeUnknown(), answer)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets a problem and the log the trace
            await self._refuse(self._meant(error, scope), answer)
        finally:
            seconds, status = perf_counter() - started, asked.get("refused_with", answer.status)
            if metrics is not None:
                metrics.finish(scope, method=method, status=status, seconds=seconds)
            if self._tracing is not None:
                self._tracing.finish(scope, method=method, status=status, request_id=answer.request_id)
            self._access_log.write(scope, method=method, status=status, request_id=answer.request_id, seconds=seconds)

    async def _in_turn(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        """Ask the application when it is this request's turn. Raises `Overloaded`."""
        if is_exempt(scope["path"]):
            await self._app(scope, receive, answer.send)
            return
        await self._admission.enter()
        turn = Turn(self._admission, scope, receive, answer.send)
        try:
            await self._app(scope, turn.receive, turn.send)
        finally:
            turn.end()

    def _meant(self, error: Exception, scope: Scope) -> Exception:
        """What the router means by its own exceptions."""
        if not isinstance(error, HTTPException):
            return error
        methods = self._known_methods(scope)
        return MethodNotAllowed(headers={"allow": ", ".join(methods)}) if methods else NotFound()

    def _known_methods(self, scope: Scope) -> list[str]:
        methods = set(self._methods_of(scope["path"]))
        return sorted(methods | ({"HEAD"} if "GET" in methods else set()))

    async def _allow(self, scope: Scope, cross_origin: CrossOrigin, answer: "_Answer") -> None:
        """Answer a preflight for what is there. Raises `NotFound`."""
        methods = self._known_methods(scope)
        if not methods:
            raise NotFound
        await answer.send({"type": "http.response.start", "status": 204, "headers": cross_origin.preflight_headers(methods)})
        await answer.send({"type": "http.response.body", "body": b""})

    async def _refuse(self, error: Exception, answer: "_Answer") -> None:
        problem = render(error, request_id=answer.request_id)
        if problem.status == 500:
            logger.error("unexpected error", request_id=answer.request_id, exc_info=error)
        elif problem.status == 503 and not isinstance(error, Overloaded):  # those are many, and each has its line
            logger.warning("unavailable", request_id=answer.request_id, cause=repr(error.__cause__))
        if answer.status:
            raise error  # the answer has begun: breaking the connection is all that is left
        headers = [(name.encode(), value.encode()) for name, value in problem.headers.items()]
        headers.append((b"content-length", str(len(problem.body)).encode()))
        await answer.send({"type": "http.response.start", "status": problem.status, "headers": headers})
        await answer.send({"type": "http.response.body", "body": problem.body})


class _Answer:
    """One answer on its way out; its status is 0 until it has begun."""

    def __init__(self, scope: Scope, send: Send, *, is_head: bool, more: list[tuple[bytes, bytes]]) -> None:
        self.status = 0
        self._scope = scope
        self._send = send
        self._is_head = is_head
        self._more = more
        given, self._signed_in, self.is_anonymous = b"", False, True
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                given = value
            elif name == b"authorization":
                self._signed_in, self.is_anonymous = True, False
            elif name == b"x-respondent-token":
                self.is_anonymous = False  # who has just written reads what was written
        self.id: bytes = scope.get("request_id") or _accepted(given)

    @property
    def request_id(self) -> str:
        return self.id.decode()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._complete(message["headers"])
        elif self._is_head:
            message = {"type": "http.response.body", "body": b"", "more_body": message.get("more_body", False)}
        await self._send(message)

    def _complete(self, headers: list[tuple[bytes, bytes]]) -> None:
        is_isolated = is_cached = False
        for name, _ in headers:
            if name == b"cache-control":
                is_cached = True
            elif name == b"content-security-policy":
                is_isolated = True
        headers += ALWAYS if is_isolated else ALWAYS_ISOLATED
        headers += self._more
        headers.append((b"x-request-id", self.id))
        if self._signed_in:
            headers[:] = [header for header in headers if header[0] != b"cache-control"]
            headers.append((b"cache-control", b"no-store"))
        elif not is_cached:
            headers.append((b"cache-control", b"no-cache"))
        limits: list[tuple[str, str]] = self._scope["limits"]
        if limits:
            headers.append((b"ratelimit", ", ".join([state for state, _ in limits]).encode()))
            headers.append((b"ratelimit-policy", ", ".join([policy for _, policy in limits]).encode()))


def request_id_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The id that a client gave its request, or a new one."""
    given = b""
    for name, value in headers:
        if name == b"x-request-id":
            given = value
    return _accepted(given)


def _accepted(given: bytes) -> bytes:
    """The id that was given, if it has the form of one, or a new one."""
    return given if REQUEST_ID_FORM.fullmatch(given) else new_request_id().encode()


def new_request_id() -> str:
    """A name for a request that came without one; not a secret."""
    return f"{getrandbits(128):032x}"


def _check_target(scope: Scope) -> None:
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    if len(raw) + len(scope["query_string"]) > TARGET_MAX:
        raise UriTooLong
    if b"%" in raw:
        try:
            path = unquote_to_bytes(raw).decode()
        except UnicodeDecodeError:
            raise Malformed("The path is not UTF-8.") from None
        if not is_clean(path) or "\n" in path or "\t" in path:
            raise Malformed("The path holds control characters.")
        if b"%2f" in raw.lower():
            raise NotFound  # one part of a path, which no name of ours can be: not two
    elif not raw.isascii():
        raise Malformed("The path holds bytes that are not encoded.")


def methods_by_path(routes: Iterable[Any]) -> Callable[[str], Iterable[str]]:
    """A function that tells which methods a path knows: those of all routes that match it."""
    known = [(route.path_regex, route.methods or set()) for route in routes]

    def methods_of(path: str) -> Iterable[str]:
        return (method for regex, methods in known if regex.match(path) for method in methods)

    return methods_of
