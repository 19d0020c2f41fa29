"""The types of question, and what each accepts as an answer.

An answer is accepted strictly and stored in one canonical form; whatever is not plainly meant is refused. The forms are
those of section 5 of the contract: for instance `3` and `"3"` are the integer 3, and `3.0`, `"3.0"` and `true` are not.
"""

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Any, ClassVar, Self, TypeGuard

from domain.errors import Fault, Refused
from domain.text import text_faults

FIELD_PATTERN = r"[A-Za-z][A-Za-z0-9_]{0,62}"
EXPORT_COLUMNS = frozenset({"respondent", "created_at", "updated_at", "revision"})
LABEL_MAX = 2000
VALUE_MAX = 255
TEXT_MAX_DEFAULT = 2000
TEXT_MAX_LIMIT = 100_000
INT64 = range(-(2**63), 2**63)

_FIELD = re.compile(FIELD_PATTERN)
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LONGEST_INTEGER = 20
_LONGEST_DECIMAL = 400


class InvalidAnswer(Refused):
    """The survey refuses this answer: `detail` names the field and what it allows."""

    code = "invalid-answer"


def is_field(name: str) -> bool:
    """Whether `name` follows the grammar of field names."""
    return _FIELD.fullmatch(name) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of the answers to choose from; `code` is its number in a codebook."""

    value: str
    label: str | None = None
    code: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question(ABC):
    """A question: its field, what readers are asked, and what answers it accepts."""

    type: ClassVar[str]
    field: str
    label: str | None = None

    @property
    @abstractmethod
    def allowed(self) -> str:
        """What answers are allowed, as the end of a sentence."""

    @abstractmethod
    def accept(self, value: object) -> Any:
        """The canonical form of `value`. Raises `InvalidAnswer`."""

    def faults(self, at: str) -> Iterator[Fault]:
        """What is wrong with this question, which stands at the JSON pointer `at`."""
        if not is_field(self.field):
            yield Fault(pointer=f"{at}/field", code="bad-field", detail="1 to 63 letters, digits and underscores, a letter first.")
        elif self.field in EXPORT_COLUMNS:
            yield Fault(pointer=f"{at}/field", code="reserved-field", detail="This is a column of every export: choose another.")
        if self.label is not None:
            yield from text_faults(f"{at}/label", self.label, longest=LABEL_MAX)

    def document(self) -> dict[str, Any]:
        """This question as plain data, absent parts left out."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        document = {"field": given.pop("field"), "type": self.type} | {k: v for k, v in given.items() if v is not None}
        if "choices" in document:
            document["choices"] = [
                {f.name: getattr(c, f.name) for f in fields(c) if getattr(c, f.name) is not None} for c in document["choices"]
            ]
        return document

    def accepts(self, value: object) -> bool:
        """Whether `accept` takes `value`."""
        try:
            self.accept(value)
        except InvalidAnswer:
            return False
        return True

    def recoded(self, offered: Iterable[Choice]) -> frozenset[str]:
        """The values of this question that had another code when they were offered before."""
        return frozenset()

    def covers(self, other: Self) -> bool:
        """Whether every answer that `other`, of the same type, accepts is accepted here too."""
        return True

    @property
    def choices_offered(self) -> tuple[Choice, ...]:
        """The answers to choose from, where there are such."""
        return ()

    @property
    def has_codes(self) -> bool:
        """Whether an answer has a code, so that exports give codes beside the values."""
        return False

    def code_of(self, answer: object) -> int | None:
        """The code of a canonical answer, where the question has codes."""
        return None

    def refusal(self) -> InvalidAnswer:
        """The error for an answer that is not allowed; it never repeats that answer."""
        return InvalidAnswer(f"{self.field} takes {self.allowed}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choosing(Question):
    choices: tuple[Choice, ...]

    @property
    def values(self) -> list[str]:
        return [choice.value for choice in self.choices]

    @property
    def choices_offered(self) -> tuple[Choice, ...]:
        return self.choices

    def covers(self, other: Self) -> bool:
        return all(self.means_the_same(choice) for choice in other.choices)

    def means_the_same(self, choice: Choice) -> bool:
        """Whether a choice of an earlier version is still there, under the code that it had."""
        return any(c.value == choice.value and choice.code in (None, c.code) for c in self.choices)

    def recoded(self, offered: Iterable[Choice]) -> frozenset[str]:
        """The values of this question that had another code when they were offered before."""
        return frozenset(c.value for c in offered if c.value in self.values and not self.means_the_same(c))

    def faults(self, at: str) -> Iterator[Fault]:
        yield from super(_Choosing, self).faults(at)
        if not self.choices:
            yield Fault(pointer=f"{at}/choices", code="no-choices", detail="At least one choice.")
        values: set[str] = set()
        codes: set[int] = set()
        for index, choice in enumerate(self.choices):
            here = f"{at}/choices/{index}"
            yield from text_faults(f"{here}/value", choice.value, shortest=1, longest=VALUE_MAX)
            if choice.label is not None:
                yield from text_faults(f"{here}/label", choice.label, longest=LABEL_MAX)
            if "|" in choice.value:
                yield Fault(pointer=f"{here}/value", code="bad-choice", detail="A choice holds no | (exports join with it).")
            if choice.value in values:
                yield Fault(pointer=f"{here}/value", code="duplicate-choice", detail="Another choice has this value.")
            if choice.code is not None and choice.code not in INT64:
                yield Fault(pointer=f"{here}/code", code="out-of-range", detail="A code is a 64-bit integer.")
            if choice.code is not None and choice.code in codes:
                yield Fault(pointer=f"{here}/code", code="duplicate-code", detail="Another choice has this code.")
            values.add(choice.value)
            if choice.code is not None:
                codes.add(choice.code)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceQuestion(_Choosing):
    """One of the choices, by its value or its code."""

    type = "choice"

    @property
    def allowed(self) -> str:
        return "one of " + ", ".join(c.value if c.code is None else f"{c.value} ({c.code})" for c in self.choices)

    def accept(self, value: object) -> str:
        for choice in self.choices:
            if isinstance(value, str):
                if value == choice.value:
                    return choice.value
            elif _is_int(value) and value == choice.code:
                return choice.value
        raise self.refusal()

    @property
    def has_codes(self) -> bool:
        return any(choice.code is not None for choice in self.choices)

    def code_of(self, answer: object) -> int | None:
        return next((choice.code for choice in self.choices if choice.value == answer), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiChoiceQuestion(_Choosing):
    """Any of the choices: a list of values, or a string split at commas."""

    type = "multi_choice"

    @property
    def allowed(self) -> str:
        return "a list, without duplicates, of any of " + ", ".join(self.values)

    def accept(self, value: object) -> list[str]:
        if isinstance(value, str):
            chosen: Sequence[object] = [part.strip() for part in value.split(",")] if value.strip() else []
        elif isinstance(value, list):
            chosen = value
        else:
            raise self.refusal()
        given = [item for item in chosen if isinstance(item, str)]
        if len(given) != len(chosen) or len(set(given)) != len(given) or not set(given) <= set(self.values):
            raise self.refusal()
        return [value for value in self.values if value in given]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ranged(Question):
    min: int | None = None
    max: int | None = None

    @property
    def allowed(self) -> str:
        return "a whole number" + _range(self.min, self.max)

    def accept(self, value: object) -> int:
        if isinstance(value, str) and _INTEGER.fullmatch(value) and len(value) <= _LONGEST_INTEGER:
            value = int(value)
        if _is_int(value) and value in INT64 and _within(value, self.min, self.max):
            return value
        raise self.refusal()

    def covers(self, other: Self) -> bool:
        return _contains(self.min, self.max, other.min, other.max)

    def faults(self, at: str) -> Iterator[Fault]:
        yield from super(_Ranged, self).faults(at)
        for name, bound in (("min", self.min), ("max", self.max)):
            if bound is not None and bound not in INT64:
                yield Fault(pointer=f"{at}/{name}", code="out-of-range", detail="A bound is a 64-bit integer.")
        yield from _order_faults(at, self.min, self.max)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegerQuestion(_Ranged):
    """A whole number."""

    type = "integer"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleQuestion(_Ranged):
    """A step of a rating scale, such as a Likert item."""

    type = "scale"

    def faults(self, at: str) -> Iterator[Fault]:
        yield from super(ScaleQuestion, self).faults(at)
        for name, bound in (("min", self.min), ("max", self.max)):
            if bound is None:
                yield Fault(pointer=f"{at}/{name}", code="missing", detail="A scale needs both ends.")


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberQuestion(Question):
    """A number with decimals, held as a double."""

    type = "number"
    min: float | None = None
    max: float | None = None

    @property
    def allowed(self) -> str:
        return "a number" + _range(self.min, self.max)

    def accept(self, value: object) -> float:
        if isinstance(value, str) and _DECIMAL.fullmatch(value) and len(value) <= _LONGEST_DECIMAL:
            value = float(value)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self.refusal()
        try:
            number = float(value)
        except OverflowError:
            raise self.refusal() from None
        if not math.isfinite(number) or not _within(number, self.min, self.max):
            raise self.refusal()
        return number + 0.0  # one zero: minus zero is not stored apart

    def covers(self, other: Self) -> bool:
        return _contains(self.min, self.max, other.min, other.max)

    def faults(self, at: str) -> Iterator[Fault]:
        yield from super(NumberQuestion, self).faults(at)
        yield from _order_faults(at, self.min, self.max)


@dataclass(frozen=True, slots=True, kw_only=True)
class BooleanQuestion(Question):
    """Yes or no."""

    type = "boolean"

    @property
    def allowed(self) -> str:
        return "true or false"

    def accept(self, value: object) -> bool:
        if isinstance(value, bool):
            return value
        raise self.refusal()


@dataclass(frozen=True, slots=True, kw_only=True)
class TextQuestion(Question):
    """Words of the reader's own."""

    type = "text"
    max_length: int = TEXT_MAX_DEFAULT

    @property
    def allowed(self) -> str:
        return f"a text of at most {self.max_length} characters"

    def accept(self, value: object) -> str:
        if isinstance(value, str) and not any(text_faults("", value, longest=self.max_length)):
            return value
        raise self.refusal()

    def covers(self, other: Self) -> bool:
        return other.max_length <= self.max_length

    def faults(self, at: str) -> Iterator[Fault]:
        yield from super(TextQuestion, self).faults(at)
        if not 1 <= self.max_length <= TEXT_MAX_LIMIT:
            yield Fault(pointer=f"{at}/max_length", code="out-of-range", detail=f"1 to {TEXT_MAX_LIMIT}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class DateQuestion(Question):
    """A day of the Gregorian calendar."""

    type = "date"

    @property
    def allowed(self) -> str:
        return "a date as YYYY-MM-DD"

    def accept(self, value: object) -> str:
        if isinstance(value, str) and _DATE.fullmatch(value):
            try:
                return date.fromisoformat(value).isoformat()
            except ValueError:
                pass
        raise self.refusal()


QUESTION_TYPES: dict[str, type[Question]] = {
    kind.type: kind
    for kind in (
        ChoiceQuestion,
        MultiChoiceQuestion,
        ScaleQuestion,
        IntegerQuestion,
        NumberQuestion,
        BooleanQuestion,
        TextQuestion,
        DateQuestion,
    )
}


def question_from(document: dict[str, Any]) -> Question:
    """The question that plain data of the right shape describes."""
    given = {k: v for k, v in document.items() if k != "type" and v is not None}
    if "choices" in given:
        given["choices"] = tuple(Choice(**choice) for choice in given["choices"])
    return QUESTION_TYPES[document["type"]](**given)


def _is_int(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _within(value: float, low: float | None, high: float | None) -> bool:
    return (low is None or value >= low) and (high is None or value <= high)


def _contains(low: float | None, high: float | None, other_low: float | None, other_high: float | None) -> bool:
    """Whether the range from `low` to `high` holds the other one; None is an open end."""
    return (low is None or (other_low is not None and other_low >= low)) and (
        high is None or (other_high is not None and other_high <= high)
    )


def _range(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f" from {low} to {high}"
    if low is not None:
        return f" of at least {low}"
    return "" if high is None else f" of at most {high}"


def _order_faults(at: str, low: float | None, high: float | None) -> Iterator[Fault]:
    if low is not None and high is not None and low > high:
        yield Fault(pointer=f"{at}/max", code="bad-range", detail="The maximum is below the minimum.")
