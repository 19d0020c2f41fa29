"""What requests about surveys say, and what their answers say."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, JsonValue

from application.ports import Version
from domain.survey import FieldChange, Survey
from entrypoints.http.reply import Body, Out, Time


class ChoiceBody(Body):
    value: str
    label: str | None = None
    code: int | None = Field(None, description="Its number in the codebook; unique within the question.")


class _QuestionBody(Body):
    field: str = Field(description="The name of the answer: letters, digits and underscores, a letter first.")
    label: str | None = None


class ChoiceQuestionBody(_QuestionBody):
    type: Literal["choice"]
    choices: list[ChoiceBody]


class MultiChoiceQuestionBody(_QuestionBody):
    type: Literal["multi_choice"]
    choices: list[ChoiceBody]


class ScaleQuestionBody(_QuestionBody):
    type: Literal["scale"]
    min: int
    max: int


class IntegerQuestionBody(_QuestionBody):
    type: Literal["integer"]
    min: int | None = None
    max: int | None = None


class NumberQuestionBody(_QuestionBody):
    model_config = ConfigDict(allow_inf_nan=False)

    type: Literal["number"]
    min: float | None = None
    max: float | None = None


class BooleanQuestionBody(_QuestionBody):
    type: Literal["boolean"]


class TextQuestionBody(_QuestionBody):
    type: Literal["text"]
    max_length: int = 2000


class DateQuestionBody(_QuestionBody):
    type: Literal["date"]


QuestionBody = Annotated[
    ChoiceQuestionBody
    | MultiChoiceQuestionBody
    | ScaleQuestionBody
    | IntegerQuestionBody
    | NumberQuestionBody
    | BooleanQuestionBody
    | TextQuestionBody
    | DateQuestionBody,
    Field(discriminator="type"),
]


class ConsentBody(Body):
    field: str
    accept: JsonValue = Field(description="The answer that is consent.")


class ResultsBody(Body):
    public: bool = False
    minimum_cell: int = 5


class DefinitionBody(Body):
    title: str
    identity: Literal["fingerprint", "token"] = "fingerprint"
    consent: ConsentBody | None = None
    results: ResultsBody = ResultsBody()
    questions: list[QuestionBody]


class PublicationBody(DefinitionBody):
    accept_breaking: list[str] = Field(default=[], description="Fields whose removal or narrowing may touch stored answers.")


class SurveyOut(Out):
    project: str
    version: int
    open: bool
    published_at: Time
    title: str
    identity: Literal["fingerprint", "token"]
    consent: dict[str, JsonValue] | None
    results: dict[str, JsonValue]
    questions: list[dict[str, JsonValue]]

    @classmethod
    def of(cls, survey: Survey) -> "SurveyOut":
        return cls.model_construct(**_parts(survey))


class FieldChangeOut(Out):
    field: str
    change: Literal["added", "removed", "widened", "narrowed", "relabelled", "retyped"]
    touched: int


class PublicationOut(SurveyOut):
    changes: list[FieldChangeOut]

    @classmethod
    def with_changes(cls, survey: Survey, changes: tuple[FieldChange, ...]) -> "PublicationOut":
        return cls.model_construct(**_parts(survey), changes=[FieldChangeOut.model_construct(**asdict(c)) for c in changes])


class VersionOut(Out):
    version: int
    published_at: Time
    published_by: str
    changes: list[FieldChangeOut]

    @classmethod
    def of(cls, version: Version) -> "VersionOut":
        return cls.model_construct(
            version=version.version,
            published_at=version.published_at,
            published_by=version.published_by,
            changes=[FieldChangeOut.model_construct(**asdict(c)) for c in version.changes],
        )


def _parts(survey: Survey) -> dict[str, Any]:
    return {
        "project": survey.project,
        "version": survey.version,
        "open": survey.is_open,
        "published_at": survey.published_at,
        **survey.definition.document(),
    }
