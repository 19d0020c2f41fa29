"""Files under fire: `python -m tests.drills.files` kills the service during uploads, and then sends it what nobody should.

Two drills on a service of their own. *Kills*: clients upload while the service is killed with SIGKILL at random moments and started
again; each time, once the sweep is over, every file must have its bytes, every content a file, and every acknowledged upload must be
there. *Hostile*: generated names, types, ranges and multipart bodies, one after the other; whatever is accepted must lie in the store
and nowhere else, and be sent as an attachment; none may cost more than 500 ms of CPU. Needs Linux, which tells the CPU by thread.
"""

import argparse
import asyncio
import hashlib
import json
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.client import ADMIN_PASSWORD, Service, client, data_folder, log_in, token_of, walk
from tests.pictures import jpeg, pdf, png

PROJECT = "drill"
SETTINGS = {"ADMIN_PASSWORD": ADMIN_PASSWORD, "RATE_LIMITS": "off", "LOG_FORMAT": "json", "UPLOAD_QUOTA_BYTES": str(2**40)}
SWEEP_SECONDS = 20.0
CPU_SECONDS_MAX = 0.5
LIMIT = 10 * 1024 * 1024


@dataclass(slots=True, kw_only=True)
class Kills:
    """What the drill of kills came to."""

    kills: int = 0
    acknowledged: int = 0
    unanswered: int = 0
    leftovers: int = 0  # what the kills left, for the sweep to find
    torn: int = 0
    rows_without_bytes: int = 0
    bytes_without_rows: int = 0
    lost: int = 0

    @property
    def is_good(self) -> bool:
        return not (self.torn or self.rows_without_bytes or self.bytes_without_rows or self.lost)


@dataclass(slots=True, kw_only=True)
class Hostile:
    """What the hostile requests came to."""

    requests: int
    by_status: dict[int, int]
    outside: list[str]
    inline: list[str]
    unknown_contents: list[str]
    unexpected: list[str]
    most_cpu_ms: float
    most_cpu_by: str

    @property
    def is_good(self) -> bool:
        return not (self.outside or self.inline or self.unknown_contents or self.unexpected) and self.most_cpu_ms <= CPU_SECONDS_MAX * 1000


def _admin(service: Service) -> httpx.Client:
    return client(service.url, token_of(log_in(service.url, "admin", ADMIN_PASSWORD)))


def _contents(folder: Path) -> set[str]:
    return {path.name for path in (folder / "files" / "files").glob("*")}


def _passing(folder: Path) -> list[Path]:
    return list((folder / "files" / "incoming").glob("*"))


# --- kills -----------------------------------------------------------------------------------------------------------------------


async def _kill_again_and_again(folder: Path, *, kills: int, clients: int, rng: random.Random) -> Kills:
    tally = Kills(kills=kills)
    acknowledged: dict[str, str] = {}
    for number in range(kills + 1):
        tally.leftovers += len(_passing(folder))
        service = await asyncio.to_thread(Service, folder, **SETTINGS)
        try:
            await asyncio.to_thread(service.wait_ready)
            with _admin(service) as admin:
                if number == 0:
                    admin.post("/admin/projects", json={"slug": PROJECT, "title": "Drill"}).raise_for_status()
                await asyncio.to_thread(_check, tally, admin, folder, acknowledged)
                if number < kills:
                    await _upload_until_killed(service, str(admin.headers["authorization"]), tally, acknowledged, clients=clients, rng=rng)
        finally:
            if service.process.poll() is None:
                service.stop()
        print(f"\rkilled {number} of {kills}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return tally


async def _upload_until_killed(
    service: Service, authorization: str, tally: Kills, acknowledged: dict[str, str], *, clients: int, rng: random.Random
) -> None:
    over = asyncio.Event()
    async with httpx.AsyncClient(base_url=service.url, headers={"authorization": authorization}, timeout=10) as web:
        async with asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(_keep_uploading(web, over, tally, acknowledged, random.Random(rng.random())))
            await asyncio.sleep(rng.uniform(0.1, 1.2))
            service.process.send_signal(signal.SIGKILL)
            service.process.wait()
            over.set()


async def _keep_uploading(
    web: httpx.AsyncClient, over: asyncio.Event, tally: Kills, acknowledged: dict[str, str], rng: random.Random
) -> None:
    while not over.is_set():
        content = png(padding=rng.choice([0, 2_000, 100_000, 2_000_000])) + rng.randbytes(16)
        try:
            answer = await web.post(f"/admin/{PROJECT}/upload", files={"file": ("a.png", content, "image/png")})
        except httpx.TransportError:
            tally.unanswered += 1
            return
        acknowledged[answer.raise_for_status().json()["id"]] = hashlib.sha256(content).hexdigest()
        tally.acknowledged += 1


def _check(tally: Kills, admin: httpx.Client, folder: Path, acknowledged: dict[str, str]) -> None:
    """Count what is wrong, after the sweep had time to remove what it should."""
    files = {file["id"]: file for file in walk(admin, f"/{PROJECT}/files?limit=1000")}
    tally.leftovers += len(_contents(folder) - set(files))
    end = time.monotonic() + SWEEP_SECONDS
    while (_contents(folder) - set(files) or _passing(folder)) and time.monotonic() < end:
        time.sleep(0.05)
    tally.bytes_without_rows += len(_contents(folder) - set(files)) + len(_passing(folder))
    for id, file in files.items():
        path = folder / "files" / "files" / id
        if not path.exists():
            tally.rows_without_bytes += 1
        elif hashlib.sha256(path.read_bytes()).hexdigest() != file["sha256"]:
            tally.torn += 1
    tally.lost += sum(id not in files or files[id]["sha256"] != digest for id, digest in acknowledged.items())


# --- hostile requests ------------------------------------------------------------------------------------------------------------

NAMES = [
    *["../../../etc/passwd", "..\\..\\windows\\win.ini", "/etc/shadow", "a/../../b.png", "....//....//x", "%2e%2e%2fx", "..%00.png"],
    *["a\x00b.png", "a.png\r\nX-Evil: 1", "CON", "nul.png", "a" * 255, "a" * 256, "🦊" * 255, "x" * 15_000, "", ".", "..", " ", "-rf"],
    *["~root", "$(id)", "`id`", "<script>alert(1)</script>.png", 'a"; filename="b.html', "a';drop table files;--", "gnp\u202egnp.exe"],
    *["\ufeffa", "a\u2028b", "é" * 10, "{0.__class__}", "${jndi:ldap://x}", "a.png\\", "C:\\a", "\\\\server\\share\\a"],
    *["file:///etc/passwd", "a\tb", "a\x7fb", "a\x85b", "con/aux/../.."],
]
TYPES = [
    *["image/png", "text/html", "image/svg+xml", "application/octet-stream", "", "image/png; charset=x", "IMAGE/PNG", "*/*"],
    *["image/png\x00", "x" * 5000, "text/html, image/png"],
]
RANGES = [
    *["bytes=0-0", "bytes=-1", "bytes=0-", "bytes=1-0", "bytes=-0", "bytes=--1", "items=0-1", "bytes=0-0,-1", "bytes=a-z", "bytes= 1 - 2"],
    *["bytes=" + "0-," * 2000, "bytes=" + ",".join(f"{n}-{n + 5}" for n in range(900)), "bytes=" + "9" * 7000],
    *["bytes=99999999999999999999999-", "bytes=0-99999999999999999999999"],
]


def _form(content: bytes, name: str = "a.png", kind: str = "image/png", *, field: str = "file", boundary: bytes = b"b") -> bytes:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    head = f'Content-Disposition: form-data; name="{field}"; filename="{quoted}"\r\nContent-Type: {kind}'.encode()
    return b"--" + boundary + b"\r\n" + head + b"\r\n\r\n" + content + b"\r\n--" + boundary + b"--\r\n"


def _bodies(rng: random.Random) -> Iterator[tuple[str, bytes, str]]:
    """Multipart bodies with a media type, each with what it is."""
    kind, whole = "multipart/form-data; boundary=b", _form(png())
    yield "cut off", whole[: rng.randrange(len(whole))], kind
    yield "two files", whole[:-5] + b"\r\n" + whole, kind
    yield "a thousand parts", _form(png(), field="x")[:-5] * 1000 + b"--b--", kind
    yield "many boundaries nearly", _form(png() + b"\r\n--bx" * (LIMIT // 6 - 100)), kind
    yield "many ends nearly", _form(png() + b"\r\n--b-" * (LIMIT // 6 - 100)), kind
    yield "many breaks", _form(png() + b"\r\n" * (LIMIT // 2 - 100)), kind
    yield "much padding of a boundary", _form(png() + b"\r\n--b" + b" " * (LIMIT - 200)), kind
    yield "headers without end", b"--b\r\n" + b"X: y\r\n" * 200_000, kind
    yield "one long header", b"--b\r\nX: " + b"y" * 2_000_000, kind
    yield "parameters without end", b"--b\r\nContent-Disposition: form-data" + b";a=b" * 3000 + b"\r\n\r\nx\r\n--b--", kind
    yield (
        "a name of backslashes",
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="' + b"\\" * 15_000 + b"\r\n\r\nx\r\n--b--",
        kind,
    )
    yield "nothing", b"", kind
    yield "random", rng.randbytes(100_000), kind
    yield "no boundary", whole, "multipart/form-data"
    yield "a boundary of nothing", whole, 'multipart/form-data; boundary=""'
    yield "a long boundary", whole, "multipart/form-data; boundary=" + "b" * 200
    yield "a form of another kind", b"file=x", "application/x-www-form-urlencoded"
    yield "nested", _form(whole, kind="multipart/mixed; boundary=b"), kind
    yield "too large", _form(png(padding=LIMIT + 1)), kind
    yield "the largest", _form(png(padding=LIMIT - len(png()))), kind
    yield "a picture of segments", _form(b"\xff\xd8" + b"\xff\xe0\x00\x02" * (LIMIT // 4 - 100), kind="image/jpeg"), kind
    yield "a picture of fill", _form(b"\xff\xd8\xff" + b"\xff" * (LIMIT - 100), kind="image/jpeg"), kind
    yield "a page of ends", _form(b"%PDF-1.4\n" + b"startxref %%EO" * 700_000, kind="application/pdf"), kind
    yield "a bomb", _form(png(2**32 - 1, 2**32 - 1)), kind
    yield "a wide picture", _form(jpeg(65_535, 65_535), kind="image/jpeg"), kind
    yield "a page that is a picture", _form(png() + pdf(), kind="application/pdf"), kind
    yield "a script", _form(b"<script>alert(1)</script>", kind="text/html"), kind
    yield "a script in a picture", _form(png() + b"<script>alert(1)</script>"), kind


def _generated(rng: random.Random, number: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """So many requests: uploads, and downloads of what was uploaded by `{}`."""
    bodies = list(_bodies(rng))
    pictures = [(png(), "image/png"), (jpeg(), "image/jpeg"), (pdf(), "application/pdf")]
    for turn in range(number):
        match turn % 4:
            case 0:
                content, kind = rng.choice(pictures)
                body = _form(content, rng.choice(NAMES) if turn >= 4 * len(NAMES) else NAMES[turn // 4 % len(NAMES)], kind)
                yield f"name {turn}", {"content": body, "headers": {"content-type": "multipart/form-data; boundary=b"}}
            case 1:
                body = _form(rng.choice(pictures)[0], kind=TYPES[turn // 4 % len(TYPES)])
                yield f"type {turn}", {"content": body, "headers": {"content-type": "multipart/form-data; boundary=b"}}
            case 2:
                only_if = rng.choice([{}, {}, {"if-range": '"x"'}])
                yield "range", {"headers": {"range": RANGES[turn // 4 % len(RANGES)]} | only_if}
            case _:
                what, body, kind = bodies[turn // 4 % len(bodies)]
                yield what, {"content": body, "headers": {"content-type": kind}}


def _cpu_seconds(pid: int) -> float:
    """What all threads of a process have computed so far."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()) / 1e9


def _outside(folder: Path) -> set[str]:
    """All that lies about the data folder, but for the store, the database and the logs."""
    apart = {"files", "postgres"}
    inside = {str(path) for path in folder.rglob("*") if path.relative_to(folder).parts[0] not in apart}
    return inside | {str(path) for path in folder.parent.glob("*")} | {str(path) for path in Path.cwd().glob("*")}


def _attack(service: Service, *, requests: int, rng: random.Random) -> Hostile:
    statuses = Counter[int]()
    unexpected: list[str] = []
    inline: list[str] = []
    most, by, folder = 0.0, "", service.folder
    with _admin(service) as admin:
        known = admin.post(f"/admin/{PROJECT}/upload", files={"file": ("a.png", png(padding=LIMIT - 1000), "image/png")}).json()["id"]
        before = _outside(folder)
        for what, request in _generated(rng, requests):
            began = _cpu_seconds(service.process.pid)
            if "content" in request:
                answer = admin.post(f"/admin/{PROJECT}/upload", **request)
            else:
                answer = admin.get(f"/{PROJECT}/files/{known}/content", **request)
            spent = _cpu_seconds(service.process.pid) - began
            if spent > most:
                most, by = spent, what
            statuses[answer.status_code] += 1
            if answer.status_code not in (200, 201, 206, 400, 413, 415, 416, 422, 431):
                unexpected.append(f"{what}: {answer.status_code} {answer.text[:200]}")
        files = {file["id"] for file in walk(admin, f"/{PROJECT}/files?limit=1000")}
        inline += [id for id in files if not _is_attachment(admin.get(f"/{PROJECT}/files/{id}/content"))]
    contents = {str(path.relative_to(folder / "files")) for path in (folder / "files").rglob("*") if path.is_file()}
    return Hostile(
        requests=sum(statuses.values()),
        by_status=dict(sorted(statuses.items())),
        outside=sorted(_outside(folder) - before),
        inline=inline,
        unknown_contents=sorted(contents ^ {f"files/{id}" for id in files}),
        unexpected=unexpected,
        most_cpu_ms=round(most * 1000, 1),
        most_cpu_by=by,
    )


def _is_attachment(answer: httpx.Response) -> bool:
    headers = answer.headers
    return (
        answer.status_code == 200
        and headers["content-disposition"].startswith("attachment;")
        and headers["content-security-policy"].startswith("sandbox;")
        and headers["x-content-type-options"] == "nosniff"
        and headers["content-type"] in ("image/png", "image/jpeg", "application/pdf")
        and hashlib.sha256(answer.content).hexdigest() == headers["etag"].strip('"')
    )


def main() -> int:
    """Run both drills; 1 when anything is not as it has to be."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills.files", description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with data_folder() as parent:  # what a name could lead to beside the data folder is looked at, too
        folder = parent / "data"
        folder.mkdir(mode=0o711)
        kills = asyncio.run(_kill_again_and_again(folder, kills=options.kills, clients=options.clients, rng=rng))
        service = Service(folder, **SETTINGS).wait_ready()
        try:
            hostile = _attack(service, requests=options.requests, rng=rng)
        finally:
            service.stop()
    if options.json:
        print(json.dumps({"kills": asdict(kills), "hostile": asdict(hostile)}))
    else:
        for name, figure in [*asdict(kills).items(), *asdict(hostile).items()]:
            print(f"{name.replace('_', ' '):20} {len(figure) if isinstance(figure, list) else figure}")
        for line in [*hostile.outside, *hostile.inline, *hostile.unknown_contents, *hostile.unexpected][:20]:
            print(f"  {line}")
    return 0 if kills.is_good and hostile.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
