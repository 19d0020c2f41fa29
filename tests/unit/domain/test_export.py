"""Stored exports: who may ask for them and see them."""

from dataclasses import replace
from uuid import UUID

import pytest

from domain.access import NotAllowed, Role
from domain.export import Export, Format, Subject, new_export, shown_to
from domain.user import User
from tests.examples import ADMIN, MEMBER, NOW, user

ANNOTATOR = user("emmy", id=3, role=Role.ANNOTATOR)


def asked(what: Subject, by: User) -> Export:
    return new_export(id=UUID(int=1), project="story", what=what, format=Format.CSV, filters={}, by=by, at=NOW)


@pytest.mark.parametrize("what", [Subject.ANNOTATIONS, Subject.RESPONSES])
def test_what_readers_and_blind_annotators_said_is_only_for_admins(what: Subject) -> None:
    assert shown_to(ADMIN) == set(Subject)
    assert shown_to(ANNOTATOR) == {Subject.RESOURCES}
    made = asked(what, ADMIN)
    theirs = replace(made, created_by=ANNOTATOR.username, created_by_id=ANNOTATOR.id)  # from when annotators might
    for refused in (
        lambda: shown_to(MEMBER), lambda: asked(what, ANNOTATOR), lambda: made.show_to(ANNOTATOR), lambda: theirs.show_to(ANNOTATOR)
    ):  # fmt: skip
        with pytest.raises(NotAllowed):
            refused()
    asked(Subject.RESOURCES, ANNOTATOR).show_to(ANNOTATOR)
