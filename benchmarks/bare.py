"""The ceiling: the service's own SQL and JSON in a bare ASGI program on asyncpg, with no framework and no checks.

The statements are those that the service's adapters run: they are asked once, and what they would have run is kept. A search is by the
index alone, where the service looks nearby first, for words that are frequent.
"""

import base64
import json
import os
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import uvicorn
import uvloop
from starlette.types import Receive, Scope, Send

from adapters.postgres.database import Pool, Statement
from adapters.postgres.resource import GET, LIVE_ONE, SWAP, PostgresResourceReader, given
from adapters.postgres.resource.reader import page_statement
from adapters.postgres.response import PostgresResponses
from adapters.postgres.session import USER_OF
from adapters.postgres.survey import PostgresSurveys
from adapters.security.respondents import HmacRespondents
from adapters.security.tokens import JoseTokens
from application.ports import After
from domain.resource import Filter, Sort, Status
from domain.session import IDLE_LIFETIME
from domain.survey import Survey
from domain.text import rfc3339
from entrypoints.settings import load

SLUG_VARIABLE, PORT_VARIABLE = "BENCH_SLUG", "BENCH_PORT"
CONNECTIONS = 32  # as many as the load has clients: none ever waits


class _Asked(Exception):
    """Carries what an adapter was about to run."""

    def __init__(self, statement: Statement, given: dict[str, Any]) -> None:
        self.statement, self.given = statement, given
        super().__init__()


class _Recorder(Pool):
    """Connects to nothing and runs nothing: raises what it was asked to run."""

    def __init__(self) -> None:
        super().__init__("postgresql+asyncpg://nowhere", size=1)

    async def rows(self, statement: Statement, due: float | None = None, /, **given: Any) -> list[asyncpg.Record]:
        raise _Asked(statement, given)

    async def row(self, statement: Statement, due: float | None = None, /, **given: Any) -> asyncpg.Record | None:
        raise _Asked(statement, given)


def after_id(cursor: str) -> int:
    """The id that the cursor of a list by id names."""
    last: int = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))[2]
    return last


def _by_index(where: Filter) -> _Asked:
    statement = page_statement(Sort.ID, status=False, search=True, labels=0, after=False)
    return _Asked(statement, given(where) | {"limit": 100, "skip": 0})


async def _asked_by(call: Coroutine[Any, Any, object]) -> _Asked:
    try:
        await call
    except _Asked as asked:
        return asked
    raise AssertionError("The adapter ran no statement.")


class Bare:
    """The program: read one, list, edit, save, told apart by as little as possible."""

    def __init__(self, survey: Survey, respondents: HmacRespondents, tokens: JoseTokens) -> None:
        self._tokens = tokens
        self._survey = survey
        self._slug = survey.project
        self._respondents = respondents
        self._codes = {question.field: question.code_of for question in survey.definition.questions if question.type == "choice"}
        self._free: list[Any] = []

    async def open(self, dsn: str) -> None:
        """Connect, and find out the statements."""
        self._free = [await asyncpg.connect(dsn) for _ in range(CONNECTIONS)]
        everything = Filter(project=self._slug)
        self._lists = {
            frozenset[str](): await self._list_statement(everything),
            frozenset({"cursor"}): await self._list_statement(everything, after=After(key=1, id=1)),
            frozenset({"status"}): await self._list_statement(Filter(project=self._slug, status=Status.ACTIVE)),
            frozenset({"status", "cursor"}): await self._list_statement(
                Filter(project=self._slug, status=Status.ACTIVE), after=After(key=1, id=1)
            ),
            frozenset({"search"}): _by_index(Filter(project=self._slug, search="word")),
        }
        consent = self._survey.definition.consent
        assert consent is not None  # the demo survey has one
        self._saves = {q.field: await self._save_statement(q.field) for q in self._survey.definition.questions if q.field != consent.field}
        self._saves[consent.field] = await self._save_statement(consent.field, consent.accept)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status = 200
        if scope["method"] == "POST":
            status, body = await self._save(json.loads((await receive())["body"]))
        elif scope["method"] == "PATCH":
            resource_id = int(scope["path"].rpartition("/")[2])
            body = await self._edit(resource_id, scope["headers"], json.loads((await receive())["body"])["description"])
        elif scope["query_string"]:
            body = await self._list(scope["path"].split("/")[1], scope["query_string"].decode())
        else:
            body = await self._read_one(int(scope["path"].rpartition("/")[2]))
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _read_one(self, resource_id: int) -> bytes:
        (row,) = await self._fetch(GET.sql, GET.arguments({"project": self._slug, "resource_id": resource_id}))
        json_text: str = row["json"]
        return json_text.encode()

    async def _list(self, slug: str, query: str) -> bytes:
        given = dict(part.split("=") for part in query.split("&"))
        asked = self._lists[frozenset(given.keys() - {"limit"})]
        limit = int(given.get("limit", 100))
        changed: dict[str, Any] = {"project": slug, "limit": limit}
        if "status" in given:
            changed["status"] = given["status"]
        if "search" in given:
            changed["pattern"] = f"%{given['search']}%"
        if "cursor" in given:
            changed["after_id"] = after_id(given["cursor"])
        (row,) = await self._fetch(asked.statement.sql, asked.statement.arguments(asked.given | changed))
        return b"[" + (row["json"] or b"") + b"]"

    async def _edit(self, resource_id: int, headers: list[tuple[bytes, bytes]], description: str) -> bytes:
        """Who asks, then the row, then its change with the entry that tells of it, unless it has changed meanwhile."""
        token = next(value for name, value in headers if name == b"authorization").partition(b" ")[2].decode()
        now = datetime.now(UTC)
        user_id, session_id = self._tokens.read_access(token, at=now)
        asking = {"session_id": session_id, "user_id": user_id, "at": now, "idle_since": now - IDLE_LIFETIME}
        (user,) = await self._fetch(USER_OF.sql, USER_OF.arguments(asking))
        while True:  # once, but where another one was first
            (row,) = await self._fetch(LIVE_ONE.sql, LIVE_ONE.arguments({"project": self._slug, "resource_id": resource_id}))
            found = dict(row)
            found |= {
                "description": description,
                "search_text": f"{found['name']}\x1f{description}".casefold(),
                "updated_at": now,
                "version": found["version"] + 1,
                "version_before": found["version"],
                "project": self._slug,
            }
            entry = {"at": rfc3339(now), "actor_id": user_id, "action": "resource.update", "project": self._slug}
            entry |= {"target_type": "resource", "target_id": resource_id, "changes": [{"field": "description", "to": description}]}
            if await self._fetch(SWAP.sql, SWAP.arguments(found | {"entries": json.dumps([entry]), "request_id": None})):
                break
        told = {name: found[name] for name in ("id", "name", "description", "status", "version")}
        told |= {"project": self._slug, "created_by": user["username"], "is_active": True, "attributes": json.loads(found["attributes"])}
        return json.dumps(told | {"created_at": rfc3339(found["created_at"]), "updated_at": rfc3339(now)}).encode()

    async def _save(self, answer: dict[str, Any]) -> tuple[int, bytes]:
        field, value, fingerprint = answer["field"], answer["value"], answer["fingerprint"]
        token = self._respondents.token()
        asked = self._saves[field]
        arguments = asked.statement.arguments(
            asked.given
            | {
                "pseudonym": self._respondents.pseudonym(project_id=self._survey.project_id, fingerprint=fingerprint),
                "token_hash": self._respondents.hash(token),
                "patch": json.dumps({field: value}),
                "versions": json.dumps({field: self._survey.version}),
                "save": uuid4(),
                "at": datetime.now(UTC),
            }
        )
        (row,) = await self._fetch(asked.statement.sql, arguments)
        saved = {
            "message": "Created" if row["created"] else "Updated",
            "fingerprint": fingerprint,
            "field": field,
            "value": value,
            "survey_version": self._survey.version,
        }
        if field in self._codes:
            saved["code"] = self._codes[field](value)
        if row["created"]:
            saved["respondent_token"] = token
        return 201 if row["created"] else 200, json.dumps(saved).encode()

    async def _fetch(self, sql: str, arguments: Sequence[Any]) -> list[asyncpg.Record]:
        connection = self._free.pop()
        try:
            rows: list[asyncpg.Record] = await connection.fetch(sql, *arguments)
            return rows
        finally:
            self._free.append(connection)

    async def _list_statement(self, where: Filter, *, after: After | None = None) -> _Asked:
        return await _asked_by(PostgresResourceReader(_Recorder()).page(where, sort=Sort.ID, limit=100, after=after))

    async def _save_statement(self, field: str, value: object = None) -> _Asked:
        """What saving this field runs; the caller replaces what differs from save to save. JSON goes as text: there is no codec."""
        asked = await _asked_by(
            PostgresResponses(_Recorder()).save(
                self._survey.accept({field: value}),
                project_id=self._survey.project_id,
                pseudonym=b"",
                token_hash=b"",
                is_shown=False,
                seq=None,
                at=datetime.now(UTC),
            )
        )
        as_text = {name: json.dumps(asked.given[name]) for name in ("seqs", "gate_accept") if name in asked.given}
        return _Asked(asked.statement, asked.given | as_text)


async def _serve(database_url: str, pepper: str, tokens: JoseTokens, *, slug: str, port: int) -> None:
    async with Pool(database_url, size=1) as pool:
        survey = await PostgresSurveys(pool).get(slug)
    bare = Bare(survey, HmacRespondents(pepper.encode()), tokens)
    await bare.open(database_url.replace("+asyncpg", "", 1))
    config = uvicorn.Config(
        bare, host="127.0.0.1", port=port, http="httptools", lifespan="off", access_log=False, log_level="warning", proxy_headers=False
    )
    await uvicorn.Server(config).serve()


def main() -> None:
    """Serve, as the environment says: the service's own settings, and SLUG_VARIABLE and PORT_VARIABLE."""
    settings = load()
    assert settings.database_url is not None
    assert settings.pepper is not None
    slug, port = os.environ[SLUG_VARIABLE], int(os.environ[PORT_VARIABLE])
    keys = [key.encode() for key in settings.secret_key]
    tokens = JoseTokens(keys, access_lifetime=timedelta(minutes=settings.access_token_minutes))
    uvloop.run(_serve(settings.database_url, settings.pepper, tokens, slug=slug, port=port))


if __name__ == "__main__":
    main()
