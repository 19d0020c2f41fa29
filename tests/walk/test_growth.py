"""What many requests of each kind leave behind, in the database and in the store: no more than is declared here.

One person sends the same kind of request again and again about the same things, each time saying something else where that makes a
difference. A route that is not declared leaves nothing; one that does and is not declared fails.
"""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from adapters.postgres.database import Pool
from adapters.postgres.tables import metadata
from domain.access import Role
from domain.api_key import LIVE_MAX as KEYS_MAX
from domain.export.stored import LIVE_MAX
from domain.resource import VERSIONS_MAX
from tests.postgres import drop_database, lent, make_database
from tests.walk.examples import EXAMPLES, FINGERPRINT, LABEL_SET, PLACES, SURVEY, Given
from tests.walk.scene import Scene, scene_in
from tests.walk.test_walk import KNOWN, made

KIB = 1024
TIMES = 12
LARGE = 8 * KIB  # of attributes that an edit sends
BESIDE = {"audit_links", "audit_waiting"}  # added and taken in the background, for each entry one of at most 100 bytes
WAITING = "SELECT count(*) FROM exports WHERE status IN ('queued', 'running')"

Content = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What a request leaves at most: so many bytes `each`, and besides, however many there are, so many `in_all`.

    `content` is what the request of this number sends, where the example of the route would say the same again; it is sent so many
    `times`.
    """

    each: int = 0
    in_all: int = 0
    content: Callable[[int], Content] | None = None
    times: int = TIMES


def random(size: int) -> str:
    """A text that no compression makes smaller."""
    return secrets.token_hex(size // 2)


def json(**values: Callable[[int], Any]) -> Callable[[int], Content]:
    """A body with these values, made anew for each number."""
    return lambda number: {"json": {name: value(number) for name, value in values.items()}}


def numbered(number: int) -> str:
    return f"number {number}"


def titled(document: Mapping[str, Any]) -> Callable[[int], Content]:
    """A body like this under another title each time."""
    return lambda number: {"json": {**document, "title": numbered(number)}}


def labelled(number: int) -> Content:
    return {"json": {"value": number % 2 == 0, "note": random(KIB)}}


def answered(number: int) -> Content:
    return {"json": {"fingerprint": FINGERPRINT, "field": "trust", "value": number % 7 + 1}}


def answered_all(number: int) -> Content:
    return {"json": {"fingerprint": FINGERPRINT, "answers": {"trust": number % 7 + 1, "age": number}}}


def rows(number: int) -> Content:
    return {"content": f"name\nFigure {number}\n"}


ENTRY = Left(each=KIB)  # in the trail, and a row of numbers and short texts
EDIT = Left(
    each=3 * KIB,  # the entry has the beginnings of what was and what is
    in_all=(VERSIONS_MAX + 1) * (LARGE + KIB),
    content=json(attributes=lambda _: {"a": random(LARGE)}),
    times=250,
)
LEAVES: dict[tuple[str, str], Left] = {
    ("POST", "/admin/projects"): ENTRY,
    ("PATCH", "/admin/projects/{project}"): replace(ENTRY, content=json(title=numbered)),
    ("DELETE", "/admin/projects/{project}"): ENTRY,
    ("POST", "/admin/{project}/resources"): replace(ENTRY, content=json(name=numbered)),
    ("PUT", "/admin/{project}/resources/{resource_id}"): EDIT,
    ("PATCH", "/admin/{project}/resources/{resource_id}"): EDIT,
    ("DELETE", "/admin/{project}/resources/{resource_id}"): ENTRY,
    ("POST", "/admin/{project}/resources/{resource_id}/restore"): ENTRY,
    ("POST", "/admin/{project}/resources/{resource_id}/versions/{number}/restore"): ENTRY,
    ("PUT", "/admin/{project}/resources/{resource_id}/owner"): ENTRY,
    ("POST", "/admin/{project}/resources/import"): replace(ENTRY, content=rows),
    ("POST", "/admin/{project}/upload"): ENTRY,  # and the picture, a small one
    ("DELETE", "/admin/{project}/files/{file_id}"): ENTRY,
    ("POST", "/admin/{project}/exports"): Left(in_all=LIVE_MAX * 2 * KIB, times=LIVE_MAX + 20),
    ("DELETE", "/admin/{project}/exports/{export_id}"): ENTRY,
    ("GET", "/admin/{project}/exports/{export_id}/content"): ENTRY,
    ("POST", "/{project}/survey/upsert"): replace(ENTRY, content=answered),
    ("POST", "/{project}/survey/answers"): replace(ENTRY, content=answered_all),
    ("DELETE", "/{project}/survey/response"): ENTRY,
    ("GET", "/{project}/survey/results"): Left(in_all=4 * KIB),  # what is published, once
    ("GET", "/admin/{project}/survey/results"): ENTRY,
    ("PUT", "/admin/{project}/survey"): Left(each=2 * KIB, content=titled(SURVEY)),
    ("POST", "/admin/{project}/survey/open"): ENTRY,
    ("POST", "/admin/{project}/survey/close"): ENTRY,
    ("GET", "/admin/{project}/survey/responses"): ENTRY,
    ("GET", "/admin/{project}/survey/responses/export"): ENTRY,
    ("DELETE", "/admin/{project}/survey/responses"): ENTRY,
    ("DELETE", "/admin/{project}/survey/responses/{respondent}"): ENTRY,
    ("PUT", "/admin/{project}/label-sets/{label_set}"): replace(ENTRY, content=titled(LABEL_SET)),
    ("PUT", "/admin/{project}/resources/{resource_id}/annotations/{label_set}"): Left(each=5 * KIB, content=labelled),
    ("DELETE", "/admin/{project}/resources/{resource_id}/annotations/{label_set}"): ENTRY,
    ("POST", "/admin/{project}/annotations/import"): ENTRY,
    ("GET", "/admin/{project}/annotations/next"): ENTRY,
    ("GET", "/admin/{project}/annotations/export"): ENTRY,
    ("POST", "/auth/register"): ENTRY,
    ("POST", "/auth/login"): replace(ENTRY, times=60),
    ("POST", "/auth/refresh"): ENTRY,  # of the session that is begun to be refreshed
    ("POST", "/auth/logout"): ENTRY,
    ("POST", "/auth/set-password"): Left(each=2 * KIB),  # and the account that is made to set it for
    ("PUT", "/auth/profile"): replace(ENTRY, content=json(email=lambda number: f"p{number}@example.org")),
    ("PUT", "/auth/change-password"): ENTRY,
    ("DELETE", "/auth/sessions"): ENTRY,
    ("DELETE", "/auth/sessions/{session_id}"): ENTRY,
    ("POST", "/auth/api-keys"): Left(in_all=KEYS_MAX * KIB, times=KEYS_MAX + 20),
    ("DELETE", "/auth/api-keys/{key_id}"): ENTRY,
    ("POST", "/admin/users"): ENTRY,
    ("PATCH", "/admin/users/{user_id}"): replace(ENTRY, content=json(role=lambda number: ("annotator", "member")[number % 2])),
    ("POST", "/admin/users/{user_id}/reset"): ENTRY,
    ("POST", "/admin/users/import"): ENTRY,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The scene, and what it has kept so far."""

    scene: Scene
    pool: Pool
    folder: Path

    async def bytes(self) -> int:
        """Once no export waits: those are made in the background."""
        async with lent(self.pool) as connection:
            while await connection.fetchval(WAITING):  # noqa: ASYNC110 - the service makes them, and tells by their status alone
                await asyncio.sleep(0.02)
            tables = [table.name for table in metadata.sorted_tables if table.name not in BESIDE]
            sums = [await connection.fetchval(f"SELECT coalesce(sum(pg_column_size(t)), 0) FROM {name} AS t") for name in tables]
        in_store = sum(path.stat().st_size for path in (self.folder / "files").rglob("*") if path.is_file())
        return int(sum(sums)) + in_store


@pytest.fixture(scope="module")
async def kept(server: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Kept]:
    url, folder = await make_database(server), tmp_path_factory.mktemp("growth")
    async with scene_in(url, folder) as scene, Pool(url, size=1) as pool:
        yield Kept(scene=scene, pool=pool, folder=folder)
    await drop_database(url, server=server)


@pytest.mark.parametrize(("method", "path"), KNOWN, ids=[" ".join(key) for key in KNOWN])
async def test_no_kind_of_request_leaves_more_than_is_declared(kept: Kept, method: str, path: str) -> None:
    left, example = LEAVES.get((method, path), Left(times=3)), EXAMPLES[method, path]
    person = await kept.scene.person(Role.ADMIN)
    it = Given(scene=kept.scene, owner=person)
    for name in re.findall(r"{([a-z_]+)}", path):
        it.path[name] = await PLACES[name](it)
    if example.before is not None:
        await example.before(it)
    token = (await kept.scene.sign_in(person)).access_token
    headers = {"authorization": f"Bearer {token}"} | dict(example.headers)
    before, done = await kept.bytes(), 0
    for number in range(left.times):
        content: dict[str, Any] = {"json": await made(example.json, it), "content": await made(example.text, it), "files": example.files}
        content |= left.content(number) if left.content else {}
        given = {name: value for name, value in content.items() if value}
        answer = await kept.scene.web.request(method, path.format(**it.path), headers=headers, params=dict(example.query), **given)
        assert answer.status_code < 500, answer.text
        done += answer.is_success
    assert done, answer.text
    grown = await kept.bytes() - before
    assert grown <= left.each * left.times + left.in_all


def test_a_thousand_requests_of_every_kind_leave_little() -> None:
    assert LEAVES.keys() <= KNOWN.keys()
    assert sum(1_000 * left.each + left.in_all for left in LEAVES.values()) < 64 * KIB * KIB


def test_whatever_changes_something_is_declared() -> None:
    assert {key for key in KNOWN if key[0] != "GET"} <= LEAVES.keys()
