"""Resources over HTTP: the traps that a list, a search, a soft deletion and two writers set."""

import base64
import json
from typing import Any

import httpx
import pytest

from tests.e2e.client import at_once, client, make_resource, next_address, pointers, problem, unique, walk

FIELDS = [
    "id",
    "project",
    "name",
    "description",
    "status",
    "attributes",
    "created_by",
    "created_at",
    "updated_at",
    "is_active",
    "version",
]
SORTS = ["id", "-id", "name", "-name", "created_at", "-created_at", "updated_at", "-updated_at"]


def names_found(reader: httpx.Client, project: str, **query: str) -> set[str]:
    answer = reader.get(f"/{project}/resources", params=query)
    assert answer.status_code == 200, answer.text
    found = {entry["name"] for entry in answer.json()}
    assert reader.get(f"/{project}/resources/count", params=query).json() == {"count": len(found)}
    assert reader.get(f"/{project}/resources/paginated", params=query).json()["total"] == len(found)
    return found


def cursor(*place: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def in_order(entries: list[dict[str, Any]], sort: str) -> list[dict[str, Any]]:
    """The entries as the contract orders them: the id breaks ties, a null sorts last both ways."""
    column, backwards = sort.removeprefix("-"), sort.startswith("-")
    known = [entry for entry in entries if entry[column] is not None]
    unknown = [entry for entry in entries if entry[column] is None]
    known.sort(key=lambda entry: (entry[column], entry["id"]), reverse=backwards)
    unknown.sort(key=lambda entry: entry["id"], reverse=backwards)
    return known + unknown


# --- making, reading ----------------------------------------------------------------------------------------------------------


def test_a_resource_is_created_and_shown(member: httpx.Client, anonymous: httpx.Client, project: str) -> None:
    body = {"name": "Trust circles", "description": "Rings", "status": "pending", "attributes": {"rows": 4, "deep": [{"a": None}]}}
    made = member.post(f"/admin/{project}/resources", json=body)
    assert made.status_code == 201
    assert list(made.json()) == FIELDS
    assert {name: made.json()[name] for name in body} == body
    assert made.json()["created_by"] == member.get("/auth/me").json()["username"]
    assert made.json()["created_at"].endswith("Z")
    assert (made.json()["updated_at"], made.json()["is_active"], made.json()["version"]) == (None, True, 1)
    assert made.headers["location"] == f"/{project}/resources/{made.json()['id']}"
    shown = anonymous.get(made.headers["location"])
    assert shown.json() == made.json()
    assert list(shown.json()) == FIELDS
    assert shown.headers["etag"] == made.headers["etag"]


def test_defaults_are_spelled_out(member: httpx.Client, project: str) -> None:
    made = make_resource(member, project, name="Bare")
    assert (made["description"], made["status"], made["attributes"]) == (None, "active", {})


def test_count_and_paginated_stand_beside_the_ids(anonymous: httpx.Client, member: httpx.Client, project: str) -> None:
    made = make_resource(member, project)
    assert anonymous.get(f"/{project}/resources/count").json() == {"count": 1}
    page = anonymous.get(f"/{project}/resources/paginated").json()
    assert page == {"items": [made], "page": 1, "per_page": 20, "total": 1, "total_pages": 1}
    assert anonymous.get(f"/{project}/resources/{made['id']}").json() == made
    for nothing in ("counts", "0", "-1", "1.0", "01", "9223372036854775807", "9223372036854775808", "9" * 30, "%D9%A1"):
        problem(anonymous.get(f"/{project}/resources/{nothing}"), 404)


def test_a_status_is_a_label_and_never_visibility(anonymous: httpx.Client, member: httpx.Client, project: str) -> None:
    made = [make_resource(member, project, status=status) for status in ("active", "inactive", "pending")]
    assert anonymous.get(f"/{project}/resources").json() == made
    for resource in made:
        assert anonymous.get(f"/{project}/resources/{resource['id']}").json()["status"] == resource["status"]
        assert anonymous.get(f"/{project}/resources", params={"status": resource["status"]}).json() == [resource]


@pytest.mark.parametrize(
    ("body", "at"),
    [
        ({}, {"/name"}),
        ({"name": ""}, {"/name"}),
        ({"name": " \n\t "}, {"/name"}),
        ({"name": "x" * 256}, {"/name"}),
        ({"name": None}, {"/name"}),
        ({"name": 1}, {"/name"}),
        ({"name": ["x"]}, {"/name"}),
        ({"name": "x", "status": "deleted"}, {"/status"}),
        ({"name": "x", "status": None}, {"/status"}),
        ({"name": "x", "attributes": None}, {"/attributes"}),
        ({"name": "x", "attributes": []}, {"/attributes"}),
        ({"name": "x", "attributes": "{}"}, {"/attributes"}),
        ({"name": "x", "attributes": {"a": "x" * 65_536}}, {"/attributes"}),
        ({"name": "x", "description": "x" * 10_001}, {"/description"}),
        ({"name": "", "status": "nope", "description": 3}, {"/name", "/status", "/description"}),
    ],
)
def test_each_fault_is_pointed_at(member: httpx.Client, project: str, body: dict[str, object], at: set[str]) -> None:
    assert pointers(member.post(f"/admin/{project}/resources", json=body)) == at


@pytest.mark.parametrize("key", ["id", "project", "created_by", "created_by_id", "created_at", "version", "is_active", "deleted_at"])
def test_what_the_service_decides_cannot_be_sent(member: httpx.Client, anonymous: httpx.Client, project: str, key: str) -> None:
    pointers(member.post(f"/admin/{project}/resources", json={"name": "x", key: 1}))
    made = make_resource(member, project)
    pointers(member.patch(f"/admin/{project}/resources/{made['id']}", json={"name": "y", key: 1}))
    assert anonymous.get(f"/{project}/resources").json() == [made]


def test_sizes_are_allowed_up_to_their_limit(member: httpx.Client, project: str) -> None:
    make_resource(member, project, name="🦆" * 255, description="🦆" * 10_000)
    room = 64 * 1024 - len('{"a":""}')
    make_resource(member, project, attributes={"a": "x" * room})
    assert pointers(member.post(f"/admin/{project}/resources", json={"name": "x", "attributes": {"a": "x" * (room + 1)}}))


def test_attributes_nest_sixteen_deep_and_no_deeper(member: httpx.Client, project: str) -> None:
    def nested(depth: int) -> dict[str, Any]:
        return {"a": nested(depth - 1)} if depth > 1 else {"a": 1}

    assert make_resource(member, project, attributes=nested(16))["attributes"] == nested(16)
    assert pointers(member.post(f"/admin/{project}/resources", json={"name": "x", "attributes": nested(17)})) == {"/attributes"}


@pytest.mark.parametrize("number", [b"1e400", b"-1e400", b"1" + b"0" * 400, b"1" * 5000])
def test_a_number_beyond_a_double_is_refused(member: httpx.Client, project: str, number: bytes) -> None:
    body = b'{"name": "x", "attributes": {"a": ' + number + b"}}"
    answer = member.post(f"/admin/{project}/resources", content=body, headers={"content-type": "application/json"})
    assert pointers(answer) == {"/attributes"}


def test_a_name_is_unique_trimmed_composed_and_case_folded(member: httpx.Client, project: str) -> None:
    make_resource(member, project, name="Café Straße")
    for twin in ("café straße", "CAFE\u0301 STRASSE", "  Café Straße\n", "CAFÉ STRASSE"):
        problem(member.post(f"/admin/{project}/resources", json={"name": twin}), 409, "name-taken")
    make_resource(member, project, name="Cafe Strasse")


def test_the_same_name_lives_in_two_projects(admin: httpx.Client, member: httpx.Client, project: str) -> None:
    other = unique("other")
    admin.post("/admin/projects", json={"slug": other, "title": "T"})
    mine, theirs = (make_resource(member, slug, name="Same") for slug in (project, other))
    problem(member.get(f"/{project}/resources/{theirs['id']}"), 404)
    problem(member.patch(f"/admin/{other}/resources/{mine['id']}", json={}), 404)


# --- changing -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_only_the_fields_sent_change(member: httpx.Client, anonymous: httpx.Client, project: str, method: str) -> None:
    made = make_resource(member, project, description="Old", attributes={"a": 1})
    address = f"/admin/{project}/resources/{made['id']}"
    changed = member.request(method, address, json={"status": "inactive"})
    assert changed.status_code == 200
    assert changed.json() == made | {"status": "inactive", "version": 2, "updated_at": changed.json()["updated_at"]}
    assert changed.json()["updated_at"] > made["created_at"]
    emptied = member.request(method, address, json={"description": None})
    assert emptied.json()["description"] is None
    assert anonymous.get(f"/{project}/resources/{made['id']}").json() == emptied.json()


@pytest.mark.parametrize("changes", [{}, {"status": "active"}, {"attributes": {}}, {"description": None}])
def test_a_change_of_nothing_changes_nothing(member: httpx.Client, project: str, changes: dict[str, object]) -> None:
    made = make_resource(member, project)
    same = member.patch(f"/admin/{project}/resources/{made['id']}", json=changes)
    assert (same.status_code, same.json(), same.headers["etag"]) == (200, made, '"1"')


@pytest.mark.parametrize("field", ["name", "status", "attributes"])
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_an_explicit_null_is_refused_where_there_is_no_null(member: httpx.Client, project: str, field: str, method: str) -> None:
    made = make_resource(member, project)
    assert pointers(member.request(method, f"/admin/{project}/resources/{made['id']}", json={field: None})) == {f"/{field}"}


def test_renaming_keeps_names_unique(member: httpx.Client, project: str) -> None:
    make_resource(member, project, name="First")
    second = make_resource(member, project, name="Second")
    address = f"/admin/{project}/resources/{second['id']}"
    problem(member.patch(address, json={"name": "FIRST "}), 409, "name-taken")
    assert member.patch(address, json={"name": "SECOND"}).json()["name"] == "SECOND"


def test_only_the_creator_or_an_admin_changes_a_resource(
    member: httpx.Client, stranger: httpx.Client, annotator: httpx.Client, admin: httpx.Client, project: str
) -> None:
    address = f"/admin/{project}/resources/{make_resource(member, project)['id']}"
    for other in (stranger, annotator):
        problem(other.patch(address, json={"status": "pending"}), 403, "not-the-owner")
    assert member.patch(address, json={"status": "pending"}).json()["version"] == 2
    assert admin.patch(address, json={"status": "active"}).json()["version"] == 3


def test_only_admins_delete_and_restore(member: httpx.Client, annotator: httpx.Client, project: str) -> None:
    address = f"/admin/{project}/resources/{make_resource(member, project)['id']}"
    for person in (member, annotator):
        problem(person.delete(address), 403, "not-allowed")
        problem(person.post(f"{address}/restore"), 403, "not-allowed")


def test_a_deleted_resource_is_gone_for_every_purpose_but_restoring(
    member: httpx.Client, admin: httpx.Client, anonymous: httpx.Client, project: str
) -> None:
    made = make_resource(member, project, name="Gone")
    address = f"/admin/{project}/resources/{made['id']}"
    assert admin.delete(address).json() == {"message": "Resource deleted successfully"}
    problem(anonymous.get(f"/{project}/resources/{made['id']}"), 404)
    problem(admin.delete(address), 404)
    for method in ("PUT", "PATCH"):
        problem(member.request(method, address, json={"name": "Back"}), 404)
        problem(admin.request(method, address, json={"nonsense": "Back"}), 404)
    assert names_found(anonymous, project) == set()
    restored = admin.post(f"{address}/restore")
    assert restored.status_code == 200
    assert restored.json()["is_active"] is True
    assert restored.json()["version"] == 3
    assert restored.headers["etag"] == '"3"'
    assert anonymous.get(f"/{project}/resources/{made['id']}").json() == restored.json()
    assert admin.post(f"{address}/restore").json() == restored.json()


def test_a_deleted_resources_name_is_free_and_may_be_lost(member: httpx.Client, admin: httpx.Client, project: str) -> None:
    first = make_resource(member, project, name="Name")
    admin.delete(f"/admin/{project}/resources/{first['id']}")
    second = make_resource(member, project, name="NAME")
    problem(admin.post(f"/admin/{project}/resources/{first['id']}/restore"), 409, "name-taken")
    admin.delete(f"/admin/{project}/resources/{second['id']}")
    assert admin.post(f"/admin/{project}/resources/{first['id']}/restore").status_code == 200


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ('"2"', 200),
        ('"7", "2"', 200),
        ("*", 200),
        ('W/"2"', 200),
        ('W/"1"', 412),
        (', W/"1",,"2" ,', 200),
        ('"1"', 412),
        ('"3"', 412),
        ('"1", "3"', 412),
        ('"02"', 412),
        ("2", 400),
        ('"2', 400),
        ('"2" "3"', 400),
        ('"2", 2', 400),
        ('*, "2"', 400),
        ('w/"2"', 400),
        ('""', 412),
        ("garbage", 400),
        ('"99999999999999999999999"', 412),
    ],
)
def test_if_match_lets_only_the_expected_version_change(member: httpx.Client, project: str, given: str, status: int) -> None:
    made = make_resource(member, project)
    address = f"/admin/{project}/resources/{made['id']}"
    member.patch(address, json={"status": "pending"})
    answer = member.patch(address, json={"status": "inactive"}, headers={"if-match": given})
    assert answer.status_code == status
    if status == 412:
        problem(answer, 412, "stale-version")
        assert answer.headers["etag"] == '"2"'


def test_if_match_in_two_lines_is_one_list(member: httpx.Client, project: str) -> None:
    made = make_resource(member, project)
    answer = member.patch(
        f"/admin/{project}/resources/{made['id']}", json={"status": "pending"}, headers=[("if-match", '"9"'), ("if-match", '"1"')]
    )
    assert answer.status_code == 200


def test_if_match_guards_deletion_and_restoring(member: httpx.Client, admin: httpx.Client, project: str) -> None:
    address = f"/admin/{project}/resources/{make_resource(member, project)['id']}"
    problem(admin.delete(address, headers={"if-match": '"2"'}), 412)
    assert admin.delete(address, headers={"if-match": '"1"'}).status_code == 200
    problem(admin.post(f"{address}/restore", headers={"if-match": '"1"'}), 412)
    assert admin.post(f"{address}/restore", headers={"if-match": '"2"'}).status_code == 200


def test_of_many_changes_under_one_etag_one_happens(admin: httpx.Client, anonymous: httpx.Client, project: str) -> None:
    made = make_resource(admin, project)
    address, url = f"/admin/{project}/resources/{made['id']}", str(admin.base_url)

    def change(number: int) -> int:
        with client(url, admin.headers["authorization"].removeprefix("Bearer ")) as own:
            return own.patch(address, json={"name": f"Change {number}"}, headers={"if-match": '"1"'}).status_code

    statuses = at_once(change, 32)
    assert sorted(statuses) == [200] + [412] * 31
    after = anonymous.get(f"/{project}/resources/{made['id']}").json()
    assert (after["name"], after["version"]) == (f"Change {statuses.index(200)}", 2)


def test_of_many_creations_of_one_name_one_happens(admin: httpx.Client, anonymous: httpx.Client, project: str) -> None:
    url = str(admin.base_url)

    def create(number: int) -> int:
        with client(url, admin.headers["authorization"].removeprefix("Bearer ")) as own:
            return own.post(f"/admin/{project}/resources", json={"name": "One"}).status_code

    assert sorted(at_once(create, 32)) == [201] + [409] * 31
    assert anonymous.get(f"/{project}/resources/count").json() == {"count": 1}


def test_no_change_of_many_is_lost(admin: httpx.Client, anonymous: httpx.Client, project: str) -> None:
    made = make_resource(admin, project)
    address, url = f"/admin/{project}/resources/{made['id']}", str(admin.base_url)

    def change(number: int) -> int:
        with client(url, admin.headers["authorization"].removeprefix("Bearer ")) as own:
            return own.patch(address, json={"name": f"Change {number}"}).status_code

    assert at_once(change, 16) == [200] * 16
    assert anonymous.get(f"/{project}/resources/{made['id']}").json()["version"] == 17


# --- searching, listing -------------------------------------------------------------------------------------------------------


def test_wildcards_in_a_search_mean_themselves(member: httpx.Client, anonymous: httpx.Client, project: str) -> None:
    for name in ("100% sure", "100 per cent sure", "under_score", "underXscore", "back\\slash", "back/slash", "a*b"):
        make_resource(member, project, name=name)
    assert names_found(anonymous, project, search="%") == {"100% sure"}
    assert names_found(anonymous, project, search="0% s") == {"100% sure"}
    assert names_found(anonymous, project, search="_") == {"under_score"}
    assert names_found(anonymous, project, search="r_s") == {"under_score"}
    assert names_found(anonymous, project, search="\\") == {"back\\slash"}
    assert names_found(anonymous, project, search="k\\s") == {"back\\slash"}
    assert names_found(anonymous, project, search="*") == {"a*b"}
    assert names_found(anonymous, project, search="'; --") == set()


def test_a_search_is_literal_and_in_any_case(member: httpx.Client, anonymous: httpx.Client, project: str) -> None:
    make_resource(member, project, name="ÉTUDE Straße", description="the FIRST words")
    make_resource(member, project, name="Other", description=None)
    for found in ("étude", "E\u0301TUDE", "STRASSE", "first WORDS", "t", "ude str"):
        assert "ÉTUDE Straße" in names_found(anonymous, project, search=found)
    for lost in ("etude", "straße the", "words first", "null", "none"):
        assert "ÉTUDE Straße" not in names_found(anonymous, project, search=lost)
    assert names_found(anonymous, project, search="") == {"ÉTUDE Straße", "Other"}
    assert names_found(anonymous, project, search="x" * 200) == set()
    assert pointers(anonymous.get(f"/{project}/resources", params={"search": "x" * 201})) == {"/search"}


def test_filters_join(member: httpx.Client, anonymous: httpx.Client, project: str) -> None:
    make_resource(member, project, name="Blue", status="pending")
    make_resource(member, project, name="Bluer")
    assert names_found(anonymous, project, search="blue", status="pending") == {"Blue"}


def test_a_plus_in_a_query_is_a_space(member: httpx.Client, anonymous: httpx.Client, project: str) -> None:
    make_resource(member, project, name="one two")
    make_resource(member, project, name="one+two")
    assert anonymous.get(f"/{project}/resources/count?search=one+two").json() == {"count": 1}
    assert anonymous.get(f"/{project}/resources?search=one%2Btwo").json()[0]["name"] == "one+two"


@pytest.fixture(scope="module")
def crowd(admin: httpx.Client, anonymous: httpx.Client) -> tuple[str, list[dict[str, Any]]]:
    """A project of 23 resources, some of them changed, and how they stand."""
    slug = unique("crowd")
    admin.post("/admin/projects", json={"slug": slug, "title": "T"})
    names = ["b", "B2", "a", "Ä", "ä2", "Z", "zz", "10", "9", "_", "~", "é", "e", "🦆", "%", "'", '"', "\\", "&x=1", "a b", "#", "ß", "ss2"]
    made = [make_resource(admin, slug, name=name, status=("active", "pending")[n % 2]) for n, name in enumerate(names)]
    for resource in made[3:20:4]:
        admin.patch(f"/admin/{slug}/resources/{resource['id']}", json={"description": "changed"})
    return slug, anonymous.get(f"/{slug}/resources?limit=1000").json()


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("limit", [1, 7])
def test_walking_the_links_gives_the_whole_list_in_order(
    anonymous: httpx.Client, crowd: tuple[str, list[dict[str, Any]]], sort: str, limit: int
) -> None:
    slug, everything = crowd
    assert list(walk(anonymous, f"/{slug}/resources?sort={sort}&limit={limit}")) == in_order(everything, sort)


@pytest.mark.parametrize("sort", SORTS)
def test_pages_by_number_agree_with_the_list(anonymous: httpx.Client, crowd: tuple[str, list[dict[str, Any]]], sort: str) -> None:
    slug, everything = crowd
    pages = [anonymous.get(f"/{slug}/resources/paginated?sort={sort}&per_page=10&page={page}").json() for page in (1, 2, 3, 4)]
    assert [entry for page in pages for entry in page["items"]] == in_order(everything, sort)
    assert {(page["total"], page["total_pages"], page["per_page"]) for page in pages} == {(23, 3, 10)}
    assert [page["page"] for page in pages] == [1, 2, 3, 4]
    assert pages[3]["items"] == []


@pytest.mark.parametrize("sort", SORTS)
def test_skipping_agrees_with_the_list(anonymous: httpx.Client, crowd: tuple[str, list[dict[str, Any]]], sort: str) -> None:
    slug, everything = crowd
    assert anonymous.get(f"/{slug}/resources?sort={sort}&skip=5&limit=4").json() == in_order(everything, sort)[5:9]


def test_a_link_keeps_every_parameter(anonymous: httpx.Client, crowd: tuple[str, list[dict[str, Any]]]) -> None:
    slug, everything = crowd
    first = anonymous.get(f"/{slug}/resources", params={"status": "pending", "search": "changed", "sort": "-name", "limit": 1})
    address = next_address(first)
    assert address is not None
    following = httpx.URL(address).params
    assert {"status": "pending", "search": "changed", "sort": "-name", "limit": "1"}.items() <= dict(following).items()
    expected = [entry for entry in everything if entry["status"] == "pending" and entry["description"] == "changed"]
    assert [*first.json(), *walk(anonymous, address)] == in_order(expected, "-name")
    for odd in ("&x=1", "a b", "%", "é"):
        again = anonymous.get(f"/{slug}/resources", params={"search": odd, "limit": 1})
        assert again.status_code == 200
        link = next_address(again)
        assert link is None or httpx.URL(link).params["search"] == odd


@pytest.mark.parametrize("sort", ["id", "-id", "name", "-created_at"])
def test_rows_that_arrive_meanwhile_neither_hide_nor_repeat_others(
    admin: httpx.Client, anonymous: httpx.Client, project: str, sort: str
) -> None:
    before = {make_resource(admin, project, name=f"m{number:02}")["id"] for number in range(12)}
    seen: list[int] = []
    address: str | None = f"/{project}/resources?sort={sort}&limit=5"
    while address is not None:
        page = anonymous.get(address)
        seen += [entry["id"] for entry in page.json()]
        make_resource(admin, project, name=f"a{len(seen)}")
        if len(seen) < 30:
            make_resource(admin, project, name=f"z{len(seen)}")
        address = next_address(page)
        assert len(seen) < 200
    assert len(seen) == len(set(seen))
    assert before <= set(seen)


def test_skipping_far_points_at_the_cursor(anonymous: httpx.Client, project: str) -> None:
    assert anonymous.get(f"/{project}/resources?skip=100000").json() == []
    told = problem(anonymous.get(f"/{project}/resources?skip=100001"), 422)
    assert told["errors"][0]["pointer"] == "/skip"
    assert "cursor" in told["errors"][0]["detail"]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/limit"),
        ("limit=1001", "/limit"),
        ("limit=-1", "/limit"),
        ("limit=1.0", "/limit"),
        ("limit=01", "/limit"),
        ("limit=%2B1", "/limit"),
        ("limit=1e1", "/limit"),
        ("limit=", "/limit"),
        ("limit=%D9%A1", "/limit"),
        ("limit=99999999999999999999", "/limit"),
        ("skip=-1", "/skip"),
        ("sort=", "/sort"),
        ("sort=ID", "/sort"),
        ("sort=name,id", "/sort"),
        ("sort=created_by", "/sort"),
        ("status=", "/status"),
        ("status=Active", "/status"),
        ("cursor=", "/cursor"),
        ("cursor=x", "/cursor"),
        ("cursor=%C3%A9", "/cursor"),
        ("page=1", ""),
        ("Limit=1", ""),
        ("limit=1&limit=1", ""),
        ("limit=1&lim%69t=2", ""),
        ("search=a%00", "/search"),
        ("search=a%1F", "/search"),
        ("search=%C2%85", "/search"),
    ],
)
def test_a_query_is_read_strictly(anonymous: httpx.Client, project: str, query: str, pointer: str) -> None:
    assert pointers(anonymous.get(f"/{project}/resources?{query}")) == {pointer}


@pytest.mark.parametrize("query", ["page=0", "page=1000001", "per_page=0", "per_page=101", "limit=1", "cursor=x", "page=1&page=2"])
def test_pages_by_number_have_their_own_bounds(anonymous: httpx.Client, project: str, query: str) -> None:
    assert pointers(anonymous.get(f"/{project}/resources/paginated?{query}"))


@pytest.mark.parametrize(
    ("sort", "place"),
    [
        ("id", ["-id", 1, 1]),
        ("id", ["name", "a", 1]),
        ("id", ["id", 1]),
        ("id", ["id", 1, 0]),
        ("id", ["id", 1, 2**63]),
        ("id", ["id", 1, True]),
        ("id", ["id", "1", 1]),
        ("id", {"id": 1}),
        ("name", ["name", None, 1]),
        ("name", ["name", 1, 1]),
        ("name", ["name", "\x00", 1]),
        ("name", ["name", "\ud800", 1]),
        ("created_at", ["created_at", None, 1]),
        ("created_at", ["created_at", "yesterday", 1]),
        ("created_at", ["created_at", "infinity", 1]),
        ("created_at", ["created_at", "2024-01-01T00:00:00", 1]),
        ("created_at", ["created_at", "2024-W01-1T00:00:00+00:00", 1]),
        ("created_at", ["created_at", "2024-01-01x00:00:00+00:00", 1]),
        ("updated_at", ["updated_at", "20240101T000000,5+00:00", 1]),
        ("updated_at", ["updated_at", "2024-01-01T00:00:00+00:00:00.5", 1]),
    ],
)
def test_a_made_up_cursor_is_refused(anonymous: httpx.Client, project: str, sort: str, place: object) -> None:
    made_up = base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")
    answer = anonymous.get(f"/{project}/resources", params={"sort": sort, "cursor": made_up})
    assert answer.status_code == 422, answer.text
    assert pointers(answer) == {"/cursor"}


def test_a_made_up_cursor_of_projects_or_users_is_refused(anonymous: httpx.Client, admin: httpx.Client) -> None:
    for place in ("\ud800", "\x00", 1, None, True):
        assert pointers(anonymous.get("/projects", params={"cursor": cursor(place)})) == {"/cursor"}
    for place in ("1", -1, 2**63, None, True):
        assert pointers(admin.get("/admin/users", params={"cursor": cursor(place)})) == {"/cursor"}
