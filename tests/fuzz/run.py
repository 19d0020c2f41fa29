"""One bounded run of generated requests against a service of one's own.

Each case is generated once, from the document, and sent by nobody in particular, a member, an annotator and an admin. Most
cases name things that exist, so that more than 404 is met. Nothing is left to chance: the seed decides.
"""

import json
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode

from tests.e2e.client import ADMIN_PASSWORD, PASSWORD, Service, client, log_in, make_project, make_resource, make_user, token_of, unique
from tests.e2e.test_survey import DEFINITION

ROLES = ("anonymous", "member", "annotator", "admin")
PROBLEM = "application/problem+json"
LABEL_SET = {"title": "Sound", "type": "boolean", "level": "nominal"}
LONGEST_TARGET = 60_000  # beyond it the server closes while the client is still sending


class Broken(AssertionError):
    """An answer that no request may get."""


@dataclass(slots=True)
class Tally:
    """What was sent and what came of it."""

    sent: int = 0
    by_role: Counter[tuple[str, int]] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def count(self, role: str, operation: str, response: requests.Response) -> None:
        self.sent += 1
        self.by_role[role, response.status_code // 100] += 1
        fault = fault_of(response)
        if fault:
            asked = response.request
            body = None if asked.body is None else str(asked.body)[:500]
            self.broken.append(f"{role} {operation}: {fault}: {asked.method} {asked.url} {body!r}")


def fault_of(response: requests.Response) -> str | None:
    """What is wrong with an answer, whatever was asked."""
    if response.status_code >= 500:
        return f"{response.status_code} {response.text[:200]}"
    if response.status_code >= 400:
        if response.headers.get("content-type") != PROBLEM:
            return f"{response.status_code} as {response.headers.get('content-type')}"
        if response.request.method != "HEAD" and response.json()["status"] != response.status_code:
            return f"{response.status_code} that says {response.json()['status']}"
    if "server" in response.headers or "x-request-id" not in response.headers:
        return f"{response.status_code} without the headers of every answer"
    return None


class Crowd:
    """Somebody of each role, and things for the requests to be about, made anew where a request has undone them."""

    def __init__(self, service: Service, chance: random.Random) -> None:
        self.url = service.url
        self._chance = chance
        self._session = requests.Session()
        self._names = {"member": unique("member"), "annotator": unique("annotator")}
        self._tokens: dict[str, str] = {}
        self._victims: list[int] = []
        self._protected: set[int] = set()
        self.project = ""
        with self._as_admin() as admin:
            for role, name in self._names.items():
                make_user(admin, name, role)
            self._protected = {user["id"] for user in admin.get("/admin/users?limit=1000").json()}
            for _ in range(3):
                made = admin.post("/admin/users", json={"username": unique("victim"), "email": "v@example.org"}).json()
                self._victims.append(made["id"])

    def _as_admin(self) -> httpx.Client:
        token = self._tokens.get("admin")
        if token is None:
            token = self._tokens["admin"] = token_of(log_in(self.url, "admin", ADMIN_PASSWORD))
        return client(self.url, token)

    def gather(self) -> None:
        """Sign in again whom a request has signed out, and make again what is gone."""
        for role in ROLES[1:]:
            name, password = ("admin", ADMIN_PASSWORD) if role == "admin" else (self._names[role], PASSWORD)
            token = self._tokens.get(role)
            if token is None or httpx.get(f"{self.url}/auth/me", headers={"authorization": f"Bearer {token}"}).status_code != 200:
                self._tokens[role] = token_of(log_in(self.url, name, password))
        if not self.project or httpx.get(f"{self.url}/{self.project}").status_code != 200:
            with self._as_admin() as admin:
                self.project = make_project(admin)
                admin.put(f"/admin/{self.project}/survey", json=DEFINITION).raise_for_status()
                admin.put(f"/admin/{self.project}/label-sets/sound", json=LABEL_SET).raise_for_status()
                self._resources = [make_resource(admin, self.project)["id"] for _ in range(6)]

    def aim(self, case: Case[Any]) -> None:
        """Let most cases name what exists; none names an account that the run needs."""
        at = case.path_parameters
        if not at:
            return
        if self._chance.random() < 0.75:
            known: dict[str, Any] = {"project": self.project, "resource_id": self._chance.choice(self._resources), "code": "invalid"}
            known["label_set"] = "sound"
            at.update({name: known[name] for name in at if name in known})
        if "user_id" in at and (self._chance.random() < 0.5 or at["user_id"] in self._protected):
            at["user_id"] = self._chance.choice(self._victims)

    def send(self, role: str, case: Case[Any]) -> requests.Response | None:
        """The answer to a case; None when the client library cannot send such a thing."""
        headers = {} if role == "anonymous" else {"Authorization": f"Bearer {self._tokens[role]}"}
        try:
            wanted = requests.Request(**_sendable(case, self.url)).prepare()
        except (requests.RequestException, ValueError, UnicodeError):
            return None
        if len(wanted.url or "") > LONGEST_TARGET:
            return None
        for name in ("Authorization", "Cookie", "X-Schemathesis-TestCaseId"):
            wanted.headers.pop(name, None)
        wanted.headers.update(headers)
        return self._session.send(wanted, timeout=30, allow_redirects=False)


def _sendable(case: Case[Any], url: str) -> dict[str, Any]:
    given = case.as_transport_kwargs(base_url=url)
    return {name: given[name] for name in ("method", "url", "headers", "params", "json", "data") if name in given}


def operations(service: Service) -> Iterator[Any]:
    """Every operation of both documents."""
    token = token_of(log_in(service.url, "admin", ADMIN_PASSWORD))
    for path, headers in (("/openapi.json", {}), ("/admin/openapi.json", {"authorization": f"Bearer {token}"})):
        document = json.loads(httpx.get(f"{service.url}{path}", headers=headers).raise_for_status().content)
        found: Iterator[Any] = schemathesis.openapi.from_dict(document).get_all_operations()
        yield from (operation.ok() for operation in found)


def fuzz(service: Service, *, examples: int, seed: int, at_most: int | None = None) -> Tally:
    """Send up to `examples` valid and as many invalid cases of each operation as each role, and `at_most` requests in all."""
    tally = Tally()
    crowd = Crowd(service, random.Random(seed))
    known = list(operations(service))
    if len(known) < 25:
        raise Broken(f"only {len(known)} operations in the documents")
    for operation in known:
        for mode in GenerationMode:
            crowd.gather()
            _try(operation, mode, crowd, tally, examples=examples, seed=seed, at_most=at_most)
    return tally


def _try(operation: Any, mode: GenerationMode, crowd: Crowd, tally: Tally, *, examples: int, seed: int, at_most: int | None) -> None:
    @seeded(seed)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send_as_everybody(case: Case[Any]) -> None:
        crowd.aim(case)
        for role in ROLES:
            if at_most is not None and tally.sent >= at_most:
                return
            response = crowd.send(role, case)
            if response is not None:
                tally.count(role, operation.label, response)

    with suppress(Unsatisfiable):  # where everything is allowed, nothing invalid can be made
        send_as_everybody()
