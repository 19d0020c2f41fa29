"""Running a use case once: what makes two requests the same, and what of an answer is kept."""

import hashlib
from functools import partial
from typing import Any

import pytest
from dependency_injector import providers
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response

from application.project import CreateProject
from domain.access import Role
from domain.errors import DomainError
from domain.idempotency import BadKey, KeyReused
from domain.project import Project
from entrypoints.http.idempotency import MakesOnce, decoded, encoded
from entrypoints.runtime import Deployment
from entrypoints.settings import Settings
from tests.examples import ADMIN
from tests.fakes.store import Store
from tests.fakes.system import FakeClock
from tests.fakes.unit_of_work import FakeUnitOfWork

NOWHERE = Deployment(database_url="postgresql+asyncpg://nowhere", secret_keys=("0" * 32,), pepper="0" * 32)


class Scene:
    """A route that makes projects, over memory."""

    def __init__(self) -> None:
        unit_of_work = partial(FakeUnitOfWork, Store())
        container = NOWHERE.container(Settings())
        container.unit_of_work.override(providers.Object(unit_of_work))
        self.once = MakesOnce(container)
        self.create = CreateProject(unit_of_work=unit_of_work, clock=FakeClock())

    async def post(
        self, slug: str = "a", *, path: str = "/p", query: bytes = b"", body: bytes = b"", keys: tuple[bytes, ...] = (b"key",), **more: Any
    ) -> Response:
        headers = [(b"idempotency-key", key) for key in keys]
        scope = {"type": "http", "method": "POST", "path": path, "query_string": query, "headers": headers, "body": body, "path_params": {}}
        return await self.once(Request(scope), self.create, answer, by=ADMIN, slug=slug, title="T", **more)


def answer(project: Project) -> Response:
    return Response(project.slug, 201, {"location": f"/{project.slug}", "x-text": "é"})


async def test_the_first_answer_comes_again() -> None:
    assert ADMIN.role is Role.ADMIN
    scene = Scene()
    first, again = await scene.post(), await scene.post()
    assert (first.status_code, bytes(first.body)) == (201, b"a")
    assert set(again.raw_headers) == {*first.raw_headers, (b"idempotency-replayed", b"true")}
    assert (again.status_code, again.body) == (first.status_code, first.body)


@pytest.mark.parametrize(
    "other",
    [
        {"path": "/q"},
        {"query": b"x=1"},
        {"body": b"x"},
        {"path": "/p?", "query": b""},
        {"body_digest": hashlib.sha256(b"x").digest()},
    ],
    ids=repr,
)
async def test_a_request_that_differs_in_anything_is_another(other: dict[str, Any]) -> None:
    scene = Scene()
    await scene.post()
    with pytest.raises(KeyReused):
        await scene.post(**other)


async def test_a_streamed_body_is_known_by_its_digest() -> None:
    scene = Scene()
    one, two = (hashlib.sha256(part).digest() for part in (b"one", b"two"))
    assert "idempotency-replayed" not in (await scene.post(body_digest=one)).headers
    assert (await scene.post(body_digest=one)).headers["idempotency-replayed"] == "true"
    with pytest.raises(KeyReused):
        await scene.post(body_digest=two)


async def test_without_a_key_a_refusal_is_raised() -> None:
    scene = Scene()
    await scene.post(keys=())
    with pytest.raises(DomainError):
        await scene.post(keys=())


async def test_two_keys_are_none() -> None:
    with pytest.raises(BadKey):
        await Scene().post(keys=(b"key", b"key"))


@given(st.integers(200, 599), st.dictionaries(st.from_regex(r"\Ax-[a-z]{1,9}\Z"), st.text(st.characters(max_codepoint=255))), st.binary())
def test_an_answer_survives_as_bytes(status: int, headers: dict[str, str], body: bytes) -> None:
    response = Response(body, status, headers)
    again = decoded(encoded(response), is_replay=False)
    assert (again.status_code, again.body, sorted(again.raw_headers)) == (status, body, sorted(response.raw_headers))
