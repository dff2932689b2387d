"""The HTTP service: ``POST /chat``, ``GET /search``, ``/letters``, ``/letters/{id}``, ``/healthz``, ``/readyz``.

Every error is RFC 9457 problem+json of one shape: ``type``, ``title``, ``status``, ``detail`` and, for a body or
parameter that is not as expected, ``errors``.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

import rag
from rag.embed import Embedder
from rag.engine import Answer, Engine
from rag.errors import LetterError, QuestionError, RagError
from rag.live import Live
from rag.rank import hit_as_dict
from rag.settings import Settings
from rag.summary import letter_detail, letter_summary

MAX_BODY_BYTES = 256 * 1024
_log = logging.getLogger("rag.api")


class ChatRequest(BaseModel):
    """The body of ``POST /chat``."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"question": "今年上半年新增就业多少人?"}]},
    )

    question: str = Field(description="what a person asks; Chinese or English")
    letter_id: str | None = Field(None, description="answer from this letter only")
    k: int | None = Field(None, ge=1, le=50, description="measures to look at")
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


def create_app(settings: Settings | None = None, embedder: Embedder | None = None) -> FastAPI:
    """Build the application over the configured index."""
    live = Live(settings or Settings(), embedder)
    app = FastAPI(
        title="letter-rag",
        version=rag.__version__,
        description="Cited answers to questions about government reply letters (复函).",
        responses={
            422: {"description": "Not as expected", "content": {"application/problem+json": {}}},
            503: {
                "description": "No index to answer from",
                "content": {"application/problem+json": {}},
            },
        },
    )
    _add_errors(app)
    _add_routes(app, live)
    return app


def _add_routes(app: FastAPI, live: Live) -> None:
    current = Annotated[Engine, Depends(live.engine)]

    @app.post("/chat", response_model=AnswerModel, summary="Answer a question")
    def chat(body: ChatRequest, engine: current) -> Response:
        answer = engine.ask(body.question, letter_id=body.letter_id, k=body.k)
        if body.stream:
            return StreamingResponse(_events(answer), media_type="text/event-stream")
        return JSONResponse(answer.as_dict())

    @app.get("/search", summary="Find measures")
    def find(
        engine: current,
        q: Annotated[str, Query(description="what to search for")],
        k: Annotated[int, Query(ge=1, le=50)] = 5,
        letter: Annotated[str | None, Query(description="only this letter")] = None,
    ) -> dict[str, Any]:
        hits = engine.search(q, k=k, letter_id=letter)
        return {"query": q, "hits": [hit_as_dict(h) for h in hits]}

    @app.get("/letters", summary="List the letters")
    def letters(engine: current) -> dict[str, Any]:
        return {"letters": [letter_summary(a) for a in engine.index.letters]}

    @app.get("/letters/{letter_id}", summary="Show a letter")
    def letter(letter_id: str, engine: current) -> dict[str, Any]:
        return letter_detail(engine.index.letter(letter_id))

    @app.get("/healthz", summary="The process is up")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", summary="The index is open")
    def readyz(engine: current) -> dict[str, Any]:
        return {"status": "ok", "generation": engine.index.generation}


def _events(answer: Answer) -> Iterator[str]:
    """Server-sent events: the sentences after their citations, then the whole answer."""
    whole = answer.as_dict()
    yield _event("status", {"state": "refused" if answer.refused else "answered"})
    yield _event("citations", {"citations": whole["citations"]})
    for sentence in answer.answer.split("\n"):
        yield _event("sentence", {"text": sentence})
    yield _event("answer", whole)
    yield _event("done", {})


def _event(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


def _problem(status: int, detail: str, errors: list[dict[str, Any]] | None = None) -> JSONResponse:
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if errors:
        body["errors"] = errors
    return JSONResponse(body, status, media_type="application/problem+json")


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        wrong = [{"at": "/".join(str(x) for x in e["loc"]), "detail": e["msg"]} for e in error.errors()]
        broken = any(e["type"] == "json_invalid" for e in error.errors())
        detail = "; ".join(f"{w['at']}: {w['detail']}" for w in wrong)
        return _problem(400 if broken else 422, detail, wrong)

    @app.exception_handler(HTTPException)
    def http(_: Request, error: HTTPException) -> JSONResponse:
        problem = _problem(error.status_code, str(error.detail))
        problem.headers.update(error.headers or {})
        return problem

    @app.exception_handler(RagError)
    def known(_: Request, error: RagError) -> JSONResponse:
        status = {QuestionError: 422, LetterError: 404}.get(type(error), 503)
        return _problem(status, str(error))

    @app.exception_handler(Exception)
    def unknown(_: Request, error: Exception) -> JSONResponse:
        _log.error("unexpected error", exc_info=error)
        return _problem(500, "an unexpected error; it was logged")

    @app.middleware("http")
    async def limit(request: Request, following: Callable[[Request], Awaitable[Response]]) -> Response:
        length = request.headers.get("content-length", "0")
        if "transfer-encoding" in request.headers and "content-length" not in request.headers:
            return _problem(411, "a body needs a Content-Length")
        if not length.isdigit() or int(length) > MAX_BODY_BYTES:
            return _problem(413, f"the body has {length} bytes; at most {MAX_BODY_BYTES:,} are read")
        return await following(request)


def serve(settings: Settings, host: str, port: int) -> int:
    """Run the service until it is stopped."""
    import uvicorn

    uvicorn.run(create_app(settings), host=host, port=port, log_level="info")
    return 0
