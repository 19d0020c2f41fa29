"""Whoever asks a process to end while it starts is heard, also where Python drops what a signal raises."""

import signal
from collections.abc import Iterator

import pytest
import uvicorn

from entrypoints.http.stopping import Server
from entrypoints.leaving import Leaving
from entrypoints.readiness import Readiness

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture
def leaving() -> Iterator[Leaving]:
    before = {number: signal.getsignal(number) for number in NUMBERS}
    leaving = Leaving()
    leaving.listen()
    yield leaving
    for number, handler in before.items():
        signal.signal(number, handler)


class Deaf:
    """Its end is a place that no exception leaves."""

    def __init__(self, number: signal.Signals) -> None:
        self._number = number

    def __del__(self) -> None:
        signal.raise_signal(self._number)


class Never:
    """An application that is not to start."""

    async def __call__(self, *_: object) -> None:
        pytest.fail("it began to start")


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_ends_the_process(leaving: Leaving, number: signal.Signals) -> None:
    leaving.if_asked()
    with pytest.raises(SystemExit) as ended:
        signal.raise_signal(number)
    assert ended.value.code == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore:coroutine .Never:RuntimeWarning")
@pytest.mark.parametrize("number", NUMBERS)
async def test_a_signal_that_was_dropped_ends_it_before_it_serves(leaving: Leaving, number: signal.Signals) -> None:
    Deaf(number)
    with pytest.raises(SystemExit):
        leaving.if_asked()

    server = Server(uvicorn.Config(Never(), lifespan="on"), Readiness(), leaving)
    with pytest.raises(SystemExit):
        await server.serve()
