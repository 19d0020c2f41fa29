"""How often who may ask what: slowapi declares it on the routes, and hits are counted without blocking.

slowapi's own counting blocks the event loop on a remote store and keys by URL: see docs/decisions/0004-rate-limits.md.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import ceil
from typing import Any, TypeVar
from uuid import UUID

from slowapi import Limiter
from starlette.requests import Request

from application.ports import Limit, Windows
from domain.errors import TooMany

SEARCHES = Limit(amount=2, seconds=60)  # at once; the seconds are for a worker that was killed in the midst of one


class TooManySearches(TooMany):
    """Your network searches twice at this moment already: wait for an answer before you ask again."""

    code = "too-many-searches"
    detail = "Two searches of your network are under way: wait for one of them."


Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


def network(request: Request) -> str:
    """Counted by the network that the request comes from."""
    return str(request.scope["network"])


def user(request: Request) -> str:
    """Counted by who is signed in."""
    return str(request.scope["user_id"])


def session(request: Request) -> str:
    """Counted by the session of a refresh token, once it is known to be genuine: see `Limits.count_session`."""
    return str(request.scope["session_id"])


def respondent(request: Request) -> str:
    """Counted by who answers, once the project is known to be there: see `Limits.count_respondent`."""
    return str(request.scope["respondent"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A limit on one route: its class, how often, and by what it is counted: one of the functions above."""

    name: str
    limit: Limit
    by: Callable[[Request], str]
    text: str  # as the `RateLimit-Policy` field tells it, made once


class Limits(Limiter):
    """The rate limits of an application: decorators that put a class on a route, and the counting of hits."""

    def __init__(self, rates: dict[str, str], *, windows: Windows | None = None, key: bytes = b"") -> None:
        """Without windows nothing is counted. `key`: secret bytes, the same wherever hits are counted together."""
        super().__init__(key_func=network, auto_check=False, enabled=False)
        self._rates = rates
        self._windows = windows
        self._key = key

    def public_read(self, endpoint: Endpoint) -> Endpoint:
        return self._declare(endpoint, "public-read", network)

    def survey_write(self, endpoint: Endpoint) -> Endpoint:
        return self._declare(self._declare(endpoint, "survey-write", respondent), "survey-write-network", network)

    def survey_write_by_network(self, endpoint: Endpoint) -> Endpoint:
        """For what a respondent does without telling a fingerprint."""
        return self._declare(endpoint, "survey-write-network", network)

    def search(self, endpoint: Endpoint) -> Endpoint:
        """For what anybody may search: counts, and holds one of a network's places, only where a request does search."""
        return self._declare(endpoint, "search", network)

    def login(self, endpoint: Endpoint) -> Endpoint:
        return self._declare(endpoint, "login", network)

    def refresh(self, endpoint: Endpoint) -> Endpoint:
        return self._declare(endpoint, "refresh", session)

    def signed_in(self, endpoint: Endpoint) -> Endpoint:
        return self._declare(endpoint, "user", user)

    def export(self, endpoint: Endpoint) -> Endpoint:
        """For whole tables, by who is signed in."""
        return self._declare(endpoint, "export", user)

    def export_by_network(self, endpoint: Endpoint) -> Endpoint:
        """For whole tables that anybody may have."""
        return self._declare(endpoint, "export", network)

    def unlimited(self, endpoint: Endpoint) -> Endpoint:
        """For what must always answer: health."""
        self.exempt(endpoint)  # type: ignore[no-untyped-call]
        return endpoint

    def _declare(self, endpoint: Endpoint, name: str, by: Callable[[Request], str]) -> Endpoint:
        declared: Endpoint = self.limit(self._rates[name], key_func=by, error_message=name)(endpoint)
        return declared

    def of(self, endpoint: Callable[..., Any]) -> tuple[Policy, ...] | None:
        """The limits declared on an endpoint: none at all for an unlimited one, None when nothing was declared."""
        name = f"{endpoint.__module__}.{endpoint.__name__}"
        if name in self._exempt_routes:
            return ()
        declared = self._route_limits.get(name)
        if declared is None:
            return None
        return tuple(_policy(str(limit.error_message), limit.limit, limit.key_func) for limit in declared)

    async def count_respondent(self, request: Request, *who: str) -> None:
        """Count a save of whom these texts name; what is kept is a keyed hash. Raises `TooMany`."""
        named = "\x1f".join(who)  # no text of a request holds this character
        request.scope["respondent"] = hashlib.blake2b(named.encode(), key=self._key, digest_size=16).hexdigest()
        await self._count_later(request)

    @asynccontextmanager
    async def searching(self, request: Request, template: str, policies: tuple[Policy, ...]) -> AsyncIterator[None]:
        """Count a search, and hold one of the places of its network while it goes on. Raises `TooMany`."""
        await self.count(request, template, policies)
        if self._windows is None:
            yield
            return
        place = ("searching", network(request))
        if not (await self._windows.hit(place, SEARCHES)).granted:
            raise TooManySearches(retry_after=1)
        try:
            yield
        finally:
            await asyncio.shield(self._windows.give_back(place, SEARCHES))

    async def count_session(self, request: Request, session_id: UUID) -> None:
        """Count a use of this session's refresh token. Raises `TooMany`."""
        request.scope["session_id"] = session_id
        await self._count_later(request)

    async def _count_later(self, request: Request) -> None:
        """Count by the policies that the route has left to its endpoint. Raises `TooMany`."""
        await self.count(request, *request.scope["counted_later"])

    async def count(self, request: Request, template: str, policies: tuple[Policy, ...]) -> None:
        """Count a hit on a route template by each policy, and tell the client how it stands. Raises `TooMany`."""
        if self._windows is None:
            return
        for policy in policies:
            hit = await self._windows.hit((template, policy.name, policy.by(request)), policy.limit)
            state = f'"{policy.name}";r={hit.remaining};t={ceil(hit.reset_after)}'
            request.scope["limits"].append((state, policy.text))
            if not hit.granted:
                raise TooMany(retry_after=hit.reset_after)


def _policy(name: str, item: Any, by: Callable[[Request], str]) -> Policy:
    limit = Limit(amount=item.amount, seconds=item.get_expiry())
    return Policy(name=name, limit=limit, by=by, text=f'"{name}";q={limit.amount};w={limit.seconds}')
