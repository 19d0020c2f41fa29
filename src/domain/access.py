"""Who may do what: one table of action by role, and the two questions asked of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from domain.errors import Forbidden


class Role(StrEnum):
    """What a signed-in person is; each role may all that the one before it may."""

    MEMBER = "member"
    ANNOTATOR = "annotator"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        return _ORDER.index(self)


_ORDER = (Role.MEMBER, Role.ANNOTATOR, Role.ADMIN)
UNBLINDED = Role.ADMIN  # the least role that sees what blind sets hide, and who annotators are


class Action(StrEnum):
    """Everything that a signed-in person can ask for, as `noun.verb`."""

    SELF_READ = "self.read"
    SELF_UPDATE = "self.update"
    SESSION_LIST = "session.list"
    SESSION_END = "session.end"
    PASSWORD_CHANGE = "password.change"  # noqa: S105 - the name of an action
    DOCS_READ = "docs.read"
    AUDIT_READ = "audit.read"
    METRICS_READ = "metrics.read"
    USER_LIST = "user.list"
    USER_CREATE = "user.create"
    USER_UPDATE = "user.update"
    USER_RESET = "user.reset"
    USER_IMPORT = "user.import"
    API_KEY_CREATE = "api-key.create"
    API_KEY_LIST = "api-key.list"
    API_KEY_REVOKE = "api-key.revoke"
    PROJECT_CREATE = "project.create"
    PROJECT_UPDATE = "project.update"
    PROJECT_DELETE = "project.delete"
    RESOURCE_CREATE = "resource.create"
    RESOURCE_UPDATE = "resource.update"
    RESOURCE_GIVE = "resource.give"
    RESOURCE_VERSIONS = "resource.versions"
    RESOURCE_DELETE = "resource.delete"
    RESOURCE_HISTORY = "resource.history"
    RESOURCE_IMPORT = "resource.import"
    SURVEY_PUBLISH = "survey.publish"
    SURVEY_SWITCH = "survey.switch"
    SURVEY_VERSIONS = "survey.versions"
    RESPONSE_READ = "response.read"
    RESPONSE_ERASE = "response.erase"
    RESULTS_READ = "results.read"
    FILE_UPLOAD = "file.upload"
    FILE_DELETE = "file.delete"
    EXPORT_CREATE = "export.create"
    EXPORT_READ = "export.read"
    EXPORT_DELETE = "export.delete"
    LABEL_SET_PUBLISH = "label-set.publish"
    LABEL_SET_READ = "label-set.read"
    ANNOTATION_WRITE = "annotation.write"
    ANNOTATION_DELETE = "annotation.delete"
    ANNOTATION_READ = "annotation.read"
    ANNOTATION_DRAW = "annotation.draw"
    ANNOTATION_EXPORT = "annotation.export"
    ANNOTATION_AGREEMENT = "annotation.agreement"
    ANNOTATION_IMPORT = "annotation.import"


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """The least role that may do a thing to anything, and the least that may do it to what is its own.

    `changes` tells whether it changes anything, a lease included: an API key then needs the scope to write, whatever the request looks
    like. `by_key` tells whether a key may do it at all for its user, who otherwise has to be signed in.
    """

    anyones: Role
    own: Role
    changes: bool
    by_key: bool = True


def _reads(role: Role) -> Permission:
    return Permission(anyones=role, own=role, changes=False)


def _changes(role: Role) -> Permission:
    return Permission(anyones=role, own=role, changes=True)


def _in_person(role: Role, *, changes: bool = True) -> Permission:
    """What a stolen key must not do: it would make the thief its owner."""
    return Permission(anyones=role, own=role, changes=changes, by_key=False)


PERMISSIONS: Mapping[Action, Permission] = {
    Action.SELF_READ: _reads(Role.MEMBER),
    Action.SELF_UPDATE: _in_person(Role.MEMBER),
    Action.SESSION_LIST: _in_person(Role.MEMBER, changes=False),
    Action.SESSION_END: _in_person(Role.MEMBER),
    Action.PASSWORD_CHANGE: _in_person(Role.MEMBER),
    Action.DOCS_READ: _reads(Role.MEMBER),
    Action.AUDIT_READ: _reads(Role.ADMIN),
    Action.METRICS_READ: _reads(Role.ADMIN),
    Action.USER_LIST: _reads(Role.ADMIN),
    Action.USER_CREATE: _in_person(Role.ADMIN),
    Action.USER_UPDATE: _in_person(Role.ADMIN),
    Action.USER_RESET: _in_person(Role.ADMIN),
    Action.USER_IMPORT: _in_person(Role.ADMIN),
    Action.API_KEY_CREATE: _in_person(Role.MEMBER),
    Action.API_KEY_LIST: _in_person(Role.MEMBER, changes=False),
    Action.API_KEY_REVOKE: _in_person(Role.MEMBER),
    Action.PROJECT_CREATE: _changes(Role.ADMIN),
    Action.PROJECT_UPDATE: _changes(Role.ADMIN),
    Action.PROJECT_DELETE: _changes(Role.ADMIN),
    Action.RESOURCE_CREATE: _changes(Role.MEMBER),
    Action.RESOURCE_UPDATE: Permission(anyones=Role.ADMIN, own=Role.MEMBER, changes=True),
    Action.RESOURCE_GIVE: Permission(anyones=Role.ADMIN, own=Role.MEMBER, changes=True),
    Action.RESOURCE_VERSIONS: Permission(anyones=Role.ADMIN, own=Role.MEMBER, changes=False),
    Action.RESOURCE_DELETE: _changes(Role.ADMIN),
    Action.RESOURCE_HISTORY: Permission(anyones=Role.ANNOTATOR, own=Role.MEMBER, changes=False),
    Action.RESOURCE_IMPORT: _changes(Role.ADMIN),
    Action.SURVEY_PUBLISH: _changes(Role.ADMIN),
    Action.SURVEY_SWITCH: _changes(Role.ADMIN),
    Action.SURVEY_VERSIONS: _reads(Role.ADMIN),
    Action.RESPONSE_READ: _reads(Role.ADMIN),
    Action.RESPONSE_ERASE: _changes(Role.ADMIN),
    Action.RESULTS_READ: _reads(Role.ADMIN),
    Action.FILE_UPLOAD: _changes(Role.ADMIN),
    Action.FILE_DELETE: _changes(Role.ADMIN),
    Action.EXPORT_CREATE: _changes(Role.ANNOTATOR),
    Action.EXPORT_READ: _reads(Role.ANNOTATOR),
    Action.EXPORT_DELETE: Permission(anyones=Role.ADMIN, own=Role.ANNOTATOR, changes=True),
    Action.LABEL_SET_PUBLISH: _changes(Role.ADMIN),
    Action.LABEL_SET_READ: _reads(Role.ANNOTATOR),
    Action.ANNOTATION_WRITE: _changes(Role.ANNOTATOR),
    Action.ANNOTATION_DELETE: _changes(Role.ANNOTATOR),
    Action.ANNOTATION_READ: _reads(Role.ANNOTATOR),
    Action.ANNOTATION_DRAW: _changes(Role.ANNOTATOR),
    Action.ANNOTATION_EXPORT: _reads(Role.ANNOTATOR),
    Action.ANNOTATION_AGREEMENT: _reads(Role.ANNOTATOR),
    Action.ANNOTATION_IMPORT: _changes(Role.ADMIN),
}


class NotAllowed(Forbidden):
    """Your role does not allow this: ask an admin to do it, or to raise your role."""

    code = "not-allowed"
    detail = "Your role does not allow this."


class NotTheOwner(Forbidden):
    """Your role allows this only on what is your own, and this is another's: ask its owner, or an admin."""

    code = "not-the-owner"
    detail = "Your role allows this only on what is your own."


class Actor(Protocol):
    """Whoever acts: an identity and a role."""

    @property
    def id(self) -> int: ...
    @property
    def role(self) -> Role: ...


def is_unblinded(actor: Actor) -> bool:
    """Whether nothing is hidden from the actor that blind label sets hide, nor who annotators are."""
    return actor.role.rank >= UNBLINDED.rank


def may(actor: Actor, action: Action) -> bool:
    """Whether the actor's role may do this at all, be it only to what is the actor's own."""
    return actor.role.rank >= PERMISSIONS[action].own.rank


def require(actor: Actor, action: Action) -> None:
    """Raise `NotAllowed` unless the actor `may` do this."""
    if not may(actor, action):
        raise NotAllowed


def require_on(actor: Actor, action: Action, *, owner_id: int) -> None:
    """Raise `NotAllowed`, or `NotTheOwner` where only the owner's own may be touched and this is another's."""
    require(actor, action)
    if actor.id != owner_id and actor.role.rank < PERMISSIONS[action].anyones.rank:
        raise NotTheOwner
