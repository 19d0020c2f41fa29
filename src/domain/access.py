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

    `by_key` tells whether an API key may do it for its user, who otherwise has to be signed in.
    """

    anyones: Role
    own: Role
    by_key: bool = True


def _from(role: Role) -> Permission:
    return Permission(anyones=role, own=role)


_IN_PERSON = Permission(anyones=Role.MEMBER, own=Role.MEMBER, by_key=False)


PERMISSIONS: Mapping[Action, Permission] = {
    Action.SELF_READ: _from(Role.MEMBER),
    Action.SELF_UPDATE: _IN_PERSON,
    Action.SESSION_LIST: _IN_PERSON,
    Action.SESSION_END: _IN_PERSON,
    Action.PASSWORD_CHANGE: _IN_PERSON,
    Action.DOCS_READ: _from(Role.ADMIN),
    Action.AUDIT_READ: _from(Role.ADMIN),
    Action.METRICS_READ: _from(Role.ADMIN),
    Action.USER_LIST: _from(Role.ADMIN),
    Action.USER_CREATE: _from(Role.ADMIN),
    Action.USER_UPDATE: _from(Role.ADMIN),
    Action.USER_RESET: _from(Role.ADMIN),
    Action.USER_IMPORT: _from(Role.ADMIN),
    Action.API_KEY_CREATE: _IN_PERSON,
    Action.API_KEY_LIST: _IN_PERSON,
    Action.API_KEY_REVOKE: _IN_PERSON,
    Action.PROJECT_CREATE: _from(Role.ADMIN),
    Action.PROJECT_UPDATE: _from(Role.ADMIN),
    Action.PROJECT_DELETE: _from(Role.ADMIN),
    Action.RESOURCE_CREATE: _from(Role.MEMBER),
    Action.RESOURCE_UPDATE: Permission(anyones=Role.ADMIN, own=Role.MEMBER),
    Action.RESOURCE_GIVE: Permission(anyones=Role.ADMIN, own=Role.MEMBER),
    Action.RESOURCE_VERSIONS: Permission(anyones=Role.ADMIN, own=Role.MEMBER),
    Action.RESOURCE_DELETE: _from(Role.ADMIN),
    Action.RESOURCE_HISTORY: Permission(anyones=Role.ANNOTATOR, own=Role.MEMBER),
    Action.RESOURCE_IMPORT: _from(Role.ADMIN),
    Action.SURVEY_PUBLISH: _from(Role.ADMIN),
    Action.SURVEY_SWITCH: _from(Role.ADMIN),
    Action.SURVEY_VERSIONS: _from(Role.ADMIN),
    Action.RESPONSE_READ: _from(Role.ANNOTATOR),
    Action.FILE_UPLOAD: _from(Role.ADMIN),
    Action.FILE_DELETE: _from(Role.ADMIN),
    Action.EXPORT_CREATE: _from(Role.ANNOTATOR),
    Action.EXPORT_READ: _from(Role.ANNOTATOR),
    Action.EXPORT_DELETE: Permission(anyones=Role.ADMIN, own=Role.ANNOTATOR),
    Action.LABEL_SET_PUBLISH: _from(Role.ADMIN),
    Action.LABEL_SET_READ: _from(Role.ANNOTATOR),
    Action.ANNOTATION_WRITE: _from(Role.ANNOTATOR),
    Action.ANNOTATION_DELETE: _from(Role.ANNOTATOR),
    Action.ANNOTATION_READ: _from(Role.ANNOTATOR),
    Action.ANNOTATION_DRAW: _from(Role.ANNOTATOR),
    Action.ANNOTATION_EXPORT: _from(Role.ANNOTATOR),
    Action.ANNOTATION_AGREEMENT: _from(Role.ANNOTATOR),
    Action.ANNOTATION_IMPORT: _from(Role.ADMIN),
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


def require(actor: Actor, action: Action) -> None:
    """Raise `NotAllowed` unless the actor's role may do this at all, be it only to what is the actor's own."""
    if actor.role.rank < PERMISSIONS[action].own.rank:
        raise NotAllowed


def require_on(actor: Actor, action: Action, *, owner_id: int) -> None:
    """Raise `NotAllowed`, or `NotTheOwner` where only the owner's own may be touched and this is another's."""
    require(actor, action)
    if actor.id != owner_id and actor.role.rank < PERMISSIONS[action].anyones.rank:
        raise NotTheOwner
