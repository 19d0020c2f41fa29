"""Attacks on the team: a stolen key, a table that unfolds, edits that fill the disk, an erased answer in a stored export."""

import asyncio
import io
import secrets
from collections.abc import Iterator
from time import perf_counter
from typing import Any

import asyncpg
import httpx
import pyarrow as pa
import pyarrow.parquet as pq

from tests.drills.abuse.town import FINGERPRINTS, Ask, Loot, Town, watched
from tests.e2e.client import PASSWORD

EDITS = 200
EDIT_BYTES = 60_000
TRAIL_BYTES = 8 * 1024  # of one entry, its indexes and its link included
VERSIONS = 100
VERSION_BYTES = 2 * EDIT_BYTES  # of one version: the text, and what PostgreSQL keeps beside it
UNFOLDED_ROWS = 800
UNFOLDED_BYTES = 1_000_000  # of each
TABLES_AND_TRAIL = "SELECT coalesce(sum(pg_total_relation_size(relid)), 0) FROM pg_stat_user_tables WHERE relname LIKE $1"


def _with_a_key(user_id: int) -> Iterator[Ask]:
    """What would make the thief of a key more than its thief."""
    account = {"username": f"thief-{secrets.token_hex(4)}", "email": "thief@example.org"}
    yield Ask("POST", "/admin/users", account | {"role": "admin"})
    yield Ask("PATCH", f"/admin/users/{user_id}", {"role": "member"})
    yield Ask("PATCH", f"/admin/users/{user_id}", {"is_active": False})
    yield Ask("POST", f"/admin/users/{user_id}/reset")
    yield Ask("PUT", "/auth/change-password", {"current_password": PASSWORD, "new_password": "seven-tall-green-pines"})
    yield Ask("PUT", "/auth/profile", {"email": "thief@example.org"})
    yield Ask("POST", "/auth/api-keys", {"name": "another", "scopes": ["read", "write"], "expires_in_days": 300})
    yield Ask("GET", "/auth/api-keys")
    yield Ask("GET", "/auth/sessions")
    yield Ask("DELETE", "/auth/sessions")
    yield Ask("POST", "/auth/logout")


async def stolen_key(town: Town) -> Loot:
    """Try to become an admin for good by an admin's key, of all scopes."""
    name = f"admin-{secrets.token_hex(4)}"
    async with town.team() as web:
        made = (
            (await web.post("/admin/users", json={"username": name, "email": "a@example.org", "role": "admin"})).raise_for_status().json()
        )
    async with town.stranger() as web:
        body = {"token": made["setup_token"], "new_password": PASSWORD}
        (await web.post("/auth/set-password", json=body)).raise_for_status()
        signed_in = (await web.post("/auth/login", json={"username": name, "password": PASSWORD})).raise_for_status().json()
        body = {"name": "nightly", "scopes": ["read", "write"], "expires_in_days": 1}
        headers = {"authorization": f"Bearer {signed_in['access_token']}"}
        key = (await web.post("/auth/api-keys", json=body, headers=headers)).raise_for_status().json()["key"]
    me = signed_in["user"]["id"]
    opened = tries = 0
    async with town.stranger(authorization=f"Bearer {key}") as thief:
        for ask in _with_a_key(me):
            opened += (await thief.request(ask.method, ask.path, json=ask.body)).is_success
            tries += 1
        table = f"username,email,role\nthief-{secrets.token_hex(4)},t@example.org,admin\n"
        opened += (await thief.post("/admin/users/import", content=table, headers={"content-type": "text/csv"})).is_success
    return Loot(attack="become an admin by an admin's key", tries=tries + 1, opened=opened)


def _folded() -> bytes:
    """A small table that is large once unfolded: pages of one letter, compressed."""
    names = [f"Figure {number}" for number in range(UNFOLDED_ROWS)]
    texts = pa.array(["x" * UNFOLDED_BYTES] * UNFOLDED_ROWS)
    file = io.BytesIO()
    table = pa.table({"name": names, "description": texts})
    pq.write_table(table, file, compression="zstd", use_dictionary=False, data_page_size=UNFOLDED_ROWS * UNFOLDED_BYTES)
    return file.getvalue()


async def unfolding_table(town: Town) -> Loot:
    """Import a table of a few kilobytes that unfolds to gigabytes; ask meanwhile whether the service lives."""
    table = _folded()
    longest, over = 0.0, asyncio.Event()

    async def ask(web: httpx.AsyncClient) -> None:
        nonlocal longest
        while not over.is_set():
            began = perf_counter()
            (await web.get("/health/live")).raise_for_status()
            longest = max(longest, perf_counter() - began)

    with watched(town.service) as peak:
        async with town.team() as team, town.stranger() as web:
            asking = asyncio.create_task(ask(web))
            headers = {"content-type": "application/vnd.apache.parquet"}
            answer = await team.post(f"/admin/{FINGERPRINTS}/resources/import", content=table, headers=headers)
            over.set()
            await asking
    note = f"{len(table)} bytes were answered {answer.status_code}; /health/live within {longest * 1000:.0f} ms"
    refused = not 400 <= answer.status_code < 500
    return Loot(attack="fill the memory by a table that unfolds", tries=1, refused=refused, memory=peak.bytes, note=note)


async def large_edits(town: Town) -> Loot:
    """Edit one resource again and again with as much as it may hold; what the database keeps of it for good."""
    async with town.team() as web:
        made = (await web.post(f"/admin/{FINGERPRINTS}/resources", json={"name": "Large"})).raise_for_status().json()
        before = await _kept(town)
        for _ in range(EDITS):
            body = {"attributes": {"noise": secrets.token_hex(EDIT_BYTES // 2)}}
            await _edit(web, f"/admin/{FINGERPRINTS}/resources/{made['id']}", body)
        after = await _kept(town)
    grown = {table: after[table] - before[table] for table in after}
    beyond = max(0, grown["audit%"] - EDITS * TRAIL_BYTES) + max(0, grown["resource_versions"] - (VERSIONS + 1) * VERSION_BYTES)
    note = f"trail {grown['audit%'] / 1e6:.1f} MB, versions {grown['resource_versions'] / 1e6:.1f} MB"
    return Loot(attack="fill the disk by large edits", tries=EDITS, kept=beyond, note=note)


async def _edit(web: httpx.AsyncClient, place: str, body: dict[str, Any]) -> None:
    """Edit, as soon as the limits allow it."""
    while True:
        edited = await web.patch(place, json=body)
        if edited.status_code != 429:
            edited.raise_for_status()
            return
        await asyncio.sleep(int(edited.headers["retry-after"]))


async def _kept(town: Town) -> dict[str, int]:
    connection = await asyncpg.connect(town.database_url.replace("postgresql+asyncpg", "postgresql"))
    try:
        await connection.execute("VACUUM (FULL)")  # what is counted is kept, and not merely on its way out
        return {table: int(await connection.fetchval(TABLES_AND_TRAIL, table)) for table in ("audit%", "resource_versions")}
    finally:
        await connection.close()


async def erased_in_an_export(town: Town) -> Loot:
    """Keep a stored export of responses, and see whether it tells at once that a reader in it has erased."""
    owner = next(one for one in town.readers if one.project == FINGERPRINTS)
    async with town.team() as team, town.stranger() as web:
        body = {"what": "responses", "format": "csv"}
        place, _ = await _export(team, body)
        headers = {"x-respondent-token": owner.token}
        (await web.delete(f"/{owner.project}/survey/response", headers=headers)).raise_for_status()
        told = (await team.get(place)).json()
        anew, again = await _export(team, body)
        content = (await team.get(f"{anew}/content")).raise_for_status().text
    read = (told.get("erased_since") != 1) + (owner.secret in content)
    refused = bool(again.get("erased_since"))
    return Loot(attack="keep an erased answer in a stored export", tries=1, read=read, refused=refused)


async def _export(team: httpx.AsyncClient, body: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """Where a stored export is, once it is made, and what is told of it."""
    place = (await team.post(f"/admin/{FINGERPRINTS}/exports", json=body)).raise_for_status().headers["location"]
    async with asyncio.timeout(60):
        while True:
            told: dict[str, Any] = (await team.get(place)).json()
            if told["status"] == "done":
                return place, told
            await asyncio.sleep(0.1)
