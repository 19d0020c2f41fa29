"""Label sets, annotations and their queue over HTTP."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.client import (
    Service,
    at_once,
    client,
    make_project,
    make_resource,
    make_user,
    pointers,
    problem,
    run,
    unique,
    walk,
)

TOPIC: dict[str, Any] = {"title": "Topic", "type": "choice", "choices": [{"value": "a", "label": "A"}, {"value": "b"}], "level": "nominal"}
SCALE: dict[str, Any] = {"title": "Relevance", "type": "scale", "min": 1, "max": 5, "level": "ordinal"}
LABEL_SET = {"name", "version", "title", "type", "choices", "min", "max", "level", "blind", "copies", "published_at"}
ANNOTATION = {
    "id",
    "resource_id",
    "label_set",
    "label_set_version",
    "annotator",
    "value",
    "confidence",
    "note",
    "created_at",
    "updated_at",
    "version",
}


def declare(admin: httpx.Client, project: str, name: str = "topic", **changes: Any) -> dict[str, Any]:
    made = admin.put(f"/admin/{project}/label-sets/{name}", json=TOPIC | changes)
    assert made.status_code in (200, 201), made.text
    label_set: dict[str, Any] = made.json()
    return label_set


def say(person: httpx.Client, project: str, resource: int, value: Any, *, name: str = "topic", **rest: Any) -> httpx.Response:
    return person.put(f"/admin/{project}/resources/{resource}/annotations/{name}", json={"value": value} | rest)


@pytest.fixture
def crowd(service: Service, admin: httpx.Client) -> Iterator[list[httpx.Client]]:
    """Three annotators of this test's own."""
    people = [client(service.url, make_user(admin, unique("annotator"), "annotator")) for _ in range(3)]
    yield people
    for person in people:
        person.close()


def name_of(person: httpx.Client) -> str:
    username: str = person.get("/auth/me").json()["username"]
    return username


# --- label sets --------------------------------------------------------------------------------------------------------------


def test_a_label_set_is_made_changed_and_read(admin: httpx.Client, annotator: httpx.Client, project: str) -> None:
    address = f"/admin/{project}/label-sets/topic"
    made = admin.put(address, json=TOPIC)
    assert (made.status_code, made.headers["etag"]) == (201, '"1"')
    assert set(made.json()) == LABEL_SET | {"changes"}
    assert made.json() | {"published_at": None} == TOPIC | {
        "name": "topic",
        "version": 1,
        "min": None,
        "max": None,
        "blind": True,
        "copies": 2,
        "published_at": None,
        "changes": [{"field": "topic", "change": "added", "touched": 0}],
    }
    again = admin.put(address, json=TOPIC)
    assert (again.status_code, again.json()["version"], again.json()["changes"]) == (200, 1, [])
    wider = admin.put(address, json=TOPIC | {"choices": ["a", "b", "c"]}, headers={"if-match": '"1"'})
    assert (wider.status_code, wider.headers["etag"], wider.json()["version"]) == (200, '"2"', 2)
    assert [change["change"] for change in wider.json()["changes"]] == ["widened"]
    found = annotator.get(address)
    assert found.json() == {name: value for name, value in wider.json().items() if name != "changes"}
    assert found.headers["etag"] == '"2"'
    assert annotator.get(address, headers={"if-none-match": '"2"'}).status_code == 304
    declare(admin, project, "relevance", **SCALE, choices=None)
    assert [each["name"] for each in walk(annotator, f"/admin/{project}/label-sets?limit=1")] == ["relevance", "topic"]
    for odd in ("WyJcdWQ4MDAiXQ", "WyJcdTAwMDAiXQ"):  # a half of a character, and a control
        assert pointers(annotator.get(f"/admin/{project}/label-sets?cursor={odd}")) == {"/cursor"}


def test_who_may_declare_and_read(admin: httpx.Client, annotator: httpx.Client, member: httpx.Client, project: str) -> None:
    address = f"/admin/{project}/label-sets/topic"
    problem(annotator.put(address, json=TOPIC), 403, "not-allowed")
    problem(member.get(address), 403, "not-allowed")
    problem(member.get(f"/admin/{project}/label-sets"), 403, "not-allowed")
    problem(httpx.get(f"{admin.base_url}{address}"), 401)
    problem(annotator.get(address), 404)
    problem(admin.put("/admin/no-such-story/label-sets/topic", json={}), 404)
    problem(admin.put(f"/admin/{project}/label-sets/a%20b", json=TOPIC), 404)
    stale = admin.put(address, json=TOPIC, headers={"if-match": '"1"'})
    problem(stale, 412, "stale-version")


@pytest.mark.parametrize(
    ("changes", "at"),
    [
        ({"title": ""}, "/title"),
        ({"type": "date"}, "/type"),
        ({"choices": None}, "/choices"),
        ({"choices": []}, "/choices"),
        ({"choices": ["a", "a"]}, "/choices/1/value"),
        ({"choices": [{"value": "a|b"}]}, "/choices/0/value"),
        ({"choices": [1]}, "/choices/0"),
        ({"min": 1}, "/min"),
        ({"type": "scale"}, "/choices"),
        ({"type": "scale", "choices": None}, "/min"),
        ({"type": "scale", "choices": None, "min": 5, "max": 1}, "/max"),
        ({"level": "interval"}, "/level"),
        ({"type": "boolean", "choices": None, "level": "ordinal"}, "/level"),
        ({"level": "ratio"}, "/level"),
        ({"copies": 0}, "/copies"),
        ({"copies": 101}, "/copies"),
        ({"copies": "2"}, "/copies"),
        ({"blind": "yes"}, "/blind"),
        ({"name": "other"}, ""),
    ],
)
def test_each_fault_of_a_label_set_is_pointed_at(admin: httpx.Client, project: str, changes: dict[str, Any], at: str) -> None:
    assert at in pointers(admin.put(f"/admin/{project}/label-sets/topic", json=TOPIC | changes))
    problem(admin.get(f"/admin/{project}/label-sets/topic"), 404)


def test_a_change_that_breaks_annotations_needs_to_be_accepted(admin: httpx.Client, annotator: httpx.Client, project: str) -> None:
    declare(admin, project)
    resource = make_resource(admin, project)["id"]
    assert say(annotator, project, resource, "b").status_code == 201
    address, narrower = f"/admin/{project}/label-sets/topic", TOPIC | {"choices": ["a"]}
    refused = problem(admin.put(address, json=narrower), 409, "breaking-change")
    assert refused["changes"] == [{"field": "topic", "change": "narrowed", "touched": 1}]
    retyped = TOPIC | {"type": "boolean", "choices": None, "accept_breaking": ["topic"]}
    problem(admin.put(address, json=retyped), 409, "breaking-change")
    accepted = admin.put(address, json=narrower | {"accept_breaking": ["topic"]})
    assert (accepted.status_code, accepted.json()["version"]) == (200, 2)
    (kept,) = annotator.get(f"/admin/{project}/annotations").json()
    assert (kept["value"], kept["label_set_version"]) == ("b", 1)
    assert pointers(say(annotator, project, resource, "b")) == {"/value"}


# --- annotations -------------------------------------------------------------------------------------------------------------


def test_an_annotation_is_given_changed_and_withdrawn(admin: httpx.Client, annotator: httpx.Client, project: str) -> None:
    declare(admin, project)
    resource = make_resource(admin, project)["id"]
    address = f"/admin/{project}/resources/{resource}/annotations/topic"
    first = annotator.put(address, json={"value": "a", "confidence": 4, "note": "Sure."})
    assert (first.status_code, first.headers["etag"]) == (201, '"1"')
    said = first.json()
    assert set(said) == ANNOTATION
    assert (said["resource_id"], said["label_set"], said["annotator"]) == (resource, "topic", name_of(annotator))
    assert (said["value"], said["confidence"], said["note"], said["updated_at"], said["version"]) == ("a", 4, "Sure.", None, 1)
    same = annotator.put(address, json={"value": "a", "confidence": 4, "note": "Sure."})
    assert (same.status_code, same.json()) == (200, said)
    second = annotator.put(address, json={"value": "b"}, headers={"if-match": '"1"'})
    assert (second.status_code, second.headers["etag"]) == (200, '"2"')
    assert (second.json()["id"], second.json()["value"], second.json()["confidence"], second.json()["note"]) == (
        said["id"],
        "b",
        None,
        None,
    )
    stale = annotator.put(address, json={"value": "a"}, headers={"if-match": '"1"'})
    problem(stale, 412, "stale-version")
    assert stale.headers["etag"] == '"2"'
    problem(annotator.delete(address, headers={"if-match": '"1"'}), 412, "stale-version")
    problem(admin.delete(address), 404)
    assert annotator.get(f"/admin/{project}/annotations").json() == [second.json()]
    gone = annotator.delete(address, headers={"if-match": '"2"'})
    assert (gone.status_code, gone.content) == (204, b"")
    problem(annotator.delete(address), 404)
    assert annotator.get(f"/admin/{project}/annotations").json() == []
    assert say(annotator, project, resource, "a").status_code == 201


def test_what_is_done_stands_in_the_audit_trail(admin: httpx.Client, annotator: httpx.Client, project: str) -> None:
    declare(admin, project)
    declare(admin, project, copies=3)
    resource = make_resource(admin, project)["id"]
    for value in ("a", "b"):
        say(annotator, project, resource, value)
    annotator.delete(f"/admin/{project}/resources/{resource}/annotations/topic")
    entries = admin.get(f"/admin/audit?project={project}").json()
    told = [entry["action"] for entry in entries if entry["target"]["type"] in ("label-set", "annotation")]
    assert told == ["annotation.delete", "annotation.update", "annotation.create", "label-set.update", "label-set.create"]
    assert {"field": "value", "from": "a", "to": "b"} in entries[1]["changes"]
    assert entries[1]["actor"]["username"] == name_of(annotator)


def test_many_at_once_make_one_annotation(admin: httpx.Client, annotator: httpx.Client, project: str) -> None:
    declare(admin, project, **SCALE, choices=None)
    resource = make_resource(admin, project)["id"]
    answers = at_once(lambda n: say(annotator, project, resource, n % 5 + 1), 16)
    assert sorted(answer.status_code for answer in answers) == [200] * 15 + [201]
    (kept,) = annotator.get(f"/admin/{project}/annotations").json()
    assert kept["version"] == max(answer.json()["version"] for answer in answers)


@pytest.mark.parametrize(
    ("declared", "good", "bad"),
    [
        (TOPIC, ["a", "b"], ["c", "A", "", 1, True, ["a"], {}]),
        (TOPIC | {"choices": [{"value": "a", "code": 7}]}, ["a"], ["7", 8]),
        (SCALE | {"choices": None}, [1, 5], [0, 6, "1", 1.0, 1.5, True, 10**30]),
        ({"title": "Sound?", "type": "boolean", "level": "nominal"}, [True, False], ["true", 1, 0]),
        ({"title": "Why", "type": "text", "level": "nominal"}, ["", "x" * 2000, "ä\n"], ["x" * 2001, 1, False]),
    ],
)
def test_a_label_fits_its_set(
    admin: httpx.Client, annotator: httpx.Client, project: str, declared: dict[str, Any], good: list[Any], bad: list[Any]
) -> None:
    assert admin.put(f"/admin/{project}/label-sets/topic", json=declared).status_code == 201
    resource = make_resource(admin, project)["id"]
    for value in [*bad, None]:
        assert pointers(say(annotator, project, resource, value)) == {"/value"}, value
    assert annotator.get(f"/admin/{project}/annotations").json() == []
    for value in good:
        said = say(annotator, project, resource, value)
        assert said.json()["value"] == value
        assert type(said.json()["value"]) is type(value)


def test_a_bad_annotation_is_refused(admin: httpx.Client, annotator: httpx.Client, member: httpx.Client, project: str) -> None:
    declare(admin, project)
    resource = make_resource(admin, project)["id"]
    refused: list[tuple[dict[str, Any], str]] = [
        ({"confidence": 0}, "/confidence"),
        ({"confidence": 6}, "/confidence"),
        ({"confidence": "3"}, "/confidence"),
        ({"note": "x" * 2001}, "/note"),
        ({"note": "\x00"}, "/note"),
        ({"annotator": "grace"}, ""),
    ]
    for rest, at in refused:
        assert pointers(say(annotator, project, resource, "a", **rest)) == {at}
    problem(say(member, project, resource, "a"), 403, "not-allowed")
    for missing in (
        say(annotator, project, resource, "a", name="nothing"),
        say(annotator, project, 10**9, "a"),
        say(annotator, "no-such-story", resource, "a"),
        say(annotator, project, 10**9, {"nested": 1}),
        say(annotator, project, resource, "a", name="nothing", confidence=9),
        annotator.get(f"/admin/{project}/annotations/next?label_set=nothing"),
        annotator.get("/admin/no-such-story/annotations"),
        annotator.get("/admin/no-such-story/annotations/export?format=csv"),
    ):
        problem(missing, 404)
    assert pointers(annotator.get(f"/admin/{project}/annotations/next")) == {"/label_set"}
    admin.delete(f"/admin/{project}/resources/{resource}")
    problem(say(annotator, project, resource, "a"), 404)


def test_in_a_blind_set_others_are_seen_after_ones_own(admin: httpx.Client, crowd: list[httpx.Client], project: str) -> None:
    declare(admin, project)
    declare(admin, project, "open", blind=False)
    here, there = (make_resource(admin, project)["id"] for _ in range(2))
    one, two, three = crowd
    for resource in (here, there):
        say(one, project, resource, "a")
    say(two, project, here, "b")
    say(one, project, here, "a", name="open")

    def seen(person: httpx.Client, query: str = "") -> set[tuple[int, str, str]]:
        listed = walk(person, f"/admin/{project}/annotations?limit=2{query}")
        return {(each["resource_id"], each["label_set"], each["annotator"]) for each in listed}

    first, second = name_of(one), name_of(two)
    in_the_open = (here, "open", first)
    assert seen(three) == {in_the_open}
    assert seen(two) == {in_the_open, (here, "topic", first), (here, "topic", second)}
    assert seen(admin) == seen(one) == {in_the_open, (here, "topic", first), (here, "topic", second), (there, "topic", first)}
    assert seen(three, f"&annotator={first}&label_set=topic") == set()
    assert seen(two, f"&resource_id={here}&annotator={first.upper()}&label_set=topic") == {(here, "topic", first)}
    exported = three.get(f"/admin/{project}/annotations/export?format=json")
    assert [each["label_set"] for each in exported.json()] == ["open"]


# --- the queue ---------------------------------------------------------------------------------------------------------------


def test_the_queue_hands_out_each_resource_to_one(admin: httpx.Client, crowd: list[httpx.Client], project: str) -> None:
    declare(admin, project, copies=1)
    made = {make_resource(admin, project)["id"] for _ in range(6)}
    address = f"/admin/{project}/annotations/next?label_set=topic"
    drawn = at_once(lambda n: crowd[n % 3].get(address), 9)
    assert sorted(answer.status_code for answer in drawn) == [200] * 6 + [204] * 3
    answers = [answer.json() for answer in drawn if answer.status_code == 200]
    assert {answer["resource"]["id"] for answer in answers} == made
    assert all(set(answer) == {"resource", "lease_until"} for answer in answers)
    resource = answers[0]["resource"]
    assert resource == admin.get(f"/{project}/resources/{resource['id']}").json()
    assert drawn[0].headers["cache-control"] == "no-store"


def test_the_queue_goes_on_until_all_copies_are_there(admin: httpx.Client, crowd: list[httpx.Client], project: str) -> None:
    declare(admin, project)
    for _ in range(4):
        make_resource(admin, project)
    address, done = f"/admin/{project}/annotations/next?label_set=topic", []
    for person in crowd:
        while (answer := person.get(address)).status_code == 200:
            done.append(answer.json()["resource"]["id"])
            assert say(person, project, done[-1], "a").status_code == 201
        assert answer.status_code == 204
    assert len(done) == 8
    say(crowd[0], project, done[0], "b")
    assert crowd[2].get(address).json()["resource"]["id"] == done[0]


# --- what most said, and files -----------------------------------------------------------------------------------------------


def test_resources_are_found_by_what_most_said(
    admin: httpx.Client, anonymous: httpx.Client, crowd: list[httpx.Client], project: str
) -> None:
    declare(admin, project)
    declare(admin, project, "relevance", **SCALE, choices=None)
    declare(admin, project, "sound", type="boolean", choices=None)
    one, two = (make_resource(admin, project)["id"] for _ in range(2))
    for person, value in zip(crowd, "aab", strict=True):
        say(person, project, one, value)
        say(person, project, one, 3, name="relevance")
        say(person, project, one, value == "a", name="sound")
    say(crowd[0], project, two, "a")

    def found(query: str) -> list[int]:
        ids = [each["id"] for each in walk(anonymous, f"/{project}/resources?limit=1&{query}")]
        page = anonymous.get(f"/{project}/resources/paginated?{query}").json()
        assert [each["id"] for each in page["items"]] == ids
        assert page["total"] == anonymous.get(f"/{project}/resources/count?{query}").json()["count"] == len(ids)
        return ids

    assert found("label.topic=a") == found("label.topic=a&label.relevance=3&label.sound=true&status=active") == [one]
    assert found("label.topic=b") == found("label.topic=a&label.sound=false") == found("label.topic=a&status=pending") == []
    say(crowd[1], project, two, "a")
    assert found("label.topic=a") == [one, two]
    for query, at in [
        ("label.topic=c", "/label.topic"),
        ("label.relevance=9", "/label.relevance"),
        ("label.nothing=a", ""),
        ("label.=a", ""),
        ("labels=a", ""),
        ("label=a", ""),
        ("_labels=a", ""),
        ("label.topic=a&label.topic=b", ""),
    ]:
        for address in ("", "/count", "/paginated"):
            assert pointers(anonymous.get(f"/{project}/resources{address}?{query}")) == {at}, query
    problem(anonymous.get("/no-such-story/resources?label.topic=a"), 404)


def test_annotations_leave_as_a_file(admin: httpx.Client, crowd: list[httpx.Client], project: str) -> None:
    declare(admin, project, blind=False)
    resource = make_resource(admin, project, name="=Figure")
    for person, value in zip(crowd, "aab", strict=True):
        say(person, project, resource["id"], value, confidence=3, note="so, so")
    address = f"/admin/{project}/annotations/export?format="
    answer = crowd[0].get(f"{address}csv")
    assert answer.headers["content-disposition"] == f'attachment; filename="{project}-annotations.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    columns = ["resource_id", "resource_name", "label_set", "label_set_version", "annotator", "value", "confidence", "note"]
    assert list(rows[0]) == [*columns, "created_at", "updated_at"]
    assert [rows[0][name] for name in columns if name != "annotator"] == [
        str(resource["id"]), "'=Figure", "topic", "1", "a", "3", "so, so"
    ]  # fmt: skip
    pseudonyms = [row["annotator"] for row in rows]
    names = [name_of(person) for person in crowd]
    assert len(set(pseudonyms)) == 3
    assert not set(pseudonyms) & set(names)
    assert [json.loads(line)["annotator"] for line in admin.get(f"{address}ndjson&names=false").text.splitlines()] == pseudonyms
    assert [each["annotator"] for each in admin.get(f"{address}json&names=true").json()] == names
    assert admin.get(f"{address}parquet").content[:4] == b"PAR1"
    problem(crowd[0].get(f"{address}csv&names=true"), 403, "not-allowed")
    assert pointers(admin.get(f"{address}xml")) == {"/format"}
    other = make_project(admin)
    declare(admin, other, blind=False)
    say(crowd[0], other, make_resource(admin, other)["id"], "a")
    assert admin.get(f"/admin/{other}/annotations/export?format=json").json()[0]["annotator"] not in pseudonyms
    entries = admin.get(f"/admin/audit?project={project}&action=annotation.export").json()
    assert {"field": "names", "from": None, "to": True} in [change for entry in entries for change in entry["changes"]]


def test_labels_are_imported_and_read_back_equal(
    admin: httpx.Client, annotator: httpx.Client, crowd: list[httpx.Client], project: str
) -> None:
    declare(admin, project)
    resources = [make_resource(admin, project)["id"] for _ in range(3)]
    names = [name_of(person) for person in crowd]
    say(crowd[0], project, resources[0], "a")
    rows = [(resource, "topic", name, "ab"[n % 2], n + 1, f'so, "{n}"') for n, name in enumerate(names) for resource in resources]
    sink = io.StringIO()
    csv.writer(sink).writerows([("resource_id", "label_set", "annotator", "value", "confidence", "note"), *rows])
    address, headers = f"/admin/{project}/annotations/import", {"content-type": "text/csv"}

    def send(person: httpx.Client, content: str = sink.getvalue(), query: str = "", **more: str) -> httpx.Response:
        return person.post(address + query, content=content, headers=headers | more)

    problem(send(annotator), 403, "not-allowed")
    problem(send(admin, **{"content-type": "application/x-ndjson"}), 415)
    problem(admin.post(address.replace(project, "no-such-story"), content=sink.getvalue(), headers=headers), 404)
    refused = send(admin, sink.getvalue() + f"{resources[0]},topic,nobody-at-all,a,1,\n")
    told = refused.json()
    assert (refused.status_code, told["code"]) == (422, "invalid-rows")
    assert (told["rows_failed"], [(each["row"], each["field"]) for each in told["errors"]]) == (1, [(len(rows) + 1, "annotator")])
    counts = {"rows": 9, "inserted": 8, "updated": 1, "unchanged": 0}
    assert send(admin, query="?dry_run=true").json() == {"dry_run": True, **counts}
    assert len(admin.get(f"/admin/{project}/annotations").json()) == 1
    first, again = [send(admin, **{"idempotency-key": f"labels-{project}"}) for _ in range(2)]
    assert first.json() == {"dry_run": False, **counts}
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
    columns = ("resource_id", "label_set", "annotator", "value", "confidence", "note")
    told = admin.get(f"/admin/{project}/annotations/export?format=json&names=true").json()
    assert sorted(tuple(row[name] for name in columns) for row in told) == sorted(rows)
    assert crowd[0].get(f"/admin/{project}/annotations/next?label_set=topic").status_code == 204
    assert send(admin).json() == {"dry_run": False, "rows": 9, "inserted": 0, "updated": 0, "unchanged": 9}


def test_the_command_line_imports_labels(service: Service, admin: httpx.Client, crowd: list[httpx.Client], project: str) -> None:
    declare(admin, project)
    settings = {"DATABASE_URL": url} if (url := service.database_url) else {}

    def call(*arguments: str, given: str | None = None) -> tuple[int, str, str]:
        done = run("import", project, *arguments, "--what", "annotations", folder=service.folder, given=given, **settings)
        return done.returncode, done.stdout, done.stderr

    resources, person = [make_resource(admin, project)["id"] for _ in range(2)], name_of(crowd[0])
    head = "resource_id,label_set,annotator,value\n"
    rows = [f"{resource},topic,{person},a\n" for resource in resources]
    file = service.folder / f"{project}.csv"
    file.write_text(head + rows[0])
    told = [["rows", "1"], ["inserted", "1"], ["updated", "0"], ["unchanged", "0"]]
    status, out, err = call(str(file), "--dry-run")
    assert (status, err, [line.split() for line in out.splitlines()[:-1]]) == (0, "", told)
    assert out.endswith("A dry run: nothing was changed.\n")
    assert admin.get(f"/admin/{project}/annotations").json() == []
    status, out, err = call(str(file))
    assert (status, err, [line.split() for line in out.splitlines()]) == (0, "", told)
    status, out, err = call("-", "--json", given=head + "".join(rows))
    assert (status, err, json.loads(out)) == (0, "", {"dry_run": False, "rows": 2, "inserted": 1, "updated": 0, "unchanged": 1})
    faulty = head + f"{resources[0]},topic,{person},odd\n{resources[1]},nothing,{person},a\n"
    status, out, err = call("-", given=faulty)
    assert (status, out) == (1, "")
    assert [line.split(maxsplit=2)[:2] for line in err.splitlines()] == [
        ["row", "field"],
        ["1", "value"],
        ["2", "label_set"],
        ["complex-stories:", "Nothing"],
    ]
    status, out, err = call("-", "--json", given=faulty)
    assert (status, err.count("\n"), json.loads(out)["rows_failed"]) == (1, 1, 2)
    for strange in (("--mode", "upsert"), ("--plan", "x"), ("--format", "parquet"), ("--as", "nobody-here"), ("--as", person)):
        status, out, err = call(str(file), *strange)
        assert (status, out, err.count("\n")) == (1 if person in strange else 2, "", 1), strange
    assert len(admin.get(f"/admin/{project}/annotations").json()) == 2
    (last, _) = admin.get(f"/admin/audit?project={project}&action=annotation.import").json()
    assert {"field": "rows", "from": None, "to": 2} in last["changes"]


def test_a_story_declares_its_label_sets(service: Service, admin: httpx.Client) -> None:
    slug = unique("labelled")
    story = json.dumps({"slug": slug, "title": "Labelled", "label_sets": [TOPIC | {"name": "topic"}], "resources": [{"name": "One"}]})
    settings = {"DATABASE_URL": url} if (url := service.database_url) else {}
    applied = run("apply", "-", folder=service.folder, given=story, **settings)
    assert (applied.returncode, "label set topic: created" in applied.stdout) == (0, True)
    assert admin.get(f"/admin/{slug}/label-sets/topic").json()["choices"] == TOPIC["choices"]
    again = json.loads(run("apply", "-", "--json", folder=service.folder, given=story, **settings).stdout)
    assert again["label_sets"] == {"topic": "unchanged"}
    (resource,) = admin.get(f"/{slug}/resources").json()
    say(admin, slug, resource["id"], "b")
    narrower = story.replace(', {"value": "b"}', "")
    refused = run("apply", "-", folder=service.folder, given=narrower, **settings)
    assert (refused.returncode, "narrowed" in refused.stdout, len(refused.stderr.splitlines())) == (1, True, 1)
    assert run("apply", "-", "--accept-breaking", "topic", folder=service.folder, given=narrower, **settings).returncode == 0
