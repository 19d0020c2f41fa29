"""How saves change a response."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.response import ConsentRequired, Outcome, Response, Save, is_token, new_response
from domain.survey import Survey
from tests.examples import AGE, NOTE, NOW, SCALE, gated, survey

SURVEY = survey(gated(SCALE, AGE, NOTE))
NEWER = replace(SURVEY, version=2)
LATER = NOW + timedelta(hours=1)


def begun(seq: int | None = None, **answers: Any) -> Response:
    change = SURVEY.accept(answers or {"consent": "accepted"})
    return new_response(change, project_id=1, pseudonym=b"p", token_hash=b"t", seq=seq, at=NOW, is_owned=True).response


def saved(response: Response, seq: int | None = None, /, *, under: Survey = SURVEY, **answers: Any) -> Save:
    return response.save(under.accept(answers), token=b"t", seq=seq, at=LATER)


def after(response: Response, seq: int | None = None, /, **answers: Any) -> Response:
    return saved(response, seq, **answers).response


def test_the_first_save_makes_revision_one() -> None:
    response = begun(4)
    assert (response.revision, response.answers, response.seqs) == (1, {"consent": "accepted"}, {"consent": 4})
    assert (response.saved_at, response.updated_at, response.versions) == (NOW, None, {"consent": 1})


def test_a_first_save_of_nothing_is_a_response_without_answers() -> None:
    made = new_response(SURVEY.accept({"consent": None}), project_id=1, pseudonym=b"p", token_hash=b"t", seq=4, at=NOW)
    assert (made.response.answers, made.response.versions, made.response.seqs, made.changed) == ({}, {}, {"consent": 4}, {})
    assert made.outcome is Outcome.CREATED


def test_each_change_raises_the_revision_by_one() -> None:
    save = saved(begun(), age=42)
    assert (save.outcome, save.response.revision, save.response.saved_at) == (Outcome.UPDATED, 2, LATER)
    assert save.response.answers == {"consent": "accepted", "age": 42}
    assert (save.changed, save.stale) == ({"age": 42}, frozenset())


def test_several_answers_at_once_raise_it_by_one_too() -> None:
    save = saved(begun(), age=42, note="x", trust=7)
    assert (save.response.revision, save.response.answers) == (2, {"consent": "accepted", "age": 42, "note": "x", "trust": 7})


def test_the_same_again_leaves_the_revision_the_time_and_the_version() -> None:
    save = saved(begun(), consent=1, under=NEWER)
    assert (save.outcome, save.response, save.changed) == (Outcome.UPDATED, begun(), {})


def test_only_what_changed_is_told_as_changed() -> None:
    response = after(begun(), age=42, note="x")
    save = saved(response, age=42, note="y", trust=None)
    assert (save.changed, save.response.revision) == ({"note": "y"}, 3)
    assert saved(response, age=None).changed == {"age": None}


def test_an_answer_is_pinned_to_the_version_that_it_was_given_under() -> None:
    response = saved(after(begun(), age=42, note="x"), age=42, note="y", under=NEWER).response
    assert response.versions == {"consent": 1, "age": 1, "note": 2}
    assert response.survey_version == 2
    assert saved(response, note=None).response.versions == {"consent": 1, "age": 1}


def test_withdrawing_what_was_never_given_changes_nothing() -> None:
    assert after(begun(), age=None).revision == 1


@pytest.mark.parametrize("seq", [0, 4, 5])
def test_a_number_that_is_not_above_the_last_is_stale(seq: int) -> None:
    response = after(begun(), 5, age=42)
    save = saved(response, seq, age=7)
    assert (save.response, save.outcome, save.stale, save.changed) == (response, Outcome.STALE, frozenset({"age"}), {})
    assert saved(response, seq, note="x").outcome is Outcome.UPDATED


def test_of_several_answers_only_the_stale_ones_stay() -> None:
    response = after(begun(), 5, age=42)
    save = saved(response, 5, age=7, note="x")
    assert (save.outcome, save.stale, save.changed) == (Outcome.UPDATED, frozenset({"age"}), {"note": "x"})
    assert save.response.answers == {"consent": "accepted", "age": 42, "note": "x"}
    assert save.response.seqs == {"age": 5, "note": 5}


def test_the_same_value_with_a_newer_number_remembers_the_number() -> None:
    again = after(after(begun(), 5, age=42), 6, age=42)
    assert (again.revision, again.seqs) == (2, {"age": 6})


def test_a_save_without_a_number_leaves_the_number() -> None:
    response = after(after(begun(), 5, age=42), age=43)
    assert (response.answers["age"], response.seqs) == (43, {"age": 5})


def test_without_consent_nothing_is_made_or_changed() -> None:
    refused: list[dict[str, Any]] = [{"age": 42}, {"age": 42, "consent": "declined"}, {"age": 42, "consent": None}, {"age": None}]
    for answers in refused:
        with pytest.raises(ConsentRequired):
            begun(**answers)
        with pytest.raises(ConsentRequired):
            after(begun(consent="declined"), **answers)


def test_consent_may_come_together_with_answers() -> None:
    assert begun(age=42, consent="accepted").answers == {"consent": "accepted", "age": 42}
    assert after(begun(consent="declined"), age=42, consent=1).answers == {"consent": "accepted", "age": 42}


@pytest.mark.parametrize("withdrawn", ["declined", None])
def test_answers_do_not_come_together_with_the_withdrawal_of_consent(withdrawn: str | None) -> None:
    with pytest.raises(ConsentRequired):
        after(begun(), consent=withdrawn, age=42)
    assert after(after(begun(), age=42), consent=withdrawn, age=None).answers.keys() <= {"consent"}


@pytest.mark.parametrize("withdrawn", ["declined", None])
def test_a_withdrawal_of_consent_that_comes_too_late_counts_for_nothing(withdrawn: str | None) -> None:
    save = saved(after(begun(5), age=42), 5, consent=withdrawn, age=43)
    assert (save.stale, save.response.answers) == (frozenset({"consent"}), {"consent": "accepted", "age": 43})


def test_a_consent_that_comes_too_late_opens_nothing() -> None:
    with pytest.raises(ConsentRequired):
        after(begun(5, consent="declined"), 5, consent="accepted", age=43)


@pytest.mark.parametrize(("withdrawn", "left"), [("declined", {"consent": "declined"}), (None, {})])
def test_consent_withdrawn_erases_every_answer_and_keeps_one_number(withdrawn: str | None, left: dict[str, str]) -> None:
    response = after(begun(), 5, age=42)
    save = saved(response, consent=withdrawn)
    erased = save.response
    assert (erased.answers, erased.seqs, erased.revision) == (left, {"*": 5}, 3)
    assert (save.changed, erased.versions) == ({"consent": withdrawn}, dict.fromkeys(left, 1))
    with pytest.raises(ConsentRequired):
        after(erased, age=42)


def test_consent_given_again_erases_nothing() -> None:
    response = after(begun(), age=42)
    assert after(response, consent="accepted") == response


@pytest.mark.parametrize(
    ("text", "is_one"),
    [("a" * 43, True), ("-_" + "0" * 41, True), ("a" * 42, False), ("a" * 44, False), ("a" * 42 + "=", False), ("a" * 43 + "\n", False)],
)
def test_a_token_is_43_characters_of_base64url(text: str, is_one: bool) -> None:  # noqa: FBT001
    assert is_token(text) is is_one
