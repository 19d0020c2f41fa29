"""The service itself: what it is, how it is, what its problems mean, and what it does without its database."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.e2e.client import ADMIN_PASSWORD, at_once, client, log_in, problem, serving, token_of, until


def test_the_welcome_leads_on(anonymous: httpx.Client) -> None:
    welcome = anonymous.get("/").json()
    assert set(welcome) == {"name", "version", "links"}
    assert welcome["links"]
    for address in welcome["links"].values():
        assert anonymous.get(address).status_code == 200


@pytest.mark.parametrize("address", ["/health", "/health/ready", "/health/live"])
def test_health_is_told_to_anybody(anonymous: httpx.Client, address: str) -> None:
    answer = anonymous.get(address)
    assert (answer.status_code, answer.json()) == (200, {"status": "healthy"})


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("malformed", 400),
        ("invalid-answer", 400),
        ("unauthenticated", 401),
        ("invalid-credentials", 401),
        ("invalid-token", 401),
        ("not-allowed", 403),
        ("not-the-owner", 403),
        ("not-found", 404),
        ("method-not-allowed", 405),
        ("request-timeout", 408),
        ("name-taken", 409),
        ("slug-taken", 409),
        ("slug-reserved", 409),
        ("username-taken", 409),
        ("last-admin", 409),
        ("survey-closed", 409),
        ("consent-required", 409),
        ("breaking-change", 409),
        ("stale-version", 412),
        ("too-large", 413),
        ("uri-too-long", 414),
        ("unsupported-media-type", 415),
        ("invalid", 422),
        ("too-many-requests", 429),
        ("too-many-attempts", 429),
        ("headers-too-large", 431),
        ("internal-error", 500),
        ("unavailable", 503),
        ("storage-full", 507),
    ],
)
def test_every_code_is_explained(anonymous: httpx.Client, code: str, status: int) -> None:
    explained = anonymous.get(f"/problems/{code}")
    assert explained.status_code == 200
    assert set(explained.json()) == {"code", "title", "status", "explanation"}
    assert (explained.json()["code"], explained.json()["status"]) == (code, status)
    assert len(explained.json()["explanation"]) > 20


def test_an_unknown_code_is_not_found(anonymous: httpx.Client) -> None:
    problem(anonymous.get("/problems/no-such-code"), 404, "not-found")


def test_without_its_database_the_service_says_so_and_nothing_else() -> None:
    with serving("--demo", ADMIN_PASSWORD=ADMIN_PASSWORD, RATE_LIMITS="off") as service:
        token = token_of(log_in(service.url, "admin", ADMIN_PASSWORD))
        pid_file = service.folder / "postgres" / "postmaster.pid"
        os.kill(int(pid_file.read_text().splitlines()[0]), signal.SIGQUIT)
        with client(service.url) as anonymous, client(service.url, token) as admin:
            until(lambda: anonymous.get("/health").status_code == 503, "the loss is noticed")
            saved = {"fingerprint": "reader-0001", "field": "consent", "value": "accepted"}
            asked: list[Callable[[], httpx.Response]] = [
                lambda: anonymous.get("/health"),
                lambda: anonymous.get("/projects"),
                lambda: anonymous.get("/dark-data/resources/1"),
                lambda: anonymous.post("/dark-data/survey/upsert", json=saved),
                lambda: anonymous.post("/auth/login", json={"username": "admin", "password": ADMIN_PASSWORD}),
                lambda: admin.get("/auth/me"),
                lambda: admin.post("/admin/dark-data/resources", json={"name": "Lost"}),
            ]
            for answer in at_once(lambda number: asked[number](), len(asked)):
                told = problem(answer, 503, "unavailable")
                assert int(answer.headers["retry-after"]) >= 1
                assert not any(word in answer.text for word in ("Traceback", "asyncpg", "postgres", "socket", str(service.folder)))
                assert set(told) == {"type", "title", "status", "detail", "code", "request_id"}
            assert anonymous.get("/health/live").status_code == 200
            assert anonymous.get("/openapi.json").status_code == 200
        assert service.stop() == 0
    assert not Path(pid_file).exists()
