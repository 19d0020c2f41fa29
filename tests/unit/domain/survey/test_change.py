"""What accepted answers would do to a response."""

from typing import Any

import pytest

from domain.survey import Change, Consent
from tests.examples import gated, survey

CONSENT = Consent(field="consent", accept="accepted")


def change(**answers: Any) -> Change:
    return Change(answers=answers, survey_version=1, consent=CONSENT)


def test_answers_are_a_change_in_their_stored_form() -> None:
    accepted = survey(gated()).accept({"age": "42", "consent": 1, "note": None})
    assert accepted == Change(answers={"age": 42, "consent": "accepted", "note": None}, survey_version=1, consent=CONSENT)


@pytest.mark.parametrize(
    ("answers", "gated", "withdraws"),
    [
        ({"age": 42}, {"age"}, False),
        ({"age": None}, {"age"}, False),
        ({"consent": "accepted"}, set(), False),
        ({"consent": "declined"}, set(), True),
        ({"consent": None}, set(), True),
        ({"consent": "accepted", "age": 42, "note": None}, {"age"}, False),
        ({"consent": None, "age": 42}, {"age"}, True),
        ({"consent": "declined", "age": None}, set(), True),
    ],
)
def test_what_waits_for_consent_and_what_withdraws_it(answers: dict[str, Any], gated: set[str], withdraws: object) -> None:
    assert change(**answers).gated == gated
    assert change(**answers).withdraws_consent is withdraws


def test_without_consent_in_the_survey_there_is_no_gate() -> None:
    accepted = survey().accept({"age": None})
    assert (accepted.consent, accepted.gated, accepted.withdraws_consent) == (None, frozenset(), False)
