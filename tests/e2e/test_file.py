"""Files over HTTP: uploads, lists, downloads, and what is left of what was refused."""

import base64
import hashlib
import json
import os
import random
import re
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests import object_store
from tests.e2e.client import (
    ADMIN_PASSWORD,
    Service,
    answers,
    at_once,
    client,
    data_folder,
    exchange,
    log_in,
    make_project,
    make_user,
    next_address,
    pointers,
    problem,
    run,
    serving,
    token_of,
    unique,
    until,
    walk,
)
from tests.pictures import jpeg, pdf, png

LIMIT = 10 * 1024 * 1024
FIELDS = {"id", "filename", "size", "content_type", "sha256", "created_by", "created_at"}
KINDS = {"image/png": png(padding=300_000), "image/jpeg": jpeg(), "application/pdf": pdf()}


def upload(
    person: httpx.Client,
    project: str,
    content: bytes = KINDS["image/png"],
    name: str = "a.png",
    kind: str = "image/png",
    key: str | None = None,
) -> httpx.Response:
    return person.post(f"/admin/{project}/upload", files={"file": (name, content, kind)}, headers={"idempotency-key": key} if key else {})


def uploaded(person: httpx.Client, project: str, content: bytes = KINDS["image/png"], **rest: Any) -> dict[str, Any]:
    made = upload(person, project, content, **rest)
    assert made.status_code == 201, made.text
    file: dict[str, Any] = made.json()
    return file


def address_of(project: str, file: dict[str, Any]) -> str:
    return f"/{project}/files/{file['id']}/content"


def contents(service: Service) -> set[str]:
    """All that lies in the store of a service with a folder of its own."""
    root = service.folder / "files"
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def form(
    content: bytes, *, name: str = "file", filename: str = 'filename="a.png"', kind: str = "image/png", boundary: str = "bnd"
) -> bytes:
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; {filename}\r\nContent-Type: {kind}\r\n\r\n'
    return head.encode() + content + f"\r\n--{boundary}--\r\n".encode()


def send(person: httpx.Client, project: str, body: bytes, kind: str = "multipart/form-data; boundary=bnd") -> httpx.Response:
    return person.post(f"/admin/{project}/upload", content=body, headers={"content-type": kind})


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_uploaded_listed_and_downloaded(admin: httpx.Client, anonymous: httpx.Client, project: str, kind: str) -> None:
    content = KINDS[kind]
    made = upload(admin, project, content, name="Ünï/côdé 🦊.bin", kind=kind)
    assert made.status_code == 201
    file = made.json()
    assert set(file) == FIELDS
    assert file["filename"] == "côdé 🦊.bin"
    assert (file["size"], file["content_type"], file["created_by"]) == (len(content), kind, "admin")
    assert file["sha256"] == hashlib.sha256(content).hexdigest()
    assert file["id"][14] == "7"
    assert made.headers["location"] == f"/{project}/files/{file['id']}"
    assert anonymous.get(made.headers["location"]).json() == file
    assert anonymous.get(f"/{project}/files").json() == [file]
    got = anonymous.get(address_of(project, file))
    assert got.status_code == 200
    assert got.content == content
    assert anonymous.get(f"/{project}").json()["counts"]["files"] == 1


def test_a_download_is_never_opened_by_itself(admin: httpx.Client, anonymous: httpx.Client, project: str) -> None:
    file = uploaded(admin, project, name="a\"b;c'd\\e%\u00e9.html")
    headers = anonymous.get(address_of(project, file), headers={"accept-encoding": "gzip, br"}).headers
    assert headers["content-type"] == "image/png"
    assert headers["content-length"] == str(file["size"])
    assert headers["etag"] == f'"{file["sha256"]}"'
    assert headers["accept-ranges"] == "bytes"
    assert headers["repr-digest"] == f"sha-256=:{base64.b64encode(bytes.fromhex(file['sha256'])).decode()}:"
    assert headers["content-disposition"] == "attachment; filename=\"e__.html\"; filename*=UTF-8''e%25%C3%A9.html"
    assert headers["content-security-policy"].startswith("sandbox;")
    assert headers["x-content-type-options"] == "nosniff"
    assert "no-transform" in headers["cache-control"]
    assert "content-encoding" not in headers


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-9", 5, 10),
        ("bytes=299000-", 299_000, None),
        ("bytes=-7", -7, None),
        ("bytes=0-99999999999999999999", 0, None),
        ("bytes=-99999999999999999999", 0, None),
    ],
)
def test_a_range_is_answered(admin: httpx.Client, anonymous: httpx.Client, project: str, asked: str, start: int, end: int | None) -> None:
    content = KINDS["image/png"]
    file = uploaded(admin, project)
    got = anonymous.get(address_of(project, file), headers={"range": asked})
    part = content[start:end]
    assert (got.status_code, got.content) == (206, part)
    first = start % len(content)
    assert got.headers["content-range"] == f"bytes {first}-{first + len(part) - 1}/{len(content)}"
    assert got.headers["content-length"] == str(len(part))
    assert got.headers["etag"] == f'"{file["sha256"]}"'


def test_a_range_beyond_the_end_is_refused_and_others_are_the_whole(admin: httpx.Client, anonymous: httpx.Client, project: str) -> None:
    file = uploaded(admin, project)
    address, size = address_of(project, file), file["size"]
    for asked in (f"bytes={size}-", "bytes=99999999999999999999-", "bytes=-0"):
        refused = anonymous.get(address, headers={"range": asked})
        problem(refused, 416, "range-not-satisfiable")
        assert refused.headers["content-range"] == f"bytes */{size}"
    for asked in ("bytes=0-1,3-4", "bytes=1-0", "lines=1-2", "bytes=" + "0-," * 2000, "x"):
        got = anonymous.get(address, headers={"range": asked})
        assert (got.status_code, len(got.content)) == (200, size)
    got = anonymous.get(address, headers={"range": "bytes=0-1", "if-range": '"other"'})
    assert (got.status_code, len(got.content)) == (200, size)
    got = anonymous.get(address, headers={"range": "bytes=0-1", "if-range": f'"{file["sha256"]}"'})
    assert (got.status_code, len(got.content)) == (206, 2)


def test_head_and_what_is_known_already_have_no_body(admin: httpx.Client, anonymous: httpx.Client, project: str) -> None:
    file = uploaded(admin, project)
    address, tag = address_of(project, file), f'"{file["sha256"]}"'
    head, got = anonymous.head(address, headers={"range": "bytes=0-1"}), anonymous.get(address)
    assert head.status_code == 200
    assert head.content == b""
    own = {"x-request-id", "date", "ratelimit"}
    assert {name: value for name, value in head.headers.items() if name not in own} == {
        name: value for name, value in got.headers.items() if name not in own
    }
    for known in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        same = anonymous.get(address, headers={"if-none-match": known, "range": "bytes=0-1"})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    assert anonymous.get(address, headers={"if-none-match": '"other"'}).status_code == 200


def test_metadata_has_a_tag(admin: httpx.Client, anonymous: httpx.Client, project: str) -> None:
    file = uploaded(admin, project)
    address = f"/{project}/files/{file['id']}"
    tag = anonymous.get(address).headers["etag"]
    assert anonymous.get(address, headers={"if-none-match": tag}).status_code == 304
    stale = admin.delete(f"/admin{address}", headers={"if-match": '"2"'})
    problem(stale, 412)
    assert stale.headers["etag"] == tag
    assert admin.delete(f"/admin{address}", headers={"if-match": tag}).status_code == 204


def test_a_deleted_file_is_gone(admin: httpx.Client, anonymous: httpx.Client, project: str, service: Service) -> None:
    file = uploaded(admin, project)
    address = f"/{project}/files/{file['id']}"
    assert f"files/{file['id']}" in contents(service)
    deleted = at_once(lambda _: admin.delete(f"/admin{address}").status_code, 4)
    assert sorted(deleted) == [204, 404, 404, 404]
    for gone in (address, f"{address}/content"):
        problem(anonymous.get(gone), 404)
    assert anonymous.get(f"/{project}/files").json() == []
    assert f"files/{file['id']}" not in contents(service)


def test_files_of_a_deleted_project_are_invisible(admin: httpx.Client, anonymous: httpx.Client, project: str) -> None:
    file = uploaded(admin, project)
    other = make_project(admin)
    problem(anonymous.get(address_of(other, file)), 404)
    problem(admin.delete(f"/admin/{other}/files/{file['id']}"), 404)
    assert admin.delete(f"/admin/projects/{project}").status_code == 204
    for gone in (f"/{project}/files", f"/{project}/files/{file['id']}", address_of(project, file)):
        problem(anonymous.get(gone), 404)
    problem(upload(admin, project), 404)


def test_files_are_listed_by_id_page_by_page(admin: httpx.Client, anonymous: httpx.Client, project: str) -> None:
    made = [uploaded(admin, project, name=f"{number}.png")["filename"] for number in range(5)]
    first = anonymous.get(f"/{project}/files?limit=2")
    assert [file["filename"] for file in first.json()] == made[:2]
    assert next_address(first)
    assert [file["filename"] for file in walk(anonymous, f"/{project}/files?limit=2")] == made
    assert pointers(anonymous.get(f"/{project}/files?cursor=x")) == {"/cursor"}
    problem(anonymous.get(f"/{project}/files?name=x"), 422)


def test_who_may_upload_and_delete(
    admin: httpx.Client, annotator: httpx.Client, member: httpx.Client, anonymous: httpx.Client, project: str, service: Service
) -> None:
    file = uploaded(admin, project)
    before = contents(service)
    for person, status in ((anonymous, 401), (member, 403), (annotator, 403)):
        problem(upload(person, project, b"not even a picture"), status)
        problem(person.delete(f"/admin/{project}/files/{file['id']}"), status)
    assert contents(service) == before


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "image/png"),
        (b"<html><script>alert(1)</script></html>", "image/png"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
        (b"GIF89a" + bytes(100), "image/gif"),
        (png(), "image/jpeg"),
        (png(), "text/html"),
        (jpeg(), "image/png"),
        (pdf(), "application/json"),
        (png(50_000, 50_000), "image/png"),
        (png()[:20], "image/png"),
        (b"%PDF-1.4\n" + bytes(5_000_000), "application/pdf"),
        (b"\xff\xd8\xff" + os.urandom(3_000_000), "image/jpeg"),
    ],
    ids=range(12),
)
def test_what_is_no_picture_of_its_type_is_refused(admin: httpx.Client, project: str, service: Service, content: bytes, kind: str) -> None:
    before = contents(service)
    problem(upload(admin, project, content, kind=kind), 415, "unsupported-content")
    assert contents(service) == before
    assert admin.get(f"/{project}/files").json() == []


def test_a_type_that_nobody_told_is_fine(admin: httpx.Client, project: str) -> None:
    assert uploaded(admin, project, jpeg(), kind="application/octet-stream")["content_type"] == "image/jpeg"
    bare = b"--bnd\r\ncontent-disposition: FORM-DATA; filename=x; name=file\r\n\r\n" + pdf() + b"\r\n--bnd--"
    assert send(admin, project, bare).json()["content_type"] == "application/pdf"


def test_the_limit_is_for_the_content(admin: httpx.Client, project: str, service: Service) -> None:
    largest = png(padding=LIMIT - len(png()))
    assert len(largest) == LIMIT
    assert uploaded(admin, project, largest)["size"] == LIMIT
    before = contents(service)
    problem(upload(admin, project, largest + b"x"), 413, "too-large")
    problem(upload(admin, project, largest + bytes(3 * LIMIT)), 413, "too-large")

    def in_chunks() -> Iterator[bytes]:
        yield form(largest)[:-9]
        for _ in range(40):
            yield bytes(LIMIT // 40)

    refused = admin.post(f"/admin/{project}/upload", content=in_chunks(), headers={"content-type": "multipart/form-data; boundary=bnd"})
    problem(refused, 413, "too-large")
    assert contents(service) == before


@pytest.mark.parametrize(
    "kind", ["", "application/json", "image/png", "application/x-www-form-urlencoded", "multipart/mixed; boundary=bnd"]
)
def test_what_is_no_form_is_refused(admin: httpx.Client, project: str, kind: str) -> None:
    problem(send(admin, project, form(png()), kind), 415, "unsupported-media-type")
    problem(send(admin, "no-such-project", form(png()), kind), 404)
    refused = admin.post(f"/admin/{project}/upload?colour=red", content=form(png()), headers={"content-type": kind})
    problem(refused, 415, "unsupported-media-type")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (form(png()), "multipart/form-data"),
        (form(png()), "multipart/form-data; boundary=other"),
        (form(png()), "multipart/form-data; boundary=bnd; boundary=bnd"),
        (form(png()), "multipart/form-data; boundary=" + "b" * 71),
        (form(png())[:-20], "multipart/form-data; boundary=bnd"),
        (form(png()) + b"more", "multipart/form-data; boundary=bnd"),
        (b"preamble\r\n" + form(png()), "multipart/form-data; boundary=bnd"),
        (b"", "multipart/form-data; boundary=bnd"),
        (b"--bnd\r\n\r\nx\r\n--bnd--", "multipart/form-data; boundary=bnd"),
        (b"--bnd\r\nfolded: a\r\n b\r\n\r\nx\r\n--bnd--", "multipart/form-data; boundary=bnd"),
        (form(png(), filename='filename="' + "x" * 20_000 + '"'), "multipart/form-data; boundary=bnd"),
        (form(png(), filename='filename="a"; filename="b"'), "multipart/form-data; boundary=bnd"),
        (form(png(), filename='filename="a'), "multipart/form-data; boundary=bnd"),
        (form(png()).replace(b"a.png", b"\xff\xfe"), "multipart/form-data; boundary=bnd"),
    ],
    ids=range(14),
)
def test_a_form_that_cannot_be_read_is_refused(admin: httpx.Client, project: str, service: Service, body: bytes, kind: str) -> None:
    before = contents(service)
    problem(send(admin, project, body, kind), 400, "malformed")
    assert contents(service) == before


def test_other_parts_than_the_file_are_refused(admin: httpx.Client, project: str, service: Service) -> None:
    before = contents(service)
    two = form(png()).removesuffix(b"--\r\n")
    for body in (
        form(png(), name="other"),
        b"--bnd--\r\n",
        two + b"\r\n" + form(png()),
        two + b'\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n--bnd--',
        form(png(), filename="x=y"),
    ):
        problem(send(admin, project, body), 422)
    assert contents(service) == before


@pytest.mark.parametrize("name", ["..", "a/", "a%00b.png", "a%0Ab", "a\u202eb", "a" * 256, "%7F"])
def test_a_bad_name_is_refused(admin: httpx.Client, project: str, service: Service, name: str) -> None:
    before = contents(service)
    assert pointers(send(admin, project, form(png(), filename=f'filename="{name}"'))) == {"/file/filename"}
    assert contents(service) == before


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ('filename="a%22b"', 'a"b'),
        ('filename="a\\"b"', 'a"b'),
        ("filename=plain", "plain"),
        ("filename*=UTF-8''%F0%9F%A6%8A", "🦊"),
        ("filename=\"x\"; filename*=UTF-8''y", "x"),
        ('filename="' + "é" * 255 + '"', "é" * 255),
        ('filename="C:\\fakepath\\a.png"', "a.png"),
    ],
)
def test_a_name_is_read_as_clients_write_it(admin: httpx.Client, project: str, sent: str, kept: str) -> None:
    made = send(admin, project, form(png(), filename=sent))
    assert made.status_code == 201, made.text
    assert made.json()["filename"] == kept


def test_a_refusal_is_heard_while_the_client_is_still_sending(admin: httpx.Client, project: str, service: Service) -> None:
    body = form(b"no picture" + bytes(9_000_000))
    head = (
        f"POST /admin/{project}/upload HTTP/1.1\r\nhost: x\r\nauthorization: {admin.headers['authorization']}\r\n"
        f"content-type: multipart/form-data; boundary=bnd\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode()
    again = f"GET /{project}/files HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode()
    first, second = answers(exchange(service.port, head + body + again, silence=5))
    assert (first.status, second.status, second.body) == (415, 200, b"[]")


def test_a_client_that_leaves_leaves_nothing(admin: httpx.Client, project: str, service: Service) -> None:
    before = contents(service)
    body = form(png(padding=5_000_000))
    head = (
        f"POST /admin/{project}/upload HTTP/1.1\r\nhost: x\r\nauthorization: {admin.headers['authorization']}\r\n"
        f"content-type: multipart/form-data; boundary=bnd\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode()
    exchange(service.port, head + body[:3_000_000], silence=0.5)
    until(lambda: contents(service) == before, "nothing is left")
    assert admin.get(f"/{project}/files").json() == []


def test_an_upload_is_made_once_under_a_key(admin: httpx.Client, project: str, service: Service) -> None:
    key = uuid4().hex
    first = upload(admin, project, key=key)
    again = upload(admin, project, key=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["idempotency-replayed"] == "true"
    problem(upload(admin, project, jpeg(), kind="image/jpeg", key=key), 422)
    problem(upload(admin, project, name="other.png", key=key), 422)
    assert len(admin.get(f"/{project}/files").json()) == 1
    assert len([name for name in contents(service) if first.json()["id"] in name]) == 1


def test_content_that_is_not_what_was_uploaded_is_never_sent(
    admin: httpx.Client, anonymous: httpx.Client, project: str, service: Service
) -> None:
    file = uploaded(admin, project)
    path = service.folder / "files" / "files" / file["id"]
    address = address_of(project, file)
    assert anonymous.get(address).status_code == 200
    content = path.read_bytes()
    for damaged in (content[:-1], content + b"x", content[:1000] + b"x" + content[1001:], b""):
        path.write_bytes(damaged)
        for headers in ({}, {"range": "bytes=0-9"}):
            refused = anonymous.get(address, headers=headers)
            problem(refused, 503, "content-damaged")
            assert refused.headers["retry-after"]
            assert "etag" not in refused.headers
        assert anonymous.head(address).status_code == 503
    path.unlink()
    problem(anonymous.get(address), 503, "content-damaged")
    path.write_bytes(content)
    assert anonymous.get(address).content == content


def test_verifying_tells_what_is_wrong() -> None:
    with data_folder() as folder:
        settings = {"ADMIN_PASSWORD": ADMIN_PASSWORD, "RATE_LIMITS": "off"}
        with serving(folder=folder, **settings) as service:
            admin = client(service.url, token_of(log_in(service.url, "admin", ADMIN_PASSWORD)))
            project = make_project(admin)
            good, damaged, missing = (uploaded(admin, project, name=f"{name}.png") for name in ("good", "damaged", "missing"))
            store = folder / "files" / "files"
            assert verified(folder) == (0, {"files": 3, "exports": 0, "bytes": 3 * good["size"], "findings": []})
            (store / damaged["id"]).write_bytes(bytes(good["size"]))
            (store / missing["id"]).unlink()
            stranger = str(uuid4())
            (store / stranger).write_bytes(b"x")
            status, told = verified(folder)
            found = {(each["fault"], each["content"].removeprefix("files/"), each["filename"]) for each in told["findings"]}
            assert status == 1
            assert found == {
                ("damaged", damaged["id"], "damaged.png"),
                ("missing", missing["id"], "missing.png"),
                ("stranger", stranger, None),
            }
            shown = run("verify-files", folder=folder)
            assert shown.returncode == 1
            os.utime(store / stranger, (0, 0))
            swept = run("verify-files", "--sweep", "--json", folder=folder)
            assert {each["fault"] for each in json.loads(swept.stdout)["findings"]} == {"damaged", "missing"}
            assert not (store / stranger).exists()
            (store / stranger).write_bytes(b"x")
            assert re.search(r"3 files, 0 exports, \d+ bytes: 3 wrong\.", shown.stdout)
        (folder / "files" / "incoming" / "left").write_bytes(b"x")
        with serving(folder=folder, **settings):
            until(lambda: not (store / stranger).exists() and not list((folder / "files" / "incoming").iterdir()), "the sweep")
            assert (store / good["id"]).exists()


def verified(folder: Path) -> tuple[int, Any]:
    done = run("verify-files", "--json", folder=folder)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_one_person_has_one_quota(database: dict[str, str]) -> None:
    with serving(folder=None, ADMIN_PASSWORD=ADMIN_PASSWORD, RATE_LIMITS="off", UPLOAD_QUOTA_BYTES="100000", **database) as service:
        admin = client(service.url, token_of(log_in(service.url, "admin", ADMIN_PASSWORD)))
        other = client(service.url, make_user(admin, unique("other"), "admin"))
        project, content = make_project(admin), png(padding=30_000)
        made = at_once(lambda _: upload(admin, project, content), 8)
        assert sorted(each.status_code for each in made) == [201] * 3 + [409] * 5
        problem(next(each for each in made if each.status_code == 409), 409, "quota-exceeded")
        assert len(contents(service)) == 3
        assert uploaded(other, project, content)
        first = next(each for each in made if each.status_code == 201).json()
        assert admin.delete(f"/admin/{project}/files/{first['id']}").status_code == 204
        assert upload(admin, project, content).status_code == 201


def test_a_full_disk_is_507_and_reads_go_on(database: dict[str, str]) -> None:
    """A disk that is full by a limit on how large a file of this process may be."""
    with serving(folder=None, ADMIN_PASSWORD=ADMIN_PASSWORD, RATE_LIMITS="off", **database) as service:
        admin = client(service.url, token_of(log_in(service.url, "admin", ADMIN_PASSWORD)))
        project = make_project(admin)
        file = uploaded(admin, project, png(padding=1000))
        resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
        before = contents(service)
        full = upload(admin, project, png(padding=2_000_000))
        problem(full, 507, "storage-full")
        assert full.headers["retry-after"]
        assert contents(service) == before
        assert admin.get(address_of(project, file)).status_code == 200
        assert upload(admin, project, png(padding=1000)).status_code == 201


@pytest.mark.xdist_group("object-store")
def test_files_in_an_object_store(database: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    with object_store.object_store() as address:
        bucket = object_store.make_bucket(address)
        for name, value in object_store.environment(address).items():
            monkeypatch.setenv(name, value)
        with serving(
            folder=None, ADMIN_PASSWORD=ADMIN_PASSWORD, RATE_LIMITS="off", STORAGE_URL=f"s3://{bucket}/stories", **database
        ) as service:
            admin = client(service.url, token_of(log_in(service.url, "admin", ADMIN_PASSWORD)))
            project = make_project(admin)
            content = png(padding=8_000_000)
            file = uploaded(admin, project, content)
            assert object_store.keys(address, bucket) == [f"stories/files/{file['id']}"]
            assert admin.get(address_of(project, file)).content == content
            assert admin.get(address_of(project, file), headers={"range": "bytes=7000000-7000009"}).content == content[7_000_000:7_000_010]
            problem(upload(admin, project, content + bytes(9_000_000)), 413)
            problem(upload(admin, project, b"%PDF-1.4" + random.Random(1).randbytes(8_000_000), kind="application/pdf"), 415)
            assert object_store.keys(address, bucket) == [f"stories/files/{file['id']}"]
            assert object_store.unfinished(address, bucket) == 0
            assert not (service.folder / "files").exists()
            assert admin.delete(f"/admin/{project}/files/{file['id']}").status_code == 204
            assert object_store.keys(address, bucket) == []
