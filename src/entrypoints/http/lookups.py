"""Whether the thing that an address names is there: asked only when the rest of a request is wrong, since 404 comes first."""

from collections.abc import Mapping
from typing import Any

from entrypoints.container import Container
from entrypoints.http.route import Lookup


def lookups_of(use: Container) -> Mapping[str, Lookup]:
    """A lookup for each path parameter that names a thing; each raises `NotFound`."""
    projects, get_resource, get_user, get_file = use.projects(), use.get_resource(), use.get_user(), use.get_file()

    async def project(given: Mapping[str, Any]) -> None:
        await projects.get(given["project"])

    async def resource(given: Mapping[str, Any]) -> None:
        await get_resource(project=given["project"], resource_id=given["resource_id"])

    async def user(given: Mapping[str, Any]) -> None:
        await get_user(user_id=given["user_id"], by=given["by"])

    async def file(given: Mapping[str, Any]) -> None:
        await get_file(project=given["project"], file_id=given["file_id"])

    return {"file_id": file, "project": project, "resource_id": resource, "user_id": user}


def survey_of(use: Container) -> Lookup:
    """The lookup of a project that names its survey."""
    get_one = use.get_survey()

    async def survey(given: Mapping[str, Any]) -> None:
        await get_one(project=given["project"])

    return survey
