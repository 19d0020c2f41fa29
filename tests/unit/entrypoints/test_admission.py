"""Turns: who gets one, who waits for one, and who is told to come back."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrypoints.http.admission import AT_ONCE_OVERLOADED, CALM_SECONDS, RETRY_SECONDS, Admission, Overloaded, Turn, is_exempt


class Now:
    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


async def crowd(admission: Admission, number: int) -> list["asyncio.Task[None]"]:
    """So many who ask for a turn; those who can have one have it."""
    tasks = [asyncio.create_task(admission.enter()) for _ in range(number)]
    await asyncio.sleep(0)
    return tasks


async def dismiss(tasks: list["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def refused(admission: Admission) -> Overloaded:
    with pytest.raises(Overloaded) as raised:
        await admission.enter()
    return raised.value


async def test_turns_are_given_in_the_order_of_arrival_and_no_more_than_may_be_had_at_once() -> None:
    admission = Admission(at_once=2, crowd=10)
    tasks = await crowd(admission, 5)
    assert [task.done() for task in tasks] == [True, True, False, False, False]
    for number in range(3, 6):
        admission.leave()
        await asyncio.sleep(0)
        assert [task.done() for task in tasks] == [True] * number + [False] * (5 - number)
        assert admission.working == 2
    admission.leave()
    admission.leave()
    assert (admission.working, admission.waiting) == (0, 0)


async def test_more_than_a_crowd_is_refused_until_nobody_was_for_a_while() -> None:
    now = Now()
    admission = Admission(at_once=2, crowd=10, now=now)
    tasks = await crowd(admission, 12)
    await refused(admission)
    for _ in range(9):
        now.at += 0.02  # slower than anybody may wait now
        admission.leave()
    await asyncio.sleep(0)
    assert admission.waiting == 1
    await refused(admission)  # one waits, and that is enough for now
    now.at += CALM_SECONDS + 0.01
    tasks += await crowd(admission, 9)
    assert admission.waiting == 10
    assert not any(task.done() and task.exception() for task in tasks)
    await dismiss(tasks)


async def test_while_overloaded_fewer_are_worked_on_at_once() -> None:
    admission = Admission(at_once=2 * AT_ONCE_OVERLOADED, crowd=5)
    tasks = await crowd(admission, 2 * AT_ONCE_OVERLOADED + 5)
    await refused(admission)
    for _ in range(AT_ONCE_OVERLOADED):
        admission.leave()
    assert (admission.working, admission.waiting) == (AT_ONCE_OVERLOADED, 5)
    admission.leave()
    assert (admission.working, admission.waiting) == (AT_ONCE_OVERLOADED, 4)
    await refused(admission)  # nobody goes past those who wait
    await dismiss(tasks)


async def test_a_refusal_tells_when_those_who_wait_will_have_had_their_turn() -> None:
    now = Now()
    admission = Admission(at_once=1, crowd=40, now=now)
    tasks = await crowd(admission, 41)
    assert (await refused(admission)).retry_after == 1
    for _ in range(40):
        now.at += 0.05
        admission.leave()
    now.at += CALM_SECONDS
    tasks += await crowd(admission, 40)
    assert (await refused(admission)).retry_after == 2
    now.at += 1000
    assert (await refused(admission)).retry_after == RETRY_SECONDS
    await dismiss(tasks)


async def test_nobody_waits_for_long_where_nobody_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("entrypoints.http.admission.CROWD_SECONDS", 0.01)
    admission = Admission(at_once=1, crowd=10)
    first, *others = await crowd(admission, 4)
    await asyncio.wait(others, timeout=5)
    assert [type(task.exception()) for task in others] == [Overloaded] * 3
    admission.leave()
    assert first.done()
    assert (admission.working, admission.waiting) == (0, 0)


@given(st.lists(st.sampled_from(["come", "leave", "cancel", "pause"]), max_size=60))
def test_whatever_happens_no_turn_is_lost_or_given_twice(steps: list[str]) -> None:
    asyncio.run(_keeps_count(steps))


async def _keeps_count(steps: list[str]) -> None:
    admission = Admission(at_once=2, crowd=3)
    tasks: list[asyncio.Task[None]] = []
    left = 0

    def has_turn(task: "asyncio.Task[None]") -> bool:
        return task.done() and not task.cancelled() and task.exception() is None

    for step in steps:
        if step == "come":
            tasks += await crowd(admission, 1)
        elif step == "leave" and sum(map(has_turn, tasks)) > left:
            left += 1
            admission.leave()
        elif step == "cancel" and tasks:
            tasks[len(steps) % len(tasks)].cancel()
        elif step == "pause":
            await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    working = sum(map(has_turn, tasks)) - left
    assert admission.working == working <= 2
    assert admission.waiting == 0 or working == 2
    for _ in range(len(tasks)):
        if admission.working:
            admission.leave()
        await asyncio.sleep(0)
    assert (admission.working, admission.waiting) == (0, 0)
    await asyncio.gather(*tasks, return_exceptions=True)


class Client:
    """Sends a body when it is told to."""

    def __init__(self, admission: Admission) -> None:
        self.working: list[int] = []
        self._admission = admission

    async def receive(self) -> dict[str, Any]:
        self.working.append(self._admission.working)
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, _: Any) -> None:
        self.working.append(self._admission.working)


async def test_a_client_that_is_slow_to_send_holds_no_turn() -> None:
    admission = Admission()
    await admission.enter()
    client = Client(admission)
    turn = Turn(admission, {"headers": [(b"content-length", b"5")]}, client.receive, client.send)
    await turn.receive()
    assert client.working == [0]
    assert admission.working == 1
    turn.end()
    turn.end()
    assert admission.working == 0


async def test_an_answer_that_is_streamed_holds_no_turn() -> None:
    admission = Admission()
    await admission.enter()
    client = Client(admission)
    turn = Turn(admission, {"headers": []}, client.receive, client.send)
    await turn.send({"type": "http.response.start"})
    await turn.send({"type": "http.response.body", "more_body": True})
    await turn.send({"type": "http.response.body", "more_body": False})
    assert client.working == [1, 0, 0]
    turn.end()
    assert admission.working == 0


def test_health_is_never_asked_to_wait() -> None:
    assert all(map(is_exempt, ("/health", "/health/live", "/health/ready", "/metrics")))
    assert not any(map(is_exempt, ("/", "/projects", "/healthy-eating/resources", "/auth/login")))


async def test_whoever_was_let_in_and_has_no_turn_yet_counts() -> None:
    admission = Admission(at_once=2, crowd=3)
    for number in range(5):
        assert admission.full() is None, number
        admission.announce()
    assert admission.full() == 1
    admission.come()
    tasks = await crowd(admission, 1)
    assert (admission.working, admission.full()) == (1, 1)
    await dismiss(tasks)


async def test_once_it_is_over_there_is_room_at_once() -> None:
    now = Now()
    admission = Admission(at_once=2 * AT_ONCE_OVERLOADED, crowd=1, now=now)
    tasks = await crowd(admission, 2 * AT_ONCE_OVERLOADED + 1)
    await refused(admission)
    for _ in range(AT_ONCE_OVERLOADED + 1):
        admission.leave()
    assert admission.working == AT_ONCE_OVERLOADED
    now.at += CALM_SECONDS + 0.01
    tasks += await crowd(admission, AT_ONCE_OVERLOADED)
    assert (admission.working, admission.waiting) == (2 * AT_ONCE_OVERLOADED, 0)
    await dismiss(tasks)
