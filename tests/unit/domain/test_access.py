"""Who may do what."""

import pytest

from domain.access import PERMISSIONS, Action, NotAllowed, NotTheOwner, Role, require, require_on
from tests.examples import user

MEMBERS = {
    Action.SELF_UPDATE,
    Action.SELF_READ,
    Action.SELF_UPDATE,
    Action.DOCS_READ,
    Action.PASSWORD_CHANGE,
    Action.API_KEY_CREATE,
    Action.API_KEY_LIST,
    Action.API_KEY_REVOKE,
    Action.SESSION_LIST,
    Action.SESSION_END,
    Action.RESOURCE_CREATE,
    Action.RESOURCE_UPDATE,
    Action.RESOURCE_GIVE,
    Action.RESOURCE_VERSIONS,
    Action.RESOURCE_HISTORY,
}
ANNOTATORS = {
    Action.EXPORT_CREATE,
    Action.EXPORT_READ,
    Action.EXPORT_DELETE,
    Action.LABEL_SET_READ,
    Action.ANNOTATION_WRITE,
    Action.ANNOTATION_DELETE,
    Action.ANNOTATION_READ,
    Action.ANNOTATION_DRAW,
    Action.ANNOTATION_EXPORT,
    Action.ANNOTATION_AGREEMENT,
}


def test_every_action_has_a_permission() -> None:
    assert set(PERMISSIONS) == set(Action)


def test_each_role_may_all_that_the_one_before_it_may() -> None:
    assert sorted(Role, key=lambda role: role.rank) == [Role.MEMBER, Role.ANNOTATOR, Role.ADMIN]


@pytest.mark.parametrize("action", Action)
def test_an_admin_may_do_everything_to_anything(action: Action) -> None:
    require(user(id=1, role=Role.ADMIN), action)
    require_on(user(id=1, role=Role.ADMIN), action, owner_id=2)


@pytest.mark.parametrize("action", sorted(set(Action) - MEMBERS - ANNOTATORS))
@pytest.mark.parametrize("role", [Role.MEMBER, Role.ANNOTATOR])
def test_what_admins_do_nobody_else_does_not_even_to_their_own(action: Action, role: Role) -> None:
    with pytest.raises(NotAllowed):
        require(user(id=1, role=role), action)
    with pytest.raises(NotAllowed):
        require_on(user(id=1, role=role), action, owner_id=1)


@pytest.mark.parametrize("action", sorted(MEMBERS))
def test_a_member_may_do_this(action: Action) -> None:
    require(user(id=1), action)


@pytest.mark.parametrize("action", sorted(ANNOTATORS))
def test_an_annotator_may_do_this_and_a_member_may_not(action: Action) -> None:
    require(user(id=1, role=Role.ANNOTATOR), action)
    with pytest.raises(NotAllowed):
        require_on(user(id=1), action, owner_id=1)


def test_the_history_of_a_resource_is_for_its_creator_annotators_and_admins() -> None:
    require_on(user(id=1), Action.RESOURCE_HISTORY, owner_id=1)
    require_on(user(id=1, role=Role.ANNOTATOR), Action.RESOURCE_HISTORY, owner_id=2)
    with pytest.raises(NotTheOwner):
        require_on(user(id=1), Action.RESOURCE_HISTORY, owner_id=2)


def test_a_resource_is_changed_by_its_owner_only() -> None:
    require_on(user(id=1), Action.RESOURCE_UPDATE, owner_id=1)
    with pytest.raises(NotTheOwner):
        require_on(user(id=1, role=Role.ANNOTATOR), Action.RESOURCE_UPDATE, owner_id=2)
