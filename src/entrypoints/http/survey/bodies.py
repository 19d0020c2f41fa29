"""What requests about surveys say, and what their answers say."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, JsonValue

from application.ports import Version
from application.survey import Publication
from domain.results import forecast
from domain.survey import Definition, Survey, warnings_of
from entrypoints.http.reply import Body, Out, Time

BINS = "The lower edges of the bins that results count by, and the upper edge of the last; answers outside of them count in none."


class ChoiceBody(Body):
    value: str
    label: str | None = None
    code: int | None = Field(None, description="Its number in the codebook; unique within the question.")


class _QuestionBody(Body):
    field: str = Field(description="The name of the answer: letters, digits and underscores, a letter first.")
    label: str | None = None
    public: bool = Field(
        default=True, description="Whether its answers count in published results; what is kept out makes the others more exact."
    )


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
    bins: list[int] | None = Field(None, description=BINS)


class IntegerQuestionBody(_QuestionBody):
    type: Literal["integer"]
    min: int | None = None
    max: int | None = None
    bins: list[int] | None = Field(None, description=BINS)


class NumberQuestionBody(_QuestionBody):
    model_config = ConfigDict(allow_inf_nan=False)

    type: Literal["number"]
    min: float | None = None
    max: float | None = None
    bins: list[float] | None = Field(None, description=BINS)


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
    minimum_cell: int = Field(5, description="The smallest count that suppression shows.")
    protection: Literal["noise", "suppression"] = "noise"
    by: list[str] = Field(default=[], description="The choice questions that results are cross-tabulated by.")
    budget: Annotated[float, Field(allow_inf_nan=False)] = Field(
        1, description="What all releases under noise may tell of one reader: ρ of zero-concentrated differential privacy, 0.1 to 4."
    )
    start: int = Field(100, description="The number of responses that the first release under noise comes with, 20 to 1 000 000.")


class DefinitionBody(Body):
    title: str
    identity: Literal["fingerprint", "token"] | None = Field(
        None, description="How readers are known: `token` unless another version says otherwise. Under `fingerprint` see `warnings`."
    )
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


class ForecastOut(Out):
    """How exact results are at so many responses: the half-widths of 95 % intervals of a count, without groups and within them."""

    responses: int
    count: int | None
    group: int | None


class WarningOut(Out):
    code: str
    detail: str


class PublicationOut(SurveyOut):
    changes: list[FieldChangeOut]
    forecast: list[ForecastOut]
    forecast_before: list[ForecastOut] | None = Field(description="The forecast of the version before; null for a first one.")
    warnings: list[WarningOut]

    @classmethod
    def of_publication(cls, published: Publication) -> "PublicationOut":
        before = published.before
        return cls.model_construct(
            **_parts(published.survey),
            changes=[FieldChangeOut.model_construct(**asdict(change)) for change in published.changes],
            forecast=_forecast(published.survey.definition),
            forecast_before=None if before is None else _forecast(before),
            warnings=[WarningOut.model_construct(**asdict(warning)) for warning in warnings_of(published.survey.definition)],
        )


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


def _forecast(definition: Definition) -> list[ForecastOut]:
    return [ForecastOut.model_construct(**each) for each in forecast(definition)]


def _parts(survey: Survey) -> dict[str, Any]:
    return {
        "project": survey.project,
        "version": survey.version,
        "open": survey.is_open,
        "published_at": survey.published_at,
        **survey.definition.document(),
    }
