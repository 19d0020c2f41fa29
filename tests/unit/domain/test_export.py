"""Stored exports: who may ask for them and see them."""

from uuid import UUID

import pytest

from domain.access import NotAllowed, Role
from domain.export import Export, Format, Subject, new_export, shown_to
from domain.user import User
from tests.examples import ADMIN, MEMBER, NOW, user

ANNOTATOR = user("emmy", id=3, role=Role.ANNOTATOR)


def asked(what: Subject, by: User) -> Export:
    return new_export(id=UUID(int=1), project="story", what=what, format=Format.CSV, filters={}, by=by, at=NOW)


def test_annotations_are_only_for_those_from_whom_nothing_is_hidden() -> None:
    assert shown_to(ADMIN) == set(Subject)
    assert shown_to(ANNOTATOR) == set(Subject) - {Subject.ANNOTATIONS}
    made = asked(Subject.ANNOTATIONS, ADMIN)
    for refused in (
        lambda: shown_to(MEMBER), lambda: asked(Subject.ANNOTATIONS, ANNOTATOR), lambda: made.show_to(ANNOTATOR)
    ):  # fmt: skip
        with pytest.raises(NotAllowed):
            refused()
    asked(Subject.RESPONSES, ANNOTATOR).show_to(ANNOTATOR)
