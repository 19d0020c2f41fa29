"""A story declared in a file, in YAML or JSON, read as strictly as a request."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import yaml
from pydantic import Field

from application.story import Story
from domain.errors import Fault, Invalid
from domain.label_set import NAME_PATTERN, Declaration, declaration_from
from domain.resource import Status
from domain.survey import Definition, definition_from
from domain.text import refuse
from entrypoints.http.json_body import parse_json
from entrypoints.http.label_set import DeclarationBody
from entrypoints.http.problems import EdgeRefusal
from entrypoints.http.project import ProjectIn
from entrypoints.http.resource import ResourceIn
from entrypoints.http.survey import DefinitionBody
from entrypoints.http.validation import validated


class LabelSetInFile(DeclarationBody):
    name: str


class StoryFile(ProjectIn):
    """A project, its survey, its label sets and its resources."""

    survey: DefinitionBody | None = None
    label_sets: list[LabelSetInFile] = Field(default=[])
    resources: list[ResourceIn] = Field(default=[])


def story_from(text: bytes) -> Story:
    """The story that a file declares. Raises `Invalid` with a pointer to each fault."""
    file: StoryFile = validated(StoryFile, _parsed(text))
    refuse(_misnamed(file.label_sets))
    return Story(
        slug=file.slug,
        title=file.title,
        description=file.description,
        definition=None if file.survey is None else _definition(file.survey),
        keep_identity=file.survey is not None and file.survey.identity is None,
        resources=tuple(_fields(resource) for resource in file.resources),
        label_sets={each.name: _declaration(each, at=f"/label_sets/{index}") for index, each in enumerate(file.label_sets)},
    )


def _parsed(text: bytes) -> Any:
    try:
        return parse_json(text)
    except EdgeRefusal:
        pass  # not JSON: it may be YAML
    try:
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a safe loader, made stricter
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        line = f" near line {mark.line + 1}" if (mark := getattr(error, "problem_mark", None)) else ""
        raise Invalid(Fault(pointer="", code="malformed", detail=f"This is neither YAML nor JSON{line}.")) from None


def _definition(body: DefinitionBody) -> Definition:
    try:
        return definition_from(body.model_dump())
    except Invalid as error:
        raise Invalid(*(replace(fault, pointer=f"/survey{fault.pointer}") for fault in error.faults)) from None


def _misnamed(label_sets: list[LabelSetInFile]) -> Iterator[Fault]:
    known: set[str] = set()
    for index, each in enumerate(label_sets):
        at = f"/label_sets/{index}/name"
        if not re.fullmatch(NAME_PATTERN, each.name):
            yield Fault(pointer=at, code="bad-name", detail="1 to 63 letters, digits, hyphens and underscores, a letter or digit first.")
        if each.name in known:
            yield Fault(pointer=at, code="duplicate-name", detail="Another label set of the story has this name.")
        known.add(each.name)


def _declaration(body: LabelSetInFile, *, at: str) -> Declaration:
    try:
        return declaration_from(body.document())
    except Invalid as error:
        raise Invalid(*(replace(fault, pointer=f"{at}{fault.pointer}") for fault in error.faults)) from None


def _fields(resource: ResourceIn) -> dict[str, Any]:
    return resource.model_dump() | {"status": Status(resource.status)}


class _StrictLoader(yaml.SafeLoader):
    """Refuses a key that is given twice, and keeps dates as texts."""


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    if len(set(map(repr, keys))) != len(keys):
        raise yaml.constructor.ConstructorError(None, None, "a key is given twice", node.start_mark)
    return loader.construct_mapping(node, deep=True)


def _text(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node))


_StrictLoader.add_constructor("tag:yaml.org,2002:map", _mapping)
_StrictLoader.add_constructor("tag:yaml.org,2002:timestamp", _text)
