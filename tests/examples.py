"""Examples that tests are told with."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from domain.access import Role
from domain.api_key import ApiKey, Scope, new_api_key
from domain.label_set import Declaration, LabelSet, declaration_from
from domain.resource import Resource, new_resource
from domain.survey import Definition, Survey, definition_from, first_survey
from domain.user import User, new_user

NOW = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)


def user(username: str = "ada", *, id: int = 0, role: Role = Role.MEMBER, **changes: Any) -> User:
    made = new_user(username=username, email=f"{username}@example.org", role=role, at=NOW)
    return replace(made, id=id, **changes)


ADMIN = user("grace", id=1, role=Role.ADMIN)
MEMBER = user("ada", id=2)
OTHER = user("emmy", id=3)


def resource(name: str = "Figure 1", *, by: User = MEMBER, project: str = "story", **content: Any) -> Resource:
    return new_resource(project=project, name=name, by=by, at=NOW, attributes=content.pop("attributes", {}), **content)


def api_key(of: User = MEMBER, **changes: Any) -> ApiKey:
    content: dict[str, Any] = {
        "name": "import",
        "scopes": [Scope.READ],
        "expires_in_days": 30,
        "secret": f"cs_{'0' * 43}",
        "live": 0,
        "at": NOW,
    }
    return new_api_key(user_id=of.id, **content | changes)


CONSENT: dict[str, Any] = {
    "field": "consent",
    "type": "choice",
    "choices": [{"value": "accepted", "label": "Yes", "code": 1}, {"value": "declined", "code": 0}],
}
SCALE: dict[str, Any] = {"field": "trust", "type": "scale", "min": 1, "max": 7}
AGE: dict[str, Any] = {"field": "age", "type": "integer", "min": 0, "max": 130}
NOTE: dict[str, Any] = {"field": "note", "type": "text"}
PLATFORMS: dict[str, Any] = {"field": "platforms", "type": "multi_choice", "choices": [{"value": "Twitter"}, {"value": "Other"}]}
INTEGER: dict[str, Any] = {"field": "n", "type": "integer"}
NUMBER: dict[str, Any] = {"field": "n", "type": "number"}
BOOLEAN: dict[str, Any] = {"field": "b", "type": "boolean"}
DATE: dict[str, Any] = {"field": "d", "type": "date"}
MANY: dict[str, Any] = {"field": "m", "type": "multi_choice", "choices": [{"value": "a", "code": 1}, {"value": "b c"}, {"value": "d"}]}
GATE: dict[str, Any] = {"field": "consent", "accept": "accepted"}


def choices(*items: Any) -> dict[str, Any]:
    """A question of one choice among these, each a value or a whole choice."""
    return {"field": "c", "type": "choice", "choices": [item if isinstance(item, dict) else {"value": item} for item in items]}


def definition(*questions: dict[str, Any], **rest: Any) -> Definition:
    """A definition of a survey that goes by fingerprint, unless `rest` says otherwise."""
    declared = {"title": "Dark data", "identity": "fingerprint", "questions": list(questions or (SCALE, AGE, NOTE))}
    return definition_from(declared | rest)


def gated(*questions: dict[str, Any], **rest: Any) -> Definition:
    """A definition whose other questions wait for consent."""
    return definition(CONSENT, *(questions or (SCALE, AGE, NOTE)), consent=GATE, **rest)


def survey(of: Definition | None = None, *, project_id: int = 1, project: str = "story", by: User = ADMIN) -> Survey:
    made, _ = first_survey(of or definition(), project_id=project_id, project=project, by=by, at=NOW)
    return made


def declaration(**changes: Any) -> Declaration:
    """What a label set declares: a choice between a and b, open to everybody's eyes with `blind=False`."""
    return declaration_from({"title": "Topic", "type": "choice", "choices": [{"value": "a"}, {"value": "b"}]} | changes)


def label_set(*, version: int = 1, **changes: Any) -> LabelSet:
    """A label set of this declaration, stored as number 1."""
    return LabelSet(
        id=1,
        project_id=1,
        project="story",
        name="topic",
        version=version,
        declaration=declaration(**changes),
        published_at=NOW,
        published_by=ADMIN.id,
    )
