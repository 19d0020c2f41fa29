"""What is counted: by template, method and class of status, and never by what people sent."""

from dataclasses import dataclass

import pytest
from prometheus_client.parser import text_string_to_metric_families

from entrypoints.metrics import Metrics, Readings


@dataclass
class Template:
    path_format: str


Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def samples(metrics: Metrics) -> Samples:
    text = (await metrics.tell()).decode()
    return {(s.name, frozenset(s.labels.items())): s.value for family in text_string_to_metric_families(text) for s in family.samples}


def answer(metrics: Metrics, method: str = "GET", status: int = 200, seconds: float = 0.004, **scope: object) -> None:
    metrics.in_flight += 1
    metrics.finish({"route": Template("/{project}")} | scope, method=method, status=status, seconds=seconds)


def requests(found: Samples, name: str = "count", **labels: str) -> float | None:
    return found.get((f"complex_stories_http_request_seconds_{name}", frozenset(labels.items())))


async def test_requests_are_counted_by_template_method_and_class_of_status() -> None:
    metrics = Metrics()
    for status in (200, 204, 404, 499, 503):
        answer(metrics, status=status)
    answer(metrics, "HEAD")
    answer(metrics, status=0)
    answer(metrics, status=404, route=None)
    found = await samples(metrics)
    assert requests(found, method="GET", route="/{project}", status="2xx") == 2
    assert requests(found, method="GET", route="/{project}", status="4xx") == 2
    assert requests(found, method="GET", route="/{project}", status="5xx") == 1
    assert requests(found, method="HEAD", route="/{project}", status="2xx") == 1
    assert requests(found, method="GET", route="/{project}", status="none") == 1
    assert requests(found, method="GET", route="none", status="4xx") == 1


async def test_a_latency_falls_into_its_bucket_and_into_all_above() -> None:
    metrics = Metrics()
    answer(metrics, seconds=0.004)
    found = await samples(metrics)
    labels = {"method": "GET", "route": "/{project}", "status": "2xx"}
    buckets = {le: requests(found, "bucket", **labels, le=le) for le in ("0.0025", "0.005", "0.01", "+Inf")}
    assert buckets == {"0.0025": 0, "0.005": 1, "0.01": 1, "+Inf": 1}
    assert requests(found, "sum", **labels) == pytest.approx(0.004)


async def test_refusals_at_once_are_counted_as_if_each_had_been_by_itself() -> None:
    one_by_one, at_once = Metrics(), Metrics()
    for method in ("GET", "GET", "POST", "LINK"):
        answer(one_by_one, method, 503, 0.0, route=None)
        at_once.refuse(method)
    expected = await samples(one_by_one)
    assert requests(expected, method="GET", route="none", status="5xx") == 2
    assert await samples(at_once) == expected
    assert await samples(at_once) == expected, "told once more, they are counted once"


async def test_invented_methods_make_one_series_and_are_not_kept() -> None:
    metrics = Metrics()
    for number in range(1000):
        answer(metrics, f"METHOD{number}", status=405)
    found = await samples(metrics)
    assert requests(found, method="other", route="/{project}", status="4xx") == 1000
    assert len([name for name, _ in found if name.endswith("seconds_count")]) == 1
    assert len(metrics._children) == 0


@pytest.mark.parametrize(
    ("save", "status", "outcome"),
    [
        ("created", 201, "created"),
        ("updated", 200, "updated"),
        ("stale", 200, "stale"),
        ("refused", 400, "refused"),
        ("refused", 409, "refused"),
        ("refused", 503, "failed"),
        ("refused", 500, "failed"),
        ("refused", 499, "failed"),
        ("refused", 0, "failed"),
    ],
)
async def test_saves_are_counted_by_their_outcome(save: str, status: int, outcome: str) -> None:
    metrics = Metrics()
    answer(metrics, "POST", status, save=save)
    found = await samples(metrics)
    saves = {dict(labels)["outcome"]: value for (name, labels), value in found.items() if name == "complex_stories_saves_total"}
    assert saves == dict.fromkeys(["created", "updated", "stale", "refused", "failed"], 0) | {outcome: 1}


async def test_what_is_read_where_it_stands_is_read_anew_each_time() -> None:
    now = {"used": 3, "failures": 5, "hashing": 2, "apart": True}
    metrics = Metrics(
        Readings(
            connections={"used": lambda: now["used"]},
            connections_max=lambda: 32,
            hashing=lambda: now["hashing"],
            failures={"database": lambda: now["failures"]},
            limits_apart=lambda: now["apart"],
        )
    )
    metrics.in_flight = 4
    first = await samples(metrics)
    now |= {"used": 1, "failures": 6, "hashing": 0, "apart": False}
    second = await samples(metrics)
    connections = ("complex_stories_database_connections", frozenset({("state", "used")}))
    failures = ("complex_stories_failures_total", frozenset({("of", "database")}))
    hashing = ("complex_stories_hashing_queue", frozenset[tuple[str, str]]())
    assert [found[connections] for found in (first, second)] == [3, 1]
    assert [found[failures] for found in (first, second)] == [5, 6]
    assert [found[hashing] for found in (first, second)] == [2, 0]
    assert [found["complex_stories_limits_apart", frozenset()] for found in (first, second)] == [1, 0]
    assert first["complex_stories_http_requests_in_flight", frozenset()] == 4
    assert first["complex_stories_database_connections_max", frozenset()] == 32
