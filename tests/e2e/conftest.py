"""A real service for each worker, the people who use it, and projects of a test's own."""

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import pytest

from tests.e2e.client import (
    ADMIN_PASSWORD,
    PASSWORD,
    TOKEN_MINUTES,
    Service,
    client,
    log_in,
    make_project,
    make_user,
    register,
    serving,
    token_of,
    unique,
)
from tests.postgres import drop_database, make_database


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Those who ask: nobody in particular, and somebody of each role; `stranger` is another member."""

    anonymous: httpx.Client
    member: httpx.Client
    stranger: httpx.Client
    annotator: httpx.Client
    admin: httpx.Client


@pytest.fixture(scope="session")
def database() -> Iterator[dict[str, str]]:
    """Where the services keep their data: an embedded PostgreSQL each, or a database in `TEST_DATABASE_URL`."""
    server = os.environ.get("TEST_DATABASE_URL")
    if server is None:
        yield {}
        return
    with ThreadPoolExecutor(1) as outside_the_loop:
        url = outside_the_loop.submit(lambda: asyncio.run(make_database(server))).result()
        yield {"DATABASE_URL": url}
        outside_the_loop.submit(lambda: asyncio.run(drop_database(url, server=server))).result()


@pytest.fixture(scope="session")
def service(database: dict[str, str]) -> Iterator[Service]:
    """A service with the demo, open registration, no limits, and tokens that outlast the tests of a slow machine."""
    settings = {"ADMIN_PASSWORD": ADMIN_PASSWORD, "REGISTRATION": "open", "RATE_LIMITS": "off"} | database
    settings |= {"ACCESS_TOKEN_MINUTES": str(TOKEN_MINUTES)}
    with serving("--demo", folder=None, **settings) as running:
        yield running


@pytest.fixture(scope="session")
def people(service: Service) -> Iterator[People]:
    anonymous = client(service.url)
    admin = client(service.url, token_of(log_in(service.url, "admin", ADMIN_PASSWORD)))
    member, stranger = (client(service.url, register(service.url, unique("member"))) for _ in range(2))
    annotator = client(service.url, make_user(admin, unique("annotator"), "annotator"))
    everybody = People(anonymous=anonymous, member=member, stranger=stranger, annotator=annotator, admin=admin)
    yield everybody
    for person in (anonymous, admin, member, stranger, annotator):
        person.close()


@pytest.fixture(scope="session")
def anonymous(people: People) -> httpx.Client:
    return people.anonymous


@pytest.fixture(scope="session")
def member(people: People) -> httpx.Client:
    return people.member


@pytest.fixture(scope="session")
def stranger(people: People) -> httpx.Client:
    return people.stranger


@pytest.fixture(scope="session")
def annotator(people: People) -> httpx.Client:
    return people.annotator


@pytest.fixture(scope="session")
def admin(people: People) -> httpx.Client:
    return people.admin


@pytest.fixture
def project(admin: httpx.Client) -> str:
    """The slug of a project of this test's own."""
    return make_project(admin)


@pytest.fixture
def newcomer(service: Service) -> str:
    """The username of a member of this test's own, whose password is `PASSWORD`."""
    username = unique("newcomer")
    register(service.url, username)
    return username


@pytest.fixture
def newcomers_tokens(service: Service, newcomer: str) -> dict[str, str]:
    """The token answer of a fresh sign-in."""
    answer = log_in(service.url, newcomer, PASSWORD)
    assert answer.status_code == 200, answer.text
    tokens: dict[str, str] = answer.json()
    return tokens
