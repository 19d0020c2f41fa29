"""The queue of annotations: `python -m tests.drills.queue --annotators 20 --resources 2000` lets all draw at once, on PostgreSQL.

*Held*: everybody draws until nothing is left, and nobody annotates; each resource is handed out exactly once. *Returned*: when the
leases have ended, each is handed out exactly once again. *Annotated*: everybody draws and annotates, and abandons some of what was
drawn, until nothing is left; nobody is given what somebody else holds, or what one has annotated oneself, and in the end each resource
has exactly as many annotations as it should.
"""

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import quantiles

from adapters.postgres.database import Pool
from adapters.postgres.project import PostgresProjects
from adapters.postgres.schema import migrate
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.postgres.user import PostgresUsers
from application.annotation import Annotate, DrawNext
from application.label_set import PublishLabelSet
from domain.access import Role
from domain.annotation import LEASE
from domain.project import new_project
from domain.user import User
from tests.examples import NOW, declaration, user
from tests.fakes.system import FakeClock
from tests.postgres import lent, make_database, postgres_server

PROJECT, LABEL_SET, COPIES = "drill", "topic", 2
RESOURCES = """
INSERT INTO resources (project_id, name, name_key, search_text, status, attributes, created_by, owner_id, created_at, version)
SELECT $1, 'Figure ' || n, 'figure ' || n, 'figure ' || n, 'active', '{}', $2, $2, $3, 1 FROM generate_series(1, $4::int) AS n
"""
ANNOTATIONS = "SELECT resource_id, count(*) AS n FROM annotations GROUP BY resource_id"


@dataclass(slots=True, kw_only=True)
class Drill:
    """Those who draw, what they were given, and what was wrong with it."""

    draw: DrawNext
    annotate: Annotate
    clock: FakeClock
    people: list[User]
    chance: random.Random
    held: dict[int, int] = field(default_factory=dict)
    annotated: set[tuple[int, int]] = field(default_factory=set)
    seconds: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    async def drawn(self, by: User) -> int | None:
        """A resource that somebody is handed out, timed and judged by what is known of the others."""
        began = time.perf_counter()
        given = await self.draw(project=PROJECT, label_set=LABEL_SET, by=by)
        self.seconds.append(time.perf_counter() - began)
        if given is None:
            return None
        resource = given.resource.id
        if resource in self.held:
            self.faults.append(f"{by.username} was given {resource}, which {self.held[resource]} holds")
        if (by.id, resource) in self.annotated:
            self.faults.append(f"{by.username} was given {resource} again")
        self.held[resource] = by.id
        return resource

    async def everybody_draws(self) -> Counter[int]:
        """How often each resource was handed out, when everybody has drawn until nothing was left."""
        given: Counter[int] = Counter()

        async def person(by: User) -> None:
            while (resource := await self.drawn(by)) is not None:
                given[resource] += 1

        await asyncio.gather(*map(person, self.people))
        return given

    async def everybody_annotates(self, *, abandoning: float) -> int:
        """How much was handed out, when everybody has drawn until nothing was left, and annotated all but a share of it."""
        given = 0

        async def person(by: User) -> None:
            nonlocal given
            while (resource := await self.drawn(by)) is not None:
                given += 1
                if self.chance.random() < abandoning:
                    continue
                del self.held[resource]  # from the annotation on, it may be given to others before we hear of it
                self.annotated.add((by.id, resource))
                await self.annotate(project=PROJECT, resource_id=resource, label_set=LABEL_SET, value="a", by=by)

        await asyncio.gather(*map(person, self.people))
        return given

    def end_leases(self) -> None:
        self.clock.advance(LEASE)
        self.held.clear()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a drill came to; `seconds` are those of each draw."""

    drawn: int
    rounds: int
    seconds: list[float]
    took: float
    faults: list[str]


async def drill(pool: Pool, *, annotators: int, resources: int, seed: int) -> Outcome:
    """The three parts, on an empty database."""
    here = await _prepared(pool, annotators=annotators, resources=resources, seed=seed)
    began = time.perf_counter()
    for part in ("held", "returned"):
        given = await here.everybody_draws()
        if len(given) != resources or set(given.values()) != {1}:
            here.faults.append(f"{part}: {len(given)} of {resources} handed out, at most {max(given.values(), default=0)} times")
        here.end_leases()
    rounds = 0
    while await here.everybody_annotates(abandoning=0.05 if rounds < 3 else 0):
        rounds += 1
        here.end_leases()
    async with lent(pool) as connection:
        stored = {row["resource_id"]: row["n"] for row in await connection.fetch(ANNOTATIONS)}
    if len(stored) != resources or set(stored.values()) != {COPIES}:
        here.faults.append(f"annotated: {Counter(stored.values())} annotations of {len(stored)} resources")
    took = time.perf_counter() - began
    return Outcome(drawn=len(here.seconds), rounds=rounds, seconds=here.seconds, took=took, faults=here.faults)


async def _prepared(pool: Pool, *, annotators: int, resources: int, seed: int) -> Drill:
    work, clock, users = partial(PostgresUnitOfWork, pool), FakeClock(), PostgresUsers(pool)
    admin = await users.add(user("grace", role=Role.ADMIN))
    people = [await users.add(user(f"annotator-{number}", role=Role.ANNOTATOR)) for number in range(annotators)]
    project = await PostgresProjects(pool).add(new_project(slug=PROJECT, title="A drill", at=NOW))
    async with lent(pool) as connection:
        await connection.execute(RESOURCES, project.id, admin.id, NOW, resources)
        await connection.execute("ANALYZE")
    publish = PublishLabelSet(unit_of_work=work, clock=clock)
    await publish(project=PROJECT, name=LABEL_SET, declaration=declaration(copies=COPIES), by=admin)
    return Drill(
        draw=DrawNext(unit_of_work=work, clock=clock),
        annotate=Annotate(unit_of_work=work, clock=clock),
        clock=clock,
        people=people,
        chance=random.Random(seed),
    )


async def _on_a_server(url: str, *, annotators: int, resources: int, seed: int) -> Outcome:
    database = await make_database(url)
    await migrate(database)
    async with Pool(database, size=annotators) as pool:
        return await drill(pool, annotators=annotators, resources=resources, seed=seed)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotators", type=int, default=20)
    parser.add_argument("--resources", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    with postgres_server() as url:
        found = asyncio.run(_on_a_server(url, annotators=options.annotators, resources=options.resources, seed=options.seed))
    median, most = (quantiles([1000 * seconds for seconds in found.seconds], n=100)[place] for place in (49, 98))
    print(f"{options.annotators} annotators, {options.resources} resources, {COPIES} copies, {found.rounds} rounds of leases")
    print(f"{found.drawn} draws in {found.took:.1f} s; a draw: median {median:.1f} ms, 99 % within {most:.1f} ms")
    for fault in found.faults[:20]:
        print(fault)
    print("nobody was given anything twice, nothing was held by two" if not found.faults else f"{len(found.faults)} faults")
    return 1 if found.faults else 0


if __name__ == "__main__":
    sys.exit(main())
