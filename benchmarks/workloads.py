"""What clients ask for: each workload is an endless row of requests, made anew for each connection."""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from hashlib import md5
from random import Random

from domain.resource import Status

STATUSES = [status.value for status in Status]
CONNECTIONS = 32
DEEP = 0.9  # of the resources of a large project: of a million, page 9 000


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project that is asked, and the ids of its resources, without a gap."""

    slug: str
    first_id: int
    last_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What there is: a project with a survey, a large one, and somebody who is signed in as an admin, in Directus too where it runs."""

    small: Project
    large: Project
    access_token: str
    directus_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A whole HTTP/1.1 request, and the only status that is not an error."""

    raw: bytes
    expected: int = 200


Requests = Callable[[Target, Random], Iterator[Request]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """What a workload is compared with, and how many times its requests a second the service has to reach.

    It is another program (`bare`, `naive`, `directus`), or the service itself at an easier `workload`. It is asked over as many
    `connections` as the service, unless it would take minutes for each run, and by the same requests, unless it has addresses of its own.
    """

    program: str
    needs: float | None = None
    workload: str | None = None
    connections: int | None = None
    requests: Requests | None = None

    @property
    def name(self) -> str:
        return self.workload or self.program


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Requests of one kind. A `read` is answered alike by the bare program."""

    name: str
    title: str
    rivals: tuple[Rival, ...]
    requests: Requests
    is_read: bool = True

    def asked_of(self, program: str) -> Requests:
        """What this program is asked."""
        return next((rival.requests for rival in self.rivals if rival.requests and rival.program == program), self.requests)


def hidden_word(number: int) -> str:
    """The rare word in the name of the resource of this number, as the seed makes it."""
    return md5(str(number).encode()).hexdigest()[:8]


def _read_one(target: Target, random: Random) -> Iterator[Request]:
    while True:
        yield _get(f"/{target.small.slug}/resources/{random.randint(target.small.first_id, target.small.last_id)}")


def _list(target: Target, random: Random) -> Iterator[Request]:
    requests = [_get(f"/{target.small.slug}/resources?status={status}&limit=100") for status in STATUSES]
    while True:
        yield random.choice(requests)


def _list_apart(target: Target, random: Random) -> Iterator[Request]:
    """Each from another place of the list on, so that no two are the same."""
    while True:
        cursor = _cursor(random.randint(target.small.first_id, target.small.last_id - 400))
        yield _get(f"/{target.small.slug}/resources?status={random.choice(STATUSES)}&limit=100&cursor={cursor}")


def _first_page(target: Target, random: Random) -> Iterator[Request]:
    """Each after another one of the first few thousand: pages that are asked for alike would be read together."""
    while True:
        yield _page_after(target, random.randint(1, _jitter(target)))


def _deep_page(target: Target, random: Random) -> Iterator[Request]:
    """By the cursor for the service, by the number of rows to skip for who knows no cursor: each program reads its own."""
    while True:
        yield _page_after(target, _deep(target) + random.randint(-_jitter(target), _jitter(target)))


def _deep(target: Target) -> int:
    return int((target.large.last_id - target.large.first_id) * DEEP)


def _jitter(target: Target) -> int:
    return _deep(target) // 100


def _page_after(target: Target, skip: int) -> Request:
    return _get(f"/{target.large.slug}/resources?limit=100&cursor={_cursor(target.large.first_id + skip - 1)}")


def _cursor(last: int) -> str:
    return base64.urlsafe_b64encode(json.dumps(["id", last, last], separators=(",", ":")).encode()).decode().rstrip("=")


def _search(target: Target, random: Random) -> Iterator[Request]:
    while True:
        number = random.randint(1, target.large.last_id - target.large.first_id + 1)
        yield _get(f"/{target.large.slug}/resources?search={hidden_word(number)}")


def _edit(target: Target, random: Random) -> Iterator[Request]:
    while True:
        path = f"/admin/{target.small.slug}/resources/{random.randint(target.small.first_id, target.small.last_id)}"
        yield _described_anew(path, target.access_token, random)


def _save(target: Target, random: Random) -> Iterator[Request]:
    """One in four saves makes a respondent, who consents; the others change answers of respondents made before."""
    readers: list[str] = []
    path = f"/{target.small.slug}/survey/upsert"

    def answer(fingerprint: str, field: str, value: object, *, expected: int = 200) -> Request:
        return _send("POST", path, {"fingerprint": fingerprint, "field": field, "value": value}, expected=expected)

    while True:
        readers.append(f"reader-{random.getrandbits(128):032x}")
        yield answer(readers[-1], "consent", "accepted", expected=201)
        yield answer(random.choice(readers), "govPreferences", random.randint(1, 7))
        yield answer(random.choice(readers), "age", random.randint(18, 90))
        yield answer(random.choice(readers), "socialMediaPrivacy", random.choice(("private", "mixed", "public")))


def _results(target: Target, random: Random) -> Iterator[Request]:
    request = _get(f"/{target.small.slug}/survey/results")
    while True:
        yield request


# What Directus is asked for is the same, in the same columns: whoever draws from the same randomness asks for the same rows.
_FIELDS = "fields=id,project_id.slug,name,description,status,attributes,created_by.username,created_at,updated_at,deleted_at,version"


def _read_one_of_directus(target: Target, random: Random) -> Iterator[Request]:
    while True:
        yield _get(f"/items/resources/{random.randint(target.small.first_id, target.small.last_id)}?{_FIELDS}")


def _list_of_directus(target: Target, random: Random) -> Iterator[Request]:
    requests = [_items_of_directus(target.small, f"filter[status][_eq]={status}") for status in STATUSES]
    while True:
        yield random.choice(requests)


def _deep_page_of_directus(target: Target, random: Random) -> Iterator[Request]:
    """It knows pages by their offset alone."""
    while True:
        skip = _deep(target) + random.randint(-_jitter(target), _jitter(target))
        yield _items_of_directus(target.large, f"offset={skip}")


def _items_of_directus(project: Project, query: str) -> Request:
    return _get(f"/items/resources?{_FIELDS}&filter[project_id][slug][_eq]={project.slug}&limit=100&{query}")


def _edit_of_directus(target: Target, random: Random) -> Iterator[Request]:
    while True:
        path = f"/items/resources/{random.randint(target.small.first_id, target.small.last_id)}?{_FIELDS}"
        yield _described_anew(path, target.directus_token, random)


def _described_anew(path: str, token: str, random: Random) -> Request:
    content = {"description": f"Described anew, {random.getrandbits(64):016x}."}
    return _send("PATCH", path, content, more=f"Authorization: Bearer {token}\r\n")


def _get(path: str) -> Request:
    return Request(raw=f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())


def _send(method: str, path: str, content: object, *, more: str = "", expected: int = 200) -> Request:
    body = json.dumps(content)
    head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\n{more}Content-Type: application/json\r\nContent-Length: {len(body)}"
    return Request(raw=f"{head}\r\n\r\n{body}".encode(), expected=expected)


BARE = Rival(program="bare")
NAIVE = Rival(program="naive", needs=5.0)
SLOW_NAIVE = replace(NAIVE, connections=4)
DIRECTUS = Rival(program="directus")

WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload(
            name="read-one",
            title="one resource by id",
            rivals=(replace(BARE, needs=0.30), NAIVE, replace(DIRECTUS, requests=_read_one_of_directus)),
            requests=_read_one,
        ),
        Workload(
            name="list",
            title="100 by status, asked by a crowd",
            rivals=(replace(BARE, needs=0.90), NAIVE, replace(DIRECTUS, requests=_list_of_directus)),
            requests=_list,
        ),
        Workload(name="list-apart", title="100 by status, each elsewhere", rivals=(BARE,), requests=_list_apart),
        Workload(name="first-page", title="the first pages of a large one", rivals=(BARE, NAIVE), requests=_first_page),
        Workload(
            name="deep-page",
            title="a page deep in a large one",
            rivals=(
                Rival(program="service", workload="first-page", needs=0.80),
                BARE,
                NAIVE,
                replace(DIRECTUS, connections=4, requests=_deep_page_of_directus),
            ),
            requests=_deep_page,
        ),
        Workload(name="search", title="a rare word in a large one", rivals=(BARE, SLOW_NAIVE), requests=_search),
        Workload(name="results", title="results of a survey", rivals=(replace(SLOW_NAIVE, needs=None),), requests=_results),
        Workload(
            name="edit",
            title="edit, signed in",
            rivals=(replace(BARE, needs=0.25), NAIVE, replace(DIRECTUS, requests=_edit_of_directus)),
            requests=_edit,
            is_read=False,
        ),
        Workload(name="save", title="save an answer", rivals=(replace(BARE, needs=0.55), NAIVE), requests=_save, is_read=False),
    )
}
