"""What is told beside a stored export: a Frictionless Data Package (specs.frictionlessdata.io, version 1)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from domain.export.stored import Export
from domain.export.table import Column, Format, guarded
from domain.text import rfc3339


def data_package(
    export: Export,
    *,
    title: str,
    description: str | None,
    codebook: Mapping[str, Any],
    columns: Sequence[Column],
    survey_version: int | None,
    at: datetime,
    rows: int,
    size: int,
    sha256: str,
) -> dict[str, Any]:
    """The package of the one file of an export, which lies beside it under the name that it is downloaded by."""
    version = {} if survey_version is None else {"survey_version": survey_version}
    package = {
        "profile": "tabular-data-package",
        "name": f"{export.project}-{export.what}",
        "id": str(export.id),
        "title": title,
        **({} if description is None else {"description": description}),
        "created": rfc3339(at),
        **version,
    }
    is_guarded = export.format is Format.CSV and not export.filters.get("raw", False)
    resource = {
        "profile": "tabular-data-resource",
        "name": export.what.value,
        "path": export.filename,
        "format": export.format.value,
        "mediatype": export.format.media_type.partition(";")[0],
        "encoding": "utf-8",
        "bytes": size,
        "hash": f"sha256:{sha256}",
        "rows": rows,
        "filters": dict(export.filters),
        "schema": _schema(codebook, columns, export.format, is_guarded=is_guarded),
    }
    return package | {"resources": [resource]}


def _schema(codebook: Mapping[str, Any], columns: Sequence[Column], format: Format, *, is_guarded: bool) -> dict[str, Any]:
    """The schema of the file's columns in their order, in the types of version 1. Columns of codes are only in the file."""
    known = {field["name"]: _field(field, format, is_guarded=is_guarded) for field in codebook["fields"]}
    fields = [known.get(column.name, {"name": column.name, "type": "integer"}) for column in columns]
    return {name: value for name, value in codebook.items() if name != "$schema"} | {"fields": fields}


def _field(field: Mapping[str, Any], format: Format, *, is_guarded: bool) -> dict[str, Any]:
    told = dict(field)
    if told["type"] == "list":  # of version 2: in CSV one text, its values joined
        told["type"] = "string" if format is Format.CSV else "array"
    constraints = dict(told.get("constraints", {}))
    if is_guarded and told["type"] == "string":
        if "enum" in constraints:
            constraints["enum"] = [guarded(value) for value in constraints["enum"]]
        if "maxLength" in constraints:
            constraints["maxLength"] += 1
    return told | ({"constraints": constraints} if constraints else {})
