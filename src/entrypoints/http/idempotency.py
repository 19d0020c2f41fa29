"""`Idempotency-Key`: how a route that makes something makes it once. Which routes take the header is in their OpenAPI text."""

import json
from collections.abc import Awaitable, Callable
from functools import partial
from hashlib import sha256
from typing import Any, Protocol, TypeVar

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from application.ports import UnitOfWork
from domain.errors import DomainError, Fault, Invalid
from domain.idempotency import KEY_MAX, BadKey, Keyed
from domain.user import User
from entrypoints.container import Container
from entrypoints.http.lookups import lookups_of
from entrypoints.http.problems import render
from entrypoints.http.route import look_up
from entrypoints.request_id import REQUEST_ID

HEADER = "idempotency-key"
REPLAYED = "idempotency-replayed"

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Makes(Protocol[T_co]):
    """A use case that can also run within somebody else's unit of work, whose commit it leaves to them."""

    def __call__(self, *args: Any, **arguments: Any) -> Awaitable[T_co]: ...

    def within(self, work: UnitOfWork, *args: Any, **arguments: Any) -> Awaitable[T_co]: ...


class MakesOnce:
    """Runs a use case and answers it; under an `Idempotency-Key` once, and from then on the same answer, byte for byte."""

    def __init__(self, use: Container) -> None:
        self._once = use.once()
        self._lookups = lookups_of(use)

    async def __call__(
        self, request: Request, make: Makes[T], answer: Callable[[T], Response], *, by: User, body_digest: bytes | None = None, **rest: Any
    ) -> Response:
        """The answer to `make(by=by, **rest)`. Raises what `make` raises, `BadKey`, `KeyReused`, `StillRunning`.

        `answer` is made before the commit, and whole, never streamed. `body_digest` stands for a body that the route has read itself:
        give it the SHA-256 of all that the body says (of a multipart form each part's, since its boundary differs with every try).
        """
        key = idempotency_key(request.headers)
        if key is None:
            return answer(await make(by=by, **rest))
        keyed = Keyed(user_id=by.id, key=key, fingerprint=_fingerprint(request, body_digest))
        outcome = await self._once(
            keyed,
            act=partial(make.within, by=by, **rest),
            told=lambda made: encoded(answer(made)),
            refused=partial(self._refused, given=request.path_params | {"by": by}),
        )
        return decoded(outcome.content, is_replay=outcome.is_replay)

    async def _refused(self, error: DomainError, *, given: dict[str, Any]) -> bytes:
        """The problem that an error is answered with: as `Route` has it, what is not there comes before what is wrong."""
        if isinstance(error, Invalid):
            try:
                await look_up(self._lookups, given)
            except DomainError as absent:
                error = absent
        problem = render(error, request_id=REQUEST_ID.get() or "")
        return encoded(Response(problem.body, problem.status, problem.headers))


def idempotency_key(headers: Headers) -> str | None:
    """The key of a request, if it bears one. Raises `BadKey` where there are more; `Keyed` judges the key itself."""
    given = headers.getlist(HEADER)
    if len(given) > 1:
        raise BadKey
    return given[0] if given else None


def refuse_idempotency_key(headers: Headers) -> None:
    """For what answers a secret, which must not be kept to be answered again. Raises `Invalid`."""
    if HEADER in headers:
        raise Invalid(Fault(pointer="", code="idempotency-key-refused", detail="This answers a secret and cannot be replayed."))


def by_key(status: int) -> dict[str, Any]:
    """For `openapi_extra` of a route that takes the header: it, and what marks a replay of the answer of this status."""
    return {
        "parameters": [
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "Name the request, with a new UUID for instance, to send it again without doing it again: for 24 hours the"
                " first outcome is answered, byte for byte. The same key with another body or address is 422; while the first is still"
                " being worked on, 409 with `Retry-After`.",
                "schema": {"type": "string", "minLength": 1, "maxLength": KEY_MAX, "pattern": "^[!-~](?:[ -~]*[!-~])?$"},
            }
        ],
        "responses": {
            str(status): {
                "headers": {
                    "Idempotency-Replayed": {
                        "description": "`true` when this is the kept answer to an earlier request with the same `Idempotency-Key`.",
                        "schema": {"type": "string", "enum": ["true"]},
                    }
                }
            }
        },
    }


def _fingerprint(request: Request, body_digest: bytes | None) -> bytes:
    """What tells this request from another: method, address, query and body, each as it came."""
    scope = request.scope
    digest = body_digest if body_digest is not None else sha256(scope["body"]).digest()
    asked = json.dumps([scope["method"], scope["path"], scope["query_string"].decode("latin-1")])
    return sha256(asked.encode() + digest).digest()


def encoded(response: Response) -> bytes:
    """An answer as bytes: a line of JSON with its status and the headers that the route gave it, then its body."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in response.raw_headers if name != b"content-length"}
    return json.dumps([response.status_code, headers]).encode() + b"\n" + bytes(response.body)


def decoded(content: bytes, *, is_replay: bool) -> Response:
    """The answer that such bytes are."""
    head, _, body = content.partition(b"\n")
    status, headers = json.loads(head)
    return Response(body, status, headers | ({REPLAYED: "true"} if is_replay else {}))
