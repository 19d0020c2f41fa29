"""A table on its way out gives way between its parts while others are answered, in every format and coding."""

from collections.abc import AsyncIterator
from functools import partial
from itertools import groupby
from types import SimpleNamespace

import pytest
from starlette.requests import Request

from domain.export import Format
from entrypoints.http import stream
from entrypoints.http.admission import Admission
from entrypoints.http.giving_way import GivingWay

PARTS = 5


class Day:
    """A clock that only making parts and pausing move, and what was done in which order."""

    def __init__(self) -> None:
        self.at = 1000.0
        self.done: list[str] = []
        self.admission = Admission(now=self.now)

    def now(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds
        self.done.append("pause")

    async def parts(self) -> AsyncIterator[bytes]:
        for _ in range(PARTS):
            self.at += 0.01
            self.done.append("part")
            yield b"x"

    def request(self, coding: bytes) -> Request:
        app = SimpleNamespace(gate=SimpleNamespace(admission=self.admission))
        return Request({"type": "http", "headers": [(b"accept-encoding", coding)], "app": app})


async def sent(day: Day, kind: Format, coding: bytes, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done while the table was sent, and done again told once."""
    monkeypatch.setattr(stream, "GivingWay", partial(GivingWay, now=day.now, sleep=day.sleep))
    answer = await stream.table_file(day.request(coding), day.parts, kind=kind, filename="table")
    assert b"".join([part async for part in answer.parts])
    assert day.done.count("part") == PARTS
    return [each for each, _ in groupby(day.done)]


@pytest.mark.parametrize("coding", [b"gzip", b"identity"])
@pytest.mark.parametrize("kind", Format)
async def test_between_any_two_parts_it_gives_way_to_who_has_a_turn(kind: Format, coding: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    day = Day()
    day.admission.enter_again()
    # The first part is there before anything is sent, so there is nothing to make up for yet.
    assert await sent(day, kind, coding, monkeypatch) == ["part", "pause"] * (PARTS - 1)


@pytest.mark.parametrize("kind", Format)
async def test_where_nobody_has_a_turn_it_goes_on_at_once(kind: Format, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await sent(Day(), kind, b"gzip", monkeypatch) == ["part"]
