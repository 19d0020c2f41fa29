"""What people write first: a session of the ORM for each request, relations by `selectinload` as SQLAlchemy's guide to asyncio has it,
select then insert, commit and refresh as FastAPI's tutorial does, entities turned into models one by one.

It works on the service's own tables and rows and takes the same requests for the same answers; of the service's safeguards it has none.
"""

# The attributes of the classes come from the tables, which the type checker does not look into.
# mypy: disable-error-code="attr-defined"

import os
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from secrets import token_urlsafe
from typing import Annotated, Any
from uuid import uuid4

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, relationship, selectinload

from adapters.postgres import tables
from adapters.security.tokens import JoseTokens
from benchmarks.bare import PORT_VARIABLE, after_id
from entrypoints.settings import load

settings = load()
engine = create_async_engine(settings.database_url or "")
new_session = async_sessionmaker(engine, expire_on_commit=False)
tokens = JoseTokens([key.encode() for key in settings.secret_key], access_lifetime=timedelta(minutes=settings.access_token_minutes))
app = FastAPI()


class Base(DeclarativeBase):
    metadata = tables.metadata


class User(Base):
    __table__ = tables.users


class Project(Base):
    __table__ = tables.projects


class Resource(Base):
    __table__ = tables.resources
    project = relationship(Project)
    creator = relationship(User)


class Answers(Base):
    __table__ = tables.responses


class ResourceOut(BaseModel):
    id: int
    project: str
    name: str
    description: str | None
    status: str
    attributes: dict[str, Any]
    created_by: str
    created_at: datetime
    updated_at: datetime | None
    is_active: bool
    version: int


class ResourceIn(BaseModel):
    description: str


class AnswerIn(BaseModel):
    fingerprint: str
    field: str
    value: Any


async def get_session() -> AsyncIterator[AsyncSession]:
    async with new_session() as session:
        yield session


Work = Annotated[AsyncSession, Depends(get_session)]


async def get_user(work: Work, given: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> Any:
    user_id, _ = tokens.read_access(given.credentials, at=datetime.now(UTC))
    user: Any = await work.get(User, user_id)
    if user is None or not user.is_active:
        raise HTTPException(401)
    return user


async def project_of(work: AsyncSession, slug: str) -> Any:
    project = (await work.execute(select(Project).where(Project.slug == slug, Project.deleted_at.is_(None)))).scalar_one_or_none()
    if project is None:
        raise HTTPException(404)
    return project


async def resource_of(work: AsyncSession, slug: str, resource_id: int) -> Any:
    project = await project_of(work, slug)
    found = await work.execute(
        select(Resource)
        .where(Resource.id == resource_id, Resource.project_id == project.id, Resource.deleted_at.is_(None))
        .options(selectinload(Resource.project), selectinload(Resource.creator))
    )
    resource = found.scalar_one_or_none()
    if resource is None:
        raise HTTPException(404)
    return resource


def out(resource: Any) -> ResourceOut:
    same = ("id", "name", "description", "status", "attributes", "created_at", "updated_at", "version")
    return ResourceOut(
        project=resource.project.slug,
        created_by=resource.creator.username,
        is_active=resource.deleted_at is None,
        **{name: getattr(resource, name) for name in same},
    )


async def skipped(work: AsyncSession, project: Any, cursor: str) -> int:
    """How many rows an offset has to skip for the same page; ids are without a gap, so that this costs next to nothing."""
    first = await work.scalar(select(Resource.id).where(Resource.project_id == project.id).order_by(Resource.id).limit(1))
    return after_id(cursor) - int(first or 0) + 1


@app.get("/{slug}/resources/{resource_id}")
async def get_resource(slug: str, resource_id: int, work: Work) -> ResourceOut:
    return out(await resource_of(work, slug, resource_id))


@app.get("/{slug}/resources")
async def get_resources(
    slug: str, work: Work, status: str | None = None, search: str | None = None, cursor: str | None = None, limit: int = 100
) -> list[ResourceOut]:
    """It knows pages by their offset alone: the place that a cursor names is as many rows to skip."""
    project = await project_of(work, slug)
    query = select(Resource).where(Resource.project_id == project.id, Resource.deleted_at.is_(None))
    if status:
        query = query.where(Resource.status == status)
    if search:
        query = query.where(or_(Resource.name.ilike(f"%{search}%"), Resource.description.ilike(f"%{search}%")))
    page = query.order_by(Resource.id).offset(await skipped(work, project, cursor) if cursor else 0).limit(limit)
    found = await work.execute(page.options(selectinload(Resource.project), selectinload(Resource.creator)))
    return [out(resource) for resource in found.scalars()]


@app.patch("/admin/{slug}/resources/{resource_id}", dependencies=[Depends(get_user)])
async def patch_resource(slug: str, resource_id: int, body: ResourceIn, work: Work) -> ResourceOut:
    resource = await resource_of(work, slug, resource_id)
    resource.description = body.description
    resource.search_text = f"{resource.name}\x1f{body.description}".casefold()
    resource.updated_at = datetime.now(UTC)
    resource.version += 1
    await work.commit()
    await work.refresh(resource)
    return out(resource)


@app.post("/{slug}/survey/upsert")
async def upsert(slug: str, body: AnswerIn, work: Work, response: Response) -> dict[str, Any]:
    project = await project_of(work, slug)
    pseudonym = sha256(body.fingerprint.encode()).digest()
    found = await work.execute(select(Answers).where(Answers.project_id == project.id, Answers.pseudonym == pseudonym))
    answers: Any = found.scalar_one_or_none()
    now = datetime.now(UTC)
    is_new = answers is None
    if answers is None:
        token = sha256(token_urlsafe(32).encode()).digest()
        answers = Answers(
            project_id=project.id,
            pseudonym=pseudonym,
            token_hash=token,
            answers={},
            seqs={},
            versions={},
            revision=0,
            is_test=False,
            is_owned=False,
            changes=0,
        )
        answers.survey_version, answers.last_save, answers.created_at = 1, uuid4(), now
        work.add(answers)
    answers.answers = answers.answers | {body.field: body.value}
    answers.versions = answers.versions | {body.field: 1}
    answers.revision += 1
    answers.updated_at = None if is_new else now
    await work.commit()
    await work.refresh(answers)
    response.status_code = 201 if is_new else 200
    return {"message": "Created" if is_new else "Updated", "field": body.field, "value": body.value, "revision": answers.revision}


@app.get("/{slug}/survey/results")
async def results(slug: str, work: Work) -> dict[str, Any]:
    project = await project_of(work, slug)
    counts: dict[str, Counter[str]] = {}
    found = (await work.execute(select(Answers).where(Answers.project_id == project.id))).scalars().all()
    for answers in found:
        for field, value in answers.answers.items():
            counts.setdefault(field, Counter())[str(value)] += 1
    return {"project": slug, "n": len(found), "questions": [{"field": field, "counts": dict(each)} for field, each in counts.items()]}


def main() -> None:
    """Serve on the port that the environment names, with the service's own settings."""
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ[PORT_VARIABLE]), http="httptools", access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
