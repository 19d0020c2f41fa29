"""What the end-to-end tests share: a real service in a process of its own, and the ways to talk to it."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import httpx

PROGRAM = str(Path(sys.executable).with_name("complex-stories"))
PREFIX = "COMPLEX_STORIES_"
ADMIN_PASSWORD = "quiet-lake-at-dawn"
PASSWORD = "nine-small-brown-birds"
TOKEN_MINUTES = 120  # how long an access token of the service that most tests share is good for
DEADLINE = 40.0
CODE = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")

T = TypeVar("T")
_numbers = count(1)


def unique(stem: str) -> str:
    """A name that no other test uses."""
    return f"{stem}-{os.getpid()}-{next(_numbers)}"


def until(holds: Callable[[], T], what: str, *, seconds: float = DEADLINE) -> T:
    """What `holds` answers once that is true. Fails after the deadline."""
    end = time.monotonic() + seconds
    while True:
        answer = holds()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"Not within {seconds} s: {what}")
        time.sleep(0.03)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """The environment of a service: none of the settings of whoever runs the tests, and these."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    own = {"DATA_DIR": str(folder)} | settings
    return inherited | {PREFIX + name: value for name, value in own.items()}


def run(*arguments: str, folder: Path, given: str | None = None, **settings: str) -> subprocess.CompletedProcess[str]:
    """A command of the program, run to its end."""
    return subprocess.run(
        [PROGRAM, *arguments],
        env=environment(folder, **settings),
        input=given,
        stdin=subprocess.DEVNULL if given is None else None,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@contextmanager
def data_folder() -> Iterator[Path]:
    """A folder that the database's own user may enter, as those of pytest do not allow."""
    folder = Path(tempfile.mkdtemp(prefix="complex-stories-e2e-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Service:
    """A service that runs until it is stopped."""

    program: ClassVar[tuple[str, ...]] = (PROGRAM,)

    def __init__(self, folder: Path, *options: str, **settings: str) -> None:
        self.folder = folder
        self.database_url = settings.get("DATABASE_URL")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        with (folder / "out").open("a") as out, (folder / "err").open("a") as err:
            self.process = subprocess.Popen(
                [*self.program, "serve", "--port", str(self.port), *options], env=environment(folder, **settings), stdout=out, stderr=err
            )

    @property
    def out(self) -> str:
        return (self.folder / "out").read_text()

    @property
    def err(self) -> str:
        return (self.folder / "err").read_text()

    def wait_ready(self) -> "Service":
        until(self._answers, f"the service answers: {self.err[-2000:]}", seconds=DEADLINE)
        return self

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"The service ended with {self.process.returncode}: {self.err[-2000:]}")
        try:
            return httpx.get(f"{self.url}/health", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def stop(self, number: int = signal.SIGTERM) -> int:
        """The exit status after this signal."""
        self.process.send_signal(number)
        return self.process.wait(timeout=DEADLINE)


@contextmanager
def serving(*options: str, folder: Path | None = None, **settings: str) -> Iterator[Service]:
    """A service that answers, while this lasts."""
    with data_folder() as own:
        service = Service(folder or own, *options, **settings)
        try:
            yield service.wait_ready()
        finally:
            if service.process.poll() is None:
                service.stop()


def client(url: str, token: str | None = None, **headers: str) -> httpx.Client:
    """Somebody at the service: signed in where there is a token."""
    credentials = {} if token is None else {"authorization": f"Bearer {token}"}
    return httpx.Client(base_url=url, headers=credentials | headers, timeout=30)


def log_in(url: str, username: str, password: str, **headers: str) -> httpx.Response:
    return httpx.post(f"{url}/auth/login", json={"username": username, "password": password}, headers=headers, timeout=30)


def token_of(response: httpx.Response) -> str:
    assert response.status_code in (200, 201), response.text
    token: str = response.json()["access_token"]
    return token


def register(url: str, username: str, **headers: str) -> str:
    """The token of a new member."""
    body = {"username": username, "email": f"{username}@example.org", "password": PASSWORD}
    return token_of(httpx.post(f"{url}/auth/register", json=body, headers=headers, timeout=30))


def make_user(admin: httpx.Client, username: str, role: str) -> str:
    """The token of a new user of this role, made by an admin as the contract says."""
    made = admin.post("/admin/users", json={"username": username, "email": f"{username}@example.org", "role": role})
    assert made.status_code == 201, made.text
    set_password = admin.post("/auth/set-password", json={"token": made.json()["setup_token"], "new_password": PASSWORD})
    assert set_password.status_code == 204, set_password.text
    return token_of(log_in(str(admin.base_url), username, PASSWORD))


def make_project(admin: httpx.Client) -> str:
    slug = unique("story")
    made = admin.post("/admin/projects", json={"slug": slug, "title": "A story"})
    assert made.status_code == 201, made.text
    return slug


def make_resource(author: httpx.Client, project: str, **fields: Any) -> dict[str, Any]:
    made = author.post(f"/admin/{project}/resources", json={"name": unique("Resource")} | fields)
    assert made.status_code == 201, made.text
    resource: dict[str, Any] = made.json()
    return resource


def problem(response: httpx.Response, status: int, code: str | None = None) -> dict[str, Any]:
    """The problem that a response tells, after seeing that it is one of this status and code, in the contract's form."""
    assert response.status_code == status, f"{response.status_code} instead of {status}: {response.text[:500]}"
    assert response.headers["content-type"] == "application/problem+json"
    told: dict[str, Any] = response.json()
    assert {"type", "title", "status", "detail", "code", "request_id"} <= set(told)
    assert told["status"] == status
    assert told["type"] == f"/problems/{told['code']}"
    assert CODE.fullmatch(told["code"])
    assert told["detail"]
    assert told["request_id"] == response.headers["x-request-id"]
    assert ("errors" in told) == (status == 422)
    for fault in told.get("errors", []):
        assert set(fault) == {"pointer", "code", "detail"}
    if code is not None:
        assert told["code"] == code
    return told


def pointers(response: httpx.Response) -> set[str]:
    """Where the faults of a 422 are."""
    return {fault["pointer"] for fault in problem(response, 422)["errors"]}


def next_address(response: httpx.Response) -> str | None:
    """The address of the page after, by the `Link` of this one."""
    link = response.headers.get("link")
    if link is None:
        return None
    match = re.fullmatch(r'<(/[^>]*)>; rel="next"', link)
    assert match, link
    return match[1]


def walk(reader: httpx.Client, address: str | None) -> Iterator[dict[str, Any]]:
    """Every entry of a list, page by page."""
    while address is not None:
        page = reader.get(address)
        assert page.status_code == 200, page.text
        yield from page.json()
        address = next_address(page)


def at_once(call: Callable[[int], T], times: int) -> list[T]:
    """What so many calls answer that are made at the same time."""
    with ThreadPoolExecutor(times) as threads:
        return list(threads.map(call, range(times)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes


def exchange(port: int, *parts: bytes, silence: float = 1.5, pause: Callable[[bytes], bool] | None = None) -> bytes:
    """All that comes back for these bytes, until the server closes or has been silent.

    With `pause`, the next part goes out only once it holds of what has come back so far.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        received = b""
        for number, part in enumerate(parts):
            if number and pause is not None:
                received += _receive(connection, lambda data, so_far=received: pause(so_far + data))  # type: ignore[misc]
            try:
                connection.sendall(part)
            except OSError:
                break  # refused already: what it said is still to be read
        connection.settimeout(silence)
        return received + _receive(connection, lambda _: False)


def _receive(connection: socket.socket, is_enough: Callable[[bytes], bool]) -> bytes:
    received = b""
    try:
        while not is_enough(received):
            more = connection.recv(65536)
            if not more:
                break
            received += more
    except (TimeoutError, ConnectionResetError):
        pass
    return received


def answers(data: bytes) -> list[Answer]:
    """The answers that these bytes are, each whole. Fails where they are not."""
    found: list[Answer] = []
    while data:
        head, mark, data = data.partition(b"\r\n\r\n")
        assert mark, head
        status_line, *lines = head.decode("latin-1").split("\r\n")
        status = re.fullmatch(r"HTTP/1\.1 ([1-5][0-9]{2}) .*", status_line)
        assert status, status_line
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        size = int(headers.get("content-length", "0"))
        assert len(data) >= size, "a body is cut off"
        if int(status[1]) >= 200:
            found.append(Answer(status=int(status[1]), headers=headers, body=data[:size]))
        data = data[size:]
    return found
