"""The checker of register histories tells a good one from one with a planted fault."""

from itertools import permutations
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from tests.drills.registers import Operation, violation


def write(value: int, began: float, ended: float) -> Operation:
    return Operation(is_write=True, value=value, began=began, ended=ended)


def read(value: int | None, began: float, ended: float) -> Operation:
    return Operation(is_write=False, value=value, began=began, ended=ended)


def test_one_after_the_other_is_fine() -> None:
    assert violation([read(None, 0, 1), write(1, 2, 3), read(1, 4, 5), write(2, 6, 7), read(2, 8, 9)]) is None


def test_overlapping_writes_may_come_in_either_order() -> None:
    writes = [write(1, 0, 10), write(2, 0, 10)]
    assert violation([*writes, read(1, 11, 12)]) is None
    assert violation([*writes, read(2, 11, 12)]) is None


def test_a_lost_update_is_found() -> None:
    assert violation([write(1, 0, 1), read(1, 2, 3), write(2, 4, 5), read(1, 6, 7)]) is not None


def test_a_value_that_comes_back_is_found() -> None:
    assert violation([write(1, 0, 1), write(2, 0, 1), read(1, 2, 3), read(2, 4, 5), read(1, 6, 7)]) is not None


def test_a_value_that_nobody_wrote_is_found() -> None:
    assert violation([read(7, 0, 1)]) is not None


def test_a_value_seen_before_it_was_written_is_found() -> None:
    assert violation([read(1, 0, 1), write(1, 2, 3)]) is not None


def test_an_acknowledged_write_that_was_never_there_is_found() -> None:
    assert violation([write(1, 0, 1), read(None, 2, 3)]) is not None


def test_a_write_that_nobody_heard_of_may_or_may_not_have_been() -> None:
    unheard = write(1, 0, inf)
    assert violation([unheard, read(None, 2, 3)]) is None
    assert violation([unheard, read(1, 2, 3), read(1, 4, 5)]) is None
    assert violation([unheard, read(1, 2, 3), read(None, 4, 5)]) is not None


@st.composite
def histories(draw: st.DrawFn) -> list[Operation]:
    """Few operations, each over a span of few moments."""
    operations = []
    for value in range(1, draw(st.integers(1, 3)) + 1):
        began = draw(st.integers(0, 8))
        operations.append(write(value, began, began + draw(st.integers(1, 5)) + 0.5))
    for _ in range(draw(st.integers(0, 3))):
        began = draw(st.integers(0, 8))
        operations.append(read(draw(st.sampled_from([None, 1, 2, 3])), began, began + draw(st.integers(1, 5)) + 0.5))
    return operations


@given(histories())
def test_it_agrees_with_trying_every_order(history: list[Operation]) -> None:
    assert (violation(history) is None) == any(_is_possible(order) for order in permutations(history))


def _is_possible(order: tuple[Operation, ...]) -> bool:
    held: object = None
    for position, operation in enumerate(order):
        if any(later.ended < operation.began for later in order[position + 1 :]):
            return False
        if operation.is_write:
            held = operation.value
        elif operation.value != held:
            return False
    return True
