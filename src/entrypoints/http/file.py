"""Files over HTTP: uploads, lists, and downloads that nobody's browser ever opens by itself."""

import hashlib
from collections.abc import AsyncGenerator, Mapping
from typing import Annotated, Any
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from application.file import Received
from domain.access import Action
from domain.file import TYPES, VERSION, File
from domain.user import User
from entrypoints.container import Container
from entrypoints.http.content import content, content_responses
from entrypoints.http.idempotency import MakesOnce, by_key
from entrypoints.http.lookups import lookups_of
from entrypoints.http.multipart_body import FormReader
from entrypoints.http.problems import problem_responses
from entrypoints.http.query import PageQuery, page_of, uuid_after
from entrypoints.http.rate_limit import Limits
from entrypoints.http.reply import UNCHANGED, Json, Out, Time, entity, expected_versions, json_list
from entrypoints.http.route import router_of
from entrypoints.http.signed_in import Guard

_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "required": ["file"], "properties": {"file": {"type": "string", "format": "binary"}}},
                "encoding": {"file": {"contentType": ", ".join(TYPES)}},
            }
        },
    }
}
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 !#$&'()+,-.;=@[]^_`{}~")


class FileOut(Out):
    id: UUID
    filename: str
    size: int
    content_type: str
    sha256: str
    created_by: str
    created_at: Time

    @classmethod
    def of(cls, file: File) -> "FileOut":
        return cls.model_construct(**{name: getattr(file, name) for name in FileOut.model_fields})


_LIST = TypeAdapter(list[FileOut])


def public_files(use: Container, limits: Limits) -> APIRouter:
    list_them, get_one, read = use.list_files(), use.get_file(), use.read_content()
    router = router_of("Files", limits, lookups_of(use))

    @router.get("/{project:slug}/files", response_model=list[FileOut], responses=problem_responses(404), description=list_them.__doc__)
    @limits.public_read
    async def get_files(request: Request, project: str, query: Annotated[PageQuery, Query()]) -> Response:
        found = await list_them(project=project, after=uuid_after(query.cursor), limit=query.limit + 1)
        page, headers = page_of(request, found, limit=query.limit, place=lambda last: str(last.id))
        return json_list(_LIST, [FileOut.of(file) for file in page], headers)

    @router.get(
        "/{project:slug}/files/{file_id:uuid}",
        response_model=FileOut,
        responses=problem_responses(404) | UNCHANGED,
        description=get_one.__doc__,
    )
    @limits.public_read
    async def get_file(request: Request, project: str, file_id: UUID) -> Response:
        file = await get_one(project=project, file_id=file_id)
        return entity(request.headers, FileOut.of(file), tag=_tag(file))

    @router.get(
        "/{project:slug}/files/{file_id:uuid}/content",
        response_class=StreamingResponse,
        responses=content_responses(TYPES) | problem_responses(404),
        description="The bytes of a file as they were uploaded, or one range of them; 503 `content-damaged` where they are not.",
    )
    @limits.public_read
    async def get_content(request: Request, project: str, file_id: UUID) -> Response:
        file = await get_one(project=project, file_id=file_id)

        async def opened(start: int, end: int) -> AsyncGenerator[bytes, None]:
            return await read(file, start=start, end=end)

        return await content(
            request,
            size=file.size,
            sha256=file.sha256,
            media_type=file.content_type,
            disposition=_attachment(file.filename),
            opened=opened,
        )

    return router


def signed_in_files(use: Container, limits: Limits, guard: Guard, *, at_most: int) -> APIRouter:
    receive, upload, delete, get_one = use.receive_file(), use.upload_file(), use.delete_file(), use.get_file()

    async def tag_of(given: Mapping[str, Any]) -> str:
        return _tag(await get_one(project=given["project"], file_id=given["file_id"]))

    router, once = router_of("Files", limits, lookups_of(use), tag_of=tag_of), MakesOnce(use)

    @router.post(
        "/admin/{project:slug}/upload",
        status_code=201,
        response_model=FileOut,
        responses=problem_responses(400, 404, 409, 413, 415, 507),
        openapi_extra=_FORM | by_key(201),
        description=upload.__doc__,
    )
    @limits.signed_in
    async def post_upload(request: Request, project: str, by: Annotated[User, Depends(guard(Action.FILE_UPLOAD))]) -> Response:
        async with FormReader(request, at_most=at_most) as form:
            part = await form.file()
            async with receive(project=project, filename=part.filename, declared=part.content_type, parts=part.content, by=by) as received:
                return await once(request, upload, _made, by=by, body_digest=_digest(received), project=project, received=received)

    @router.delete(
        "/admin/{project:slug}/files/{file_id:uuid}",
        status_code=204,
        response_model=None,
        responses=problem_responses(404, 412),
        description=delete.__doc__,
    )
    @limits.signed_in
    async def delete_file(
        request: Request, project: str, file_id: UUID, by: Annotated[User, Depends(guard(Action.FILE_DELETE))]
    ) -> Response:
        await delete(project=project, file_id=file_id, expected=expected_versions(request.headers), by=by)
        return Response(status_code=204)

    return router


def _made(file: File) -> Response:
    location = f"/{file.project}/files/{file.id}"
    return Json(FileOut.of(file), status=201, headers={"location": location, "etag": f'"{_tag(file)}"'})


def _digest(received: Received) -> bytes:
    """Of all that an upload says."""
    return hashlib.sha256(f"{received.sha256} {received.content_type} {received.filename}".encode()).digest()


def _tag(file: File) -> str:
    """The version first, which is all that `If-Match` compares."""
    return f"{VERSION}-{file.sha256[:32]}"


def _attachment(filename: str) -> str:
    """As RFC 6266 has it: an ASCII name for old clients, and the name itself."""
    plain = "".join(character if character in _PLAIN else "_" for character in filename)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"
