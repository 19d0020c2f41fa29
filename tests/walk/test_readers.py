"""Every public route asked for a reader with no token, a malformed one, a wrong one, another's and the reader's own, in each state that a
reader can be in: what may not be told is answered with equal bytes, status and headers, whatever is stored.
"""

import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import httpx
import pytest

from domain.access import Role
from tests.architecture.test_routes import ROUTES, guards, holds_token, template
from tests.postgres import drop_database, make_database
from tests.walk.examples import EXAMPLES, PLACES, Given
from tests.walk.scene import Scene, scene_in

pytestmark = pytest.mark.xdist_group("walk")

TOKENS = ("none", "malformed", "wrong", "another's", "own")
STATES = ("exists", "withdrew", "erased", "never was")
SAVES = {"/{project}/survey/upsert", "/{project}/survey/answers"}
OWN = "/{project}/survey/response"
CONSENT = {"field": "consent", "type": "choice", "choices": [{"value": "accepted"}, {"value": "declined"}]}
SURVEY = {
    "title": "Readers",
    "consent": {"field": "consent", "accept": "accepted"},
    "questions": [CONSENT, {"field": "age", "type": "integer"}],
}
PUBLIC = [route for route in ROUTES if "{project" in route.path and not guards(route) and not holds_token(route)]
KINDS = ("by token", "by fingerprint", "by fingerprint, token never shown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """A reader of a project, and the token: brought with the first save, unless it is never shown."""

    project: str
    brings_token: bool
    fingerprint: str = field(default_factory=lambda: f"reader-{secrets.token_hex(8)}")
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    def save(self, path: str, consent: str = "accepted") -> dict[str, Any]:
        said = {"field": "consent", "value": consent} if path.endswith("upsert") else {"answers": {"consent": consent}}
        return {"fingerprint": self.fingerprint} | said


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What may differ from reader to reader left out: the request's id, the reader's own name, times and a token that was just made."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: str

    @classmethod
    def of(cls, response: httpx.Response, reader: Reader) -> "Answer":
        kept = sorted((name, value) for name, value in response.headers.items() if name != "x-request-id")
        body = response.text.replace(reader.fingerprint, "READER").replace(response.headers["x-request-id"], "REQUEST")
        body = re.sub(r'"respondent_token":"[^"]{43}"', '"respondent_token":"MADE"', body)
        return cls(status=response.status_code, headers=tuple(kept), body=re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "TIME", body))


@pytest.fixture(scope="module")
async def scene(server: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    url = await make_database(server)
    async with scene_in(url, tmp_path_factory.mktemp("readers")) as running:
        yield running
    await drop_database(url, server=server)


@pytest.fixture(scope="module")
async def projects(scene: Scene) -> dict[str, str]:
    """A project for each kind of reader."""
    made = {}
    for kind in KINDS:
        slug = made[kind] = scene.unique("story")
        await scene.as_admin("POST", "/admin/projects", json={"slug": slug, "title": "A story"})
        await scene.as_admin("PUT", f"/admin/{slug}/survey", json=SURVEY | {"identity": kind.split(",")[0].removeprefix("by ")})
    return made


async def reader_in(scene: Scene, project: str, state: str, *, brings_token: bool) -> Reader:
    """A new reader in this state."""
    reader = Reader(project=project, brings_token=brings_token)
    if state == "never was":
        return reader
    headers = {"x-respondent-token": reader.token} if brings_token else {}
    path = f"/{project}/survey/answers"
    body = {"fingerprint": reader.fingerprint, "answers": {"consent": "accepted", "age": 41}}
    first = await scene.web.post(path, json=body, headers=headers)
    assert first.status_code == 201, first.text
    reader = (
        reader
        if brings_token
        else Reader(project=project, brings_token=False, fingerprint=reader.fingerprint, token=first.json()["respondent_token"])
    )
    if state == "withdrew":
        gone = await scene.web.post(path, json=reader.save(path, "declined"), headers=headers)
        assert gone.status_code == 200, gone.text
    if state == "erased":
        gone = await scene.web.delete(f"/{project}/survey/response", headers={"x-respondent-token": reader.token})
        assert gone.status_code == 204, gone.text
    return reader


async def ask(scene: Scene, method: str, path: str, reader: Reader, token: str, place: dict[str, Any]) -> Answer:
    another = await reader_in(scene, reader.project, "exists", brings_token=True)
    shown = {"malformed": "short", "wrong": secrets.token_urlsafe(32), "another's": another.token, "own": reader.token}
    headers = {} if token == "none" else {"x-respondent-token": shown[token]}
    body = reader.save(path) if path in SAVES else None
    address = path.format(**place | {"project": reader.project})
    query = EXAMPLES[method, path].query
    return Answer.of(await scene.web.request(method, address, json=body, headers=headers, params=dict(query)), reader)


async def asked(scene: Scene, method: str, path: str, project: str, kind: str) -> dict[tuple[str, str], Answer]:
    """The answers by token and state, each about a reader of its own."""
    place: dict[str, Any] = {}
    if set(re.findall(r"{([a-z_]+)}", path)) - {"project"}:
        it = Given(scene=scene, owner=await scene.person(Role.ADMIN))
        it.path["project"] = project
        for name in re.findall(r"{([a-z_]+)}", path):
            it.path[name] = project if name == "project" else await PLACES[name](it)
        place = it.path
    found = {}
    for token, state in product(TOKENS, STATES):
        reader = await reader_in(scene, project, state, brings_token=kind != KINDS[2])
        found[token, state] = await ask(scene, method, path, reader, token, place)
    return found


def alike(answers: dict[tuple[str, str], Answer], *which: tuple[str, str], status: int) -> Answer:
    """The one answer to all of these."""
    told = {answers[each] for each in which}
    assert len(told) == 1, "\n".join(f"{each}: {answers[each]}" for each in which)
    (answer,) = told
    assert answer.status == status, answer
    return answer


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("method", "path"),
    [(method, template(route)) for route in PUBLIC for method in route.methods or () if template(route) not in {*SAVES, OWN}],
)
async def test_no_other_route_knows_readers(scene: Scene, projects: dict[str, str], method: str, path: str, kind: str) -> None:
    answers = await asked(scene, method, path, projects[kind], kind)
    assert len(answers) == len(TOKENS) * len(STATES)
    assert len({(answer.status, answer.body) for answer in answers.values()}) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("method", "good"), [("GET", 200), ("DELETE", 204)])
async def test_only_the_own_token_opens_a_response(scene: Scene, projects: dict[str, str], kind: str, method: str, good: int) -> None:
    answers = await asked(scene, method, OWN, projects[kind], kind)
    closed = [*product(("none", "malformed", "wrong"), STATES), ("own", "erased"), ("own", "never was")]
    alike(answers, *closed, status=401)
    assert {answers["own", state].status for state in ("exists", "withdrew")} == {good}
    if method == "GET":  # whose answers these are does not depend on somebody else
        alike(answers, *product(("another's",), STATES), status=200)


@pytest.mark.parametrize("path", sorted(SAVES))
@pytest.mark.parametrize("kind", KINDS[:2])
async def test_a_save_for_an_owner_who_shows_the_token(scene: Scene, projects: dict[str, str], path: str, kind: str) -> None:
    answers = await asked(scene, "POST", path, projects[kind], kind)
    there, gone = ("exists", "withdrew"), ("erased", "never was")
    by_nobody = [("none", state) for state in (STATES if kind == KINDS[0] else there)]
    refused = [*by_nobody, *product(("malformed",), STATES), *product(("wrong",), there), *product(("another's",), STATES)]
    alike(answers, *refused, status=401)
    for token in ("wrong", "own"):
        alike(answers, *product((token,), gone), status=201)
    if kind == KINDS[1]:
        alike(answers, *product(("none",), gone), status=201)
    assert {answers["own", state].status for state in there} == {200}


@pytest.mark.parametrize("path", sorted(SAVES))
async def test_a_save_for_an_owner_whose_token_was_never_shown(scene: Scene, projects: dict[str, str], path: str) -> None:
    answers = await asked(scene, "POST", path, projects[KINDS[2]], KINDS[2])
    there, gone = ("exists", "withdrew"), ("erased", "never was")
    alike(answers, *product(("malformed",), STATES), *product(("wrong", "another's"), there), *product(("another's",), gone), status=401)
    alike(answers, *product(("none",), there), status=200)
    alike(answers, *product(("none",), gone), status=201)


def test_the_walk_has_the_routes_of_readers() -> None:
    found = {template(route) for route in PUBLIC}
    assert found >= SAVES | {OWN}
    assert len(found) > 10
