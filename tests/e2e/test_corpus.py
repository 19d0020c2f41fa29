"""A corpus of raw requests: never two answers to one, never a 5xx, and the service is as well after it as before."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.e2e.client import Service, answers, exchange
from tests.e2e.corpus import SMUGGLED, Case, corpus

THREADS = 16


@pytest.fixture(scope="module")
def told(service: Service) -> list[tuple[Case, bytes]]:
    """All that came back, for each case."""
    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(lambda case: (case, exchange(service.port, case.sent, silence=1.0)), corpus()))


def test_the_corpus_has_more_than_300_cases_that_all_differ() -> None:
    assert len({case.sent for case in corpus()}) > 300


def test_no_case_has_more_answers_than_requests(told: list[tuple[Case, bytes]]) -> None:
    too_many = [(case.name, [answer.status for answer in answers(data)]) for case, data in told if len(answers(data)) > case.at_most]
    assert not too_many


def test_whoever_must_have_an_answer_has_one(told: list[tuple[Case, bytes]]) -> None:
    assert not [case.name for case, data in told if len(answers(data)) < case.at_least]


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ("GET /projects", 200),
        ("GET /no/such", 404),
        ("POST /no/such", 404),
        ("POST /admin/projects", 401),
        ("DELETE /projects", 405),
    ],
)
def test_a_body_that_breaks_after_the_answer_is_not_answered_again(service: Service, asked: str, status: int) -> None:
    head = f"{asked} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    told = answers(exchange(service.port, head, b"g\r\n", pause=lambda data: b"\r\n\r\n" in data))
    assert [answer.status for answer in told] == [status]


def test_a_body_that_breaks_while_it_is_read_is_refused_at_once(service: Service) -> None:
    head = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
    head += b"Transfer-Encoding: chunked\r\n\r\n"
    told = answers(exchange(service.port, head, b"g\r\n", pause=lambda data: b"100 Continue" in data))  # it is waited for
    assert [answer.status for answer in told] == [400]


def test_no_hidden_request_is_answered(told: list[tuple[Case, bytes]]) -> None:
    smuggled = [case.name for case, data in told if any(answer.headers.get("x-request-id") == SMUGGLED for answer in answers(data))]
    assert not smuggled


def test_no_case_is_answered_5xx(told: list[tuple[Case, bytes]]) -> None:
    failed = [(case.name, answer.status) for case, data in told for answer in answers(data) if answer.status >= 500]
    assert not failed


def test_the_service_is_well_after_all_that(told: list[tuple[Case, bytes]], service: Service) -> None:
    assert told
    assert httpx.get(f"{service.url}/health").status_code == 200
    assert httpx.get(f"{service.url}/projects").status_code == 200
    assert not [line for line in service.err.splitlines() if "unexpected error" in line or "Exception in" in line]
