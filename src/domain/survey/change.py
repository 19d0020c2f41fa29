"""What accepted answers would do to a response."""

from dataclasses import dataclass
from typing import Any

from domain.survey.definition import Consent


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Answers that a survey accepted together: canonical values, where None withdraws, and the version that accepted them."""

    answers: dict[str, Any]
    survey_version: int
    consent: Consent | None = None

    @property
    def gated(self) -> frozenset[str]:
        """The fields that may change only while consent is given. Withdrawing them together with consent needs none."""
        if self.consent is None:
            return frozenset()
        others = self.answers.keys() - {self.consent.field}
        if self.consent.field in self.answers:
            others = {field for field in others if self.answers[field] is not None}
        return frozenset(others)

    @property
    def withdraws_consent(self) -> bool:
        """Whether the consent field moves away from what is consent; all other answers go with it."""
        consent = self.consent
        return consent is not None and consent.field in self.answers and self.answers[consent.field] != consent.accept
