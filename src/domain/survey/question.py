"""What every question is, and what it does with an answer.

An answer is accepted strictly and stored in one canonical form; whatever is not plainly meant is refused. The forms are
those of section 5 of the contract: for instance `3` and `"3"` are the integer 3, and `3.0`, `"3.0"` and `true` are not.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
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
    """A question: its field, what readers are asked, and what answers it accepts. One that is not public is in no published results."""

    type: ClassVar[str]
    field: str
    label: str | None = None
    public: bool = True

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
        if self.public:  # as nearly every question is
            del document["public"]
        if "bins" in document:
            document["bins"] = list(document["bins"])
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


def is_int(value: object) -> TypeGuard[int]:
    """Whether this is an integer, which to Python true and false are too."""
    return isinstance(value, int) and not isinstance(value, bool)
