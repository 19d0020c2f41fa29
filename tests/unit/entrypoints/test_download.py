"""Downloads for nobody in particular: how many at once, and who is broken off when others wait, never before."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request
from starlette.types import Message

from domain.export import Format, TooManyDownloads, TooManyTables
from entrypoints.http.admission import Admission
from entrypoints.http.download import LONGEST_SECONDS, TAKEN_AT_LEAST, WINDOW_SECONDS, Download, Downloads
from entrypoints.http.json_body import ClientLeft
from entrypoints.http.stream import Streamed, table_file

AT_ONCE = 3


class Clock:
    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def now() -> Clock:
    return Clock()


@pytest.fixture
def downloads(now: Clock) -> Downloads:
    return Downloads(at_once=AT_ONCE, now=now)


def entered(downloads: Downloads, network: str) -> Download:
    download = downloads.of(network)
    downloads.enter(download)
    return download


def take(download: Download, now: Clock, *, seconds: int, rate: float) -> None:
    """Take so many bytes a second for a while."""
    for _ in range(seconds):
        now.at += 1
        download.note(int(rate))


def test_a_network_has_two_at_once_and_all_have_so_many(downloads: Downloads) -> None:
    first = entered(downloads, "a")
    entered(downloads, "a")
    with pytest.raises(TooManyDownloads):
        entered(downloads, "a")
    entered(downloads, "b")
    with pytest.raises(TooManyTables):
        entered(downloads, "c")
    downloads.leave(first)
    entered(downloads, "a")


def test_without_limits_a_network_may_have_all(now: Clock) -> None:
    downloads = Downloads(at_once=AT_ONCE, each=None, now=now)
    for _ in range(AT_ONCE):
        entered(downloads, "a")
    with pytest.raises(TooManyTables):
        entered(downloads, "a")


@pytest.mark.parametrize("waited", [0, 7, 3000])
def test_a_refusal_tells_when_to_come_again(downloads: Downloads, now: Clock, waited: int) -> None:
    for _ in range(2):
        entered(downloads, "a")
    now.at += waited
    with pytest.raises(TooManyDownloads) as refused:
        entered(downloads, "a")
    assert refused.value.retry_after == {0: 1, 7: 7, 3000: 60}[waited]


def test_who_takes_too_little_over_a_minute_has_had_its_share(downloads: Downloads, now: Clock) -> None:
    slow, quick = entered(downloads, "a"), entered(downloads, "b")
    for _ in range(int(WINDOW_SECONDS) - 1):
        now.at += 1
        slow.note(TAKEN_AT_LEAST - 1)
        quick.note(TAKEN_AT_LEAST)
    assert not slow.has_had_its_share
    now.at += 1
    slow.note(TAKEN_AT_LEAST - 1)
    quick.note(TAKEN_AT_LEAST)
    assert (slow.has_had_its_share, quick.has_had_its_share) == (True, False)


def test_it_is_the_last_minute_that_counts(downloads: Downloads, now: Clock) -> None:
    download = entered(downloads, "a")
    take(download, now, seconds=120, rate=100 * TAKEN_AT_LEAST)
    now.at += WINDOW_SECONDS - 1
    assert not download.has_had_its_share
    now.at += 2
    assert download.has_had_its_share
    take(download, now, seconds=61, rate=TAKEN_AT_LEAST)
    assert not download.has_had_its_share


def test_a_quarter_of_an_hour_is_enough_for_anybody(downloads: Downloads, now: Clock) -> None:
    download = entered(downloads, "a")
    take(download, now, seconds=int(LONGEST_SECONDS) - 1, rate=10 * TAKEN_AT_LEAST)
    assert not download.has_had_its_share
    take(download, now, seconds=1, rate=10 * TAKEN_AT_LEAST)
    assert download.has_had_its_share


# --- on the way out ----------------------------------------------------------------------------------------------------------


class Answer:
    """An answer of which the client takes nothing but its beginning, and what became of it."""

    def __init__(self, response: Streamed) -> None:
        self.began = asyncio.Event()
        self.messages: list[Message] = []
        self.task = asyncio.create_task(response({"type": "http"}, self._receive, self._send))

    async def _receive(self) -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def _send(self, message: Message) -> None:
        self.messages.append(message)
        if message["type"] == "http.response.body":
            self.began.set()
            await asyncio.Event().wait()


class Tables:
    """Tables without end, each in one of so many places, as the store has them."""

    def __init__(self, downloads: Downloads, places: int) -> None:
        self.downloads = downloads
        self.places = places

    async def parts(self) -> AsyncIterator[bytes]:
        if not self.places:
            raise TooManyTables
        self.places -= 1
        try:
            while True:
                yield b"x"
        finally:
            self.places += 1

    async def ask(self, network: str | None, coding: str = "identity") -> Streamed:
        app = SimpleNamespace(gate=SimpleNamespace(admission=Admission()), downloads=self.downloads)
        scope: dict[str, Any] = {"type": "http", "headers": [(b"accept-encoding", coding.encode())], "app": app}
        download = None if network is None else self.downloads.of(network)
        return await table_file(Request(scope), self.parts, kind=Format.CSV, filename="table", download=download)

    async def taken_slowly(self, network: str | None) -> Answer:
        answer = Answer(await self.ask(network))
        await answer.began.wait()
        return answer


async def end(*answers: Answer) -> None:
    for answer in answers:
        answer.task.cancel()
    await asyncio.gather(*(answer.task for answer in answers), return_exceptions=True)


@pytest.mark.parametrize("network", ["new", None])
async def test_who_waits_gets_the_place_of_who_is_slow(downloads: Downloads, now: Clock, network: str | None) -> None:
    tables = Tables(downloads, AT_ONCE)  # all of them, so that the team's table wants one of these as well
    oldest = await tables.taken_slowly("a")
    others = [await tables.taken_slowly(other) for other in ("a", "b")]
    now.at += WINDOW_SECONDS - 1
    with pytest.raises(TooManyTables):
        await tables.ask(network)
    assert not oldest.task.done()
    now.at += 1
    answer = await tables.ask(network)
    with pytest.raises(ClientLeft):
        await oldest.task
    assert not any(other.task.done() for other in others), "one place was asked for"
    assert all(message.get("more_body", True) for message in oldest.messages), "it never looks whole"
    await answer.parts.aclose()
    await end(*others)
    assert tables.places == AT_ONCE


async def test_nobody_is_broken_off_while_nobody_waits(downloads: Downloads, now: Clock) -> None:
    tables = Tables(downloads, 2 * AT_ONCE)
    slow = [await tables.taken_slowly("a"), await tables.taken_slowly("b")]
    now.at += LONGEST_SECONDS
    for network in ("c", None):
        await (await tables.ask(network)).parts.aclose()
    slow += [await tables.taken_slowly(None) for _ in range(2)]
    assert not any(answer.task.done() for answer in slow)
    await end(*slow)


async def test_a_network_does_not_gain_by_asking_for_a_third(downloads: Downloads, now: Clock) -> None:
    tables = Tables(downloads, 2 * AT_ONCE)
    slow = [await tables.taken_slowly("a") for _ in range(2)]
    now.at += LONGEST_SECONDS
    with pytest.raises(TooManyDownloads):
        await tables.ask("a")
    assert not any(answer.task.done() for answer in slow)
    await end(*slow)


@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_what_counts_is_what_went_out_to_the_client(downloads: Downloads, now: Clock, coding: str) -> None:
    tables = Tables(downloads, AT_ONCE)
    answer = await tables.ask("a", coding)
    (download,) = downloads.underway
    sent = 0
    for _ in range(1000):
        sent += len(await anext(answer.parts))
    last = len(await anext(answer.parts))
    assert download.taken == sent
    assert last <= sent
    await answer.parts.aclose()
