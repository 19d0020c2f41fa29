"""Answers of readers over HTTP: what is accepted, how it is kept, and that nothing is lost."""

import re
from typing import Any

import httpx
import pytest

from tests.e2e.client import at_once, client, pointers, problem, unique
from tests.e2e.test_survey import DEFINITION

READER = "reader-of-stories"
OWN = "o" * 43
TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


def save(reader: httpx.Client, project: str, field: str, value: object, *, token: str | None = OWN, **more: Any) -> httpx.Response:
    headers = {} if token is None else {"x-respondent-token": token}
    body = {"fingerprint": READER, "field": field, "value": value} | more
    return reader.post(f"/{project}/survey/upsert", json=body, headers=headers)


def own(reader: httpx.Client, project: str, token: str) -> dict[str, Any]:
    answer = reader.get(f"/{project}/survey/response", headers={"x-respondent-token": token})
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    response: dict[str, Any] = answer.json()
    assert set(response) == {"answers", "seqs", "revision", "survey_version", "created_at", "updated_at"}
    return response


@pytest.fixture
def survey(admin: httpx.Client, project: str) -> str:
    """A project with an open survey, behind a consent gate."""
    assert admin.put(f"/admin/{project}/survey", json=DEFINITION).status_code == 201
    return project


@pytest.fixture
def gateless(admin: httpx.Client, project: str) -> str:
    """A project with an open survey that asks for no consent."""
    assert admin.put(f"/admin/{project}/survey", json=DEFINITION | {"consent": None}).status_code == 201
    return project


def test_the_first_save_makes_the_response_and_the_next_updates_it(anonymous: httpx.Client, survey: str) -> None:
    first = save(anonymous, survey, "consent", "accepted")
    assert first.status_code == 201
    told = first.json()
    assert set(told) == {
        "message",
        "fingerprint",
        "field",
        "value",
        "code",
        "survey_version",
        "revision",
        "saved_at",
        "respondent_token",
    }
    assert (told["message"], told["fingerprint"], told["value"], told["code"], told["revision"]) == ("Created", READER, "accepted", 1, 1)
    assert TOKEN.fullmatch(told["respondent_token"])
    second = save(anonymous, survey, "trust", 5)
    assert second.status_code == 200
    assert set(second.json()) == {"message", "fingerprint", "field", "value", "survey_version", "revision", "saved_at"}
    assert (second.json()["message"], second.json()["value"], second.json()["revision"]) == ("Updated", 5, 2)
    assert own(anonymous, survey, told["respondent_token"])["answers"] == {"consent": "accepted", "trust": 5}


def test_a_likert_answer_is_the_same_as_a_number_and_as_a_string(anonymous: httpx.Client, gateless: str) -> None:
    as_number = save(anonymous, gateless, "trust", 5).json()
    as_string = save(anonymous, gateless, "trust", "5").json()
    assert (as_number["value"], as_string["value"]) == (5, 5)
    assert (as_number["revision"], as_string["revision"]) == (1, 1)
    assert as_number["saved_at"] == as_string["saved_at"]


@pytest.mark.parametrize(
    ("field", "given", "kept"),
    [
        ("consent", "declined", "declined"),
        ("consent", 0, "declined"),
        ("trust", 1, 1),
        ("trust", "7", 7),
        ("platforms", ["Other", "Twitter"], ["Twitter", "Other"]),
        ("platforms", " Other , Twitter ", ["Twitter", "Other"]),
        ("platforms", [], []),
        ("platforms", "", []),
        ("age", 0, 0),
        ("age", "130", 130),
        ("weight", 3, 3.0),
        ("weight", "70.25", 70.25),
        ("weight", 1e15, 1e15),
        ("adult", False, False),
        ("words", "", ""),
        ("words", "🦆" * 20, "🦆" * 20),
        ("words", "two\nlines\t", "two\nlines\t"),
        ("born", "2024-02-29", "2024-02-29"),
        ("born", "0001-01-01", "0001-01-01"),
        ("trust", None, None),
    ],
)
def test_an_answer_is_kept_in_its_canonical_form(anonymous: httpx.Client, gateless: str, field: str, given: object, kept: object) -> None:
    saved = save(anonymous, gateless, field, given)
    assert saved.status_code == 201
    assert saved.json()["value"] == kept
    assert type(saved.json()["value"]) is type(kept)
    answers = own(anonymous, gateless, saved.json()["respondent_token"])["answers"]
    assert answers == ({} if kept is None else {field: kept})


REFUSED: dict[str, list[object]] = {
    "trust": [0, 8, 3.0, "3.0", "03", "+3", " 3", "3 ", True, [], {}, "", "three", "٣", 10**30, "9" * 30],
    "consent": ["Accepted", "accepted ", 2, True, False, 1.0, "1", ["accepted"], {}],
    "platforms": [["Twitter", "Twitter"], "Twitter,Twitter", ["twitter"], [1], [["Twitter"]], {}, 1, "Twitter,"],
    "age": [-1, 131, "-0x1", "1e2", 1.5],
    "weight": [0.4, True, "1e3", "nan", "Infinity", ".5", "5.", [], ""],
    "adult": ["true", 1, 0, "yes", []],
    "words": ["x" * 21, 5, True, ["x"], {}],
    "born": ["2023-02-29", "2024-2-3", "20240203", "2024-02-03T00:00:00Z", 20240203, "0000-01-01", ""],
}
UNKNOWN = ["nobody", "Trust", "", "x y", "<script>", "trust'; DROP TABLE responses; --", "e" * 5000]


@pytest.mark.parametrize(
    ("field", "given"), [(field, given) for field, values in REFUSED.items() for given in values] + [(field, 1) for field in UNKNOWN]
)
def test_a_refused_answer_names_the_field_and_repeats_nothing(anonymous: httpx.Client, gateless: str, field: str, given: object) -> None:
    told = problem(save(anonymous, gateless, field, given), 400, "invalid-answer")
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,62}", field):
        assert field in told["detail"]
    elif field:
        assert field not in told["detail"]
    for odd in ("three", "twitter,", "Infinity", "DROP", "2023-02-29"):
        assert odd not in told["detail"]


@pytest.mark.parametrize("number", [b"1" * 5000, b"1e999", b"-1e999", b"1" + b"0" * 399])
@pytest.mark.parametrize("field", [b"trust", b"weight", b"consent", b"words"])
def test_a_number_of_any_size_is_only_an_invalid_answer(anonymous: httpx.Client, gateless: str, field: bytes, number: bytes) -> None:
    body = b'{"fingerprint": "reader-of-stories", "field": "' + field + b'", "value": ' + number + b"}"
    answer = anonymous.post(f"/{gateless}/survey/upsert", content=body, headers={"content-type": "application/json"})
    problem(answer, 400, "invalid-answer")


@pytest.mark.parametrize(
    ("body", "at"),
    [
        ({"field": "trust", "value": 1}, {"/fingerprint"}),
        ({"fingerprint": "x" * 9, "field": "trust", "value": 1}, {"/fingerprint"}),
        ({"fingerprint": "x" * 256, "field": "trust", "value": 1}, {"/fingerprint"}),
        ({"fingerprint": 1234567890, "field": "trust", "value": 1}, {"/fingerprint"}),
        ({"fingerprint": READER, "field": "trust"}, {"/value"}),
        ({"fingerprint": READER, "value": 1}, {"/field"}),
        ({"fingerprint": READER, "field": 1, "value": 1}, {"/field"}),
        ({"fingerprint": READER, "field": "trust", "value": 1, "seq": -1}, {"/seq"}),
        ({"fingerprint": READER, "field": "trust", "value": 1, "seq": "1"}, {"/seq"}),
        ({"fingerprint": READER, "field": "trust", "value": 1, "seq": 1.0}, {"/seq"}),
        ({"fingerprint": READER, "field": "trust", "value": 1, "seq": 2**63}, {"/seq"}),
        ({"fingerprint": READER, "field": "trust", "value": 1, "revision": 7}, {""}),
        ({"fingerprint": READER, "field": "trust", "value": 1, "respondent_token": 1}, {"/respondent_token"}),
        ({"fingerprint": READER, "field": "trust", "value": 1, "test": 1}, {"/test"}),
    ],
)
def test_a_misshapen_save_is_pointed_at(anonymous: httpx.Client, gateless: str, body: dict[str, object], at: set[str]) -> None:
    assert pointers(anonymous.post(f"/{gateless}/survey/upsert", json=body)) == at


def test_a_fingerprint_is_counted_in_code_points_and_answered_as_sent(anonymous: httpx.Client, gateless: str) -> None:
    for fingerprint in ("🦆" * 10, "🦆" * 255, " spaces kept ", "E\u0301".ljust(12, "x")):
        saved = save(anonymous, gateless, "trust", 1, fingerprint=fingerprint, token=None)
        assert saved.status_code == 201
        assert saved.json()["fingerprint"] == fingerprint


def test_the_same_value_again_leaves_the_revision(anonymous: httpx.Client, gateless: str) -> None:
    token = save(anonymous, gateless, "trust", 1).json()["respondent_token"]
    assert save(anonymous, gateless, "trust", 2).json()["revision"] == 2
    again = save(anonymous, gateless, "trust", 2)
    assert (again.status_code, again.json()["message"], again.json()["revision"]) == (200, "Updated", 2)
    assert save(anonymous, gateless, "trust", None).json()["revision"] == 3
    assert save(anonymous, gateless, "trust", None).json()["revision"] == 3
    assert own(anonymous, gateless, token)["answers"] == {}


def test_a_late_save_changes_nothing(anonymous: httpx.Client, gateless: str) -> None:
    save(anonymous, gateless, "trust", 1, seq=5)
    stale = save(anonymous, gateless, "trust", 2, seq=4)
    assert (stale.status_code, stale.json()["message"], stale.json()["value"]) == (200, "Stale", 1)
    assert save(anonymous, gateless, "trust", 2, seq=5).json()["message"] == "Stale"
    assert save(anonymous, gateless, "age", 2, seq=0).json()["message"] == "Updated"
    assert save(anonymous, gateless, "trust", 3).json()["value"] == 3
    assert save(anonymous, gateless, "trust", 4, seq=5).json() | {"saved_at": None} == {
        "message": "Stale",
        "fingerprint": READER,
        "field": "trust",
        "value": 3,
        "survey_version": 1,
        "revision": 3,
        "saved_at": None,
        "seqs": {"trust": 5, "age": 0},
    }
    assert save(anonymous, gateless, "trust", None, seq=2**63 - 1).json()["value"] is None
    assert save(anonymous, gateless, "trust", 4, seq=2**63 - 1).json()["message"] == "Stale"


def test_nothing_is_taken_before_consent_and_its_withdrawal_erases(anonymous: httpx.Client, survey: str) -> None:
    problem(save(anonymous, survey, "trust", 1), 409, "consent-required")
    token = save(anonymous, survey, "consent", "declined").json()["respondent_token"]
    problem(save(anonymous, survey, "trust", 1), 409, "consent-required")
    save(anonymous, survey, "consent", 1)
    save(anonymous, survey, "trust", 1, seq=3)
    save(anonymous, survey, "age", 40)
    assert own(anonymous, survey, token)["answers"] == {"consent": "accepted", "trust": 1, "age": 40}
    save(anonymous, survey, "consent", "declined")
    assert own(anonymous, survey, token)["answers"] == {"consent": "declined"}
    save(anonymous, survey, "consent", "accepted")
    assert save(anonymous, survey, "trust", 1, seq=3).json()["message"] == "Stale"
    save(anonymous, survey, "consent", None)
    assert own(anonymous, survey, token)["answers"] == {}
    problem(save(anonymous, survey, "age", 41), 409, "consent-required")


def test_answers_are_judged_in_the_order_of_the_contract(anonymous: httpx.Client, survey: str) -> None:
    assert pointers(save(anonymous, "no-such-story", "trust", 1, fingerprint="short")) == {"/fingerprint"}
    problem(save(anonymous, "no-such-story", "no such field", 1), 404)
    problem(save(anonymous, survey, "nobody", 1), 400, "invalid-answer")
    problem(save(anonymous, survey, "trust", 99), 400, "invalid-answer")
    problem(save(anonymous, survey, "trust", 1), 409, "consent-required")


def test_without_a_survey_there_is_nothing_to_answer(anonymous: httpx.Client, project: str) -> None:
    problem(save(anonymous, project, "trust", 1), 404)


def test_answers_need_the_token_of_the_respondent(anonymous: httpx.Client, gateless: str) -> None:
    token = save(anonymous, gateless, "trust", 1).json()["respondent_token"]
    address = f"/{gateless}/survey/response"
    for headers in ({}, {"x-respondent-token": "x" * 43}, {"x-respondent-token": token[:-1]}, {"x-respondent-token": "é" * 43}):
        refused = anonymous.get(address, headers=[(name.encode(), value.encode()) for name, value in headers.items()])
        problem(refused, 401, "respondent-token-required")
        assert refused.headers["www-authenticate"] == "Bearer"
    problem(anonymous.get("/no-such-story/survey/response", headers={"x-respondent-token": token}), 404)


def test_who_holds_no_token_hears_that_before_what_else_is_wrong(anonymous: httpx.Client, gateless: str) -> None:
    for method in ("GET", "DELETE"):
        problem(anonymous.request(method, f"/{gateless}/survey/response?x=1"), 401, "respondent-token-required")


def test_a_response_has_the_tag_of_its_revision_and_is_erased_against_it(anonymous: httpx.Client, gateless: str) -> None:
    headers = {"x-respondent-token": save(anonymous, gateless, "trust", 1).json()["respondent_token"]}
    address = f"/{gateless}/survey/response"
    seen = anonymous.get(address, headers=headers)
    assert seen.headers["etag"] == '"1"'
    assert anonymous.get(address, headers=headers | {"if-none-match": '"1"'}).status_code == 304
    save(anonymous, gateless, "trust", 2)
    assert anonymous.get(address, headers=headers | {"if-none-match": '"1"'}).json()["answers"] == {"trust": 2}
    stale = anonymous.delete(address, headers=headers | {"if-match": '"1"'})
    problem(stale, 412, "stale-version")
    assert stale.headers["etag"] == '"2"'
    assert anonymous.delete(address, headers=headers | {"if-match": '"2"'}).status_code == 204
    problem(anonymous.get(address, headers=headers), 401)


def test_a_token_opens_one_project_only(anonymous: httpx.Client, admin: httpx.Client, gateless: str) -> None:
    token = save(anonymous, gateless, "trust", 1).json()["respondent_token"]
    other = unique("other")
    admin.post("/admin/projects", json={"slug": other, "title": "T"})
    admin.put(f"/admin/{other}/survey", json=DEFINITION | {"consent": None})
    problem(anonymous.get(f"/{other}/survey/response", headers={"x-respondent-token": token}), 401)


def test_a_client_may_bring_its_own_token(anonymous: httpx.Client, gateless: str) -> None:
    mine = "m" * 43
    assert save(anonymous, gateless, "trust", 1, token=mine).status_code == 201
    assert own(anonymous, gateless, mine)["answers"] == {"trust": 1}
    assert save(anonymous, gateless, "trust", 2, token=mine).json()["message"] == "Updated"
    problem(save(anonymous, gateless, "trust", 2, token=mine, fingerprint="another-reader"), 401, "respondent-token-required")


def test_where_identity_is_a_token_every_save_needs_it(anonymous: httpx.Client, admin: httpx.Client, project: str) -> None:
    admin.put(f"/admin/{project}/survey", json=DEFINITION | {"consent": None, "identity": "token"})
    problem(save(anonymous, project, "trust", 1, token=None), 401, "respondent-token-required")
    assert save(anonymous, project, "trust", 1, token="t" * 43).status_code == 201
    problem(save(anonymous, project, "trust", 2, token=None), 401)
    problem(save(anonymous, project, "trust", 2, token="u" * 43), 401)
    problem(save(anonymous, project, "trust", 2, token="short"), 401)
    assert save(anonymous, project, "trust", 2, token="t" * 43).json()["revision"] == 2


def test_a_new_version_takes_answers_at_once_and_keeps_the_old(anonymous: httpx.Client, admin: httpx.Client, gateless: str) -> None:
    token = save(anonymous, gateless, "trust", 1).json()["respondent_token"]
    problem(save(anonymous, gateless, "extra", "x"), 400)
    wider = DEFINITION | {"consent": None, "questions": [*DEFINITION["questions"], {"field": "extra", "type": "text"}]}
    assert admin.put(f"/admin/{gateless}/survey", json=wider).status_code == 201
    assert save(anonymous, gateless, "extra", "x").json()["survey_version"] == 2
    assert own(anonymous, gateless, token)["answers"] == {"trust": 1, "extra": "x"}


def test_of_64_first_saves_at_once_one_makes_the_response_and_none_is_lost(
    anonymous: httpx.Client, admin: httpx.Client, project: str
) -> None:
    questions = [{"field": f"f{number}", "type": "integer"} for number in range(64)]
    assert (
        admin.put(f"/admin/{project}/survey", json={"title": "Wide", "identity": "fingerprint", "questions": questions}).status_code == 201
    )
    url = str(anonymous.base_url)

    def first(number: int) -> httpx.Response:
        with client(url) as reader:
            return save(reader, project, f"f{number}", number)

    saved = at_once(first, 64)
    assert sorted(answer.status_code for answer in saved) == [200] * 63 + [201]
    tokens = [answer.json()["respondent_token"] for answer in saved if "respondent_token" in answer.json()]
    assert len(tokens) == 1
    kept = own(anonymous, project, tokens[0])
    assert kept["answers"] == {f"f{number}": number for number in range(64)}
    assert kept["revision"] == 64
    assert sorted(answer.json()["revision"] for answer in saved) == list(range(1, 65))


def test_saves_and_a_new_version_at_once_do_no_harm(anonymous: httpx.Client, admin: httpx.Client, project: str) -> None:
    def definition(size: int) -> dict[str, Any]:
        return {
            "title": "Grows",
            "identity": "fingerprint",
            "questions": [{"field": f"f{number}", "type": "integer"} for number in range(size)],
        }

    admin.put(f"/admin/{project}/survey", json=definition(4))
    token = save(anonymous, project, "f0", 0).json()["respondent_token"]
    url, by = str(anonymous.base_url), admin.headers["authorization"].removeprefix("Bearer ")

    def act(number: int) -> int:
        with client(url, by) as person:
            if number % 4 == 3:
                return person.put(f"/admin/{project}/survey", json=definition(4 + number)).status_code
            return save(person, project, f"f{number % 4}", number).status_code

    statuses = at_once(act, 32)
    assert set(statuses) <= {200, 201, 409}
    assert set(own(anonymous, project, token)["answers"]) == {"f0", "f1", "f2"}
    assert [status for number, status in enumerate(statuses) if number % 4 != 3] == [200] * 24


def test_without_the_token_a_save_is_answered_with_what_was_sent(anonymous: httpx.Client, survey: str) -> None:
    first = save(anonymous, survey, "consent", 1, token=None, seq=5)
    told = first.json()
    token = told.pop("respondent_token")
    assert told == {
        "message": "Created",
        "fingerprint": READER,
        "field": "consent",
        "value": 1,
        "code": 1,
        "survey_version": 1,
    }
    save(anonymous, survey, "age", 42, token=None, seq=5)
    body = {"fingerprint": READER, "answers": {"age": 7}, "seq": 0}
    late = anonymous.post(f"/{survey}/survey/answers", json=body)
    assert (late.status_code, late.json()) == (
        200,
        {"message": "Updated", "fingerprint": READER, "answers": {"age": 7}, "survey_version": 1},
    )
    assert own(anonymous, survey, token)["answers"] == {"consent": "accepted", "age": 42}
    problem(save(anonymous, survey, "age", None, token=None), 401, "respondent-token-required")


def test_every_refusal_for_want_of_the_token_is_the_same(anonymous: httpx.Client, survey: str) -> None:
    save(anonymous, survey, "consent", "accepted")
    save(anonymous, survey, "consent", "accepted", fingerprint="another-reader", token="a" * 43)
    refused = [
        save(anonymous, survey, "consent", "accepted", token=None),
        save(anonymous, survey, "age", 1, token="x" * 43),
        save(anonymous, survey, "age", 1, token="a" * 43),
        save(anonymous, survey, "age", 1, fingerprint="never-was-here", token=OWN),
        save(anonymous, survey, "age", None, fingerprint="never-was-here", token=None),
        save(anonymous, survey, "age", 1, token="short"),
        anonymous.get(f"/{survey}/survey/response", headers={"x-respondent-token": "x" * 43}),
        anonymous.delete(f"/{survey}/survey/response"),
    ]
    told = [problem(each, 401, "respondent-token-required") | {"request_id": ""} for each in refused]
    assert all(each == told[0] for each in told)


def test_the_token_may_come_in_the_body_and_two_that_differ_are_refused(anonymous: httpx.Client, gateless: str) -> None:
    assert save(anonymous, gateless, "age", 1, token=None, respondent_token=OWN).json()["respondent_token"] == OWN
    assert save(anonymous, gateless, "age", 2, respondent_token=OWN).json()["revision"] == 2
    assert pointers(save(anonymous, gateless, "age", 3, respondent_token="x" * 43)) == {"/respondent_token"}
    assert own(anonymous, gateless, OWN)["answers"] == {"age": 2}


def test_a_token_survey_takes_readers_without_a_fingerprint(anonymous: httpx.Client, admin: httpx.Client, project: str) -> None:
    definition = {name: value for name, value in DEFINITION.items() if name not in ("identity", "consent")}
    published = admin.put(f"/admin/{project}/survey", json=definition).json()
    assert (published["identity"], published["warnings"]) == ("token", [])
    headers = {"x-respondent-token": OWN}
    for status in (201, 200):
        saved = anonymous.post(f"/{project}/survey/upsert", json={"field": "age", "value": 1}, headers=headers)
        assert (saved.status_code, saved.json()["fingerprint"]) == (status, None)
    assert own(anonymous, project, OWN)["answers"] == {"age": 1}
    by_fingerprint = admin.put(f"/admin/{project}/survey", json=definition | {"identity": "fingerprint"}).json()
    assert [each["code"] for each in by_fingerprint["warnings"]] == ["fingerprint-identity"]
    assert admin.put(f"/admin/{project}/survey", json=definition | {"title": "Anew"}).json()["identity"] == "fingerprint"
