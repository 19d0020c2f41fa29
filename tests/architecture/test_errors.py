"""Every error: a status for its kind, a code of its own, an explanation; and every constraint that means one exists."""

import re
from collections import Counter
from collections.abc import Iterator

import pytest
from sqlalchemy import UniqueConstraint

import domain.errors
import entrypoints.http.app  # noqa: F401 - so that every error is defined
from adapters.postgres.integrity import CONSTRAINTS
from adapters.postgres.tables import metadata
from domain.errors import DomainError
from entrypoints.http.problems import STATUS, EdgeRefusal, catalogue, status_of

KINDS = [
    kind for kind in vars(domain.errors).values() if isinstance(kind, type) and issubclass(kind, DomainError) and kind is not DomainError
]


def descendants(root: type[DomainError | EdgeRefusal]) -> Iterator[type[DomainError | EdgeRefusal]]:
    for kind in root.__subclasses__():
        yield kind
        yield from descendants(kind)


ERRORS = [kind for root in (DomainError, EdgeRefusal) for kind in descendants(root)]
WITH_CODE = [kind for kind in ERRORS if "code" in vars(kind)]
by_name = pytest.mark.parametrize("kind", WITH_CODE, ids=lambda kind: kind.__name__)


def test_every_kind_has_a_status() -> None:
    assert len(KINDS) == 11
    assert set(STATUS) == set(KINDS)
    assert len(set(STATUS.values())) == len(STATUS)


def test_every_error_is_of_one_kind() -> None:
    assert len(ERRORS) > 25
    for error in ERRORS:
        if issubclass(error, DomainError):
            assert sum(issubclass(error, kind) for kind in KINDS) == 1, error
        assert 400 <= status_of(error) < 600


def test_every_code_is_of_one_error() -> None:
    counted = Counter(kind.code for kind in WITH_CODE)
    assert [code for code, times in counted.items() if times > 1] == []
    assert set(catalogue()) == set(counted)
    assert len(counted) > 20


@by_name
def test_a_code_is_kebab_case_and_explained(kind: type[DomainError | EdgeRefusal]) -> None:
    assert re.fullmatch(r"[a-z]+(?:-[a-z]+)*", kind.code)
    explanation = vars(kind).get("__doc__")
    assert explanation
    assert len(explanation) > 20
    assert kind.detail.endswith(".")


def test_every_constraint_that_means_an_error_exists() -> None:
    indexes = {index.name for table in metadata.tables.values() for index in table.indexes if index.unique}
    uniques = {
        constraint.name
        for table in metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, UniqueConstraint)
    }
    assert CONSTRAINTS
    assert set(CONSTRAINTS) <= {str(name) for name in indexes | uniques}
