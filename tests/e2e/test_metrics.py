"""The metrics: who may read them, that they tell what happened, over all workers, and nothing of whom."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from entrypoints.container import CONNECTIONS
from tests.e2e.client import ADMIN_PASSWORD, Service, client, log_in, problem, serving, token_of, unique, until

SECONDS = "complex_stories_http_request_seconds_count"
FINGERPRINT = "a-very-private-fingerprint"


def told(reader: httpx.Client) -> dict[str, dict[frozenset[tuple[str, str]], float]]:
    """The samples of a scrape, by name and labels."""
    answer = reader.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found: dict[str, dict[frozenset[tuple[str, str]], float]] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
    return found


def counted(reader: httpx.Client, name: str, **labels: str) -> float:
    return told(reader).get(name, {}).get(frozenset(labels.items()), 0.0)


def save(web: httpx.Client, fingerprint: str, value: str = "accepted", seq: int | None = None) -> int:
    body: dict[str, object] = {
        "fingerprint": fingerprint,
        "field": "consent",
        "value": value,
        "respondent_token": fingerprint.ljust(43, "-"),
    }
    body |= {} if seq is None else {"seq": seq}
    return web.post("/dark-data/survey/upsert", json=body).status_code


@pytest.fixture(scope="module")
def watched(database: dict[str, str]) -> Iterator[Service]:
    """A service whose metrics are open, and two processes of it."""
    settings = {"ADMIN_PASSWORD": ADMIN_PASSWORD, "RATE_LIMITS": "off", "METRICS": "open", "LOG_FORMAT": "json"} | database
    with serving("--demo", "--workers", "2", folder=None, **settings) as service:
        yield service


def test_metrics_are_for_admins_and_their_keys_that_read(service: Service, admin: httpx.Client, member: httpx.Client) -> None:
    told(admin)
    problem(member.get("/metrics"), 403, "not-allowed")
    problem(httpx.get(f"{service.url}/metrics"), 401, "unauthenticated")
    keys = {
        scope: admin.post("/auth/api-keys", json={"name": unique("scrape"), "scopes": [scope], "expires_in_days": 1}).json()
        for scope in ("read", "write")
    }
    with client(service.url, keys["read"]["key"]) as scraper:
        told(scraper)
    assert admin.get("/metrics").headers["cache-control"] == "no-store"


def test_an_annotator_reads_no_metrics(service: Service, annotator: httpx.Client) -> None:
    problem(annotator.get("/metrics"), 403, "not-allowed")


def test_metrics_are_never_limited(database: dict[str, str]) -> None:
    with serving(folder=None, ADMIN_PASSWORD=ADMIN_PASSWORD, RATE_LIMITS="public-read=1/hour", METRICS="open", **database) as service:
        with client(service.url) as anybody:
            answers = [anybody.get("/metrics") for _ in range(20)]
        assert {answer.status_code for answer in answers} == {200}
        assert not any("ratelimit" in answer.headers for answer in answers)
        assert httpx.get(f"{service.url}/openapi.json").json()["paths"]["/metrics"]


def test_metrics_that_are_off_are_nowhere(database: dict[str, str]) -> None:
    with serving("--demo", folder=None, ADMIN_PASSWORD=ADMIN_PASSWORD, METRICS="off", **database) as service:
        with client(service.url, token_of(log_in(service.url, "admin", ADMIN_PASSWORD))) as admin:
            problem(admin.get("/metrics"), 404, "not-found")
            assert "/metrics" not in admin.get("/admin/openapi.json").json()["paths"]
            assert "/metrics" not in admin.get("/openapi.json").json()["paths"]
            assert admin.get("/dark-data").status_code == 200


def test_a_scrape_of_either_worker_tells_the_sum_of_both(watched: Service) -> None:
    """Each request goes over a connection of its own, so that both workers have their share."""
    asked = 60
    labels = {"method": "GET", "route": "/{project}", "status": "2xx"}
    with client(watched.url) as anybody:
        before = counted(anybody, SECONDS, **labels)
    with ThreadPoolExecutor(20) as threads:
        assert set(threads.map(lambda _: httpx.get(f"{watched.url}/dark-data").status_code, range(asked))) == {200}
    for _ in range(10):
        with client(watched.url) as anybody:
            assert counted(anybody, SECONDS, **labels) == before + asked


def test_gauges_are_the_sum_over_workers(watched: Service) -> None:
    with client(watched.url) as anybody:
        until(lambda: counted(anybody, "complex_stories_database_connections_max") == 2 * CONNECTIONS, "both workers told of their pools")
        assert counted(anybody, "complex_stories_http_requests_in_flight") >= 1  # this one


def test_saves_are_counted_by_what_came_of_them(watched: Service) -> None:
    name = "complex_stories_saves_total"
    with client(watched.url) as reader:
        before = told(reader)[name]
        fingerprint = unique("a-reader")
        statuses = [save(reader, fingerprint, seq=5), save(reader, fingerprint, seq=6), save(reader, fingerprint, seq=6)]
        assert statuses == [201, 200, 200]
        assert save(reader, fingerprint, "perhaps") == 400
        assert save(reader, "short") == 422  # not judged at all
        after = told(reader)[name]
    assert {dict(labels)["outcome"]: value - before[labels] for labels, value in after.items()} == {
        "created": 1,
        "updated": 1,
        "stale": 1,
        "refused": 1,
        "failed": 0,
    }


def test_metrics_tell_nothing_of_what_people_sent(watched: Service) -> None:
    with client(watched.url) as reader:
        save(reader, FINGERPRINT)
        reader.get("/dark-data/resources?search=private-search")
        reader.get("/no-such-project-at-all/with/a/tail")
        text = reader.get("/metrics").text
    for private in (FINGERPRINT, "private-search", "dark-data", "no-such-project", "127.0.0.1"):
        assert private not in text
    assert 'route="none"' in text


def test_every_metric_says_what_it_is(admin: httpx.Client) -> None:
    lines = admin.get("/metrics").text.splitlines()
    kinds = {line.split()[2] for line in lines if line.startswith("# TYPE complex_stories_")}
    explained = {line.split()[2]: line.split(maxsplit=3)[3] for line in lines if line.startswith("# HELP complex_stories_")}
    assert set(explained) == kinds
    assert len(kinds) >= 7
    assert all(len(text) > 20 for text in explained.values())


def test_the_database_that_fails_is_counted(database: dict[str, str]) -> None:
    """Only where it is the service's own, that is."""
    if database:
        pytest.skip("the database is not the service's own")
    with serving("--demo", folder=None, ADMIN_PASSWORD=ADMIN_PASSWORD, RATE_LIMITS="off", METRICS="open") as service:
        with client(service.url) as anybody:
            assert counted(anybody, "complex_stories_failures_total", of="database") == 0
            pid = int((service.folder / "postgres" / "postmaster.pid").read_text().splitlines()[0])
            os.kill(pid, signal.SIGQUIT)
            until(lambda: anybody.get("/health").status_code == 503, "the loss is noticed")
            saves = [save(anybody, FINGERPRINT) for _ in range(3)]
            assert saves == [503, 503, 503]
            assert counted(anybody, "complex_stories_failures_total", of="database") >= 4
            assert counted(anybody, "complex_stories_saves_total", outcome="failed") == 3
            assert anybody.get("/health/live").status_code == 200


def test_a_worker_that_dies_takes_its_gauges_and_leaves_its_counts(database: dict[str, str]) -> None:
    settings = {"ADMIN_PASSWORD": ADMIN_PASSWORD, "RATE_LIMITS": "off", "METRICS": "open"} | database
    maximum = "complex_stories_database_connections_max"
    with serving("--demo", "--workers", "2", folder=None, **settings) as service:
        for _ in range(20):
            httpx.get(f"{service.url}/dark-data")
        with client(service.url) as anybody:
            until(lambda: counted(anybody, maximum) == 2 * CONNECTIONS, "both workers told of their pools")
            asked = counted(anybody, SECONDS, method="GET", route="/{project}", status="2xx")
        first, *_ = workers_of(service.process.pid)
        folder = metrics_of(first)
        os.kill(first, signal.SIGKILL)
        until(lambda: len(list(folder.glob("gauge_livesum_*.db"))) == 3, "another worker told of its pool")
        with client(service.url) as anybody:
            until(lambda: counted(anybody, maximum) == 2 * CONNECTIONS, "the gauges are of the living")
            assert not list(folder.glob(f"gauge_livesum_{first}.db"))
            assert counted(anybody, SECONDS, method="GET", route="/{project}", status="2xx") == asked
        assert service.stop() == 0
        assert not folder.exists()


def workers_of(pid: int) -> list[int]:
    """The processes that a process started to serve."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ")]


def metrics_of(pid: int) -> Path:
    """Where a worker keeps its metrics."""
    variables = dict(line.partition("=")[::2] for line in Path(f"/proc/{pid}/environ").read_text().split("\0"))
    return Path(variables["PROMETHEUS_MULTIPROC_DIR"])
