"""What goes in and out over HTTP, as pydantic models: the schema of ``/openapi.json``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

EXAMPLE = "今年上半年新增就业多少人?"


class Turn(BaseModel):
    """A message of a conversation."""

    model_config = ConfigDict(extra="forbid", strict=True)

    role: Literal["user", "assistant"]
    content: str


class ChatRequest(BaseModel):
    """The body of ``POST /chat``."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"question": EXAMPLE}]}
    )

    question: str = Field(description="what a person asks; Chinese or English")
    letter_id: str | None = Field(None, description="answer from this letter only")
    k: int | None = Field(None, ge=1, le=50, description="measures to look at")
    history: list[Turn] = Field([], max_length=100, description="what was said before, oldest first")
    stream: bool = Field(False, description="answer as server-sent events")


class CitationModel(BaseModel):
    """A quote: ``text[start:end]`` of the letter, in code points."""

    n: int
    letter_id: str
    title: str
    issuer: str
    date: str | None
    path: str
    section: str
    heading: str
    quote: str
    start: int
    end: int
    times: dict[str, str] = Field(description="what 今年上半年 and the like mean, by the date of the letter")
    status: str | None = Field(description="planned, under way or dropped; null when done")
    source: str
    sha256: str


class AnswerModel(BaseModel):
    """An answer or a refusal."""

    question: str
    answer: str
    short_answer: str
    refused: bool
    reason: str | None = Field(description="no_evidence, wrong_scope, not_a_question or unverified")
    confidence: float = Field(ge=0, le=1)
    mode: str = Field(description="extractive or generated")
    citations: list[CitationModel]
    timings_ms: dict[str, float]
    index: dict[str, Any]


class FoundSentence(BaseModel):
    """A sentence of a measure that was found, in code points of the letter."""

    model_config = ConfigDict(extra="allow")

    quote: str
    start: int
    end: int


class HitModel(BaseModel):
    """A measure that was found."""

    model_config = ConfigDict(extra="allow")

    letter_id: str
    title: str
    issuer: str
    date: str | None
    path: str
    section: str
    heading: str
    start: int
    end: int
    score: float = Field(description="higher is better; comparable within one search only")
    sentences: list[FoundSentence]


class SearchModel(BaseModel):
    """Measures, best first."""

    query: str
    hits: list[HitModel]


class LetterSummary(BaseModel):
    """What a list of letters shows."""

    model_config = ConfigDict(extra="allow")

    letter_id: str
    title: str
    subject: str
    number: str | None
    addressee: str
    issuer: str
    date: str | None
    source: str
    sha256: str
    measure_count: int


class LetterList(BaseModel):
    """A part of the letters, and how many there are."""

    letters: list[LetterSummary]
    total: int = Field(description="letters that match")


class SpanModel(BaseModel):
    """A range of code points of the letter's text."""

    start: int
    end: int


class MeasureModel(BaseModel):
    """A measure of a letter; its sentences are the units of citation."""

    path: str
    section: str
    heading: str
    start: int
    end: int
    quote: str
    sentences: list[SpanModel]


class LetterModel(LetterSummary):
    """A whole letter: its text, and all else as offsets into it."""

    text: str
    measures: list[MeasureModel]
    headings: list[SpanModel] = Field(description="section headings, which belong to no measure")
    furniture: list[SpanModel] = Field(description="page furniture, which is not searched")


class SuggestionModel(BaseModel):
    """A question that the letter answers."""

    question: str
    letter_id: str
    title: str
    path: str


class SuggestionList(BaseModel):
    """Questions made from the letters themselves."""

    questions: list[SuggestionModel]


class NewLetter(LetterSummary):
    """A letter that came in, and what was understood of it."""

    outline: list[str] = Field(description="the headings of its measures, in order")
    warnings: list[str] = Field(description="no_issuer, no_date, no_addressee, no_numbering")


class ArrivalModel(BaseModel):
    """What an upload did."""

    letters: list[NewLetter]
    generation: str = Field(description="of the index that holds them")


class ChangeModel(BaseModel):
    """What a change of the collection did."""

    added: list[str] = Field(description="ids of letters that are new or newer")
    removed: list[str] = Field(description="ids of letters that are no more")
    generation: str
    letters: int
    measures: int
    failed: list[str] = Field(description="files that could not be read, a line each that says why")


class StatusModel(BaseModel):
    """How the service is."""

    model_config = ConfigDict(extra="allow")

    status: str
