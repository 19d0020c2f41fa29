"""Responses as a table: a column for each field ever published, or for those of one version."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from domain.errors import Fault, Invalid
from domain.export import Column, ColumnType
from domain.survey.definition import Definition
from domain.survey.question import Question
from domain.survey.survey import Asked, ever_asked

PSEUDONYM_BYTES = 16

_TYPES = {
    "choice": ColumnType.CATEGORY,
    "multi_choice": ColumnType.TEXTS,
    "scale": ColumnType.INTEGER,
    "integer": ColumnType.INTEGER,
    "number": ColumnType.NUMBER,
    "boolean": ColumnType.BOOLEAN,
    "text": ColumnType.TEXT,
    "date": ColumnType.DATE,
}
_FIXED = (
    Column(name="respondent", type=ColumnType.TEXT),
    Column(name="created_at", type=ColumnType.TIME),
    Column(name="updated_at", type=ColumnType.TIME),
    Column(name="revision", type=ColumnType.INTEGER),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseRow:
    """A stored response as researchers see it."""

    id: int
    pseudonym: bytes
    created_at: datetime
    updated_at: datetime | None
    revision: int
    answers: Mapping[str, Any]
    versions: Mapping[str, int]


class AskedTests(StrEnum):
    """What becomes of responses that are tests."""

    EXCLUDE = "exclude"
    INCLUDE = "include"
    ONLY = "only"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseFilter:
    """Which responses: those with this answer, with an answer given under this version, last changed from `since` to before `until`.

    `answer` is the field with its canonical value; for a question with several choices, those that hold this one. Tests are left out
    unless they are asked for.
    """

    answer: dict[str, Any] | None = None
    version: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    tests: AskedTests = AskedTests.EXCLUDE

    def takes(self, *, is_test: bool) -> bool:
        """Whether a response is asked for as far as being a test goes."""
        return self.tests is AskedTests.INCLUDE or is_test is (self.tests is AskedTests.ONLY)


def response_filter(
    definitions: Sequence[Definition],
    *,
    field: str | None = None,
    value: str | None = None,
    version: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    tests: AskedTests = AskedTests.EXCLUDE,
) -> ResponseFilter:
    """The filter that was asked for in texts. Raises `Invalid`."""
    if version is not None and not 1 <= version <= len(definitions):
        raise Invalid(Fault(pointer="/version", code="unknown-version", detail=f"Versions run from 1 to {len(definitions)}."))
    if (field is None) != (value is None):
        raise Invalid(Fault(pointer="/value", code="missing", detail="Give field and value together."))
    answer = None if field is None or value is None else _answer_filter(field, value, definitions)
    return ResponseFilter(answer=answer, version=version, since=since, until=until, tests=tests)


def _answer_filter(field: str, value: str, definitions: Sequence[Definition]) -> dict[str, Any]:
    """The answer that any version of the question takes `value` for, the newest first."""
    forms = [question for definition in reversed(definitions) if (question := definition.question(field)) is not None]
    if not forms:
        raise Invalid(Fault(pointer="/field", code="unknown-field", detail="No version of this survey has this field."))
    for question in forms:
        for candidate in (value, _as_json(value)):
            if question.accepts(candidate):
                return {field: question.accept(candidate)}
    raise Invalid(Fault(pointer="/value", code="invalid-answer", detail=forms[0].refusal().detail))


def _as_json(text: str) -> object:
    """`true`, `3` or `2.5` as what they say; anything else stays a text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


class ResponseTable:
    """The columns of a survey's responses and how a response fills them.

    Without `version`, every field ever published has its column, in order of appearance: a removed question keeps it. With one,
    only the fields of that version, and only answers given under it. `with_codes` puts `<field>_code` beside coded choices, unless a
    field has that name.
    """

    def __init__(self, definitions: Sequence[Definition], *, version: int | None = None, with_codes: bool = False) -> None:
        shown = definitions if version is None else definitions[version - 1 : version]
        self.questions = {field: asked.question for field, asked in ever_asked(shown).items()}
        self._version = version
        self._codes = _codes(ever_asked(definitions), self.questions) if with_codes else {}

    @property
    def columns(self) -> list[Column]:
        """The columns, in order."""
        columns = list(_FIXED)
        for field, question in self.questions.items():
            columns.append(Column(name=field, type=_TYPES[question.type]))
            if field in self._codes:
                columns.append(Column(name=_code_column(field), type=ColumnType.INTEGER))
        return columns

    def cells(self, row: ResponseRow) -> tuple[Any, ...]:
        """The cells of a response, one a column."""
        cells: list[Any] = [respondent(row.pseudonym), row.created_at, row.updated_at, row.revision]
        for field in self.questions:
            answer = self._answer(row, field)
            cells.append(answer)
            if field in self._codes:
                cells.append(None if answer is None else self._codes[field].get(answer))
        return tuple(cells)

    def _answer(self, row: ResponseRow, field: str) -> Any:
        if self._version is not None and row.versions.get(field) != self._version:
            return None
        return row.answers.get(field)


def respondent(pseudonym: bytes) -> str:
    """How a respondent is named in tables: 128 bits of the pseudonym, in hexadecimal."""
    return pseudonym[:PSEUDONYM_BYTES].hex()


def _codes(asked: Mapping[str, Asked], shown: Mapping[str, Question]) -> dict[str, dict[str, int]]:
    """For each coded choice question that is shown, the code of every choice that it ever offered, as it was last offered."""
    codes = {
        field: {choice.value: choice.code for choice in asked[field].choices if choice.code is not None}
        for field, question in shown.items()
        if question.type == "choice" and _code_column(field) not in shown
    }
    return {field: known for field, known in codes.items() if known}


def _code_column(field: str) -> str:
    return f"{field}_code"
