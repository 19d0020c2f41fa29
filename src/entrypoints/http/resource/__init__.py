"""Resources over HTTP."""

from entrypoints.http.resource.bodies import ResourceIn, ResourceOut, StatusName
from entrypoints.http.resource.public import public_resources
from entrypoints.http.resource.query import LABELS_PARAMETER, ResourceFilter
from entrypoints.http.resource.signed_in import signed_in_resources
from entrypoints.http.resource.versions import resource_versions

__all__ = [
    "LABELS_PARAMETER",
    "ResourceFilter",
    "ResourceIn",
    "ResourceOut",
    "StatusName",
    "public_resources",
    "resource_versions",
    "signed_in_resources",
]
