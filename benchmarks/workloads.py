"""What clients ask for: each workload is an endless row of requests, made anew for each connection."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from domain.resource import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The project that is asked, and the ids of its resources, without a gap."""

    slug: str
    first_id: int
    last_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A whole HTTP/1.1 request, and the only status that is not an error."""

    raw: bytes
    expected: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """`needs` is the least share of the bare program's requests a second that the service has to reach."""

    name: str
    title: str
    needs: float
    requests: Callable[[Target, Random], Iterator[Request]]
    is_read: bool = True


def _read_one(target: Target, random: Random) -> Iterator[Request]:
    while True:
        yield _get(f"/{target.slug}/resources/{random.randint(target.first_id, target.last_id)}")


def _list(target: Target, random: Random) -> Iterator[Request]:
    requests = [_get(f"/{target.slug}/resources?status={status.value}&limit=100") for status in Status]
    while True:
        yield random.choice(requests)


def _save(target: Target, random: Random) -> Iterator[Request]:
    """One in four saves makes a respondent, who consents; the others change answers of respondents made before."""
    readers: list[str] = []
    while True:
        readers.append(f"reader-{random.getrandbits(128):032x}")
        yield _answer(target, readers[-1], "consent", "accepted", expected=201)
        yield _answer(target, random.choice(readers), "govPreferences", random.randint(1, 7))
        yield _answer(target, random.choice(readers), "age", random.randint(18, 90))
        yield _answer(target, random.choice(readers), "socialMediaPrivacy", random.choice(("private", "mixed", "public")))


def _get(path: str) -> Request:
    return Request(raw=f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())


def _answer(target: Target, fingerprint: str, field: str, value: object, *, expected: int = 200) -> Request:
    body = json.dumps({"fingerprint": fingerprint, "field": field, "value": value})
    head = f"POST /{target.slug}/survey/upsert HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return Request(raw=f"{head}\r\n\r\n{body}".encode(), expected=expected)


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload(name="read-one", title="one resource by id", needs=0.20, requests=_read_one),
        Workload(name="list", title="100 resources by status", needs=0.60, requests=_list),
        Workload(name="save", title="save an answer", needs=0.35, requests=_save, is_read=False),
    )
}
