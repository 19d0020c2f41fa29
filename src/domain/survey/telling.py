"""Questions that are answered by yes or no, in words, or by a day."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Self

from domain.errors import Fault
from domain.survey.question import TEXT_MAX_DEFAULT, TEXT_MAX_LIMIT, Question
from domain.text import text_faults

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


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
