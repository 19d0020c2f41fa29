"""How saves change a response."""

from datetime import timedelta

import pytest

from domain.response import ConsentRequired, Outcome, Response, is_token, new_response
from tests.examples import NOW, gated, survey

SURVEY = survey(gated())
LATER = NOW + timedelta(hours=1)


def begun(field: str = "consent", value: object = "accepted", seq: int | None = None) -> Response:
    return new_response(SURVEY.accept(field, value), project_id=1, pseudonym=b"p", token_hash=b"t", seq=seq, at=NOW)


def after(response: Response, field: str, value: object, seq: int | None = None) -> tuple[Response, Outcome]:
    return response.save(SURVEY.accept(field, value), seq=seq, at=LATER)


def test_the_first_save_makes_revision_one() -> None:
    response = begun(seq=4)
    assert (response.revision, response.answers, response.seqs) == (1, {"consent": "accepted"}, {"consent": 4})
    assert (response.saved_at, response.updated_at) == (NOW, None)


def test_each_change_raises_the_revision_by_one() -> None:
    response, outcome = after(begun(), "age", 42)
    assert (outcome, response.revision, response.saved_at) == (Outcome.UPDATED, 2, LATER)
    assert response.answers == {"consent": "accepted", "age": 42}


def test_the_same_again_leaves_the_revision_and_the_time() -> None:
    response, outcome = after(begun(), "consent", 1)
    assert (outcome, response) == (Outcome.UPDATED, begun())


def test_withdrawing_what_was_never_given_changes_nothing() -> None:
    assert after(begun(), "age", None)[0].revision == 1


@pytest.mark.parametrize("seq", [0, 4, 5])
def test_a_number_that_is_not_above_the_last_is_stale(seq: int) -> None:
    response, _ = after(begun(), "age", 42, 5)
    assert after(response, "age", 7, seq) == (response, Outcome.STALE)
    assert after(response, "note", "x", seq)[1] is Outcome.UPDATED


def test_the_same_value_with_a_newer_number_remembers_the_number() -> None:
    response, _ = after(begun(), "age", 42, 5)
    again, _ = after(response, "age", 42, 6)
    assert (again.revision, again.seqs) == (2, {"age": 6})


def test_a_save_without_a_number_leaves_the_number() -> None:
    response, _ = after(begun(), "age", 42, 5)
    response, _ = after(response, "age", 43)
    assert (response.answers["age"], response.seqs) == (43, {"age": 5})


def test_without_consent_nothing_is_made_or_changed() -> None:
    with pytest.raises(ConsentRequired):
        begun("age", 42)
    with pytest.raises(ConsentRequired):
        after(begun("consent", "declined"), "age", 42)


@pytest.mark.parametrize(("withdrawn", "left"), [("declined", {"consent": "declined"}), (None, {})])
def test_consent_withdrawn_erases_every_answer_and_keeps_the_numbers(withdrawn: str | None, left: dict[str, str]) -> None:
    response, _ = after(begun(), "age", 42, 5)
    erased, _ = after(response, "consent", withdrawn)
    assert (erased.answers, erased.seqs, erased.revision) == (left, {"age": 5}, 3)
    with pytest.raises(ConsentRequired):
        after(erased, "age", 42)


def test_consent_given_again_erases_nothing() -> None:
    response, _ = after(begun(), "age", 42)
    assert after(response, "consent", "accepted")[0] == response


@pytest.mark.parametrize(
    ("text", "is_one"),
    [("a" * 43, True), ("-_" + "0" * 41, True), ("a" * 42, False), ("a" * 44, False), ("a" * 42 + "=", False), ("a" * 43 + "\n", False)],
)
def test_a_token_is_43_characters_of_base64url(text: str, is_one: bool) -> None:  # noqa: FBT001
    assert is_token(text) is is_one
