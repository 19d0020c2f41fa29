"""Questions that offer choices."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from domain.errors import Fault
from domain.survey.question import INT64, LABEL_MAX, VALUE_MAX, Choice, Question, is_int
from domain.text import text_faults


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
            elif is_int(value) and value == choice.code:
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
