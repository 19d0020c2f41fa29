"""Who did what, field by field: what each use case leaves in the trail, and who may read it."""

from datetime import timedelta
from typing import Any

import pytest

from application.story import Story
from domain.access import NotAllowed, NotTheOwner, Role
from domain.api_key import Scope
from domain.audit import AuditFilter, Entry
from domain.errors import Conflict, NotFound
from domain.export import Format
from domain.project import SlugTaken
from domain.session import InvalidCredentials, InvalidToken
from domain.survey import BreakingChange
from domain.user import LastAdmin, User
from domain.user_import import AccountRow
from tests.examples import AGE, NOTE, SCALE, definition
from tests.unit.application.conftest import PASSWORD, World


async def trail(world: World) -> list[Entry]:
    """Everything in the trail, oldest first."""
    return [told.record.entry for told in reversed(await world.audit.page(AuditFilter(), before=None, limit=1000))]


async def told(world: World, since: int = 0) -> list[tuple[Any, ...]]:
    """Actions, by whom, on what, and what changed: of the entries after so many."""
    return [
        (each.action, each.actor_id, each.target.id, {c.field: (c.before, c.after) for c in each.changes})
        for each in (await trail(world))[since:]
    ]


async def count(world: World) -> int:
    return len(await trail(world))


async def test_projects(world: World, admin: User) -> None:
    await world.create_project(slug="story", title="A story", by=admin)
    await world.update_project(project="story", changes={"description": "New"}, expected=None, by=admin)
    await world.update_project(project="story", changes={"description": "New"}, expected=None, by=admin)
    await world.delete_project(project="story", expected=None, by=admin)
    assert await told(world) == [
        ("project.create", admin.id, "story", {"title": (None, "A story"), "is_active": (None, True)}),
        ("project.update", admin.id, "story", {"description": (None, "New")}),
        ("project.delete", admin.id, "story", {"is_active": (True, False)}),
    ]
    assert {each.project for each in await trail(world)} == {"story"}


async def test_resources(world: World, admin: User, member: User) -> None:
    await world.create_project(slug="story", title="A story", by=admin)
    made = await world.create_resource(project="story", name="One", attributes={"a": 1}, by=member)
    at: dict[str, Any] = {"project": "story", "resource_id": made.id, "expected": None}
    world.clock.advance(timedelta(seconds=1))
    await world.update_resource(**at, changes={"attributes": {"a": True}, "name": "One"}, by=member)
    await world.update_resource(**at, changes={}, by=member)
    await world.delete_resource(**at, by=admin)
    await world.restore_resource(**at, by=admin)
    await world.restore_resource(**at, by=admin)
    begun = {"name": (None, "One"), "status": (None, "active"), "attributes": (None, {"a": 1}), "is_active": (None, True)}
    assert await told(world, 1) == [
        ("resource.create", member.id, made.id, begun),
        ("resource.update", member.id, made.id, {"attributes": ({"a": 1}, {"a": True})}),
        ("resource.delete", admin.id, made.id, {"is_active": (True, False)}),
        ("resource.restore", admin.id, made.id, {"is_active": (False, True)}),
    ]
    assert (await trail(world))[2].at == world.clock.now()


async def test_surveys(world: World, admin: User) -> None:
    await world.create_project(slug="story", title="A story", by=admin)
    await world.publish(project="story", definition=definition(SCALE, AGE), by=admin)
    await world.publish(project="story", definition=definition(SCALE, AGE), by=admin)
    await world.publish(project="story", definition=definition(SCALE, NOTE), by=admin)
    for is_open in (True, False, False, True):
        await world.switch(project="story", is_open=is_open, by=admin)
    assert await told(world, 1) == [
        ("survey.publish", admin.id, "story", {"version": (None, 1), "trust": (None, "added"), "age": (None, "added")}),
        ("survey.publish", admin.id, "story", {"version": (1, 2), "note": (None, "added"), "age": (None, "removed")}),
        ("survey.close", admin.id, "story", {"open": (True, False)}),
        ("survey.open", admin.id, "story", {"open": (False, True)}),
    ]


async def test_a_story_leaves_what_its_parts_leave_by_hand(world: World, admin: User) -> None:
    def story(title: str, *names: str) -> Story:
        return Story(
            slug="story",
            title=title,
            description=None,
            definition=definition(AGE),
            resources=tuple({"name": name, "attributes": {}} for name in names),
        )

    await world.apply_story(story("A story", "One"), by=admin, dry_run=True)
    assert await trail(world) == []
    await world.apply_story(story("A story", "One"), by=admin)
    await world.apply_story(story("A story", "One"), by=admin)
    assert [action for action, *_ in await told(world)] == ["project.create", "survey.publish", "resource.create"]
    await world.apply_story(story("New", "One", "Two"), by=admin)
    assert [(action, changes.get("title")) for action, _, _, changes in await told(world, 3)] == [
        ("project.update", ("A story", "New")),
        ("resource.create", None),
    ]


async def test_accounts_made_by_an_admin_an_operator_and_oneself(world: World, admin: User) -> None:
    made = await world.create_user(username="emmy", email="emmy@example.org", role=Role.ANNOTATOR, by=admin)
    operator = await world.create_admin(username="root", email="root@example.org", password=PASSWORD)
    imported = await world.import_users([AccountRow(username="one", email="a@b.c"), AccountRow(username="two", email="a@b.c")], by=admin)
    own = await world.signed_up("lovelace")
    assert (await told(world))[:5] == [
        ("user.create", admin.id, made.user.id, {"username": (None, "emmy"), "role": (None, "annotator")}),
        ("user.create", None, operator.id, {"username": (None, "root"), "role": (None, "admin")}),
        *(("user.import", admin.id, each.user.id, {"username": (None, each.user.username), "role": (None, "member")}) for each in imported),
        ("user.register", own.user.id, own.user.id, {"username": (None, "lovelace"), "role": (None, "member")}),
    ]
    assert [each[:2] for each in (await told(world))[5:]] == [("session.start", own.user.id)]


async def test_what_admins_do_to_accounts(world: World, admin: User) -> None:
    user = (await world.signed_up()).user
    since = await count(world)
    to: dict[str, Any] = {"user_id": user.id, "expected": None, "by": admin}
    await world.administer(**to, role=Role.ANNOTATOR)
    await world.administer(**to, role=Role.ANNOTATOR)
    await world.administer(**to, role=Role.MEMBER, is_active=False)
    await world.administer(**to, is_active=True)
    await world.reset_user(user_id=user.id, by=admin)
    actions = await told(world, since)
    session = actions[3][2]
    assert actions == [
        ("user.role", admin.id, user.id, {"role": ("member", "annotator")}),
        ("user.role", admin.id, user.id, {"role": ("annotator", "member")}),
        ("user.deactivate", admin.id, user.id, {"is_active": (True, False)}),
        ("session.end", admin.id, session, {}),
        ("user.activate", admin.id, user.id, {"is_active": (False, True)}),
        ("user.reset", admin.id, user.id, {}),
    ]


async def test_what_people_do_to_their_own_accounts(world: World, admin: User) -> None:
    setup = await world.create_user(username="lovelace", email="old@example.org", by=admin)
    await world.set_password(token=setup.token, new_password=PASSWORD)
    first, second = await world.signed_in(), await world.signed_in()
    user, session = await world.authenticate.in_session(access_token=second.access_token)
    since = await count(world)
    await world.update_profile(email="new@example.org", expected=None, by=user)
    await world.update_profile(email="new@example.org", expected=None, by=user)
    await world.change_password(current_password=PASSWORD, new_password="six other words", network="home", session_id=session, by=user)
    _, other = world.authenticate.holder(access_token=first.access_token)
    assert [each[:3] for each in await told(world, 1)][:1] == [("password.set", user.id, user.id)]
    assert await told(world, since) == [
        ("user.update", user.id, user.id, {"email": ("old@example.org", "new@example.org")}),
        ("password.change", user.id, user.id, {}),
        ("session.end", user.id, str(other), {}),
    ]


async def test_sessions(world: World) -> None:
    first = await world.signed_up()
    user = first.user
    ids = [world.authenticate.holder(access_token=(await world.signed_in()).access_token)[1] for _ in range(3)]
    since = await count(world)
    await world.log_out(session_id=ids[0])
    await world.log_out(session_id=ids[0])
    await world.end_session(session_id=ids[1], by=user)
    with pytest.raises(NotFound):
        await world.end_session(session_id=ids[1], by=user)
    own = world.authenticate.holder(access_token=first.access_token)[1]
    await world.end_other_sessions(session_id=own, by=user)
    await world.end_other_sessions(session_id=own, by=user)
    assert await told(world, since) == [("session.end", user.id, str(id), {}) for id in ids]
    since = await count(world)
    again = await world.refresh(refresh_token=first.refresh_token)
    world.clock.advance(timedelta(seconds=6))
    for _ in range(2):
        with pytest.raises(InvalidToken):
            await world.refresh(refresh_token=first.refresh_token)
    with pytest.raises(InvalidToken):
        await world.refresh(refresh_token=again.refresh_token)
    assert await told(world, since) == [("session.replay", user.id, str(own), {})]


async def test_keys(world: World, member: User) -> None:
    made = await world.create_key(name="import", scopes=[Scope.WRITE, Scope.READ], expires_in_days=1, by=member)
    await world.revoke_key(key_id=made.key.id, by=member)
    with pytest.raises(NotFound):
        await world.revoke_key(key_id=made.key.id, by=member)
    (create, revoke) = await told(world)
    assert create[:3] == ("api-key.create", member.id, made.key.id)
    assert create[3]["scopes"] == (None, ["read", "write"])
    assert revoke == ("api-key.revoke", member.id, made.key.id, {})
    assert made.secret not in repr(await trail(world))


async def test_an_export_is_put_down_before_its_first_byte(world: World, admin: User) -> None:
    await world.create_project(slug="story", title="A story", by=admin)
    with pytest.raises(NotFound):
        await anext(world.export_responses(project="story", kind=Format.CSV, by=admin))
    await world.publish(project="story", definition=definition(), by=admin)
    since = await count(world)
    await anext(world.export_responses(project="story", kind=Format.CSV, version=1, by=admin))
    await anext(world.export_responses(project="story", kind=Format.PARQUET, by=admin))
    assert await told(world, since) == [
        ("response.export", admin.id, "story", {"format": (None, "csv"), "version": (None, 1)}),
        ("response.export", admin.id, "story", {"format": (None, "parquet")}),
    ]


async def test_nothing_of_a_reader_is_put_down(world: World, admin: User) -> None:
    await world.create_project(slug="story", title="A story", by=admin)
    await world.publish(project="story", definition=definition(), by=admin)
    since = await count(world)
    saved = await world.save(project="story", fingerprint="fingerprint-1", answers={"age": 41})
    await world.get_response(project="story", token=saved.token)
    await world.erase(project="story", token=saved.token)
    assert await count(world) == since


async def test_who_reads_single_responses_is_put_down_once_an_hour_a_project(world: World, admin: User) -> None:
    for slug in ("story", "other"):
        await world.create_project(slug=slug, title="A story", by=admin)
        await world.publish(project=slug, definition=definition(), by=admin)
    since = await count(world)
    another = await world.admin("emmy")
    for slug, by in (("story", admin), ("story", admin), ("other", admin), ("story", another)):
        await world.list_responses(project=slug, after=0, limit=9, by=by)
    world.clock.advance(timedelta(hours=1))
    await world.list_responses(project="story", after=0, limit=9, by=admin)
    assert [(action, who, slug) for action, who, slug, _ in await told(world, since)] == [
        ("response.read", admin.id, "story"),
        ("response.read", admin.id, "other"),
        ("response.read", another.id, "story"),
        ("response.read", admin.id, "story"),
    ]


async def test_a_purge_tells_how_much_went_and_nothing_when_nothing_did(world: World, admin: User) -> None:
    await world.create_project(slug="story", title="A story", by=admin)
    await world.delete_project(project="story", expected=None, by=admin)
    world.clock.advance(timedelta(days=3))
    since = await count(world)
    await world.purge_old(age=timedelta(days=5), dry_run=False)
    await world.purge_old(age=timedelta(days=1), dry_run=True)
    assert await count(world) == since
    await world.purge_old(age=timedelta(days=1), dry_run=False)
    await world.purge_old(age=timedelta(days=1), dry_run=False)
    assert await told(world, since) == [("archive.purge", None, "2026-11-26T12:00:00.123456Z", {"projects": (1, 0)})]


async def test_what_is_refused_leaves_nothing(world: World, admin: User, member: User) -> None:
    await world.create_project(slug="story", title="A story", by=admin)
    await world.publish(project="story", definition=definition(), by=admin)
    await world.save(project="story", fingerprint="fingerprint-1", answers={"age": 41})
    made = await world.create_resource(project="story", name="One", attributes={}, by=admin)
    await world.signed_up()
    since = await count(world)
    with pytest.raises(SlugTaken):
        await world.create_project(slug="story", title="A story", by=admin)
    with pytest.raises(Conflict):
        await world.create_resource(project="story", name="one", attributes={}, by=member)
    with pytest.raises(NotTheOwner):
        await world.update_resource(project="story", resource_id=made.id, changes={"name": "X"}, expected=None, by=member)
    with pytest.raises(BreakingChange):
        await world.publish(project="story", definition=definition(SCALE), by=admin)
    with pytest.raises(LastAdmin):
        await world.administer(user_id=admin.id, role=Role.MEMBER, expected=None, by=admin)
    with pytest.raises(InvalidCredentials):
        await world.signed_in(password="wrong")
    assert await count(world) == since


# --- reading ------------------------------------------------------------------------------------------------------------------


async def test_only_admins_read_the_trail(world: World, admin: User, member: User, other: User) -> None:
    await world.create_project(slug="story", title="A story", by=admin)
    (only,) = await world.list_audit(AuditFilter(), before=None, limit=9, by=admin)
    assert (only.actor, only.record.entry.action) == ("grace", "project.create")
    for person in (member, other):
        with pytest.raises(NotAllowed):
            await world.list_audit(AuditFilter(), before=None, limit=9, by=person)


async def test_a_history_is_for_the_creator_annotators_and_admins_also_when_deleted(
    world: World, admin: User, member: User, other: User
) -> None:
    await world.create_project(slug="story", title="A story", by=admin)
    made = await world.create_resource(project="story", name="One", attributes={}, by=member)
    await world.create_resource(project="story", name="Two", attributes={}, by=member)
    await world.delete_resource(project="story", resource_id=made.id, expected=None, by=admin)
    at: dict[str, Any] = {"project": "story", "resource_id": made.id, "before": None, "limit": 9}
    for person in (member, other, admin):
        found = await world.list_history(**at, by=person)
        assert [each.record.entry.action for each in found] == ["resource.delete", "resource.create"]
    stranger = (await world.signed_up()).user
    with pytest.raises(NotTheOwner):
        await world.list_history(**at, by=stranger)
    absences: list[dict[str, Any]] = [{"project": "other"}, {"resource_id": made.id + 1000}]
    for absent in absences:
        with pytest.raises(NotFound):
            await world.list_history(**at | absent, by=admin)


async def test_the_chain_follows_and_verifies(world: World, admin: User) -> None:
    await world.create_project(slug="story", title="A story", by=admin)
    waiting = await world.verify_audit()
    assert (waiting.entries, waiting.chained, waiting.waiting, waiting.fault) == (1, 0, 1, None)
    assert not await world.chain_audit()
    verdict = await world.verify_audit(expected=waiting.head)
    assert (verdict.entries, verdict.chained, verdict.waiting, verdict.fault) == (1, 1, 0, None)
