"""The requests and responses of the HTTP API, and every bound on what a caller may send."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from serving.stance import Stance

MAX_ITEMS = 256
MAX_SENTENCE = 2_000
MAX_NAME = 100
MAX_TEXT = 200_000
MAX_TITLE = MAX_SENTENCE

Verdict = Literal["contested", "claimed", "denied", "unclear", "none"]
ErrorType = Literal[
    "validation",
    "authentication",
    "not_found",
    "method_not_allowed",
    "payload_too_large",
    "overloaded",
    "timeout",
    "unavailable",
    "internal",
]


def _readable(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain a NUL character")
    if not text.strip():
        raise ValueError("must not be blank")
    return text


Sentence = Annotated[str, Field(min_length=1, max_length=MAX_SENTENCE), AfterValidator(_readable)]
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME), AfterValidator(_readable)]
Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT), AfterValidator(_readable)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Item(_Request):
    """One sentence and the claim to judge it by."""

    sentence: Sentence = Field(examples=["The governor dismissed reports that Panjshir had fallen."])
    place: Name | None = Field(default=None, examples=["Panjshir"], description='Left out: "The province has fallen".')
    attacker: Name | None = Field(
        default=None,
        examples=["the Taliban"],
        description='The side it would have fallen to: "Panjshir has fallen to the Taliban".',
    )


class ClassifyRequest(_Request):
    """Sentences to classify."""

    items: Annotated[list[Item], Field(min_length=1, max_length=MAX_ITEMS)]


class AnalyzeRequest(_Request):
    """An article to read sentence by sentence."""

    text: Text = Field(examples=["Panjshir has fallen, the rebels said. The governor denied it."])
    place: Name | None = Field(default=None, examples=["Panjshir"])
    attacker: Name | None = Field(default=None, examples=["the Taliban"])
    title: Annotated[str, Field(min_length=1, max_length=MAX_TITLE), AfterValidator(_readable)] | None = None
    published: date | None = Field(default=None, examples=["2021-09-03"])


class Probabilities(BaseModel):
    """Calibrated; they sum to 1."""

    support: float
    deny: float
    query: float
    comment: float


class Prediction(BaseModel):
    """The stance of one sentence. `confident` is false where the model should abstain."""

    stance: Stance
    probabilities: Probabilities
    confident: bool


class ClassifyResponse(BaseModel):
    """One prediction an item, in the order sent."""

    model: str
    predictions: list[Prediction]


class Holder(BaseModel):
    """Who holds the stance: a verbatim span of the article."""

    text: str
    start: int
    end: int


class AnalyzedSentence(BaseModel):
    """A sentence of the article: text[start:end], counted in Unicode code points."""

    text: str
    start: int
    end: int
    stance: Stance
    probabilities: Probabilities
    confident: bool
    holder: Holder | None


class SummaryHolder(BaseModel):
    """One holder and the sentences, by index, in which it holds one stance; -1 is the title."""

    holder: str
    stance: Stance
    sentences: list[int]


class Counts(BaseModel):
    """Sentences by stance, the title included."""

    support: int
    deny: int
    query: int
    comment: int


class Summary(BaseModel):
    """What the article says as a whole."""

    verdict: Verdict
    counts: Counts
    holders: list[SummaryHolder]


class AnalyzeResponse(BaseModel):
    """Every sentence of the article with its stance, and their summary."""

    model: str
    place: str | None
    claim: str
    sentences: list[AnalyzedSentence]
    summary: Summary


class Limits(BaseModel):
    """The bounds on a request: characters, items, bytes, and tokens the model reads at once."""

    items: int = MAX_ITEMS
    sentence_characters: int = MAX_SENTENCE
    name_characters: int = MAX_NAME
    text_characters: int = MAX_TEXT
    body_bytes: int
    window_tokens: int


class InfoResponse(BaseModel):
    """The model that answers and what is known of it."""

    model: str
    base_model: str
    labels: list[Stance]
    claim_template: dict[str, str]
    limits: Limits
    dataset_sha256: str
    trained: str
    metrics: dict[str, Any] | None
    runtime: dict[str, str]
    version: str


class ErrorDetail(BaseModel):
    """Where in the request, and what is wrong there."""

    loc: list[str | int]
    msg: str


class ErrorResponse(BaseModel):
    """The one shape of every error."""

    error: str
    error_type: ErrorType
    details: list[ErrorDetail] = []
