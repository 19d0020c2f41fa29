"""Limits that hold over two workers through Redis, and what becomes of them while Redis hangs."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.e2e.client import ADMIN_PASSWORD, Service, data_folder, problem, run, serving, until
from tests.valkey import PASSWORD, RedisServer, redis_server

pytestmark = pytest.mark.xdist_group("limited")

LIMIT = 40
RATES = f"public-read={LIMIT}/h,login={LIMIT}/h,survey-write={LIMIT}/h"
WORKERS = 2


@pytest.fixture(scope="module")
def valkey() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture(scope="module")
def shared(database: dict[str, str], valkey: RedisServer) -> Iterator[Service]:
    settings = {"ADMIN_PASSWORD": ADMIN_PASSWORD, "RATE_LIMITS": RATES, "REDIS_URL": valkey.url, "LOG_FORMAT": "json", "METRICS": "open"}
    with serving("--demo", "--workers", str(WORKERS), folder=None, **settings, **database) as service:
        until(lambda: valkey.clients() == WORKERS, "both workers serve")
        yield service


def flood(service: Service, address: str, times: int, **options: object) -> Counter[int]:
    """Answers by status, over so many connections that both workers have their share."""

    async def ask() -> list[int]:
        limits = httpx.Limits(max_connections=30, max_keepalive_connections=0)
        async with httpx.AsyncClient(base_url=service.url, timeout=30, limits=limits) as web:
            method = "POST" if options else "GET"
            answers = await asyncio.gather(*(web.request(method, address, **options) for _ in range(times)))  # type: ignore[arg-type]
        return [answer.status_code for answer in answers]

    with ThreadPoolExecutor(1) as outside_the_loop:
        return Counter(outside_the_loop.submit(lambda: asyncio.run(ask())).result())


def told(service: Service, event: str) -> int:
    """How many lines of the log say this."""
    return sum(event in line for line in service.err.splitlines())


def apart(service: Service) -> int:
    """How many workers count for themselves, as `/metrics` tells it."""
    (line,) = [line for line in httpx.get(f"{service.url}/metrics").text.splitlines() if line.startswith("complex_stories_limits_apart ")]
    return int(float(line.split()[1]))


def rejoined(service: Service) -> None:
    """Wait until every worker that took Redis for away has found it again."""
    until(lambda: told(service, "redis is back") == told(service, "redis is away"), "both workers count in Redis", seconds=20)


def undisturbed(service: Service, addresses: Iterable[str], times: int) -> tuple[str, Counter[int]]:
    """The first of these addresses at which no worker took Redis for slow, as on a busy machine it may, and the answers there."""
    return first_undisturbed(service, addresses, lambda address: flood(service, address, times))


def first_undisturbed(service: Service, callers: Iterable[str], ask: Callable[[str], Counter[int]]) -> tuple[str, Counter[int]]:
    for caller in callers:
        rejoined(service)
        before = told(service, "redis is away")
        answers = ask(caller)
        if told(service, "redis is away") == before:
            return caller, answers
    pytest.skip("This machine is too busy for Redis to be asked in time.")


def test_a_limit_holds_over_both_workers(shared: Service) -> None:
    address, answers = undisturbed(shared, ["/projects", "/", "/openapi.json", "/dark-data/survey/codebook"], 5 * LIMIT)
    assert answers == {200: LIMIT, 429: 4 * LIMIT}
    refused = httpx.get(f"{shared.url}{address}")
    problem(refused, 429, "too-many-requests")
    assert 0 < int(refused.headers["retry-after"]) <= 3600
    assert refused.headers["ratelimit"].startswith('"public-read";r=0;t=')


def test_a_respondent_is_one_to_both_workers(shared: Service) -> None:
    def save(fingerprint: str) -> Counter[int]:
        body = {"fingerprint": fingerprint, "field": "consent", "value": "accepted"}
        return flood(shared, "/dark-data/survey/upsert", 2 * LIMIT, json=body)

    _, answers = first_undisturbed(shared, ["reader-of-both-1", "reader-of-both-2", "reader-of-both-3"], save)
    assert answers[200] + answers[201] == LIMIT
    assert answers[429] == LIMIT


def test_a_thousand_spoofed_addresses_get_nothing_more(shared: Service) -> None:
    def use_up_and_spoof(address: str) -> Counter[int]:
        answers = flood(shared, address, 2 * LIMIT)
        with httpx.Client(base_url=shared.url) as web:
            spoofed = ({"x-forwarded-for": f"198.51.{number // 250}.{number % 250}"} for number in range(1000))
            return answers + Counter(web.get(address, headers=headers).status_code for headers in spoofed)

    addresses = ["/problems/invalid", "/dark-data/resources/count", "/dark-data/resources/paginated"]
    _, answers = first_undisturbed(shared, addresses, use_up_and_spoof)
    assert answers == {200: LIMIT, 429: LIMIT + 1000}


def test_while_redis_hangs_each_worker_counts_for_itself_and_nothing_fails(shared: Service, valkey: RedisServer) -> None:
    body = {"fingerprint": "a-reader-meanwhile", "field": "consent", "value": "accepted"}
    _, used_up = undisturbed(shared, ["/dark-data", "/dark-data/resources/1", "/redoc"], 2 * LIMIT)
    assert used_up[200] == LIMIT
    rejoined(shared)  # else one more would come back, and both at one moment: when they are answered, all at once
    fallen, found = told(shared, "redis is away"), told(shared, "redis is back")
    valkey.pause()
    try:
        for address, options in [
            ("/dark-data/resources", {}),
            ("/auth/login", {"json": {"username": "nobody-at-all", "password": "a-wrong-password"}}),
            ("/dark-data/survey/upsert", {"json": body}),
        ]:
            answers = flood(shared, address, 5 * LIMIT, **options)
            assert max(answers) < 500, answers
            assert 0 < answers.total() - answers[429] <= WORKERS * LIMIT
        assert flood(shared, "/health", 20) == {200: 20}
        until(lambda: apart(shared) == WORKERS, "the metrics tell that both count for themselves")
    finally:
        valkey.resume()
    until(lambda: told(shared, "redis is back") >= found + WORKERS, "both workers found Redis again", seconds=20)
    assert told(shared, "redis is away") >= fallen + WORKERS
    until(lambda: apart(shared) == 0, "the metrics tell that both count together")
    _, answers = undisturbed(shared, ["/dark-data/survey", "/dark-data/survey/results", "/docs"], 5 * LIMIT)
    assert answers == {200: LIMIT, 429: 4 * LIMIT}


def test_the_password_of_redis_is_told_nowhere(shared: Service, valkey: RedisServer) -> None:
    assert httpx.get(f"{shared.url}/dark-data").status_code in {200, 429}  # the tests before may have used it up: counted it is
    for text in (shared.out, shared.err):
        assert PASSWORD not in text
    held = valkey.ask("KEYS", "*")
    assert held.count(b"complex-stories:hits:") > 0
    assert b"127.0.0.1" not in held


def test_doctor_says_whether_redis_answers(valkey: RedisServer) -> None:
    with data_folder() as folder:
        run("migrate", folder=folder)
        found = {
            url: next(one for one in json.loads(run("doctor", "--json", folder=folder, REDIS_URL=url).stdout) if one["what"] == "redis")
            for url in (valkey.url, "redis://:zebra@127.0.0.1:9/0")
        }
        assert [finding["is_good"] for finding in found.values()] == [True, False]
        assert "zebra" not in str([finding["detail"] for finding in found.values()])
        assert {one["what"] for one in json.loads(run("doctor", "--json", folder=folder).stdout)}.isdisjoint({"redis"})
