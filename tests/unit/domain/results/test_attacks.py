"""Attacks on published results by somebody who knows the design and all other readers, and who may invent as many as they like.

Each is run on noise, where it must come to little, and on suppression, where it succeeds: that protects only where nobody can invent
readers. What an attacker gets under noise does not hang on what they do, only on how much was spent (docs/decisions/0031): the
attacker here sees every noisy count of every release by itself, before anything is rounded, which is more than anybody sees.
"""

import random
from dataclasses import dataclass, replace
from itertools import takewhile
from math import sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from domain.results import OVERALL, Tally, publish
from domain.results.budget import Spent, next_spending, series
from domain.results.noise import Plan, plan
from domain.results.release import release
from domain.survey import Definition, Survey
from tests.examples import definition, survey
from tests.unit.domain.results.people import YES, counted, demo, made_up
from tests.unit.domain.results.test_release import counts, vector

VICTIMS = 4_000


@dataclass(frozen=True, kw_only=True)
class Released:
    """What one release adds to all counts: noise of these deviations, without groups and within."""

    own: float
    within: float


def releases(of: Survey, *, up_to: int) -> list[Released]:
    """A whole series and the closing, for as long as a survey may grow."""
    made, spent = [], Spent()
    planned = plan(of.definition)
    spendings = list(takewhile(lambda each: each.responses <= up_to, series(of.definition.results)))
    for each in spendings:
        spent = spent.after(each)
    closing = next_spending(of.definition.results, spent, responses=spent.responses, is_open=False)
    assert closing is not None
    for each in (*spendings, closing):
        variance, crossed = planned.variances(each.total)
        made.append(Released(own=sqrt(variance), within=sqrt(crossed or variance)))
    return made


def guessed_right(of: Survey, one: dict[str, Any], other: dict[str, Any], *, chance: int) -> float:
    """The share of victims whose answers, one of these two and each as likely, are guessed right from all counts of all releases.

    All others' answers are known, so that only the victim's part of each count is left and the noise; the likelihood ratio of the two
    is the best that anybody can go by.
    """
    planned, dice = plan(of.definition), np.random.default_rng(chance)
    own, within = (
        np.array(a, dtype=float) - np.array(b, dtype=float)
        for a, b in zip(vector(counted(of.definition, [one]), planned), vector(counted(of.definition, [other]), planned), strict=True)
    )
    evidence, is_one = np.zeros(VICTIMS), dice.random(VICTIMS) < 0.5
    for each in releases(of, up_to=10**6):
        for step, deviation in ((own, each.own), (within, each.within)):
            moved = step[step != 0]
            # What the victim adds beyond the other way to answer, and the noise of those counts alone.
            seen = np.outer(is_one, moved) + np.rint(dice.normal(0, deviation, (VICTIMS, len(moved))))
            evidence += ((seen**2 - (seen - moved) ** 2) / (2 * deviation**2)).sum(axis=1)
    return float(np.mean((evidence > 0) == is_one))


def asked(**results: Any) -> Survey:
    """The demo and one boolean, with one field that makes groups."""
    return demo(YES, by=["gender_ord"], **results)


def profile(of: Definition, chance: int, **answers: Any) -> dict[str, Any]:
    """Somebody who consents and answers everything."""
    return made_up(of, 1, chance=random.Random(chance), answering=1, consenting=1)[0] | {"consent": "accepted"} | answers


@pytest.mark.parametrize(
    ("one", "other", "bound"),
    [
        ({"yes": True}, {"yes": False}, 0.62),
        ({"gender_ord": "male"}, {"gender_ord": "female"}, 0.78),
        ({"consent": "accepted"}, None, 0.78),
    ],
    ids=["boolean", "by-field", "consent"],
)
def test_under_noise_one_answer_of_somebody_is_hardly_guessed(one: dict[str, Any], other: dict[str, Any] | None, bound: float) -> None:
    of = asked()
    values = {"male": 0, "female": 1}
    gender = of.definition.question("gender_ord")
    assert gender is not None
    offered = [choice.value for choice in gender.choices_offered]

    def answers(given: dict[str, Any]) -> dict[str, Any]:
        return {field: offered[values[value]] if field == "gender_ord" else value for field, value in given.items()}

    known = profile(of.definition, 1)
    declined = {"consent": "declined"}
    share = guessed_right(of, known | answers(one), declined if other is None else known | answers(other), chance=2)
    assert 0.5 < share <= bound


def unlike(of: Survey) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two ways to answer everything that are alike in nothing but consent."""
    one, other = profile(of.definition, 1), profile(of.definition, 2)
    for question in of.definition.questions:
        if question.field != "consent":
            others = (profile(of.definition, chance)[question.field] for chance in range(100))
            other[question.field] = next(answer for answer in others if answer != one[question.field])
    return one, other


def test_under_noise_a_whole_profile_is_hardly_told_from_another_one() -> None:
    of = asked()
    assert 0.5 < guessed_right(of, *unlike(of), chance=3) <= 0.80


def test_the_attack_finds_what_a_larger_budget_tells() -> None:
    of = asked(budget=4)
    assert guessed_right(of, *unlike(of), chance=4) > 0.85


# --- the same tricks on both protections: suppression gives each victim away ---------------------------------------------------

MINIMUM = 5
SIDE: dict[str, Any] = {"field": "side", "type": "choice", "choices": [{"value": str(side)} for side in range(6)]}
INCOME: dict[str, Any] = {"field": "income", "type": "number"}
BINNED = INCOME | {"bins": [0.0, 500.0, 1000.0]}
People = list[dict[str, Any]]


class Suppressing:
    """Publishes under suppression, as often as enough readers come."""

    def __init__(self, *questions: dict[str, Any]) -> None:
        self.survey = survey(definition(*questions, results={"public": True, "minimum_cell": MINIMUM, "protection": "suppression"}))
        self.grows_by = MINIMUM

    def __call__(self, people: People) -> dict[str, Any]:
        tally = Tally(self.survey.definition)
        tally.add(people)
        return publish(self.survey, tally)[OVERALL]


class Noisy:
    """Releases under noise, each time that there are a quarter more."""

    def __init__(self, *questions: dict[str, Any], chance: int) -> None:
        self.survey = survey(definition(*questions, results={"public": True, "start": 20}))
        self.bits = random.Random(chance).getrandbits
        self.spent = Spent()

    def __call__(self, people: People) -> dict[str, Any]:
        spending = next_spending(self.survey.definition.results, self.spent, responses=len(people), is_open=True)
        assert spending is not None
        self.spent = self.spent.after(spending)
        return release(self.survey, counted(self.survey.definition, people), spending, self.bits)[OVERALL]


@pytest.mark.parametrize(("protection", "least", "most"), [("suppression", 1.0, 1.0), ("noise", 0.4, 0.78)])
def test_differences_of_forced_steps(protection: str, least: float, most: float) -> None:
    dice, right = random.Random(5), 0
    for victim in range(400):
        said = dice.random() < 0.5
        publisher = Suppressing(YES) if protection == "suppression" else Noisy(YES, chance=victim)
        seems = _yes_minus_no(publisher, {"yes": said})
        right += (seems > 0) == said
    assert least <= right / 400 <= most


def _yes_minus_no(publish_it: Any, victim: dict[str, Any]) -> float:
    """By how much more yes than no was said than by all those whom the attacker invented, the mean over steps that were forced."""
    people: People = [{"yes": who % 2 == 0} for who in range(40)]
    publish_it(people)
    people, seen = [*people, victim], []
    for _ in range(4):
        people = people + [{"yes": who % 2 == 0} for who in range(2 * (len(people) // 8) + 2)]
        yes, no = counts(publish_it(people)["questions"][0])
        seen.append(yes - no)
    return float(np.mean(seen))


@pytest.mark.parametrize(("protection", "least", "most"), [("suppression", 1.0, 1.0), ("noise", 0.4, 0.78)])
def test_uncovering_a_cell_by_filling_it(protection: str, least: float, most: float) -> None:
    """Whether the one victim stands in the first or in the second cell, once invented readers have filled all of them."""
    dice, right = random.Random(6), 0
    for victim in range(400):
        said = dice.randrange(2)
        publisher = Suppressing(SIDE) if protection == "suppression" else Noisy(SIDE, chance=victim)
        filling: People = [{"side": str(side)} for side in range(6) for _ in range(MINIMUM)]
        first, second, *_ = counts(publisher([*filling, {"side": str(said)}])["questions"][0])
        right += (second > first) == bool(said)
    assert least <= right / 400 <= most


def test_zooming_into_a_median() -> None:
    """Invented readers on both sides of one victim make the median theirs: to two digits under suppression, not at all under noise."""
    dice = random.Random(7)
    for victim in range(50):
        income = dice.randrange(100, 1000)
        around: People = [{"income": 0.0}] * 15 + [{"income": 1000.0}] * 15
        told = Suppressing(INCOME)([*around, {"income": float(income)}])["questions"][0]
        assert told["quartiles"][1] == float(f"{income:.2g}")
        assert "quartiles" not in Noisy(INCOME, chance=victim)([*around, {"income": float(income)}])["questions"][0]


def test_zooming_into_bins_and_means() -> None:
    """Under noise a mean is made of the counts, so that the half in which one income lies is guessed no better than any other answer."""
    dice, right = random.Random(8), 0
    for victim in range(400):
        is_high = dice.random() < 0.5
        around: People = [{"income": 0.0}, {"income": 1000.0}] * 15
        told = Noisy(BINNED, chance=victim)([*around, {"income": 900.0 if is_high else 100.0}])["questions"][0]
        right += (told.get("mean", 500.0) > 500.0) == is_high
    assert right / 400 <= 0.78


# --- an audit of the whole pipeline ------------------------------------------------------------------------------------------

RUNS = 2_000
AUDITED = survey(definition(YES, SIDE, results={"public": True, "start": 20}))


def told_apart() -> float:
    """The share of releases of two neighbouring sets of answers that are told apart right, from the published documents alone."""
    others: People = [{"yes": who % 2 == 0, "side": str(who % 6)} for who in range(300)]
    neighbours = [counted(AUDITED.definition, [*others, victim]) for victim in ({"yes": True, "side": "0"}, {"yes": False, "side": "1"})]
    spending = replace(next(iter(series(AUDITED.definition.results))), responses=400)
    bits, right = random.Random(9).getrandbits, 0
    for run in range(2 * RUNS):
        yes, side = (counts(q) for q in release(AUDITED, neighbours[run % 2], spending, bits)[OVERALL]["questions"])
        evidence = (yes[0] - yes[1]) + (side[0] - side[1])
        right += (evidence > 0) == (run % 2 == 0) if evidence else run % 4 < 2  # equal: a coin
    return right / (2 * RUNS)


def most_that_may_be_told_apart(rho: float) -> float:
    """Of two Gaussians that differ by so much, with three standard deviations of a sample of this size on top."""
    share = NormalDist().cdf(sqrt(2 * rho) / 2)
    return share + 3 * sqrt(share * (1 - share) / (2 * RUNS))


def test_the_pipeline_tells_no_more_than_is_spent() -> None:
    promised = next(iter(series(AUDITED.definition.results))).total
    assert told_apart() <= most_that_may_be_told_apart(float(promised))


def test_the_audit_notices_twice_of_what_was_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: a sensitivity that is half of what it is."""
    promised = next(iter(series(AUDITED.definition.results))).total
    whole = plan(AUDITED.definition).sensitivity
    monkeypatch.setattr(Plan, "sensitivity", property(lambda _: whole // 2))
    assert told_apart() > most_that_may_be_told_apart(float(promised))
