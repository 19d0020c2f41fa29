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
